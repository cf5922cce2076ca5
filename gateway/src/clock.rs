//! The gateway's wall clock, and whether it can be believed. Passed to whatever needs the time.
//!
//! A small box often has no clock that runs on while its power is away: it starts in 1970, or an hour back, until NTP sets it.
//! Two things can be noticed, and are:
//!
//! - **The clock is behind what the journal holds** (or before 2020) when the gateway starts: it is wrong. Until it is put
//!   right, [`Clock::now`] goes on from the newest reading in the journal, which is the earliest that it can be; no node is
//!   told the time ([`Clock::told`]), and what is placed by the arrival is marked estimated.
//! - **The clock jumps** against the time since the start: somebody (NTP, a person) has set it, so it is believed from then
//!   on, whichever way it went. The jump is counted and shown.
//!
//! A clock that stood still while the power was away and has come back a little *after* the newest reading can't be told from
//! one that is right, until it jumps.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use utoipa::ToSchema;

use crate::reading::Millis;

/// 2020-01-01T00:00:00Z: nothing of ours was measured before.
pub const FLOOR: Millis = 1_577_836_800_000;
/// A start this far behind the journal is believed: NTP moves a clock a little while the gateway is down.
const BEHIND: Millis = 60_000;
/// A change of this much between two looks is a jump; NTP slews by half a millisecond a second.
const JUMP: Millis = 2_000;

/// A clock. Cheap to clone; all clones are the same clock.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    wall: fn() -> Millis,
    uptime: fn() -> Millis,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Wall time less uptime when it was last looked at.
    base: Option<Millis>,
    /// The clock is wrong; it is no earlier than this plus the uptime.
    least: Option<Millis>,
    jumps: u64,
    jumped: Option<Jump>,
}

/// The clock was set while the gateway ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Jump {
    /// To when.
    pub at: Millis,
    /// How far; below zero: back.
    pub by_ms: Millis,
}

fn system() -> Millis {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

fn uptime() -> Millis {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    i64::try_from(START.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(i64::MAX)
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::from_fn(system, uptime)
    }

    /// A clock that reads `wall`, and `uptime` since some start; a test sets both.
    #[must_use]
    pub fn from_fn(wall: fn() -> Millis, uptime: fn() -> Millis) -> Self {
        Self(Arc::new(Inner {
            wall,
            uptime,
            state: Mutex::default(),
        }))
    }

    /// Tells it the newest time that the journal knows, at the start. Returns how far behind it the clock is, if it is wrong.
    pub fn starts_after(&self, newest: Millis) -> Option<Millis> {
        let (wall, uptime) = ((self.0.wall)(), (self.0.uptime)());
        let behind = newest.max(FLOOR) - wall;
        if wall >= FLOOR && behind <= BEHIND {
            return None;
        }
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.base = Some(wall - uptime);
        state.least = Some(newest.max(FLOOR) + 1 - uptime);
        Some(behind)
    }

    fn look(&self) -> (Millis, bool) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (wall, uptime) = ((self.0.wall)(), (self.0.uptime)());
        let by_ms = wall - uptime - state.base.replace(wall - uptime).unwrap_or(wall - uptime);
        if by_ms.abs() >= JUMP {
            state.jumps += 1;
            state.jumped = Some(Jump { at: wall, by_ms });
            metrics::counter!("sen_gateway_clock_jumps_total").increment(1);
            tracing::warn!("the system's clock was set: {by_ms} ms");
            if wall >= FLOOR {
                state.least = None;
            }
        }
        if let Some(least) = state.least.map(|least| least + uptime) {
            if wall < least {
                return (least, false);
            }
            state.least = None;
        }
        (wall, true)
    }

    /// Now, ms UTC: the system's clock, or the earliest that it can be while that clock is wrong.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.look().0
    }

    /// Now, and whether the clock can be believed.
    #[must_use]
    pub fn checked(&self) -> (Millis, bool) {
        self.look()
    }

    /// The time for a node; none while the clock is known to be wrong.
    #[must_use]
    pub fn told(&self) -> Option<Millis> {
        let (now, sure) = self.look();
        sure.then_some(now)
    }

    /// What the system's clock says, right or wrong.
    #[must_use]
    pub fn says(&self) -> Millis {
        (self.0.wall)()
    }

    /// How often the clock was set since the start, and the last time.
    #[must_use]
    pub fn jumps(&self) -> (u64, Option<Jump>) {
        self.look();
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.jumps, state.jumped)
    }
}

/// A clock for tests that each thread sets for itself.
#[cfg(test)]
pub(crate) mod fake {
    use super::{Clock, Millis};
    use std::cell::Cell;

    thread_local! {
        static WALL: Cell<Millis> = const { Cell::new(0) };
        static UPTIME: Cell<Millis> = const { Cell::new(0) };
    }

    /// The clock; starts at `wall`.
    pub(crate) fn at(wall: Millis) -> Clock {
        set(wall);
        Clock::from_fn(|| WALL.get(), || UPTIME.get())
    }

    /// Time goes on.
    pub(crate) fn pass(ms: Millis) {
        WALL.set(WALL.get() + ms);
        UPTIME.set(UPTIME.get() + ms);
    }

    /// Somebody sets the clock.
    pub(crate) fn set(wall: Millis) {
        WALL.set(wall);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEWEST: Millis = 1_790_000_000_000;
    const HOUR: Millis = 3_600_000;

    #[test]
    fn a_clock_behind_the_journal_is_not_told_to_anybody_until_it_is_set() {
        for start in [0, NEWEST - HOUR] {
            let clock = fake::at(start);
            assert_eq!(clock.starts_after(NEWEST), Some(NEWEST - start));
            fake::pass(5_000);
            assert_eq!(clock.checked(), (NEWEST + 5_001, false));
            assert_eq!((clock.told(), clock.says()), (None, start + 5_000));
            fake::set(NEWEST + 3 * HOUR);
            assert_eq!(clock.told(), Some(NEWEST + 3 * HOUR));
            let by_ms = NEWEST + 3 * HOUR - start - 5_000;
            let at = NEWEST + 3 * HOUR;
            assert_eq!(clock.jumps(), (1, Some(Jump { at, by_ms })));
        }
    }

    #[test]
    fn a_clock_that_was_set_is_believed_either_way_but_not_in_1970() {
        let clock = fake::at(NEWEST + HOUR);
        assert_eq!(clock.starts_after(NEWEST), None);
        assert_eq!(clock.told(), Some(NEWEST + HOUR));
        fake::set(NEWEST - HOUR);
        assert_eq!(clock.told(), Some(NEWEST - HOUR));
        assert_eq!(clock.jumps().0, 1);
        // An empty journal says nothing, but 1970 is wrong all the same; a first time server may be wrong, too.
        let clock = fake::at(7);
        assert_eq!(clock.starts_after(0), Some(FLOOR - 7));
        fake::set(HOUR);
        assert_eq!(clock.told(), None);
        fake::set(NEWEST);
        assert_eq!(clock.told(), Some(NEWEST));
    }

    #[test]
    fn small_changes_are_no_jumps() {
        let clock = fake::at(NEWEST - BEHIND);
        assert_eq!(clock.starts_after(NEWEST), None);
        for _ in 0..10 {
            fake::pass(HOUR);
            fake::set(clock.says() + JUMP - 1);
            assert!(clock.told().is_some());
        }
        assert_eq!(clock.jumps(), (0, None));
    }
}
