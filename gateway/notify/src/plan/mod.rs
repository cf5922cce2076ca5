//! Who hears what, when, over what: a pure state machine. Events and the time go in, intents come out; no clock, no disk, no net.
//!
//! ```text
//! alarm raised ─► Case: the policy's steps, one after the other until someone acknowledges
//!                   └─ a step asks each of its people ─► critical: at once
//!                                                    └─► else: held while quiet, gathered into a digest when there are many
//!                         └─ Call: one message to one person, over their channels in turn until a receipt
//! ```
//!
//! - A key stands for one message to one person over one channel: it is sent once by the plan, and only the outbox repeats it.
//! - What is not critical is sent outside the person's quiet hours, at most `max_per_hour` times in any hour, and within the
//!   cooperative's budget.
//! - Acknowledged or over: nobody else is asked, nothing that was held goes out, what has not left yet is withdrawn if
//!   somebody acknowledged. What was on its way when an alarm ended by itself still goes: the reader wants to know.
//! - The policy is the one of the moment of the alarm; editing it changes the next alarm.

mod advance;
mod call;
#[cfg(test)]
mod props;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::Millis;
use crate::alarm::{Alarm, AlarmId, Level};
use crate::calendar::QuietHours;
use crate::person::{Kind, PersonId, Receipt};
use crate::policy::{Book, Policy};
use crate::text::{Content, Subject};

/// Idempotency key: 32 hexadecimal digits, so that it fits what channels take (Zalo's `tracking_id`, eSMS's `RequestId`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub String);

impl Key {
    fn of(call: &str, way: usize, channel: Kind) -> Self {
        let hash = Sha256::digest(format!("{call}\u{1f}{way}\u{1f}{}", channel.name()));
        Self(hash.iter().take(16).map(|b| format!("{b:02x}")).collect())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An alarm was raised. One that is known already changes nothing.
    Raised(Box<Alarm>),
    /// It is over.
    Resolved(AlarmId),
    /// Somebody has seen to it.
    Acknowledged(AlarmId),
    /// What became of a message.
    Fate(Key, Fate),
    /// Time has passed. Every few seconds is enough.
    Tick,
}

impl Event {
    /// An alarm was raised.
    #[must_use]
    pub fn raised(alarm: Alarm) -> Self {
        Self::Raised(Box::new(alarm))
    }
}

/// What became of a message, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The other side has it.
    Received(Receipt),
    /// The other side said no, for good: it costs nothing.
    Refused,
    /// It was tried for as long as was stated. Whether the other side has it nobody knows, so it stays paid for.
    GivenUp,
    /// Taken back before it was ever tried: it costs nothing.
    Withdrawn,
}

/// One message, ready for the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its idempotency key.
    pub key: Key,
    /// To whom.
    pub person: PersonId,
    /// Over what.
    pub channel: Kind,
    /// Where to.
    pub address: String,
    /// What it says.
    pub content: Content,
    /// Passes quiet hours.
    pub critical: bool,
    /// Hours in which it must not be delivered, also by a retry; none for what is critical.
    pub quiet: Option<QuietHours>,
    /// What it costs at most, in đồng.
    pub cost_vnd: u64,
    /// After this it is not tried any more.
    pub give_up: Millis,
    /// The alarms that it tells of.
    pub alarms: Vec<AlarmId>,
    /// Who set the policy, and sees it fail.
    pub set_by: PersonId,
}

/// Something that whoever set the policy has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// No policy fits an alarm: nobody is told.
    NoPolicy,
    /// A person could not be reached over any channel.
    Unreachable(PersonId),
    /// The last step has passed and no person was reached.
    NobodyReached,
    /// The month's budget is spent: only free channels from now on, except for what is critical if that was chosen.
    BudgetSpent {
        /// Whose.
        coop: String,
        /// Year and month: 202611.
        month: u32,
    },
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Put this into the outbox.
    Send(Box<Message>),
    /// Take it out, if it has not been tried.
    Withdraw(Key),
    /// Show this to the person (if known) about the alarm (if it is about one).
    Trouble {
        /// Who set the policy.
        set_by: Option<PersonId>,
        /// Which alarm.
        alarm: Option<AlarmId>,
        /// What.
        what: Trouble,
    },
}

/// All that is going on. Its parts are small maps, so that what an event did not touch need not be written again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub(crate) cases: BTreeMap<AlarmId, Case>,
    pub(crate) calls: BTreeMap<String, Call>,
    pub(crate) paces: BTreeMap<PersonId, Pace>,
    pub(crate) spent: BTreeMap<String, Spent>,
}

/// An alarm that is being told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Case {
    pub(crate) alarm: Alarm,
    pub(crate) policy: Policy,
    pub(crate) phase: Phase,
    /// The step that is on.
    pub(crate) step: usize,
    /// Its people have been asked.
    pub(crate) begun: bool,
    /// When the first of them was told.
    pub(crate) started: Option<Millis>,
    /// Everybody who was sent a message about it.
    pub(crate) told: BTreeSet<PersonId>,
    /// It was said that nobody could be reached.
    pub(crate) given_up: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Open,
    Acknowledged,
    Over(Millis),
}

