//! Which readings are believed.
//!
//! A value is kept whatever is thought of it; one that is not believed is marked and takes no part in alarms, advice and
//! forecasts. A [`Judge`] looks at one series, online and causally: it knows nothing but the readings before, and what it
//! remembers is small and can be stored.
//!
//! | mark | what | believed |
//! |---|---|---|
//! | sentinel | a number that stands for "no value": -127, 85.0, -9999, 65535, NaN | no |
//! | range | outside what the place can bring forth ([`sen_wire::Quantity::plausible`]) | no |
//! | spike | one or two readings far off, and back again | no, see below |
//! | stuck | the very same number for longer than this series ever rests | no, until it moves |
//! | step | the level shifted at once and stayed: calibrated, moved, cleaned | yes: the new level is as good as the old |
//! | company | the node's other probes give nonsense ([`company`]) | no |
//!
//! **How far is far** is asked of the series itself: [`spike`] keeps a high quantile of how far its readings lie beyond both
//! neighbours, [`stuck`] how long it has rested. A tidal front or a storm is a change that *stays*; only what comes back at
//! once is a spike. That can't be known before the next reading, so a reading that may be one is [`Belief::Withheld`] and
//! settled by what follows: said again with its final belief, and with its own time. A rule that asks for an hour below 3 mg/L
//! loses no minute of the hour by that.
//!
//! ```
//! use sen_alerts::quality::{Belief, Judge};
//! use sen_wire::Quantity;
//!
//! let mut judge = Judge::default();
//! let mut judged = Vec::new();
//! for (n, value) in [28.1, 28.2, 85.0, 28.2].into_iter().enumerate() {
//!     judge.take(Quantity::WaterTemperature, n as i64 * 900_000, value, &mut judged);
//! }
//! assert!(judged.iter().any(|j| j.value == 85.0 && j.marks.sentinel && j.belief == Belief::Rejected));
//! ```
//!
//! What can't be seen by this: a probe that drifts or is overgrown slowly. The trust of a channel ([`crate::trust`]) falls
//! with the days since its calibration for that reason.

pub mod company;
pub mod limits;
pub mod placeholder;
pub mod spike;
pub mod step;
pub mod stuck;

use std::collections::VecDeque;

use sen_wire::Quantity;
use serde::{Deserialize, Serialize};

use self::{spike::Excursions, step::Levels, stuck::Rest};
use crate::Millis;
use crate::watch::MAX_GAP;

/// How many readings may await what follows.
pub const MAX_HELD: usize = 8;

/// How much of a spike's height may be left of it in the reading after.
const TAIL: f64 = 0.2;
/// How far the readings of one spike may lie apart, as a share of its height.
const TOGETHER: f64 = 0.3;

/// Why a reading is remarkable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Marks {
    /// A number that stands for "no value".
    pub sentinel: bool,
    /// Outside the plausible range of its quantity.
    pub range: bool,
    /// Far off for a reading or two.
    pub spike: bool,
    /// The very same number for too long.
    pub stuck: bool,
    /// The level shifted, and has stayed so until this reading.
    pub step: bool,
    /// Nothing is wrong with it, but other probes of its node give nonsense.
    pub company: bool,
}

impl Marks {
    /// Whether there is any.
    #[must_use]
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

/// What is thought of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Belief {
    /// It counts.
    Believed,
    /// It is not known yet: it counts for nothing until it is said again.
    Withheld,
    /// It is kept, and counts for nothing.
    Rejected,
}

/// A reading that has been looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// When it was taken.
    pub at: Millis,
    /// Its value, canonical unit.
    pub value: f64,
    /// What is remarkable.
    pub marks: Marks,
    /// What is thought of it.
    pub belief: Belief,
}

/// A reading that awaits what follows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Held {
    at: Millis,
    value: f64,
}

/// What is remembered of a series: less than a kilobyte, and all that must outlive a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Judge {
    newest: Option<Millis>,
    excursions: Excursions,
    rest: Rest,
    levels: Levels,
    held: VecDeque<Held>,
    /// Impossible values since the last believed one.
    failing: u32,
}

impl Judge {
    /// Takes a reading and says what is thought of it, after those that it settles. A reading that is not newer than the
    /// newest is judged by itself alone, and teaches nothing.
    pub fn take(&mut self, quantity: Quantity, at: Millis, value: f64, out: &mut Vec<Judged>) {
        let mut marks = Marks {
            sentinel: placeholder::is_placeholder(quantity, value),
            ..Marks::default()
        };
        let (low, high) = quantity.plausible();
        marks.range = !marks.sentinel && !(low..=high).contains(&value);
        let impossible = marks.sentinel || marks.range;
        let say = |out: &mut Vec<Judged>, marks, belief| {
            out.push(Judged {
                at,
                value,
                marks,
                belief,
            });
        };
        let Some(gap) = self.gap(at) else {
            let belief = if impossible {
                Belief::Rejected
            } else {
                Belief::Believed
            };
            return say(out, marks, belief);
        };
        if gap > MAX_GAP {
            self.interrupted(quantity, out);
        }
        if impossible {
            self.failing = self.failing.saturating_add(1);
            // What is held may have been the beginning of this failure, or not: it is still not known.
            return say(out, marks, Belief::Rejected);
        }
        marks.stuck = self.rest.take(quantity, at, value);
        if marks.stuck {
            self.settle(quantity, out, Settled::Stuck);
            return say(out, marks, Belief::Rejected);
        }
        match self.weigh(quantity, value, out) {
            Weighed::Wait => {
                self.held.push_back(Held { at, value });
                return say(out, marks, Belief::Withheld);
            }
            Weighed::Stuck => {
                marks.stuck = true;
                return say(out, marks, Belief::Rejected);
            }
            Weighed::Believe => {}
        }
        self.failing = 0;
        marks.step = self.learn(quantity, value);
        say(out, marks, Belief::Believed);
    }

