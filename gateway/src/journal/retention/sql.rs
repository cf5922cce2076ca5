//! The statements of retention. Each is small enough that the writer is never held up for long.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::{BUSY, ReadError, mark};
use crate::reading::{DAY_MS, Millis, NodeNum};

/// Blocks deleted in one transaction.
pub(super) const BLOCKS: usize = 500;
/// Pages given back to the file system in one transaction.
pub(super) const PAGES: u64 = 256;
/// Log rows given up in one transaction.
const ROWS: i64 = 5_000;
/// Bytes of a log row or block beside its body, about.
const AROUND: u64 = 24;
/// Rows looked at to estimate the size of one.
const SAMPLES: i64 = 64;

/// Figures of the journal's file, as of the last commit.
#[derive(Debug, Clone, Default)]
pub(super) struct File {
    pub(super) page_size: u64,
    pages: u64,
    free_pages: u64,
    /// Free pages can be given back.
    pub(super) incremental: bool,
    /// Lowest log row that is there.
    lowest: Option<i64>,
    /// Rows up to this one are folded and in the ledger's table.
    pub(super) settled: i64,
    /// Size of a log row, about.
    row_bytes: u64,
    pub(super) cursors: Vec<Cursor>,
}

/// One reader of the log.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    pub(super) name: String,
    at: i64,
    /// Log rows that it has not passed.
    pub(super) rows: u64,
    pub(super) given_up: GivenUp,
}

/// What a sink will never get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct GivenUp {
    /// Uplinks.
    pub rows: u64,
    /// Readings in them.
    pub readings: u64,
    /// When the first of them had arrived.
    pub first_at: Option<Millis>,
    /// When the last of them had arrived.
    pub last_at: Option<Millis>,
    /// When that was last done.
    pub at: Option<Millis>,
}

impl File {
    pub(super) fn used(&self) -> u64 {
        self.pages.saturating_sub(self.free_pages) * self.page_size
    }

    pub(super) fn spare(&self) -> u64 {
        self.free_pages * self.page_size
    }

    /// Where the slowest cursor is; rows up to it nobody waits for.
    fn slowest(&self) -> i64 {
        self.cursors.iter().map(|c| c.at).min().unwrap_or(i64::MAX)
    }

    /// Rows are there that everyone has passed.
    pub(super) fn passed(&self) -> bool {
        self.lowest
            .is_some_and(|lowest| lowest <= self.slowest().min(self.settled))
    }

    /// Bytes of the rows that are there only for a cursor, about.
    pub(super) fn held(&self) -> u64 {
        let Some(lowest) = self.lowest else { return 0 };
        // Ids follow one another, so the difference is the count.
        let first = self.slowest().saturating_add(1).max(lowest);
        let rows = self.settled.saturating_add(1).saturating_sub(first).max(0);
        rows.unsigned_abs() * self.row_bytes
    }
}

fn number(c: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    c.query_row(&format!("PRAGMA {pragma}"), [], |r| r.get(0))
}

pub(super) fn measure(c: &Connection) -> Result<File, ReadError> {
    c.execute_batch("BEGIN")?;
    let file = measure_in(c);
    c.execute_batch("COMMIT")?;
    Ok(file?)
}

fn measure_in(c: &Connection) -> rusqlite::Result<File> {
    // A page is read first: the counts of a connection that has no snapshot are those of its last one.
    let settled = mark(c, "folded_upto")?.min(mark(c, "ledger_upto")?);
    let lowest: Option<i64> = c
        .prepare_cached("SELECT min(id) FROM log")?
        .query_row([], |r| r.get(0))?;
    let highest: Option<i64> = c
        .prepare_cached("SELECT max(id) FROM log")?
        .query_row([], |r| r.get(0))?;
    let mut file = File {
        page_size: number(c, "page_size")?.unsigned_abs(),
        pages: number(c, "page_count")?.unsigned_abs(),
        free_pages: number(c, "freelist_count")?.unsigned_abs(),
        incremental: number(c, "auto_vacuum")? == 2,
        lowest,
        settled,
        row_bytes: 0,
        cursors: Vec::new(),
    };
    let mut names = c.prepare_cached("SELECT name, at FROM cursor ORDER BY name")?;
    let mut rows = names.query([])?;
    while let Some(r) = rows.next()? {
        let (name, at): (String, i64) = (r.get(0)?, r.get(1)?);
        let behind = highest.map_or(0, |h| h - at.max(lowest.unwrap_or(0) - 1));
        file.cursors.push(Cursor {
            given_up: given_up(c, &name)?,
            rows: behind.max(0).unsigned_abs(),
            name,
            at,
        });
    }
    if let (Some(lowest), Some(highest)) = (lowest, highest)
        && file.slowest() < settled
    {
        file.row_bytes = row_bytes(c, lowest, highest)?;
    }
    Ok(file)
}

