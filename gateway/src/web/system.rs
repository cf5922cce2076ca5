//! What the gateway says of itself, in the overview, in `about` and in health.

use serde::Serialize;
use utoipa::ToSchema;

use super::Web;
use super::model::{ApiError, Damage};
use crate::clock::Jump;
use crate::influx;
use crate::reading::Millis;

/// What the gateway says of itself, for the page's notices.
#[derive(Serialize, ToSchema)]
pub(super) struct System {
    clock: ClockHealth,
    /// Points that the InfluxDB sink was refused and that wait to be sent again: see `/api/v1/dead-letters`.
    dead_letters: u64,
    /// New readings are stored; false while the disk is full or the journal can't be written.
    storing: bool,
    /// Damaged files of the journal, the newest last.
    damage: Vec<Damage>,
}

pub(super) async fn system(web: &Web) -> Result<System, ApiError> {
    Ok(System {
        clock: clock_health(web),
        dead_letters: influx::dead_letters(&web.journal).await?,
        storing: web.journal.failing().is_none(),
        damage: damage(web),
    })
}

pub(super) fn damage(web: &Web) -> Vec<Damage> {
    web.journal.damage().into_iter().map(Into::into).collect()
}

/// The gateway's own clock.
#[derive(Serialize, ToSchema)]
pub(super) struct ClockHealth {
    /// False: it is behind what the journal holds, or before 2020; nodes are not told the time.
    pub(super) right: bool,
    /// The time that the gateway goes by.
    now: Millis,
    /// What the system's clock says.
    system: Millis,
    /// How often the system's clock was set since the start.
    jumps: u64,
    last_jump: Option<Jump>,
}

pub(super) fn clock_health(web: &Web) -> ClockHealth {
    let (now, right) = web.clock.checked();
    let (jumps, last_jump) = web.clock.jumps();
    ClockHealth {
        right,
        now,
        system: web.clock.says(),
        jumps,
        last_jump,
    }
}
