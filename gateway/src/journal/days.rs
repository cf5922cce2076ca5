//! How many readings of each farm's day have arrived: counted as they are stored, written out with the ledger.
//!
//! Invariant: the table `day_account` as of log row `ledger_upto`, plus what [`Days`] holds, counts every committed log row
//! once. So a start or the command line gets the same numbers from the table and the log rows after that mark.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, params};

use super::ledger::{Boot, Ledger, Ranges, Span};
use super::writer::lock;
use super::{Journal, ReadError, mark, record};
use crate::reading::{Day, HOUR_MS, Measured, Millis, NodeNum, Reading, farm_day};

/// A reading that arrives longer than this after it was taken is late: more than any usual packing, less than a night
/// without a link.
pub const LATE_MS: Millis = HOUR_MS;

/// How often a reader looks again while the ledger is being written out, and how long it waits in between.
const TRIES: u32 = 200;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(5);

/// What arrived of one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Numbered readings, each once.
    pub received: u64,
    /// Those of them that came late.
    pub late: u64,
    /// Those of them whose record was refused: the place arrived, the value can't be used.
    pub refused: u64,
    /// Readings of devices that do not number them.
    pub unnumbered: u64,
}

impl Tally {
    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.late += other.late;
        self.refused += other.refused;
        self.unnumbered += other.unnumbered;
    }

    fn subtract(&mut self, other: &Self) {
        self.received = self.received.saturating_sub(other.received);
        self.late = self.late.saturating_sub(other.late);
        self.refused = self.refused.saturating_sub(other.refused);
        self.unnumbered = self.unnumbered.saturating_sub(other.unnumbered);
    }
}

/// Counts readings by day; those of one day that follow each other are one call. A refused record has no time of its
/// own and belongs to the day on which it came.
pub(super) fn count(
    readings: &[Reading],
    received: Millis,
    numbered: bool,
    mut each: impl FnMut(Day, Tally),
) {
    for day in readings.chunk_by(|a, b| farm_day(a.at) == farm_day(b.at)) {
        let mut tally = Tally::default();
        if numbered {
            tally.received = day.len() as u64;
            let late = |r: &&Reading| received.saturating_sub(r.at) > LATE_MS;
            tally.late = day.iter().filter(late).count() as u64;
            let refused = |r: &&Reading| r.what == Measured::Refused;
            tally.refused = day.iter().filter(refused).count() as u64;
        } else {
            tally.unnumbered = day.len() as u64;
        }
        if let Some(first) = day.first() {
            each(farm_day(first.at), tally);
        }
    }
}

/// The readings at places `lo` and on as a span. A refused record's time says nothing about when it was taken: the next
/// reading's does.
pub(super) fn span(lo: u32, readings: &[Reading]) -> Span {
    let timed = |r: &&Reading| r.what != Measured::Refused;
    let first = readings.iter().find(timed).or(readings.first());
    let last = readings.iter().rfind(timed).or(readings.last());
    Span {
        lo,
        hi: lo.saturating_add(readings.len().saturating_sub(1) as u32),
        lo_at: first.map(|r| r.at),
        hi_at: last.map(|r| r.at),
    }
}

/// What has arrived since log row `since`, by node and day.
#[derive(Debug, Default)]
pub struct Days {
    counts: HashMap<(NodeNum, Day), Tally>,
    /// The row up to which the table counts.
    pub(super) since: i64,
}

impl Days {
    /// Counts readings.
    pub(super) fn add(&mut self, node: NodeNum, day: Day, tally: &Tally) {
        self.counts.entry((node, day)).or_default().add(tally);
    }

    /// Takes them back: a commit that failed.
    pub(super) fn subtract(&mut self, node: NodeNum, day: Day, tally: &Tally) {
        if let Some(count) = self.counts.get_mut(&(node, day)) {
            count.subtract(tally);
            if *count == Tally::default() {
                self.counts.remove(&(node, day));
            }
        }
    }

    /// Hands over what is counted and starts anew behind row `head`.
    pub(super) fn take(&mut self, head: i64) -> Self {
        std::mem::replace(
            self,
            Self {
                counts: HashMap::new(),
                since: head,
            },
        )
    }

    /// Undoes [`Days::take`].
    pub(super) fn put_back(&mut self, taken: &Self) {
        self.merge(taken);
        self.since = taken.since;
    }

    /// Adds what was counted later; goes on counting from where it did.
    pub(super) fn merge(&mut self, later: &Self) {
        for ((node, day), tally) in &later.counts {
            self.add(*node, *day, tally);
        }
    }

    /// Adds what is counted to the table.
    pub(super) fn write(&self, c: &Connection) -> rusqlite::Result<()> {
        let mut insert = c.prepare_cached(
            "INSERT INTO day_account (node, day, received, late, refused, unnumbered) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (node, day) DO UPDATE SET received = received + ?3, late = late + ?4, refused = refused + ?5,
             unnumbered = unnumbered + ?6",
        )?;
        for ((node, day), t) in &self.counts {
            insert.execute(params![
                node,
                day,
                t.received as i64,
                t.late as i64,
                t.refused as i64,
                t.unnumbered as i64
            ])?;
        }
        Ok(())
    }
}

/// Everything that the journal knows about the completeness of one node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    /// Arrived places.
    pub boots: BTreeMap<Boot, Ranges>,
    /// What arrived of each day, from the day asked for on.
    pub days: BTreeMap<Day, Tally>,
    /// What arrived of all days.
    pub total: Tally,
}

/// Books by node.
pub type Books = HashMap<NodeNum, Book>;

