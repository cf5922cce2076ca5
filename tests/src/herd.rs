//! A fleet of simulated nodes, and reading by reading what has to come out of it.
//!
//! The nodes are `sen-node` itself (outbox, session, clock), as `sen-sim` runs it; they replay the ends of the recordings
//! that come with it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sen_sim::{Fleet, FleetConfig, NodeSpec, Pace, Password, Series, Source, Stats};
use sen_wire::Value;

use crate::sen::password;

/// What was measured: a number, or the name of a fault.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Through the decimal's text: what any reader of the file gets.
    Value(f64),
    /// The probe said so.
    Fault(String),
}

/// One reading of the source.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Channel, as text.
    pub channel: String,
    /// ms UTC.
    pub at: i64,
    /// What.
    pub what: What,
}

/// What one node replays, in its order: the place in the list is the place in the node's sequence.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// Node.
    pub node: String,
    /// Boot that the simulator numbers with.
    pub boot: u64,
    /// Readings.
    pub readings: Vec<Reading>,
}

/// A running herd.
pub struct Herd {
    fleet: Fleet,
    /// What every node replays.
    pub nodes: Vec<Replayed>,
}

impl Herd {
    /// Starts these nodes; each replays about `each` readings, everything at once, through its outbox.
    ///
    /// # Errors
    /// When an id is none, or a recording is too short.
    pub fn start(broker: SocketAddr, ids: &[String], each: usize) -> Result<Self> {
        let recordings = Source::ALL
            .iter()
            .map(|source| Ok((*source, source.load()?)))
            .collect::<Result<Vec<(Source, Series)>>>()?;
        let mut specs = Vec::new();
        for (i, id) in ids.iter().enumerate() {
            // Nodes that share a recording begin at different rows of it.
            let (source, series) = &recordings[i % recordings.len()];
            let mut readings = 0;
            let mut row = series.len();
            let goal = each + i / recordings.len() % 40;
            while row > 0 && readings < goal {
                row -= 1;
                readings += series.values(row).count();
            }
            ensure!(
                readings >= goal,
                "{source:?} has {readings} readings, not {goal}"
            );
            let start_ms = series.source_ms(row) - series.source_ms(0);
            specs.push(NodeSpec {
                id: id
                    .parse()
                    .map_err(|_| anyhow::anyhow!("{id} is no node id"))?,
                password: Password(password(id)),
                source: *source,
                start_offset: Duration::from_millis(u64::try_from(start_ms)?),
            });
        }
        let fleet = Fleet::start(&FleetConfig {
            broker: broker.to_string(),
            nodes: specs,
            pace: Pace::WHOLE,
        })?;
        let nodes = ids
            .iter()
            .map(|id| replayed(&fleet, id))
            .collect::<Result<_>>()?;
        Ok(Self { fleet, nodes })
    }

    /// Readings that it replays in all.
    #[must_use]
    pub fn readings(&self) -> u64 {
        self.nodes.iter().map(|n| n.readings.len() as u64).sum()
    }

    /// Readings that receipts have named so far.
    #[must_use]
    pub fn receipted(&self) -> u64 {
        self.fleet.stats().iter().map(|s| s.receipted).sum()
    }

    /// True when every node has its receipts for all of its recording.
    #[must_use]
    pub fn done(&self) -> bool {
        self.fleet.stats().iter().all(|s| s.done)
    }

    /// The nodes that are not done, for a message.
    #[must_use]
    pub fn laggards(&self) -> Vec<Stats> {
        let mut stats = self.fleet.stats();
        stats.retain(|s| !s.done);
        stats.truncate(5);
        stats
    }

    /// Ends it; nothing may have been dropped from an outbox.
    ///
    /// # Errors
    /// When something was, or the nodes have taken other readings than expected.
    pub async fn stop(self) -> Result<Vec<Replayed>> {
        let expected = self.readings();
        let stats = self.fleet.stop().await;
        let dropped: u64 = stats.iter().map(|s| s.dropped).sum();
        let sampled: u64 = stats.iter().map(|s| s.sampled).sum();
        ensure!(dropped == 0, "{dropped} readings dropped from outboxes");
        ensure!(sampled == expected, "{sampled} taken, {expected} expected");
        Ok(self.nodes)
    }
}

fn replayed(fleet: &Fleet, id: &str) -> Result<Replayed> {
    let (series, mapping) = fleet.replay(id).context("a node that is not there")?;
    let mut readings = Vec::new();
    for row in series.rows().filter(|r| mapping.covers(r.source_ms)) {
        for (channel, value) in row.values {
            let what = match value {
                Value::Number(number) => What::Value(number.to_string().parse()?),
                Value::Fault(fault) => What::Fault(fault.name().to_owned()),
            };
            readings.push(Reading {
                channel: channel.to_string(),
                at: mapping.stamp(row.source_ms),
                what,
            });
        }
    }
    Ok(Replayed {
        node: id.to_owned(),
        boot: u64::try_from(mapping.origin_ms())?,
        readings,
    })
}
