//! What a rule would have done, before it is switched on.

use sen_alerts::Rule;
use sen_alerts::replay::{self, Episode, Summary};
use sen_alerts::watch::Said;
use serde::Serialize;

use super::measured;
use super::offline::{LEARNED_FROM, said};
use super::places::places;
use super::watcher::ZONE;
use crate::journal::{Journal, ReadError};
use crate::live::Live;
use crate::reading::Millis;
use crate::registry::Registry;

/// Alarms of one series that are shown one by one; the figures count them all.
const SHOWN: usize = 200;

/// What a rule would have done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rehearsed {
    /// Over all nodes.
    pub summary: Summary,
    /// Node by node.
    pub series: Vec<OnSeries>,
}

/// What it would have done on one node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OnSeries {
    /// Id of the node.
    pub node: String,
    /// In figures.
    pub summary: Summary,
    /// The alarms, in order; at most the last 200.
    pub episodes: Vec<Episode>,
}

/// Rehearses a checked rule on the readings with `from <= at < to`.
///
/// # Errors
/// [`ReadError`].
pub async fn rehearse(
    journal: &Journal,
    known: &Registry,
    live: &Live,
    rule: &Rule,
    (from, to): (Millis, Millis),
) -> Result<Rehearsed, ReadError> {
    let measured = measured(live);
    let mut all = Rehearsed {
        summary: Summary::default(),
        series: Vec::new(),
    };
    for (node, rule) in places(known, &measured).spread(std::slice::from_ref(rule)) {
        let lead = replay::lead(&rule);
        let start = from.saturating_sub(lead);
        let mut readings: Vec<(Millis, Said)> = Vec::new();
        let channels = match rule.channel {
            Some(channel) => vec![channel],
            // A rule about silence: whatever was heard.
            None => measured.get(&node).cloned().unwrap_or_default(),
        };
        for channel in channels {
            let points = journal
                .points(node, channel, start.saturating_sub(LEARNED_FROM), to)
                .await?;
            let judged = tokio::task::spawn_blocking(move || said(channel, &points))
                .await
                .map_err(|_| ReadError::Closed)?;
            readings.extend(judged.into_iter().filter(|(at, _)| *at >= start));
        }
        readings.sort_by_key(|(at, _)| *at);
        let mut rehearsal = replay::rehearse(&rule, readings, ZONE);
        rehearsal.episodes.retain(|episode| episode.raised >= from);
        let summary = rehearsal.summary();
        all.summary = all.summary + summary;
        let unseen = rehearsal.episodes.len().saturating_sub(SHOWN);
        rehearsal.episodes.drain(..unseen);
        let id = known.node_num(node).map(|node| node.id.clone());
        all.series.push(OnSeries {
            node: id.unwrap_or_default(),
            summary,
            episodes: rehearsal.episodes,
        });
    }
    Ok(all)
}