/// One thing that a message says: an alarm, and what of it, at which step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) alarm: AlarmId,
    pub(crate) subject: Subject,
    pub(crate) step: usize,
    /// Since when it waits.
    pub(crate) since: Millis,
}

/// One message to one person, over one channel after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) person: PersonId,
    pub(crate) items: Vec<Item>,
    pub(crate) critical: bool,
    /// The channels and addresses of the moment when it began.
    pub(crate) ways: Vec<(Kind, String)>,
    /// The next of them.
    pub(crate) next: usize,
    pub(crate) tries: Vec<Try>,
    pub(crate) state: CallState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CallState {
    /// No receipt yet.
    Calling,
    Reached,
    /// Every channel has failed.
    Exhausted,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Try {
    pub(crate) key: Key,
    pub(crate) channel: Kind,
    pub(crate) at: Millis,
    pub(crate) fate: Option<Fate>,
    /// What it cost, of which month.
    pub(crate) paid: (u64, u32),
}

impl Try {
    fn failed(&self) -> bool {
        matches!(
            self.fate,
            Some(Fate::Refused | Fate::GivenUp | Fate::Withdrawn)
        )
    }

    fn received(&self) -> bool {
        matches!(self.fate, Some(Fate::Received(r)) if r >= self.channel.best_receipt())
    }
}

/// How much a person has been told lately of what is not critical, and what waits for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pace {
    /// Messages within the last hour.
    pub(crate) recent: Vec<Millis>,
    pub(crate) held: Vec<Item>,
}

/// What a cooperative has spent in a month.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spent {
    pub(crate) month: u32,
    pub(crate) vnd: u64,
    /// It was said that the budget is spent.
    pub(crate) said: bool,
}

/// One event at one time: what is to be done about it. Deterministic; time may stand still but is expected not to go back
/// (if it does, things happen later, not twice).
pub fn step(state: &mut State, book: &Book, event: Event, now: Millis) -> Vec<Intent> {
    let mut out = Vec::new();
    match event {
        Event::Raised(alarm) => raised(state, book, *alarm, &mut out),
        Event::Acknowledged(id) => {
            if let Some(case) = state.cases.get_mut(&id)
                && case.phase == Phase::Open
            {
                case.phase = Phase::Acknowledged;
                withdraw_closed(state, &id, &mut out);
            }
        }
        Event::Resolved(id) => resolved(state, &id, now),
        Event::Fate(key, fate) => call::fate(state, &key, fate, &mut out),
        Event::Tick => {}
    }
    advance::advance(state, book, now, &mut out);
    out
}

fn raised(state: &mut State, book: &Book, alarm: Alarm, out: &mut Vec<Intent>) {
    if state.cases.contains_key(&alarm.id) {
        return;
    }
    let Some(policy) = book.policy(&alarm) else {
        out.push(Intent::Trouble {
            set_by: None,
            alarm: Some(alarm.id),
            what: Trouble::NoPolicy,
        });
        return;
    };
    let policy = policy.clone();
    let case = Case {
        alarm,
        policy,
        phase: Phase::Open,
        step: 0,
        begun: false,
        started: None,
        told: BTreeSet::new(),
        given_up: false,
    };
    state.cases.insert(case.alarm.id.clone(), case);
}

fn resolved(state: &mut State, id: &AlarmId, now: Millis) {
    let Some(case) = state.cases.get_mut(id) else {
        return;
    };
    if matches!(case.phase, Phase::Over(_)) {
        return;
    }
    case.phase = Phase::Over(now);
    if case.policy.say_when_over {
        for person in &case.told {
            let item = Item {
                alarm: id.clone(),
                subject: Subject::Over,
                step: 0,
                since: now,
            };
            state
                .paces
                .entry(person.clone())
                .or_default()
                .held
                .push(item);
        }
    }
}

/// Somebody has acknowledged: what has not left yet, and speaks of nothing that is still open, need not leave any more.
fn withdraw_closed(state: &State, id: &AlarmId, out: &mut Vec<Intent>) {
    for call in state
        .calls
        .values()
        .filter(|c| c.items.iter().any(|i| i.alarm == *id))
    {
        if !call.items.iter().any(|i| state.wanted(i)) {
            out.extend(
                call.tries
                    .iter()
                    .filter(|t| t.fate.is_none())
                    .map(|t| Intent::Withdraw(t.key.clone())),
            );
        }
    }
}

impl State {
    /// Whether there is still a reason to say it.
    pub(crate) fn wanted(&self, item: &Item) -> bool {
        self.cases
            .get(&item.alarm)
            .is_some_and(|c| item.subject == Subject::Over || c.phase == Phase::Open)
    }

    /// How many alarms are open and not acknowledged.
    #[must_use]
    pub fn open(&self) -> usize {
        self.cases
            .values()
            .filter(|c| c.phase == Phase::Open)
            .count()
    }

    /// What a cooperative has spent in the month of its last message, in đồng.
    #[must_use]
    pub fn spent_vnd(&self, coop: &str, month: u32) -> u64 {
        self.spent
            .get(coop)
            .filter(|s| s.month == month)
            .map_or(0, |s| s.vnd)
    }
}

impl Case {
    fn critical(&self, subject: Subject) -> bool {
        self.alarm.level == Level::Critical && subject == Subject::Raised
    }
}
