//! One rule on one series: the states of an alarm.
//!
//! ```text
//!             bad                  held for `for_s`
//!   Normal ---------> Pending ---------------------> Firing <---- the snooze is over ---- Snoozed
//!     ^   not bad, a     |                            |  |                                 ^ |
//!     +------------------+                acknowledge |  +----------- snooze --------------+ |
//!     |                                               v                                      |
//!     +---- good for `clear_for_s`: resolved ---- Acknowledged ------------------------------+
//! ```
//!
//! - Durations are counted by the readings' own times: an alarm that must hold for an hour is raised by the first reading
//!   that is an hour after the first bad one, and by no tick of a clock. So a rehearsal says exactly what would have happened.
//! - A gap longer than [`MAX_GAP`] (and than the duration itself) proves nothing: the duration begins anew.
//! - A snooze is a person's word until a time: an alarm that ends and comes again before is snoozed at once, not raised.
//! - Outside of its hours, season or stage a rule is asleep: what it has raised ends.

use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::calendar::Zone;
use crate::condition::{Memory, Sample, Verdict};
use crate::rule::{Active, Condition, Rule};

/// Two readings further apart than this do not show that a condition held in between.
pub const MAX_GAP: Millis = 3_600_000;

/// Where an alarm stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing is wrong.
    #[default]
    Normal,
    /// Bad, but not for long enough.
    Pending,
    /// An alarm, and nobody has taken it.
    Firing,
    /// An alarm that somebody has taken.
    Acknowledged,
    /// An alarm that somebody does not want to hear of for a while.
    Snoozed,
}

impl State {
    /// Whether there is an alarm.
    #[must_use]
    pub fn is_alarm(self) -> bool {
        matches!(self, Self::Firing | Self::Acknowledged | Self::Snoozed)
    }
}

/// Why a state was left.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A believed value.
    Value(Sample),
    /// A fault, or a value that is not believed.
    Fault {
        /// When.
        at: Millis,
    },
    /// The node, or the channel, was not heard.
    Silence {
        /// When it was heard last.
        heard: Millis,
    },
    /// The node, or the channel, was heard again.
    Heard {
        /// When.
        at: Millis,
    },
    /// A person.
    Person,
    /// The snooze is over and the reason for alarm is still there.
    SnoozeOver,
    /// The rule fell asleep: out of its hours, season or stage.
    Asleep,
    /// The rule was changed or taken away, or no longer looks over this node.
    Rule,
    /// The gateway sees it itself: its link, its database, a site from which nothing comes.
    Gateway,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// Event time: the reading's, else the moment of the act.
    pub at: Millis,
    /// The state left.
    pub from: State,
    /// The state entered. From an alarm to [`State::Normal`] is "resolved".
    pub to: State,
    /// What brought it about: for a raised alarm the reading that raised it.
    pub why: Why,
    /// Since when it has been bad, for an alarm.
    pub since: Option<Millis>,
    /// The first of the bad readings that led to the alarm; `None` if it is about no values.
    pub first: Option<Sample>,
}

impl Transition {
    /// Whether it raises an alarm that somebody should hear of.
    #[must_use]
    pub fn raises(&self) -> bool {
        self.to == State::Firing
    }

    /// Whether it ends an alarm.
    #[must_use]
    pub fn resolves(&self) -> bool {
        self.from.is_alarm() && self.to == State::Normal
    }
}

/// One rule on one series. Small, and all that has to outlive a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    state: State,
    /// The time of the first bad reading of this alarm, or of what may become one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Millis>,
    /// That reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<Sample>,
    /// The first of the good readings at the end of an alarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    good_since: Option<Millis>,
    /// The newest reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<Millis>,
    /// Nobody wants to hear of it until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    snoozed_until: Option<Millis>,
    #[serde(default)]
    memory: Memory,
}

/// What a probe says, once it has been looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Said {
    /// A value that is believed.
    Value(f64),
    /// A fault, or a value that is not believed: no value is judged by it.
    Unbelieved,
}

impl Watch {
    /// Where the alarm stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Since when it has been bad.
    #[must_use]
    pub fn since(&self) -> Option<Millis> {
        self.since
    }

    /// The first of the bad readings.
    #[must_use]
    pub fn first(&self) -> Option<Sample> {
        self.first
    }

    /// Takes a reading. One that is older than the newest is none of its business; nor is one of the same instant, except
    /// for faults, where an instant has a reading of each probe.
    pub fn reading(
        &mut self,
        rule: &Rule,
        at: Millis,
        said: Said,
        zone: Zone,
    ) -> Option<Transition> {
        let faults = rule.when == Condition::Fault;
        if self
            .last
            .is_some_and(|last| at < last || (at == last && !faults))
        {
            return None;
        }
        let (verdict, why) = match (said, &rule.when) {
            (_, Condition::Silent(_)) => return None,
            (Said::Value(value), condition) if value.is_finite() => {
                let sample = Sample { at, value };
                let verdict = self.memory.judge(condition, sample, zone);
                (verdict, Why::Value(sample))
            }
            (_, Condition::Fault) => (Verdict::Bad, Why::Fault { at }),
            // A value that can't be believed neither raises an alarm nor ends one.
            _ => return None,
        };
        let gap = self
            .last
            .replace(at)
            .map_or(0, |last| at.saturating_sub(last));
        if !rule.active.holds(at, zone) {
            return self.end(at, Why::Asleep);
        }
        self.judged(rule, at, verdict, why, gap)
    }

