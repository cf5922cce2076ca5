//! Whether a reading meets a rule's condition, and the little that has to be remembered for that.
//!
//! A memory is bounded whatever the readings: a change over time keeps the first reading of each of 16 equal slices of its
//! window, a daily swing two extremes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::calendar::Zone;
use crate::rule::{Condition, Hours};

/// Into how many slices the window of a change is cut.
pub const SLICES: i64 = 16;

/// A believed value and its time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When it was taken.
    pub at: Millis,
    /// In the channel's canonical unit.
    pub value: f64,
}

/// What one reading says about a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A reason for alarm.
    Bad,
    /// Neither: between the limit and where the alarm ends.
    Between,
    /// The alarm may end.
    Good,
}

/// What a condition remembers of the readings before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The first reading of each slice of the window of a change, oldest first.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    slices: VecDeque<Sample>,
    /// The local day, its least and its greatest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    day: Option<(i64, f64, f64)>,
}

impl Memory {
    /// Takes a reading, newer than all before, and says what it means. Conditions on something else than values
    /// ([`Condition::Fault`], [`Condition::Silent`]) find every value good.
    pub fn judge(&mut self, condition: &Condition, sample: Sample, zone: Zone) -> Verdict {
        let Sample { value, .. } = sample;
        match condition {
            Condition::Above(limit) => beyond(value - limit.value, limit.clears_at, |c| value <= c),
            Condition::Below(limit) => beyond(limit.value - value, limit.clears_at, |c| value >= c),
            Condition::Outside(band) => {
                let inside = (value - band.low).min(band.high - value);
                if inside < 0.0 {
                    Verdict::Bad
                } else if inside >= band.hysteresis {
                    Verdict::Good
                } else {
                    Verdict::Between
                }
            }
            Condition::Rises(change) => self.change(sample, change.within_s, change.by, 1.0),
            Condition::Falls(change) => self.change(sample, change.within_s, change.by, -1.0),
            Condition::Swings(swing) => {
                let today = zone.day(sample.at);
                let (low, high) = match self.day {
                    Some((day, low, high)) if day == today => (low.min(value), high.max(value)),
                    _ => (value, value),
                };
                self.day = Some((today, low, high));
                verdict(high - low >= swing.by)
            }
            Condition::Fault | Condition::Silent(_) => Verdict::Good,
        }
    }

    /// The change between the oldest remembered reading that still lies in the window and this one.
    fn change(&mut self, sample: Sample, within_s: u32, by: f64, direction: f64) -> Verdict {
        let window = i64::from(within_s).saturating_mul(1000).max(SLICES);
        let slice = |at: Millis| at.div_euclid(window / SLICES);
        while self
            .slices
            .front()
            .is_some_and(|old| sample.at.saturating_sub(old.at) > window)
        {
            self.slices.pop_front();
        }
        if self
            .slices
            .back()
            .is_none_or(|last| slice(last.at) != slice(sample.at))
        {
            self.slices.push_back(sample);
        }
        let bad = self
            .slices
            .iter()
            .any(|old| (sample.value - old.value) * direction >= by);
        verdict(bad)
    }
}

fn verdict(bad: bool) -> Verdict {
    if bad { Verdict::Bad } else { Verdict::Good }
}

fn beyond(past_the_limit: f64, clears_at: Option<f64>, cleared: impl Fn(f64) -> bool) -> Verdict {
    if past_the_limit > 0.0 {
        Verdict::Bad
    } else if clears_at.is_none_or(cleared) {
        Verdict::Good
    } else {
        Verdict::Between
    }
}

/// The night, in which a message costs sleep.
#[must_use]
pub fn night() -> Hours {
    let hour = |h| chrono::NaiveTime::from_hms_opt(h, 0, 0).unwrap_or_default();
    Hours {
        from: hour(22),
        to: hour(6),
    }
}
