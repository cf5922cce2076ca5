//! A named place in the log: how far one reader has come. It moves only forward, and only when the reader says so.
//!
//! A reader may go ahead and leave a gap to fill in later. The gap is a cursor of its own below the reader's name
//! ([`set_gap`]), so the rows in it are kept like any others that somebody still needs.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::{Boot, Journal, ReadError, StoreError, record};
use crate::reading::{Millis, NodeNum, Reading};

/// One log row: the readings of one uplink (or the part of it that was new).
#[derive(Debug, Clone)]
pub struct Row {
    /// Its place in the log.
    pub id: i64,
    /// Who sent it.
    pub node: NodeNum,
    /// When it arrived.
    pub received: Millis,
    /// Boot and sequence number of the first reading.
    pub place: Option<(Boot, u32)>,
    /// The readings.
    pub readings: Vec<Reading>,
}

impl Journal {
    /// Makes sure that exactly the cursors named here (and their gaps) exist. New ones begin at the start of what the log still holds;
    /// one that is no longer named is dropped, or it would hold the log back for ever.
    ///
    /// # Errors
    /// [`StoreError`] from the write.
    pub async fn keep_cursors(&self, names: &[&str]) -> Result<(), StoreError> {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        self.write(move |c| {
            let known: Vec<String> = c.prepare("SELECT name FROM cursor")?.query_map([], |r| r.get(0))?.collect::<Result<_, _>>()?;
            let reader = |k: &str| k.split(GAP).next().unwrap_or_default().to_owned();
            for gone in known.iter().filter(|k| !names.contains(&reader(k))) {
                c.execute("DELETE FROM cursor WHERE name = ?1", [gone])?;
            }
            for name in &names {
                c.execute("INSERT OR IGNORE INTO cursor VALUES (?1, coalesce((SELECT min(id) - 1 FROM log), (SELECT at FROM mark WHERE name = 'head')))", [name])?;
            }
            Ok(())
        })
        .await
    }

    /// Where a cursor stands.
    ///
    /// # Errors
    /// [`ReadError`]; also for a name that [`Journal::keep_cursors`] was not told of.
    pub async fn cursor(&self, name: &'static str) -> Result<i64, ReadError> {
        self.read(move |c| {
            Ok(
                c.query_row("SELECT at FROM cursor WHERE name = ?1", [name], |r| {
                    r.get(0)
                })?,
            )
        })
        .await
    }

    /// The gaps that a reader has left, oldest first.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn gaps(&self, name: &'static str) -> Result<Vec<Gap>, ReadError> {
        self.read(move |c| {
            let mut select =
                c.prepare_cached("SELECT name, at FROM cursor WHERE substr(name, 1, ?2) = ?1")?;
            let prefix = format!("{name}{GAP}");
            let mut rows = select.query(params![prefix, prefix.len() as i64])?;
            let mut gaps = Vec::new();
            while let Some(r) = rows.next()? {
                let name: String = r.get(0)?;
                let upto = name.get(prefix.len()..).and_then(|u| u.parse().ok());
                let at = r.get(1)?;
                gaps.extend(upto.map(|upto| Gap { at, upto }));
            }
            gaps.sort_by_key(|g| g.upto);
            Ok(gaps)
        })
        .await
    }

    /// The rows after `id`, at most `limit`.
    ///
    /// # Errors
    /// [`ReadError`]. A row whose body is damaged is left out and logged: it must not hold up those behind it.
    pub async fn rows_after(&self, id: i64, limit: usize) -> Result<Vec<Row>, ReadError> {
        self.read(move |c| rows_after(c, id, limit)).await
    }
}

/// One reader of the log, and what it has not passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reader {
    pub(super) name: String,
    /// Oldest first; the last one has no end.
    pub(super) waits: Vec<Gap>,
}

