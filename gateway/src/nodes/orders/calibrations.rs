//! Calibrations as part of a node's orders: each is a version of its configuration, so its history is that of those.

use rusqlite::Connection;
use sen_wire::Channel;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Change, Order, change, newest, versions};
use crate::nodes::plan::{Calibrated, Measured, Plan};
use crate::nodes::{NodeError, number};
use crate::reading::Millis;

/// A calibration of one channel, measured by `who`: a new version of the configuration with this in it.
///
/// # Errors
/// [`NodeError`]: points that make no sense are refused by name.
pub fn calibrate(
    c: &Connection,
    id: &str,
    given: &Calibrated,
    who: &str,
    now: Millis,
) -> Result<Order, NodeError> {
    let num = number(c, id)?;
    let mut calibration = given.to_calibration().map_err(NodeError::Fault)?;
    calibration.at_ms = now;
    calibration
        .check()
        .map_err(|e| NodeError::Calibration(calibration.channel, e))?;
    let earlier = calibrations(c, id, calibration.channel)?;
    calibration.version = earlier.iter().map(|e| e.version).max().unwrap_or(0) + 1;
    let mut config = newest(c, num)?;
    config
        .calibrations
        .retain(|other| other.channel != calibration.channel);
    config.calibrations.push(calibration).map_err(|_| {
        NodeError::Fault(format!(
            "at most {} channels of a node are calibrated",
            config.calibrations.capacity()
        ))
    })?;
    change(
        c,
        id,
        &Change {
            plan: Plan::of(&config),
            base: Some(config.version),
            who: who.to_owned(),
        },
        now,
    )
}

/// One calibration of a channel, as it was made.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Earlier {
    /// Version of the calibration.
    pub version: u32,
    /// The curve.
    pub curve: String,
    /// When it was made, ms UTC.
    pub at: Millis,
    /// By whom.
    pub who: String,
    /// The configuration that brought it.
    pub config_version: u32,
    /// What was measured.
    pub points: Vec<Measured>,
}

/// Every calibration that a channel had, the newest first.
///
/// # Errors
/// [`NodeError`].
pub fn calibrations(c: &Connection, id: &str, channel: Channel) -> Result<Vec<Earlier>, NodeError> {
    let mut found: Vec<Earlier> = Vec::new();
    let num = number(c, id)?;
    for (version, who, config) in versions(c, num, u32::MAX)?
        .into_iter()
        .rev()
        .filter_map(|row| Some((row.version, row.who, row.config?)))
    {
        if let Some(calibration) = config.calibration(channel)
            && found
                .first()
                .is_none_or(|f| f.version != calibration.version)
        {
            let Calibrated { curve, points, .. } = Calibrated::of(calibration);
            found.insert(
                0,
                Earlier {
                    version: calibration.version,
                    curve,
                    at: calibration.at_ms,
                    who,
                    config_version: version,
                    points,
                },
            );
        }
    }
    Ok(found)
}
