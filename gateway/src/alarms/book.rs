//! What is kept of alarms: every change with the readings that caused it, doubtful readings, the engine's state.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, params};
use sen_alerts::engine::{GatewayPart, NodePart, Snapshot, Subject};
use sen_alerts::quality::company::Company;
use sen_alerts::quality::{Belief, Judge, Judged, Marks};
use sen_alerts::replay::Episode;
use sen_alerts::watch::Transition;
use sen_wire::Channel;
use serde::{Deserialize, Serialize};

use crate::reading::{Millis, NodeNum};

/// An entry of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Event time, ms UTC: of the reading that brought it about, or of the act.
    pub at: Millis,
    /// When the gateway wrote it down, ms UTC.
    pub noted_at: Millis,
    /// What it is about.
    pub subject: Subject,
    /// The version of the rule that was in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_version: Option<u32>,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// An alarm changed its state.
    Changed {
        /// From what to what, and why.
        transition: Transition,
        /// The person who did it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        who: Option<String>,
    },
    /// Readings that came late would have raised an alarm. Nobody was told.
    Offline {
        /// When, and with which readings.
        episode: Episode,
    },
}

/// A remarkable reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// The node.
    pub node: NodeNum,
    /// The channel.
    pub channel: Channel,
    /// When it was taken.
    pub at: Millis,
    /// What is remarkable.
    pub marks: Marks,
    /// Whether it counts all the same.
    pub believed: bool,
}

impl Doubt {
    /// `None` for a reading that there is nothing to say of.
    pub(super) fn of(node: NodeNum, channel: Channel, judged: &Judged) -> Option<Self> {
        let believed = judged.belief == Belief::Believed;
        (judged.marks.any() || judged.belief == Belief::Rejected).then_some(Self {
            node,
            channel,
            at: judged.at,
            marks: judged.marks,
            believed,
        })
    }
}

/// Names of the marks in the order of their bits: an order that never changes.
const MARKS: [&str; 6] = ["sentinel", "range", "spike", "stuck", "step", "company"];

fn bits(marks: Marks) -> u8 {
    [
        marks.sentinel,
        marks.range,
        marks.spike,
        marks.stuck,
        marks.step,
        marks.company,
    ]
    .iter()
    .enumerate()
    .map(|(bit, set)| u8::from(*set) << bit)
    .sum()
}

fn names(bits: u8) -> Vec<&'static str> {
    MARKS
        .iter()
        .enumerate()
        .filter(|(bit, _)| bits >> bit & 1 == 1)
        .map(|(_, name)| *name)
        .collect()
}

/// What is remembered of one node between two readings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Remembered {
    pub(super) engine: NodePart,
    /// By channel, as a stored number.
    #[serde(default)]
    pub(super) judges: BTreeMap<u16, Judge>,
    /// How believable its probes are together.
    #[serde(default)]
    pub(super) company: Company,
}

/// All that is remembered.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) snapshot: Option<Snapshot>,
    pub(super) judges: HashMap<(NodeNum, u16), Judge>,
    pub(super) company: HashMap<NodeNum, Company>,
}

/// One step of the watch, to be written as a whole.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) events: Vec<Event>,
    pub(super) doubts: Vec<Doubt>,
    /// By node, 0 the gateway; `None`: forgotten.
    pub(super) parts: Vec<(NodeNum, Option<String>)>,
}

/// The row of the gateway itself.
pub(super) const GATEWAY: NodeNum = 0;

pub(super) fn write(c: &Connection, step: &Step) -> rusqlite::Result<()> {
    for event in &step.events {
        let (rule, node) = match &event.subject {
            Subject::Rule { rule, node, .. } => (Some(rule), Some(node)),
            _ => (None, None),
        };
        let body = serde_json::to_string(event)
            .map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
        c.prepare_cached(
            "INSERT INTO alarm_event (at, noted, rule, node, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![event.at, event.noted_at, rule, node, body])?;
    }
    for doubt in &step.doubts {
        c.prepare_cached("INSERT OR REPLACE INTO doubt VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                doubt.node,
                doubt.channel.to_u16(),
                doubt.at,
                bits(doubt.marks),
                doubt.believed
            ])?;
    }
    for (node, part) in &step.parts {
        match part {
            Some(body) => c
                .prepare_cached("INSERT OR REPLACE INTO alarm_state VALUES (?1, ?2)")?
                .execute(params![node, body])?,
            None => c
                .prepare_cached("DELETE FROM alarm_state WHERE node = ?1")?
                .execute([node])?,
        };
    }
    Ok(())
}

