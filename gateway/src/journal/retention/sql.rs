//! The statements of retention. Each is small enough that the writer is never held up for long.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::cursor::{self, Gap, Reader};
use super::super::{BUSY, ReadError, settled};
use crate::reading::{DAY_MS, Millis, NodeNum};

/// Blocks deleted in one transaction: each may lie on a page of its own.
pub(super) const BLOCKS: usize = 100;
/// Pages given back to the file system in one transaction.
pub(super) const PAGES: u64 = 128;
/// Log rows given up in one transaction.
const ROWS: i64 = 5_000;
/// Bytes of a log row or block beside its body, about.
const AROUND: u64 = 24;
/// How the marks of what was given up begin: `given_up_{rows,readings,first,last,at}:<sink>`.
const GIVEN_UP: &str = "given_up_";
/// The mark of the instant before which history was deleted, ms UTC.
const DELETED: &str = "history_deleted";
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
    /// Rows are there that nobody waits for any more.
    pub(super) passed: bool,
    /// Folded rows that are there only because somebody waits for them.
    held_rows: u64,
    /// Rows up to this one are folded and in the ledger's table.
    pub(super) settled: i64,
    /// See [`deleted_before`].
    pub(super) deleted_before: Option<Millis>,
    /// Size of a log row, about.
    row_bytes: u64,
    pub(super) cursors: Vec<Cursor>,
}