    /// Time since the newest reading, 0 for the first one; `None`: this one is not newer.
    fn gap(&mut self, at: Millis) -> Option<Millis> {
        let gap = match self.newest {
            Some(newest) if at <= newest => return None,
            Some(newest) => at.saturating_sub(newest),
            None => 0,
        };
        self.newest = Some(at);
        Some(gap)
    }

    /// What to do with a possible value. Settles those that wait already, if it says what they were.
    fn weigh(&mut self, quantity: Quantity, value: f64, out: &mut Vec<Judged>) -> Weighed {
        let Some(far) = self.excursions.far(quantity, value) else {
            // Near the readings before: what is held was an excursion, and this is the way back.
            let limit = self.excursions.limit(quantity);
            self.settle_by(quantity, value, limit, true, out);
            return Weighed::Believe;
        };
        let waiting = self.held.len();
        let last = self.held.back().map(|held| held.value);
        let frozen = last.is_some_and(|last| last.to_bits() == value.to_bits());
        let agrees = last.is_some_and(|last| (last - value).abs() <= far.limit);
        if frozen && self.rest.improbable(MAX_HELD) {
            // It jumped and stands still at once, as this series does not: a probe in the air, a broken wire.
            if waiting < MAX_HELD {
                return Weighed::Wait;
            }
            self.rest.declare_stuck();
            self.settle(quantity, out, Settled::Stuck);
            return Weighed::Stuck;
        }
        let needed = match (self.failing, far.very) {
            (0, false) => 1,
            (0, true) => 2,
            // A probe that has just given nonsense is asked for longer.
            (failing, _) => (2 + failing as usize).min(MAX_HELD - 1),
        };
        if waiting >= needed && (agrees || waiting >= 2) {
            // It stays: the water did that.
            self.settle_by(quantity, value, far.limit, false, out);
            if agrees {
                return Weighed::Believe;
            }
            // But this one lies elsewhere again.
        }
        Weighed::Wait
    }

    /// Settles those that wait by what follows each: readings that stand together are a spike if the way back leads at once to
    /// where they left. What water does has a tail.
    fn settle_by(
        &mut self,
        quantity: Quantity,
        value: f64,
        limit: f64,
        near: bool,
        out: &mut Vec<Judged>,
    ) {
        let mut before = self.excursions.last().unwrap_or(value);
        let mut moved = near;
        while let Some(first) = self.held.front().copied() {
            let height = (first.value - before).abs();
            let together = |held: &&Held| (held.value - first.value).abs() <= TOGETHER * height;
            let standing = self.held.iter().take_while(together).count().max(1);
            let after = self.held.get(standing).map_or(value, |held| held.value);
            let spike = (after - before).abs() <= (TAIL * height).max(limit / 2.0);
            if !spike && !moved {
                self.excursions.moved();
                moved = true;
            }
            for held in self.held.drain(..standing).collect::<Vec<_>>() {
                let what = if spike {
                    Settled::Spike
                } else {
                    before = held.value;
                    Settled::Believed
                };
                self.settle_one(quantity, held, what, out);
            }
        }
    }

    fn settle(&mut self, quantity: Quantity, out: &mut Vec<Judged>, as_what: Settled) {
        while let Some(held) = self.held.pop_front() {
            self.settle_one(quantity, held, as_what, out);
        }
    }

    fn settle_one(
        &mut self,
        quantity: Quantity,
        Held { at, value }: Held,
        as_what: Settled,
        out: &mut Vec<Judged>,
    ) {
        let mut marks = Marks::default();
        let belief = match as_what {
            Settled::Believed => {
                marks.step = self.learn(quantity, value);
                Belief::Believed
            }
            Settled::Spike => {
                self.excursions.rejected(quantity, value);
                marks.spike = true;
                Belief::Rejected
            }
            Settled::Stuck => {
                marks.stuck = true;
                Belief::Rejected
            }
        };
        out.push(Judged {
            at,
            value,
            marks,
            belief,
        });
    }

    /// Readings stopped for a while: nothing says what those were that wait, and the water may be another one.
    fn interrupted(&mut self, quantity: Quantity, out: &mut Vec<Judged>) {
        self.settle(quantity, out, Settled::Spike);
        self.excursions.interrupted();
        self.rest.interrupted();
        self.failing = 0;
    }

    fn learn(&mut self, quantity: Quantity, value: f64) -> bool {
        self.excursions.learn(quantity, value);
        self.levels.take(quantity, value)
    }
}

/// What to do with a possible value.
enum Weighed {
    Believe,
    Wait,
    Stuck,
}

/// What those were that waited.
#[derive(Clone, Copy)]
enum Settled {
    Believed,
    Spike,
    Stuck,
}

#[cfg(test)]
mod tests;