/// The mean over rows that lie evenly in the log.
fn row_bytes(c: &Connection, lowest: i64, highest: i64) -> rusqlite::Result<u64> {
    let mut select = c.prepare_cached("SELECT length(body) FROM log WHERE id >= ?1 LIMIT 1")?;
    let (mut sum, mut seen) = (0, 0);
    let step = ((highest - lowest) / SAMPLES).max(1);
    for id in (0..SAMPLES)
        .map(|i| lowest + i * step)
        .take_while(|id| *id <= highest)
    {
        if let Some(n) = select.query_row([id], |r| r.get::<_, i64>(0)).optional()? {
            sum += n.unsigned_abs() + AROUND;
            seen += 1;
        }
    }
    Ok(sum / seen.max(1))
}

fn given_up(c: &Connection, cursor: &str) -> rusqlite::Result<GivenUp> {
    let mut select = c.prepare_cached("SELECT at FROM mark WHERE name = ?1")?;
    let mut get = |what: &str| {
        select
            .query_row([format!("given_up_{what}:{cursor}")], |r| {
                r.get::<_, i64>(0)
            })
            .optional()
    };
    Ok(GivenUp {
        rows: get("rows")?.unwrap_or(0).unsigned_abs(),
        readings: get("readings")?.unwrap_or(0).unsigned_abs(),
        first_at: get("first")?,
        last_at: get("last")?,
        at: get("at")?,
    })
}

/// A cursor, and the uplinks and readings that it loses.
pub(super) type Lost = (String, u64, u64);

/// Gives up the oldest settled rows that a cursor still waits for. Answers what each cursor loses, and
/// about how many bytes went.
pub(super) fn give_up(c: &Connection, now: Millis) -> rusqlite::Result<(Vec<Lost>, u64)> {
    let settled = mark(c, "folded_upto")?.min(mark(c, "ledger_upto")?);
    let lowest: Option<i64> = c.query_row("SELECT min(id) FROM log", [], |r| r.get(0))?;
    let Some(upto) = lowest.map(|l| settled.min(l + ROWS - 1)) else {
        return Ok((Vec::new(), 0));
    };
    let mut lost = Vec::new();
    let mut names = c.prepare_cached("SELECT name, at FROM cursor WHERE at < ?1 ORDER BY name")?;
    let behind: Vec<(String, i64)> = names
        .query_map([upto], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (name, at) in behind {
        type Found = (i64, i64, Option<Millis>, Option<Millis>);
        let (rows, readings, first, last): Found = c
            .prepare_cached("SELECT count(*), coalesce(sum(n), 0), min(received), max(received) FROM log WHERE id > ?1 AND id <= ?2")?
            .query_row([at, upto], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?;
        c.prepare_cached("UPDATE cursor SET at = ?2 WHERE name = ?1")?
            .execute(params![name, upto])?;
        if rows == 0 {
            continue;
        }
        note(c, &name, "rows", rows, "at + excluded.at")?;
        note(c, &name, "readings", readings, "at + excluded.at")?;
        note(
            c,
            &name,
            "first",
            first.unwrap_or(now),
            "min(at, excluded.at)",
        )?;
        note(
            c,
            &name,
            "last",
            last.unwrap_or(now),
            "max(at, excluded.at)",
        )?;
        note(c, &name, "at", now, "excluded.at")?;
        lost.push((name, rows.unsigned_abs(), readings.unsigned_abs()));
    }
    let mut gone = 0;
    let mut delete = c.prepare_cached("DELETE FROM log WHERE id <= ?1 RETURNING length(body)")?;
    let mut rows = delete.query([upto])?;
    while let Some(r) = rows.next()? {
        gone += r.get::<_, i64>(0)?.unsigned_abs() + AROUND;
    }
    Ok((lost, gone))
}

fn note(c: &Connection, cursor: &str, what: &str, value: i64, how: &str) -> rusqlite::Result<()> {
    c.prepare_cached(&format!(
        "INSERT INTO mark (name, at) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET at = {how}"
    ))?
    .execute(params![format!("given_up_{what}:{cursor}"), value])
    .map(drop)
}

/// The first day of every channel that has history: (node, channel, day).
pub(super) fn first_days(c: &Connection) -> Result<Vec<(NodeNum, u16, i64)>, ReadError> {
    // From one channel's first row to the next one's: a few pages each, where `min(day)` would read them all.
    let mut next = c.prepare_cached(
        "SELECT node, channel, day FROM block WHERE (node, channel) > (?1, ?2) ORDER BY node, channel, day LIMIT 1",
    )?;
    let mut out = Vec::new();
    let mut at = (NodeNum::MIN, -1);
    while let Some(found) = next
        .query_row(params![at.0, at.1], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?))
        })
        .optional()?
    {
        at = (found.0, i64::from(found.1));
        out.push(found);
    }
    Ok(out)
}

