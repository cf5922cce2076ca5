//! What a rule would have done over stored readings: before it is switched on, and for readings that came late.

use std::ops::Add;

use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::calendar::Zone;
use crate::rule::{Active, Condition, Hours, Rule};
use crate::watch::{MAX_GAP, Said, State, Transition, Watch, Why};

/// One alarm that would have been.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// The first bad reading.
    pub since: Millis,
    /// Its value; `None` if the rule is about no values.
    pub first: Option<f64>,
    /// When it would have been raised: a message.
    pub raised: Millis,
    /// When it would have ended; `None`: it still held at the end.
    pub ended: Option<Millis>,
    /// The value that raised it; `None` for a fault or a silence.
    pub value: Option<f64>,
    /// Raised between 22:00 and 05:00 local time ([`Hours::NIGHT`]): it would have cost sleep.
    pub at_night: bool,
}

/// What a rule would have done on one series.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rehearsal {
    /// Every alarm, in order.
    pub episodes: Vec<Episode>,
    /// Readings looked at.
    pub readings: u64,
    /// When the last of them was taken: an alarm without an end is counted until then.
    pub until: Option<Millis>,
}

/// What people want to know of a rehearsal. Those of several series add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// How many messages at least: one an alarm.
    pub messages: u64,
    /// How many of them between 22:00 and 05:00 local time.
    pub at_night: u64,
    /// How long there would have been an alarm altogether, in milliseconds.
    pub alarmed: Millis,
    /// How long the longest would have lasted, in milliseconds.
    pub longest: Millis,
    /// How many would have held at the end.
    pub still: u64,
    /// Readings looked at.
    pub readings: u64,
}

impl Rehearsal {
    /// In figures.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut sum = Summary {
            readings: self.readings,
            ..Summary::default()
        };
        for episode in &self.episodes {
            let end = episode.ended.or(self.until).unwrap_or(episode.raised);
            let lasted = end.saturating_sub(episode.raised);
            sum.messages += 1;
            sum.at_night += u64::from(episode.at_night);
            sum.alarmed = sum.alarmed.saturating_add(lasted);
            sum.longest = sum.longest.max(lasted);
            sum.still += u64::from(episode.ended.is_none());
        }
        sum
    }

    fn take(&mut self, transition: Option<Transition>, value: Option<f64>, zone: Zone) {
        let Some(transition) = transition else {
            return;
        };
        let at = transition.at;
        if transition.to == State::Firing {
            self.episodes.push(Episode {
                since: transition.since.unwrap_or(at),
                first: transition.first.map(|first| first.value),
                raised: at,
                ended: None,
                value,
                at_night: Hours::NIGHT.hold(zone.local(at)),
            });
        } else if transition.resolves()
            && let Some(last) = self.episodes.last_mut()
        {
            last.ended = Some(at);
        }
    }
}

impl Add for Summary {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            messages: self.messages + other.messages,
            at_night: self.at_night + other.at_night,
            alarmed: self.alarmed.saturating_add(other.alarmed),
            longest: self.longest.max(other.longest),
            still: self.still + other.still,
            readings: self.readings + other.readings,
        }
    }
}

/// Walks a rule over the readings of a series, in order of time; for a rule about silence over whatever was heard. Readings
/// out of order are passed over.
///
/// A live engine with the same readings raises and ends the same alarms at the same times, with two exceptions: here
/// everything comes on time, and silence is looked for once a minute.
#[must_use]
pub fn rehearse(
    rule: &Rule,
    readings: impl IntoIterator<Item = (Millis, Said)>,
    zone: Zone,
) -> Rehearsal {
    let mut watch = Watch::default();
    let mut rehearsal = Rehearsal::default();
    for (at, said) in readings {
        rehearsal.readings += 1;
        if let Condition::Silent(silence) = &rule.when {
            if let Some(heard) = rehearsal.until.filter(|until| *until < at) {
                let after = i64::from(silence.after_s).saturating_mul(1000);
                quiet(rule, &mut watch, &mut rehearsal, (heard, at), after, zone);
            }
        } else {
            let value = match said {
                Said::Value(value) => Some(value),
                Said::Unbelieved => None,
            };
            let transition = watch.reading(rule, at, said, zone);
            rehearsal.take(transition, value, zone);
        }
        rehearsal.until = Some(rehearsal.until.map_or(at, |until| until.max(at)));
    }
    rehearsal
}

/// Nothing was heard between these two times.
fn quiet(
    rule: &Rule,
    watch: &mut Watch,
    rehearsal: &mut Rehearsal,
    (heard, until): (Millis, Millis),
    after: Millis,
    zone: Zone,
) {
    let mut now = heard.saturating_add(after);
    while now < until {
        let transition = if rule.active.holds(now, zone) {
            watch.set(Some(heard), now, Why::Silence { heard })
        } else {
            watch.end(now, Why::Asleep)
        };
        rehearsal.take(transition, None, zone);
        if rule.active == Active::default() {
            break;
        }
        now = now.saturating_add(60_000);
    }
    let transition = watch.set(None, until, Why::Heard { at: until });
    rehearsal.take(transition, None, zone);
}

/// What a rule would have said in a stretch that came late ([`crate::engine::Output::Offline`]): its entries "while
/// offline" in the history, by the times of the readings. No messages.
///
/// `readings` are those of the series from [`lead`] before `from` until `to`, in order of time. What was raised before the
/// stretch has been said live and is left out.
#[must_use]
pub fn offline(
    rule: &Rule,
    (from, to): (Millis, Millis),
    readings: impl IntoIterator<Item = (Millis, Said)>,
    zone: Zone,
) -> Vec<Episode> {
    let within = readings.into_iter().filter(|(at, _)| *at <= to);
    let mut episodes = rehearse(rule, within, zone).episodes;
    episodes.retain(|episode| from <= episode.raised);
    episodes
}

/// How long before a late stretch readings matter for it: for what the condition compares with, and for how long it must
/// hold.
#[must_use]
pub fn lead(rule: &Rule) -> Millis {
    let compared_s = match &rule.when {
        Condition::Rises(change) | Condition::Falls(change) => i64::from(change.within_s),
        Condition::Swings(_) => 86_400,
        Condition::Silent(silence) => i64::from(silence.after_s),
        _ => 0,
    };
    (compared_s + i64::from(rule.for_s)) * 1000 + MAX_GAP
}

#[cfg(test)]
mod tests;