impl Ledger {
    /// What memory knows: all of the places, and of the days only what the table lacks.
    fn books(&self, of: Option<NodeNum>, from: Day) -> Books {
        let mut books: Books = HashMap::new();
        for (node, boots) in self.boots(of) {
            books.entry(node).or_default().boots = boots;
        }
        for ((node, day), tally) in &self.days.counts {
            if of.is_none_or(|n| n == *node) {
                let book = books.entry(*node).or_default();
                book.total.add(tally);
                if *day >= from {
                    book.days.entry(*day).or_default().add(tally);
                }
            }
        }
        books
    }

    /// Takes a log row in that the tables do not cover yet.
    pub(super) fn replay(&mut self, key: &record::Key, body: &[u8]) {
        let readings = record::decode(key, body).unwrap_or_default();
        count(
            &readings,
            key.received,
            key.place.is_some(),
            |day, tally| {
                self.days.add(key.node, day, &tally);
            },
        );
        let Some((boot, seq)) = key.place else { return };
        // A body that can't be read leaves its places arrived, without times.
        let mut arrived = span(seq, &readings);
        arrived.hi = seq.saturating_add(key.n.saturating_sub(1));
        self.boot_mut(key.node, boot).insert(arrived);
    }

    /// The ranges of the tables, as of log row `ledger_upto`.
    pub(super) fn written(c: &Connection) -> rusqlite::Result<Self> {
        let mut ledger = Self::default();
        ledger.days.since = mark(c, "ledger_upto")?;
        let mut arrived = c.prepare(
            "SELECT node, boot, lo, hi, lo_at, hi_at FROM arrived ORDER BY node, boot, lo",
        )?;
        let mut rows = arrived.query([])?;
        while let Some(r) = rows.next()? {
            let span = Span {
                lo: r.get(2)?,
                hi: r.get(3)?,
                lo_at: r.get(4)?,
                hi_at: r.get(5)?,
            };
            ledger
                .boot_mut(r.get(0)?, r.get::<_, i64>(1)? as u64)
                .insert(span);
        }
        Ok(ledger)
    }
}

/// Adds what the table says.
fn add_table(
    c: &Connection,
    of: Option<NodeNum>,
    from: Day,
    books: &mut Books,
) -> rusqlite::Result<()> {
    let (first, last) = of.map_or((0, NodeNum::MAX), |n| (n, n));
    let tally = |r: &rusqlite::Row<'_>| -> rusqlite::Result<Tally> {
        let number = |i| r.get::<_, i64>(i).map(i64::unsigned_abs);
        Ok(Tally {
            received: number(2)?,
            late: number(3)?,
            refused: number(4)?,
            unnumbered: number(5)?,
        })
    };
    let mut select = c.prepare_cached(
        "SELECT node, day, received, late, refused, unnumbered FROM day_account WHERE node BETWEEN ?1 AND ?2 AND day >= ?3",
    )?;
    let mut rows = select.query(params![first, last, from])?;
    while let Some(r) = rows.next()? {
        let book = books.entry(r.get(0)?).or_default();
        book.days.entry(r.get(1)?).or_default().add(&tally(r)?);
    }
    let mut select = c.prepare_cached(
        "SELECT node, 0, sum(received), sum(late), sum(refused), sum(unnumbered) FROM day_account
         WHERE node BETWEEN ?1 AND ?2 GROUP BY node",
    )?;
    let mut rows = select.query(params![first, last])?;
    while let Some(r) = rows.next()? {
        books.entry(r.get(0)?).or_default().total.add(&tally(r)?);
    }
    Ok(())
}

impl Journal {
    /// What has arrived and what is missing, of one node or of all; days from `from` on.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn books(&self, of: Option<NodeNum>, from: Day) -> Result<Books, ReadError> {
        for _ in 0..TRIES {
            let (since, mut books) = {
                let ledger = lock(&self.0.shared.ledger);
                (ledger.days.since, ledger.books(of, from))
            };
            let (upto, books) = self
                .read(move |c| {
                    c.execute_batch("BEGIN")?;
                    let read = mark(c, "ledger_upto")
                        .and_then(|upto| add_table(c, of, from, &mut books).map(|()| upto));
                    c.execute_batch("COMMIT")?;
                    Ok((read?, books))
                })
                .await?;
            // Otherwise the ledger was being written out in between: some rows are in both, or in neither.
            if upto == since {
                return Ok(books);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(ReadError::Unsettled)
    }
}

/// The same from the file alone, beside a gateway that may be running.
///
/// # Errors
/// [`ReadError`].
pub fn books_of(c: &Connection, of: Option<NodeNum>, from: Day) -> Result<Books, ReadError> {
    c.execute_batch("BEGIN")?;
    let books = books_in(c, of, from)?;
    c.execute_batch("COMMIT")?;
    Ok(books)
}

/// The same in a transaction that the caller has begun.
pub(super) fn books_in(c: &Connection, of: Option<NodeNum>, from: Day) -> Result<Books, ReadError> {
    let mut ledger = Ledger::written(c)?;
    let mut log = c.prepare(
        "SELECT id, node, received, boot, seq, n, body FROM log WHERE id > ?1 ORDER BY id",
    )?;
    let mut rows = log.query([ledger.days.since])?;
    while let Some(r) = rows.next()? {
        let key = record::Key::read(r)?;
        ledger.replay(&key, r.get_ref(6)?.as_blob().unwrap_or_default());
    }
    let mut books = ledger.books(of, from);
    add_table(c, of, from, &mut books)?;
    Ok(books)
}

#[cfg(test)]
mod tests;