    fn judged(
        &mut self,
        rule: &Rule,
        at: Millis,
        verdict: Verdict,
        why: Why,
        gap: Millis,
    ) -> Option<Transition> {
        let held = |seconds: u32| i64::from(seconds).saturating_mul(1000);
        let too_wide = |seconds: u32| gap > MAX_GAP.max(held(seconds));
        match (self.state, verdict) {
            (State::Normal, Verdict::Bad) => {
                self.begins(at, why);
                let to = if rule.for_s == 0 {
                    self.raised(at)
                } else {
                    State::Pending
                };
                Some(self.enter(to, at, why))
            }
            (State::Normal, _) => None,
            (State::Pending, Verdict::Bad) => {
                if too_wide(rule.for_s) {
                    self.begins(at, why);
                }
                let since = self.since.unwrap_or(at);
                (at.saturating_sub(since) >= held(rule.for_s))
                    .then(|| self.enter(self.raised(at), at, why))
            }
            // Between the limits it is no longer bad: the duration is one of being past the limit.
            (State::Pending, _) => Some(self.enter(State::Normal, at, why)),
            (_, Verdict::Good) => {
                if self.good_since.is_none() || too_wide(rule.clear_for_s) {
                    self.good_since = Some(at);
                }
                let since = self.good_since.unwrap_or(at);
                (at.saturating_sub(since) >= held(rule.clear_for_s))
                    .then(|| self.enter(State::Normal, at, why))
            }
            (_, Verdict::Bad | Verdict::Between) => {
                self.good_since = None;
                None
            }
        }
    }

    /// For what is seen by the clock and not by readings: bad since then, or not bad.
    pub(crate) fn set(&mut self, bad: Option<Millis>, now: Millis, why: Why) -> Option<Transition> {
        match (self.state, bad) {
            (State::Normal, Some(since)) => {
                self.since = Some(since);
                Some(self.enter(self.raised(now), now, why))
            }
            (State::Normal, None) | (_, Some(_)) => None,
            (_, None) => Some(self.enter(State::Normal, now, why)),
        }
    }

    /// Ends whatever there is.
    pub(crate) fn end(&mut self, at: Millis, why: Why) -> Option<Transition> {
        (self.state != State::Normal).then(|| self.enter(State::Normal, at, why))
    }

    /// The rule's condition is another one now: what led up to an alarm, but is none yet, no longer counts.
    pub(crate) fn condition_changed(&mut self, now: Millis) -> Option<Transition> {
        self.memory = Memory::default();
        self.good_since = None;
        (self.state == State::Pending).then(|| self.enter(State::Normal, now, Why::Rule))
    }

    /// Somebody has taken the alarm. Nothing happens if there is none, or it has been taken.
    pub fn acknowledge(&mut self, now: Millis) -> Option<Transition> {
        matches!(self.state, State::Firing | State::Snoozed).then(|| {
            self.snoozed_until = None;
            self.enter(State::Acknowledged, now, Why::Person)
        })
    }

    /// Somebody does not want to hear of the alarm until then. Nothing happens if there is none, or the time has passed.
    pub fn snooze(&mut self, now: Millis, until: Millis) -> Option<Transition> {
        if !self.state.is_alarm() || until <= now {
            return None;
        }
        self.snoozed_until = Some(until);
        Some(self.enter(State::Snoozed, now, Why::Person))
    }

    /// Time passes: a snooze may be over, and a rule whose readings have stopped may have fallen asleep.
    pub fn tick(&mut self, active: &Active, now: Millis, zone: Zone) -> Option<Transition> {
        if self.snoozed_until.is_some_and(|until| until <= now) {
            self.snoozed_until = None;
            if self.state == State::Snoozed {
                return Some(if active.holds(now, zone) {
                    self.enter(State::Firing, now, Why::SnoozeOver)
                } else {
                    self.enter(State::Normal, now, Why::Asleep)
                });
            }
        }
        // As long as readings come they say when the rule falls asleep: one may still be on its way.
        let stopped = |last: Millis| now.saturating_sub(last) > MAX_GAP;
        if self.state != State::Normal && self.last.is_some_and(stopped) && !active.holds(now, zone)
        {
            return Some(self.enter(State::Normal, now, Why::Asleep));
        }
        None
    }

    /// The gateway's clock was set back: what is still to come is as far away as before, and what was read in the
    /// future is forgotten, or nothing would be newer for as long as the step was wide.
    pub(crate) fn clock_set_back(&mut self, by: Millis, now: Millis) {
        if let Some(until) = &mut self.snoozed_until {
            *until = until.saturating_sub(by);
        }
        if self.last.is_some_and(|last| last > now) {
            self.last = None;
            self.memory = Memory::default();
        }
        self.since = self.since.map(|since| since.min(now));
        self.good_since = self.good_since.map(|since| since.min(now));
    }

    fn begins(&mut self, at: Millis, why: Why) {
        self.since = Some(at);
        self.first = match why {
            Why::Value(sample) => Some(sample),
            _ => None,
        };
    }

    fn raised(&self, at: Millis) -> State {
        if self.snoozed_until.is_some_and(|until| at < until) {
            State::Snoozed
        } else {
            State::Firing
        }
    }

    fn enter(&mut self, to: State, at: Millis, why: Why) -> Transition {
        let transition = Transition {
            at,
            from: self.state,
            to,
            why,
            since: self.since,
            first: self.first,
        };
        if !self.state.is_alarm() || to == State::Normal {
            self.good_since = None;
        }
        self.state = to;
        if to == State::Normal {
            self.since = None;
            self.first = None;
        }
        transition
    }
}
