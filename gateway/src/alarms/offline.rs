//! What came late, looked through for the history: what would have been an alarm, in the readings' own time. Nobody is told.

use sen_alerts::quality::{Belief, Judge};
use sen_alerts::watch::Said;
use sen_alerts::{engine::Subject, replay};
use sen_wire::Channel;

use super::book::{Event, What};
use super::watcher::{Late, ZONE};
use crate::journal::{Journal, Point, ReadError};
use crate::reading::{DAY_MS, Millis};

/// What is believed of a reading is learned from this long before it.
pub(super) const LEARNED_FROM: Millis = DAY_MS;

/// Points as rules take them: judged anew from the first on.
pub(super) fn said(channel: Channel, points: &[Point]) -> Vec<(Millis, Said)> {
    let mut judge = Judge::default();
    let mut out = Vec::with_capacity(points.len());
    let mut judged = Vec::new();
    for point in points {
        match point.what {
            Err(_) => out.push((point.at, Said::Unbelieved)),
            Ok(value) => {
                judge.take(channel.quantity(), point.at, value.to_f64(), &mut judged);
                out.extend(judged.drain(..).filter_map(|judged| match judged.belief {
                    Belief::Believed => Some((judged.at, Said::Value(judged.value))),
                    Belief::Rejected => Some((judged.at, Said::Unbelieved)),
                    Belief::Withheld => None,
                }));
            }
        }
    }
    out
}

/// The entries of a stretch.
pub(super) async fn look_through(
    journal: &Journal,
    late: &Late,
    version: impl Fn(&Subject) -> Option<u32>,
    now: Millis,
) -> Result<Vec<Event>, ReadError> {
    let mut events = Vec::new();
    let Some(lead) = late.rules.iter().map(|rule| replay::lead(rule)).max() else {
        return Ok(events);
    };
    let series = late.series;
    let points = journal
        .points(
            series.node,
            series.channel,
            late.from.saturating_sub(lead + LEARNED_FROM),
            late.to.saturating_add(1),
        )
        .await?;
    let said = said(series.channel, &points);
    for rule in &late.rules {
        let from = late.from.saturating_sub(replay::lead(rule));
        let readings = said.iter().copied().filter(|(at, _)| *at >= from);
        for episode in replay::offline(rule, (late.from, late.to), readings, ZONE) {
            let subject = Subject::Rule {
                rule: rule.id.clone(),
                node: series.node,
                channel: Some(series.channel),
            };
            events.push(Event {
                at: episode.raised,
                noted_at: now,
                rule_version: version(&subject),
                subject,
                what: What::Offline { episode },
            });
        }
    }
    Ok(events)
}