/// Deletes blocks; answers about how many bytes went.
pub(super) fn delete_blocks(c: &Connection, keys: &[(NodeNum, u16, i64)]) -> rusqlite::Result<u64> {
    let mut delete = c.prepare_cached(
        "DELETE FROM block WHERE node = ?1 AND channel = ?2 AND day = ?3 RETURNING length(body)",
    )?;
    let mut gone = 0;
    for (node, channel, day) in keys {
        // All rows are asked for, or the statement does not run to its end.
        let mut rows = delete.query(params![node, channel, day])?;
        while let Some(r) = rows.next()? {
            gone += r.get::<_, i64>(0)?.unsigned_abs() + 2 * AROUND;
        }
    }
    Ok(gone)
}

/// Gives free pages at the end of the file back, [`PAGES`] at most.
pub(super) fn vacuum(c: &Connection) -> rusqlite::Result<()> {
    let mut pragma = c.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut rows = pragma.query([])?;
    // A row a page.
    while rows.next()?.is_some() {}
    Ok(())
}

/// Copies the write-ahead log into the file, beside the writer; with `cut` it is emptied as well.
pub(super) fn checkpoint(path: &Path, cut: bool) -> rusqlite::Result<()> {
    let c = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    c.busy_timeout(BUSY)?;
    let mode = if cut { "TRUNCATE" } else { "PASSIVE" };
    c.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))
}

/// A table of things put aside: bounded by count and age, the oldest go first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounded {
    pub(super) name: &'static str,
    rows: i64,
}

/// A year.
const ASIDE: Millis = 365 * DAY_MS;
/// Rows of such a table deleted in one transaction.
const ASIDE_ROWS: i64 = 1_000;

pub(super) const BOUNDED: [Bounded; 2] = [
    Bounded {
        name: "dead_letter",
        rows: 10_000,
    },
    Bounded {
        name: "set_aside",
        rows: 1_000,
    },
];

impl Bounded {
    /// Too many rows, or the first one is too old.
    pub(super) fn is_over(&self, c: &Connection, now: Millis) -> rusqlite::Result<bool> {
        Ok(self.too_many(c)? > 0 || self.first_at(c)?.is_some_and(|at| at < now - ASIDE))
    }

    fn first_at(&self, c: &Connection) -> rusqlite::Result<Option<Millis>> {
        c.prepare_cached(&format!("SELECT at FROM {} ORDER BY id LIMIT 1", self.name))?
            .query_row([], |r| r.get(0))
            .optional()
    }

    fn too_many(&self, c: &Connection) -> rusqlite::Result<i64> {
        let name = self.name;
        let ids = |which| -> rusqlite::Result<Option<i64>> {
            c.prepare_cached(&format!("SELECT {which}(id) FROM {name}"))?
                .query_row([], |r| r.get(0))
        };
        let (Some(first), Some(last)) = (ids("min")?, ids("max")?) else {
            return Ok(0);
        };
        // There can't be more rows than ids; counting reads the whole table.
        if last - first < self.rows {
            return Ok(0);
        }
        let rows: i64 = c.query_row(&format!("SELECT count(*) FROM {name}"), [], |r| r.get(0))?;
        Ok((rows - self.rows).max(0))
    }

    /// Deletes the oldest of what is too much; answers how many went.
    pub(super) fn trim(&self, c: &Connection, now: Millis) -> rusqlite::Result<u64> {
        let name = self.name;
        let many = self.too_many(c)?.min(ASIDE_ROWS);
        let mut gone = c.execute(
            &format!("DELETE FROM {name} WHERE id IN (SELECT id FROM {name} ORDER BY id LIMIT ?1)"),
            [many],
        )?;
        if many == 0 {
            gone += c.execute(
                &format!(
                    "DELETE FROM {name} WHERE at < ?1 AND id IN (SELECT id FROM {name} ORDER BY id LIMIT ?2)"
                ),
                [now - ASIDE, ASIDE_ROWS],
            )?;
        }
        Ok(gone as u64)
    }
}
