//! Folding: log rows become one packed block a channel and day.
//!
//! Rows are read and merged beside the writer; only the finished blocks go through it, in one transaction with the mark
//! `folded_upto`, so a crash repeats a slice or skips it, and never folds a row twice. Nobody else writes blocks.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use sen_wire::Channel;
use tokio_util::sync::CancellationToken;

use super::block::{self, Head, Key, Point};
use super::writer::lock;
use super::{Journal, ReadError, StoreError, cursor, mark};
use crate::reading::{DAY_MS, Measured, NodeNum};

/// Log rows folded in one transaction.
const SLICE: usize = 10_000;
/// Log rows at which folding does not wait for the hour.
const LONG: u64 = 60_000;
/// How often the length of the tail is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How often the whole file is checked, while the gateway works: damage where nobody looks is found all the same.
const CHECK: Duration = Duration::from_secs(24 * 3_600);

/// Could not fold; the log keeps everything, and the next round tries again.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// Reading the log or a block.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Writing the blocks.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Folds the log of a journal from time to time.
#[derive(Debug)]
pub struct Folder {
    journal: Journal,
    every: Duration,
}

struct Slice {
    upto: i64,
    rows: usize,
    blocks: Vec<(Key, Head, Vec<u8>)>,
    aside: Vec<(Key, Vec<u8>)>,
}

impl Folder {
    /// Folds at least once in `every`.
    #[must_use]
    pub fn new(journal: Journal, every: Duration) -> Self {
        Self { journal, every }
    }

    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut last = tokio::time::Instant::now();
        let mut checked = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK.min(self.every)) => {}
            }
            if checked.is_none_or(|at: tokio::time::Instant| at.elapsed() >= CHECK) {
                checked = Some(tokio::time::Instant::now());
                self.journal.check().await;
            }
            let long = self.journal.unfolded() >= LONG;
            if long || last.elapsed() >= self.every {
                last = tokio::time::Instant::now();
                if let Err(e) = self.fold_all().await {
                    tracing::warn!("folding put off: {e}");
                }
            }
        }
    }

    /// Folds everything that is in the log now, then deletes what nobody needs any more.
    ///
    /// # Errors
    /// [`FoldError`]; nothing is lost.
    pub async fn fold_all(&self) -> Result<(), FoldError> {
        loop {
            let slice = self.journal.read(prepare).await?;
            if slice.rows == 0 {
                break;
            }
            let (upto, full) = (slice.upto, slice.rows == SLICE);
            self.journal.write(move |c| store(c, &slice)).await?;
            lock(&self.journal.0.shared.tail).folded(upto);
            if !full {
                break;
            }
        }
        while self.journal.trim().await? {}
        Ok(())
    }
}

fn prepare(c: &Connection) -> Result<Slice, ReadError> {
    let folded = mark(c, "folded_upto")?;
    let rows = cursor::rows_after(c, folded, SLICE)?;
    let mut fresh: BTreeMap<Key, Vec<Point>> = BTreeMap::new();
    for row in &rows {
        for r in &row.readings {
            let what = match r.what {
                Measured::Value(v) => Ok(v),
                Measured::Fault(f) => Err(f),
                Measured::Refused => continue,
            };
            let Some(channel) = r.channel else { continue };
            let point = Point {
                at: r.at,
                what,
                estimated: r.estimated,
            };
            fresh
                .entry((row.node, channel.to_u16(), r.at.div_euclid(DAY_MS)))
                .or_default()
                .push(point);
        }
    }
    let mut slice = Slice {
        upto: rows.last().map_or(folded, |r| r.id),
        rows: rows.len(),
        blocks: Vec::new(),
        aside: Vec::new(),
    };
    let mut select =
        c.prepare_cached("SELECT body FROM block WHERE node = ?1 AND channel = ?2 AND day = ?3")?;
    for (key, new) in fresh {
        let old: Option<Vec<u8>> = select
            .query_row(params![key.0, key.1, key.2], |r| r.get(0))
            .optional()?;
        let mut points = Vec::new();
        if let Some(old) = old {
            match block::decode(key, &old) {
                Ok(p) => points = p,
                Err(_) => slice.aside.push((key, old)),
            }
        }
        points.extend(new);
        block::settle(&mut points);
        let (head, body) = block::encode(key, &points);
        slice.blocks.push((key, head, body));
    }
    Ok(slice)
}

fn store(c: &Connection, slice: &Slice) -> rusqlite::Result<()> {
    for ((node, channel, day), body) in &slice.aside {
        tracing::error!("block of node {node}, channel {channel}, day {day} is damaged; set aside");
        c.execute("INSERT INTO set_aside (at, node, channel, day, body) VALUES (unixepoch() * 1000, ?1, ?2, ?3, ?4)", params![node, channel, day, body])?;
    }
    let mut insert = c.prepare_cached("INSERT OR REPLACE INTO block (node, channel, day, readings, vals, min, max, sum, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    for ((node, channel, day), h, body) in &slice.blocks {
        insert.execute(params![
            node, channel, day, h.readings, h.values, h.min, h.max, h.sum, body
        ])?;
    }
    c.execute(
        "UPDATE mark SET at = ?1 WHERE name = 'folded_upto'",
        [slice.upto],
    )?;
    Ok(())
}

/// Channels that a node has ever sent, from blocks and tail.
pub(super) fn channels(c: &Connection) -> Result<HashMap<NodeNum, Vec<Channel>>, ReadError> {
    let mut out: HashMap<NodeNum, Vec<Channel>> = HashMap::new();
    let mut select = c.prepare_cached("SELECT DISTINCT node, channel FROM block")?;
    let mut rows = select.query([])?;
    while let Some(r) = rows.next()? {
        if let Some(ch) = Channel::from_u16(r.get(1)?) {
            out.entry(r.get(0)?).or_default().push(ch);
        }
    }
    Ok(out)
}
