//! The very same number, for longer than this series rests by nature.
//!
//! pH shown in tenths rests for a day in a calm estuary, conductivity in hundredths never for an hour: so the series is asked.
//! A run is stuck once it is [`TIMES`] as long as the longest run before, and three hours at least. What was the longest fades
//! with a half-life of two months. A series that has shown nothing yet is given a day.

use sen_wire::Quantity;
use serde::{Deserialize, Serialize};

use super::limits::limits;
use crate::Millis;

/// How many times the longest rest is too long.
pub const TIMES: f64 = 3.0;
/// No run shorter than this is stuck.
pub const LEAST: Millis = 3 * 3_600_000;
/// What is stuck in a series that has shown too little yet, and how long that is.
const UNKNOWN: f64 = 24.0 * 3_600_000.0;
const WARM: Millis = 7 * 86_400_000;
const HALF_LIFE: f64 = 60.0 * 86_400_000.0;

/// How a series rests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rest {
    value: Option<f64>,
    since: Millis,
    last: Millis,
    /// For how long the series has been looked at.
    seen: Millis,
    /// The longest rest, fading, milliseconds.
    longest: f64,
    /// How probable it is that a reading is the same as the one before: a mean over some days.
    same: f64,
    stuck: bool,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            value: None,
            since: 0,
            last: 0,
            longest: 0.0,
            seen: 0,
            same: 0.5,
            stuck: false,
        }
    }
}

impl Rest {
    /// Takes a reading in order of time; whether it is stuck.
    pub fn take(&mut self, quantity: Quantity, at: Millis, value: f64) -> bool {
        let elapsed = at.saturating_sub(self.last);
        let repeats = self
            .value
            .is_some_and(|old| old.to_bits() == value.to_bits());
        if !repeats {
            self.end_of_run(quantity);
            (self.value, self.since, self.stuck) = (Some(value), at, false);
        }
        if self.last != 0 && !self.stuck {
            self.seen = self.seen.saturating_add(elapsed);
            self.longest *= (-(elapsed as f64) / HALF_LIFE).exp2();
            self.same += (f64::from(u8::from(repeats)) - self.same) / 500.0;
        }
        self.last = at;
        let limit = self.limit();
        if repeats && !limits(quantity).rests.at(value) {
            self.stuck |= at.saturating_sub(self.since) as f64 > limit;
        }
        self.stuck
    }

    fn limit(&self) -> f64 {
        let own = (TIMES * self.longest).max(LEAST as f64);
        if self.seen < WARM {
            own.max(UNKNOWN)
        } else {
            own
        }
    }

    fn end_of_run(&mut self, quantity: Quantity) {
        let Some(value) = self.value else { return };
        let run = self.last.saturating_sub(self.since) as f64;
        // A run that was too long teaches that there are faults, not that there are rests; but one that was only a little
        // too long may have been the calm of this place.
        if !limits(quantity).rests.at(value) && (!self.stuck || run < 2.0 * self.limit()) {
            self.longest = self.longest.max(run);
        }
    }

    /// Whether that many repeats in a row are not to be expected of this series.
    #[must_use]
    pub fn improbable(&self, readings: usize) -> bool {
        self.same.powf(readings as f64) < 1e-3
    }

    /// The present run is stuck, whatever its length.
    pub fn declare_stuck(&mut self) {
        self.stuck = true;
    }

    /// Readings stopped for a while: the run is over.
    pub fn interrupted(&mut self) {
        (self.value, self.last, self.stuck) = (None, 0, false);
    }
}