/// One reader of the log.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    pub(super) name: String,
    /// Log rows that it has not passed, those in the gaps that it has left included.
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

    /// Bytes of the rows that are there only for a cursor, about.
    pub(super) fn held(&self) -> u64 {
        self.held_rows * self.row_bytes
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
    let settled = settled(c)?;
    let end = |which: &str| -> rusqlite::Result<Option<i64>> {
        c.prepare_cached(&format!("SELECT {which}(id) FROM log"))?
            .query_row([], |r| r.get(0))
    };
    let (lowest, highest) = (end("min")?, end("max")?);
    let readers = cursor::all_readers(c)?;
    // Where somebody waits ids follow one another, so a difference is a count.
    let count = |waits: &[Gap], upto: Option<i64>| -> u64 {
        let (Some(lowest), Some(upto)) = (lowest, upto) else {
            return 0;
        };
        let rows = |g: &Gap| (g.upto.min(upto) - g.at.max(lowest - 1)).max(0);
        waits.iter().map(rows).sum::<i64>().unsigned_abs()
    };
    let held_rows = count(&cursor::waited_for(&readers, settled), Some(settled));
    let mut exists =
        c.prepare_cached("SELECT EXISTS (SELECT 1 FROM log WHERE id > ?1 AND id <= ?2)")?;
    let mut passed = false;
    for stretch in cursor::passed(&readers, settled) {
        passed = passed || exists.query_row([stretch.at, stretch.upto], |r| r.get(0))?;
    }
    let mut file = File {
        page_size: number(c, "page_size")?.unsigned_abs(),
        pages: number(c, "page_count")?.unsigned_abs(),
        free_pages: number(c, "freelist_count")?.unsigned_abs(),
        incremental: number(c, "auto_vacuum")? == 2,
        passed,
        held_rows,
        settled,
        deleted_before: deleted_before(c)?,
        row_bytes: 0,
        cursors: Vec::new(),
    };
    for reader in readers {
        file.cursors.push(Cursor {
            given_up: given_up(c, &reader.name)?,
            rows: count(&reader.waits, highest),
            name: reader.name,
        });
    }
    if held_rows > 0
        && let (Some(lowest), Some(highest)) = (lowest, highest)
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
            .query_row([format!("{GIVEN_UP}{what}:{cursor}")], |r| {
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

/// A sink, and the uplinks and readings that it loses.
pub(super) type Lost = (String, u64, u64);

/// Gives up the oldest settled rows that somebody still waits for. Answers what each sink loses, and about how many
/// bytes went.
pub(super) fn give_up(c: &Connection, now: Millis) -> rusqlite::Result<(Vec<Lost>, u64)> {
    let settled = settled(c)?;
    let lowest: Option<i64> = c.query_row("SELECT min(id) FROM log", [], |r| r.get(0))?;
    let Some(upto) = lowest.map(|l| settled.min(l + ROWS - 1)) else {
        return Ok((Vec::new(), 0));
    };
    let mut lost = Vec::new();
    for reader in cursor::all_readers(c)? {
        let mut sum = Count::default();
        for &gap in reader.waits.iter().filter(|g| g.at < upto) {
            sum.add(c, gap.at, upto.min(gap.upto))?;
            pass(c, &reader, gap, upto)?;
        }
        if sum.rows > 0 {
            sum.note(c, &reader.name, now)?;
            lost.push((
                reader.name,
                sum.rows.unsigned_abs(),
                sum.readings.unsigned_abs(),
            ));
        }
    }
    let mut gone = 0;
    let mut delete = c.prepare_cached("DELETE FROM log WHERE id <= ?1 RETURNING length(body)")?;
    let mut rows = delete.query([upto])?;
    while let Some(r) = rows.next()? {
        gone += r.get::<_, i64>(0)?.unsigned_abs() + AROUND;
    }
    Ok((lost, gone))
}

/// Moves a reader past the rows up to `upto` in one of the stretches that it waits for.
fn pass(c: &Connection, reader: &Reader, gap: Gap, upto: i64) -> rusqlite::Result<()> {
    if gap.upto == i64::MAX {
        return cursor::advance(c, &reader.name, upto);
    }
    let at = upto.min(gap.upto);
    cursor::set_gap(c, &reader.name, Gap { at, ..gap })
}

/// Rows that a sink loses.
#[derive(Debug, Default)]
struct Count {
    rows: i64,
    readings: i64,
    first: Option<Millis>,
    last: Option<Millis>,
}

impl Count {
    /// Adds those after `at`, `upto` included.
    fn add(&mut self, c: &Connection, at: i64, upto: i64) -> rusqlite::Result<()> {
        let mut select = c.prepare_cached("SELECT count(*), coalesce(sum(n), 0), min(received), max(received) FROM log WHERE id > ?1 AND id <= ?2")?;
        let (rows, readings, first, last): (i64, i64, Option<Millis>, Option<Millis>) = select
            .query_row([at, upto], |r| {
                Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))
            })?;
        self.rows += rows;
        self.readings += readings;
        self.first = self.first.into_iter().chain(first).min();
        self.last = self.last.max(last);
        Ok(())
    }

    /// Adds them to what that sink has lost before.
    fn note(&self, c: &Connection, sink: &str, now: Millis) -> rusqlite::Result<()> {
        let (first, last) = (self.first.unwrap_or(now), self.last.unwrap_or(now));
        note(c, sink, "rows", self.rows, "at + excluded.at")?;
        note(c, sink, "readings", self.readings, "at + excluded.at")?;
        note(c, sink, "first", first, "min(at, excluded.at)")?;
        note(c, sink, "last", last, "max(at, excluded.at)")?;
        note(c, sink, "at", now, "excluded.at")
    }
}

fn note(c: &Connection, cursor: &str, what: &str, value: i64, how: &str) -> rusqlite::Result<()> {
    c.prepare_cached(&format!(
        "INSERT INTO mark (name, at) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET at = {how}"
    ))?
    .execute(params![format!("{GIVEN_UP}{what}:{cursor}"), value])
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

/// Whether the rules here made a row of the `mark` table.
pub(in super::super) fn is_mark(name: &str) -> bool {
    name == DELETED || name.starts_with(GIVEN_UP)
}

/// The instant before which history was deleted; what has come in late since may be there.
pub(crate) fn deleted_before(c: &Connection) -> rusqlite::Result<Option<Millis>> {
    c.prepare_cached("SELECT at FROM mark WHERE name = ?1")?
        .query_row([DELETED], |r| r.get(0))
        .optional()
}

/// Deletes blocks, and says so; answers about how many bytes went.
pub(super) fn delete_blocks(c: &Connection, keys: &[(NodeNum, u16, i64)]) -> rusqlite::Result<u64> {
    if let Some(last) = keys.iter().map(|k| k.2).max() {
        c.prepare_cached(
            "INSERT INTO mark (name, at) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET at = max(at, excluded.at)",
        )?
        .execute(params![DELETED, (last + 1).saturating_mul(DAY_MS).max(0)])?;
    }
    let mut delete = c.prepare_cached(
        "DELETE FROM block WHERE node = ?1 AND channel = ?2 AND day = ?3 RETURNING length(body)",
    )?;
    let mut doubts = c.prepare_cached(
        "DELETE FROM doubt WHERE node = ?1 AND channel = ?2 AND at >= ?3 AND at < ?4",
    )?;
    let mut gone = 0;
    for (node, channel, day) in keys {
        let start = day.saturating_mul(DAY_MS);
        doubts.execute(params![node, channel, start, start.saturating_add(DAY_MS)])?;
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

pub(super) const BOUNDED: [Bounded; 3] = [
    Bounded {
        name: "dead_letter",
        rows: 10_000,
    },
    Bounded {
        name: "set_aside",
        rows: 1_000,
    },
    Bounded {
        name: "alarm_event",
        rows: 100_000,
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