/// The readers, in order of their names, of the rows of the cursors' table.
pub(super) fn readers(rows: impl IntoIterator<Item = (String, i64)>) -> Vec<Reader> {
    let mut all: BTreeMap<String, Vec<Gap>> = BTreeMap::new();
    for (name, at) in rows {
        let (reader, upto) = name.split_once(GAP).unwrap_or((&name, ""));
        // A gap without an end that can be read keeps everything: too much rather than too little.
        let upto = upto.parse().unwrap_or(i64::MAX);
        all.entry(reader.to_owned())
            .or_default()
            .push(Gap { at, upto });
    }
    let reader = |(name, mut waits): (String, Vec<Gap>)| {
        waits.sort_by_key(|g| (g.upto, g.at));
        Reader { name, waits }
    };
    all.into_iter().map(reader).collect()
}

/// The readers of this journal.
pub(super) fn all_readers(c: &Connection) -> rusqlite::Result<Vec<Reader>> {
    let mut select = c.prepare_cached("SELECT name, at FROM cursor")?;
    let rows = select
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(readers(rows))
}

/// What at least one of them waits for among the rows up to `upto`: disjoint, ascending.
pub(super) fn waited_for(readers: &[Reader], upto: i64) -> Vec<Gap> {
    let mut waits: Vec<Gap> = readers
        .iter()
        .flat_map(|r| &r.waits)
        .map(|g| Gap {
            at: g.at,
            upto: g.upto.min(upto),
        })
        .filter(|g| g.at < g.upto)
        .collect();
    waits.sort_by_key(|g| g.at);
    let mut out: Vec<Gap> = Vec::new();
    for g in waits {
        match out.last_mut() {
            Some(last) if g.at <= last.upto => last.upto = last.upto.max(g.upto),
            _ => out.push(g),
        }
    }
    out
}

/// The stretches up to `upto` that nobody waits for.
pub(super) fn passed(readers: &[Reader], upto: i64) -> Vec<Gap> {
    let mut at = 0;
    let mut out = Vec::new();
    for g in waited_for(readers, upto) {
        out.push(Gap { at, upto: g.at });
        at = g.upto;
    }
    out.push(Gap { at, upto });
    out.retain(|g| g.at < g.upto);
    out
}

/// Between a reader's name and the end of a gap.
const GAP: &str = "/gap/";

/// A stretch of the log that a reader has left out for the time being: the rows after `at`, `upto` included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The last row that is done.
    pub at: i64,
    /// The last row of the gap.
    pub upto: i64,
}

/// Moves a cursor forward, within a [`Journal::write`].
///
/// # Errors
/// SQLite's.
pub fn advance(c: &Connection, name: &str, to: i64) -> rusqlite::Result<()> {
    c.prepare_cached("UPDATE cursor SET at = ?2 WHERE name = ?1 AND at < ?2")?
        .execute(params![name, to])
        .map(drop)
}

/// Writes down a gap, or how far it is filled; one that is filled to its end is forgotten.
///
/// # Errors
/// SQLite's.
pub fn set_gap(c: &Connection, name: &str, gap: Gap) -> rusqlite::Result<()> {
    let name = format!("{name}{GAP}{}", gap.upto);
    if gap.at >= gap.upto {
        c.prepare_cached("DELETE FROM cursor WHERE name = ?1")?
            .execute([name])
            .map(drop)
    } else {
        c.prepare_cached(
            "INSERT INTO cursor VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET at = max(at, excluded.at)",
        )?
        .execute(params![name, gap.at])
        .map(drop)
    }
}

pub(super) fn rows_after(c: &Connection, id: i64, limit: usize) -> Result<Vec<Row>, ReadError> {
    let mut select = c.prepare_cached(
        "SELECT id, node, received, boot, seq, n, body FROM log WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let mut rows = select.query(params![id, limit as i64])?;
    let mut out = Vec::new();
    while let Some(r) = rows.next()? {
        let key = record::Key::read(r)?;
        let body = r.get_ref(6)?.as_blob().unwrap_or_default();
        let readings = record::decode(&key, body).unwrap_or_else(|e| {
            tracing::error!("log row {}: {e}; it is passed over", key.id);
            Vec::new()
        });
        out.push(Row {
            id: key.id,
            node: key.node,
            received: key.received,
            place: key.place,
            readings,
        });
    }
    Ok(out)
}
