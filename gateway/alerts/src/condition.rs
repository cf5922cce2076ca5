//! Whether a reading meets a rule's condition, and the little that has to be remembered for that.
//!
//! A daily swing remembers two extremes. A change over time is exact: it remembers those readings of its window that a later
//! one may still be compared with, which are few unless the value climbs (or falls) all the time, and [`KEPT`] at most.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::calendar::Zone;
use crate::rule::Condition;

/// How many readings a change over time remembers at most. A window in which the value climbs through more of them is judged
/// by its lowest one and the newest [`KEPT`] less one.
pub const KEPT: usize = 512;

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
    /// For a rise: those readings of the window that are lower than all after them, oldest first. For a fall: higher.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    furthest: VecDeque<Sample>,
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
                verdict(reaches(high - low, swing.by))
            }
            Condition::Fault | Condition::Silent(_) => Verdict::Good,
        }
    }

    /// The greatest change between a reading of the window and this one.
    fn change(&mut self, sample: Sample, within_s: u32, by: f64, direction: f64) -> Verdict {
        let window = i64::from(within_s).saturating_mul(1000);
        let queue = &mut self.furthest;
        while queue
            .front()
            .is_some_and(|old| sample.at.saturating_sub(old.at) > window)
        {
            queue.pop_front();
        }
        let change = |old: &Sample| (sample.value - old.value) * direction;
        let bad = queue.front().is_some_and(|old| reaches(change(old), by));
        while queue.back().is_some_and(|old| change(old) <= 0.0) {
            queue.pop_back();
        }
        queue.push_back(sample);
        if queue.len() > KEPT {
            queue.remove(1);
        }
        verdict(bad)
    }
}

/// At least so much, as people count: 0.3 less 0.1 is 0.2, whatever binary fractions make of it.
fn reaches(difference: f64, by: f64) -> bool {
    difference >= by - by.abs().max(1.0) * 1e-9
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

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Bad, Between, Good};

    fn condition(json: &str) -> Condition {
        serde_json::from_str(json).unwrap()
    }

    /// Verdicts on these values, a minute apart.
    fn verdicts(json: &str, values: &[f64]) -> Vec<Verdict> {
        let condition = condition(json);
        let mut memory = Memory::default();
        (0..)
            .zip(values)
            .map(|(n, &value)| {
                let at = n * 60_000;
                memory.judge(&condition, Sample { at, value }, Zone::UTC)
            })
            .collect()
    }

    #[test]
    fn the_limit_itself_is_no_reason_for_alarm() {
        let above = r#"{"above":{"value":4.0,"clears_at":3.5}}"#;
        assert_eq!(
            verdicts(above, &[4.0, 4.1, 3.6, 3.5, 3.4]),
            [Between, Bad, Between, Good, Good]
        );
        let below = r#"{"below":{"value":3.0,"clears_at":3.5}}"#;
        assert_eq!(
            verdicts(below, &[3.0, 2.9, 3.4, 3.5, 9.0]),
            [Between, Bad, Between, Good, Good]
        );
        assert_eq!(
            verdicts(r#"{"above":{"value":4}}"#, &[4.0, 4.1]),
            [Good, Bad]
        );
        assert_eq!(
            verdicts(r#"{"below":{"value":4}}"#, &[4.0, 3.9]),
            [Good, Bad]
        );
    }

    #[test]
    fn a_band_ends_inside_itself() {
        let band = r#"{"outside":{"low":28,"high":32,"hysteresis":0.5}}"#;
        assert_eq!(
            verdicts(band, &[28.0, 27.9, 28.4, 28.5, 31.5, 31.6, 32.0, 32.1]),
            [Between, Bad, Between, Good, Good, Between, Between, Bad]
        );
        let bare = r#"{"outside":{"low":28,"high":32}}"#;
        assert_eq!(verdicts(bare, &[28.0, 32.0, 32.1]), [Good, Good, Bad]);
    }

    #[test]
    fn a_rise_is_from_the_lowest_of_the_window_and_a_fall_from_the_highest() {
        let rises = r#"{"rises":{"by":0.2,"within_s":180}}"#;
        // 0.1 is the lowest; it is three minutes old at the fourth, and out of the window at the fifth.
        assert_eq!(
            verdicts(rises, &[0.5, 0.1, 0.2, 0.29, 0.3, 0.39]),
            [Good, Good, Good, Good, Bad, Good]
        );
        let falls = r#"{"falls":{"by":0.2,"within_s":180}}"#;
        assert_eq!(
            verdicts(falls, &[0.1, 0.3, 0.1, 0.1, 0.1, 0.1]),
            [Good, Good, Bad, Bad, Bad, Good]
        );
    }

    #[test]
    fn a_long_climb_is_remembered_in_part_only() {
        let mut memory = Memory::default();
        let condition = condition(r#"{"rises":{"by":2999,"within_s":1000000}}"#);
        let last = (0..3000)
            .map(|n| {
                let value = n as f64;
                memory.judge(
                    &condition,
                    Sample {
                        at: n * 1000,
                        value,
                    },
                    Zone::UTC,
                )
            })
            .last();
        assert_eq!(last, Some(Bad));
        assert_eq!(memory.furthest.len(), KEPT);
    }

    #[test]
    fn a_swing_begins_anew_at_local_midnight() {
        let condition = condition(r#"{"swings":{"by":0.5}}"#);
        let mut memory = Memory::default();
        let mut at = |hours: i64, value: f64| {
            let sample = Sample {
                at: hours * 3_600_000 - 7 * 3_600_000,
                value,
            };
            memory.judge(&condition, sample, Zone::VIETNAM)
        };
        assert_eq!(at(5, 7.6), Good);
        assert_eq!(at(15, 8.1), Bad);
        assert_eq!(at(23, 7.9), Bad);
        assert_eq!(at(24, 8.3), Good);
    }
}
