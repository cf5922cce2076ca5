//! What a rule would have done over stored readings: before it is switched on, and for readings that came late.

use serde::Serialize;

use crate::Millis;
use crate::calendar::Zone;
use crate::condition::night;
use crate::rule::{Active, Rule};
use crate::watch::{Said, State, Watch};

/// One alarm that would have been.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Episode {
    /// The first bad reading.
    pub since: Millis,
    /// When it would have been raised: a message.
    pub raised: Millis,
    /// When it would have ended; `None`: it still held at the last reading.
    pub ended: Option<Millis>,
    /// The value that raised it; `None` for a fault.
    pub value: Option<f64>,
    /// Raised at night: it would have cost sleep.
    pub at_night: bool,
}

/// What a rule would have done on one series.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rehearsal {
    /// Every alarm, in order.
    pub episodes: Vec<Episode>,
    /// Readings looked at.
    pub readings: u64,
}

impl Rehearsal {
    /// How many messages at least: one an alarm.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.episodes.len()
    }

    /// How many of them at night.
    #[must_use]
    pub fn at_night(&self) -> usize {
        self.episodes.iter().filter(|e| e.at_night).count()
    }

    /// How long there would have been an alarm, up to `end` for one that still holds.
    #[must_use]
    pub fn alarmed(&self, end: Millis) -> Millis {
        self.episodes
            .iter()
            .map(|e| e.ended.unwrap_or(end).saturating_sub(e.raised))
            .sum()
    }
}

/// Walks a rule over the readings of a series, in order of time. Readings out of order are passed over.
pub fn rehearse(
    rule: &Rule,
    readings: impl IntoIterator<Item = (Millis, Said)>,
    zone: Zone,
) -> Rehearsal {
    let nights = Active {
        hours: Some(night()),
        ..Active::default()
    };
    let mut watch = Watch::default();
    let mut rehearsal = Rehearsal::default();
    for (at, said) in readings {
        rehearsal.readings += 1;
        let Some(transition) = watch.reading(rule, at, said, zone) else {
            continue;
        };
        if transition.to == State::Firing {
            rehearsal.episodes.push(Episode {
                since: transition.since.unwrap_or(at),
                raised: at,
                ended: None,
                value: match said {
                    Said::Value(value) => Some(value),
                    Said::Unbelieved => None,
                },
                at_night: nights.holds(at, zone),
            });
        } else if transition.from.is_alarm()
            && let Some(last) = rehearsal.episodes.last_mut()
        {
            last.ended = Some(at);
        }
    }
    rehearsal
}