/// What was remembered. A row that can't be read is left out, and logged: the node begins anew.
pub(super) fn state(c: &Connection) -> rusqlite::Result<State> {
    let mut state = State::default();
    let mut gateway: Option<GatewayPart> = None;
    let mut parts = Vec::new();
    let mut rows = c.prepare_cached("SELECT node, body FROM alarm_state ORDER BY node")?;
    let mut rows = rows.query([])?;
    while let Some(r) = rows.next()? {
        let (node, body): (NodeNum, String) = (r.get(0)?, r.get(1)?);
        let read = if node == GATEWAY {
            serde_json::from_str(&body).map(|part| gateway = Some(part))
        } else {
            serde_json::from_str(&body).map(|remembered: Remembered| {
                parts.push(remembered.engine);
                state.company.insert(node, remembered.company);
                let judges = remembered.judges.into_iter();
                state
                    .judges
                    .extend(judges.map(|(channel, judge)| ((node, channel), judge)));
            })
        };
        if let Err(e) = read {
            tracing::error!("what was remembered of alarms at node {node} can't be read: {e}");
        }
    }
    state.snapshot = gateway.map(|gateway| Snapshot::join(gateway, parts));
    Ok(state)
}

/// An entry of the history with its place in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// Ascends as entries are written.
    pub id: i64,
    /// The entry.
    #[serde(flatten)]
    pub event: Event,
}

/// The history before an entry, the newest first. `rule` and `node` narrow it.
///
/// # Errors
/// SQLite's. An entry that can't be read is left out.
pub fn history(
    c: &Connection,
    before: Option<i64>,
    rule: Option<&str>,
    node: Option<NodeNum>,
    limit: u32,
) -> rusqlite::Result<Vec<Entry>> {
    let rows = c
        .prepare_cached(
            "SELECT id, body FROM alarm_event
             WHERE id < ?1 AND (?2 IS NULL OR rule = ?2) AND (?3 IS NULL OR node = ?3) ORDER BY id DESC LIMIT ?4",
        )?
        .query_map(params![before.unwrap_or(i64::MAX), rule, node, limit], |r| {
            Ok((r.get(0)?, r.get(1)?))
        })?
        .collect::<rusqlite::Result<Vec<(i64, String)>>>()?;
    let entry = |(id, body): (i64, String)| {
        let event = serde_json::from_str(&body).ok()?;
        Some(Entry { id, event })
    };
    Ok(rows.into_iter().filter_map(entry).collect())
}

/// Remarkable readings of a channel with `from <= at < to`: when, why, and whether they count.
///
/// # Errors
/// SQLite's.
pub fn doubts(
    c: &Connection,
    node: NodeNum,
    channel: Channel,
    from: Millis,
    to: Millis,
) -> rusqlite::Result<Vec<(Millis, Vec<&'static str>, bool)>> {
    c.prepare_cached(
        "SELECT at, marks, believed FROM doubt WHERE node = ?1 AND channel = ?2 AND at >= ?3 AND at < ?4 ORDER BY at",
    )?
    .query_map(params![node, channel.to_u16(), from, to], |r| {
        Ok((r.get(0)?, names(r.get(1)?), r.get(2)?))
    })?
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_keep_their_bits() {
        let all = Marks {
            sentinel: true,
            range: true,
            spike: true,
            stuck: true,
            step: true,
            company: true,
        };
        assert_eq!(names(bits(all)), MARKS);
        let stuck = Marks {
            stuck: true,
            ..Marks::default()
        };
        assert_eq!((bits(stuck), names(8)), (8, vec!["stuck"]));
    }
}
