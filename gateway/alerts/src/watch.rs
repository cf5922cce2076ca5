//! One rule on one series: the states of an alarm.
//!
//! ```text
//!             bad                  held for `for_s`               bad again after the snooze
//!   Normal ---------> Pending ---------------------> Firing <------------------------------ Snoozed
//!     ^                  |                            |  ^                                    |
//!     |   good           |                acknowledge |  | snooze                             |
//!     +------------------+                            v  v                                    |
//!     +---------------------------------------- Acknowledged, Snoozed ------------------------+
//!                     good for `clear_for_s`: resolved
//! ```
//!
//! Durations are counted by the readings' own times: an alarm that must hold for an hour is raised by the first reading that
//! is an hour after the first bad one, and by no tick of a clock. So a rehearsal says exactly what would have happened. A
//! gap longer than [`MAX_GAP`] (and than the duration itself) proves nothing: the hour begins anew.

use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::calendar::Zone;
use crate::condition::{Memory, Sample, Verdict};
use crate::rule::{Condition, Rule};

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
    /// The node was not heard.
    Silence {
        /// When it was heard last.
        heard: Millis,
    },
    /// The node was heard again.
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
    /// The readings stopped for longer than [`MAX_GAP`], so that nothing is known of the time between.
    Gap,
    /// Another alarm says it already: the node is silent, the link is down.
    Covered,
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
    /// What brought it about.
    pub why: Why,
    /// Since when it has been bad, for an alarm: the first of the readings that caused it.
    pub since: Option<Millis>,
}

/// One rule on one series. Small, and all that has to outlive a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    state: State,
    /// The first bad reading of this alarm, or of what may become one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bad_since: Option<Millis>,
    /// The first of the good readings at the end of an alarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    good_since: Option<Millis>,
    /// The newest reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<Millis>,
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
    pub fn bad_since(&self) -> Option<Millis> {
        self.bad_since
    }

    /// Takes a reading. One that is not newer than the newest is none of its business.
    pub fn reading(
        &mut self,
        rule: &Rule,
        at: Millis,
        said: Said,
        zone: Zone,
    ) -> Option<Transition> {
        if self.last.is_some_and(|last| at <= last) {
            return None;
        }
        let (verdict, why) = match (said, &rule.when) {
            (_, Condition::Silent(_)) => return None,
            (Said::Unbelieved, Condition::Fault) => (Verdict::Bad, Why::Fault { at }),
            // A value that can't be believed neither raises an alarm nor ends one.
            (Said::Unbelieved, _) => return None,
            (Said::Value(value), condition) => {
                let sample = Sample { at, value };
                let verdict = self.memory.judge(condition, sample, zone);
                (verdict, Why::Value(sample))
            }
        };
        let gap = self
            .last
            .replace(at)
            .map_or(0, |last| at.saturating_sub(last));
        if !rule.active.holds(at, zone) {
            return self.fall_asleep(at);
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
                self.bad_since = Some(at);
                let to = if rule.for_s == 0 {
                    State::Firing
                } else {
                    State::Pending
                };
                Some(self.enter(to, at, why))
            }
            (State::Normal, _) => None,
            (State::Pending, Verdict::Bad) => {
                if too_wide(rule.for_s) {
                    self.bad_since = Some(at);
                    return None;
                }
                let since = self.bad_since.unwrap_or(at);
                (at.saturating_sub(since) >= held(rule.for_s))
                    .then(|| self.enter(State::Firing, at, why))
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

    fn fall_asleep(&mut self, at: Millis) -> Option<Transition> {
        (self.state != State::Normal).then(|| self.enter(State::Normal, at, Why::Asleep))
    }

    /// For a rule about silence: the node was heard at `heard`, and it is `now`.
    pub fn silence(
        &mut self,
        rule: &Rule,
        heard: Millis,
        now: Millis,
        zone: Zone,
    ) -> Option<Transition> {
        let Condition::Silent(silence) = &rule.when else {
            return None;
        };
        if !rule.active.holds(now, zone) {
            return self.fall_asleep(now);
        }
        let silent = now.saturating_sub(heard) >= i64::from(silence.after_s).saturating_mul(1000);
        match (self.state, silent) {
            (State::Normal, true) => {
                self.bad_since = Some(heard);
                Some(self.enter(State::Firing, now, Why::Silence { heard }))
            }
            (State::Normal, false) | (_, true) => None,
            (_, false) => Some(self.enter(State::Normal, now, Why::Heard { at: heard })),
        }
    }

    /// Ends whatever there is, since another alarm covers it or the rule is gone.
    pub fn end(&mut self, at: Millis, why: Why) -> Option<Transition> {
        (self.state != State::Normal).then(|| self.enter(State::Normal, at, why))
    }

    /// Somebody has taken the alarm. Nothing happens if there is none, or it has been taken.
    pub fn acknowledge(&mut self, now: Millis) -> Option<Transition> {
        matches!(self.state, State::Firing | State::Snoozed)
            .then(|| self.enter(State::Acknowledged, now, Why::Person))
    }

    /// Somebody does not want to hear of the alarm until then.
    pub fn snooze(&mut self, now: Millis, until: Millis) -> Option<Transition> {
        if !self.state.is_alarm() || until <= now {
            return None;
        }
        let transition = self.enter(State::Snoozed, now, Why::Person);
        self.snoozed_until = Some(until);
        Some(transition)
    }

    /// Time passes: a snooze may be over.
    pub fn tick(&mut self, now: Millis) -> Option<Transition> {
        (self.state == State::Snoozed && self.snoozed_until.is_some_and(|until| until <= now))
            .then(|| self.enter(State::Firing, now, Why::SnoozeOver))
    }

    /// When [`Watch::tick`] has something to do.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Millis> {
        self.snoozed_until
    }

    fn enter(&mut self, to: State, at: Millis, why: Why) -> Transition {
        let transition = Transition {
            at,
            from: self.state,
            to,
            why,
            since: self.bad_since,
        };
        self.state = to;
        self.good_since = None;
        self.snoozed_until = None;
        if to == State::Normal {
            self.bad_since = None;
        }
        transition
    }
}
