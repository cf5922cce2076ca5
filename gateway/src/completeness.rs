//! What arrived, what is missing and what came late, a node and a day of the farm: one account for API and command line.
//!
//! Rules:
//! - A reading belongs to the day on which it was taken, Asia/Ho_Chi_Minh; a refused record, which has no time that can be
//!   trusted, to the day on which it came. A repeat counts nowhere.
//! - A hole in a boot's sequence is dated by the readings on either side of it, and its places are taken to lie evenly
//!   between them. At the low end of a boot the reading before is the last one of the boot before (of the same
//!   incarnation); without one, the hole belongs to the day of the reading behind it.
//! - What was taken after the last reading of a boot that arrived can't be known to be missing.
//! - Of a node's `dropped` count, as much as its incarnation misses explains missing readings. The rest arrived before
//!   the node knew, or lies where the sequence does not show it. Which hole it explains is not claimed.
//! - A day whose readings were deleted by the rules of `[journal]` keeps its account: what arrived has arrived, and what is
//!   deleted is not missing. The day says that its history is gone ([`DayHistory`]).
//! - What an older version stored without times is `undated`: in the sums, and in no day.

mod dating;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate};
use rusqlite::Connection;
use sen_wire::Hello;
use serde::Serialize;
use utoipa::ToSchema;

use crate::journal::days::{Book, LATE_MS, Tally, books_of};
use crate::journal::ledger::{Boot, incarnation};
use crate::journal::retention::deleted_before;
use crate::journal::{self, ReadError};
use crate::reading::{DAY_MS, Day, FARM_OFFSET_MS, Millis, NodeNum, day_start, farm_day};
use crate::registry::{Node, Registry};
use dating::Dated;

/// Days that are looked at when nobody says how many.
pub const USUAL_DAYS: u32 = 14;
/// Most days in one account.
pub const MAX_DAYS: u32 = 400;
/// Missing ranges listed of each node among many.
const FEW_RANGES: usize = 3;
/// Missing ranges listed of one node.
const MANY_RANGES: usize = 100;
/// Boots listed of one node.
const BOOTS: usize = 50;

/// Days of the farm, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First day.
    pub from: Day,
    /// Last day.
    pub to: Day,
}

impl Window {
    /// The last `days` days; today is one of them.
    #[must_use]
    pub fn last(days: u32, now: Millis) -> Self {
        let to = farm_day(now);
        Self {
            from: to - i64::from(days.max(1)) + 1,
            to,
        }
    }
}

/// A day as `2026-11-24`.
#[must_use]
pub fn date(day: Day) -> String {
    i32::try_from(day)
        .ok()
        .and_then(NaiveDate::from_epoch_days)
        .map_or_else(|| format!("day {day}"), |d| d.to_string())
}

/// The day of a date such as `2026-11-24`.
#[must_use]
pub fn day(date: &str) -> Option<Day> {
    let date: NaiveDate = date.parse().ok()?;
    Some(i64::from(date.to_epoch_days()))
}

/// An instant on the farm's clock, as `2026-11-24 14:05`.
#[must_use]
pub fn farm_time(at: Millis) -> String {
    DateTime::from_timestamp_millis(at.saturating_add(FARM_OFFSET_MS)).map_or_else(
        || at.to_string(),
        |t| t.format("%Y-%m-%d %H:%M").to_string(),
    )
}

/// What of a day's readings the history still has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DayHistory {
    /// All that arrived.
    Kept,
    /// Its first hours were deleted by the rules of `[journal]`: history goes by UTC days.
    PartlyDeleted,
    /// All of it was deleted by them; what arrived later may be there.
    Deleted,
}

impl DayHistory {
    /// Of a farm's day, when what lies before an instant was deleted.
    #[must_use]
    pub fn of(day: Day, deleted_before: Option<Millis>) -> Self {
        match deleted_before {
            Some(at) if day_start(day) + DAY_MS <= at => Self::Deleted,
            Some(at) if day_start(day) < at => Self::PartlyDeleted,
            _ => Self::Kept,
        }
    }
}

/// One node on one day of the farm.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DayAccount {
    /// As `2026-11-24`, Asia/Ho_Chi_Minh.
    #[schema(example = "2026-11-24")]
    pub day: String,
    /// Numbered readings of that day that have arrived, each once.
    pub received: u64,
    /// Readings of that day that are known to exist and have not arrived.
    pub missing: u64,
    /// `received + missing`.
    pub expected: u64,
    /// Part of `received` that is there, rounded down: 100 only if nothing is missing. Null if nothing is expected.
    pub percent: Option<f64>,
    /// Part of `received` that arrived late.
    pub late: u64,
    /// Part of `received` whose record was refused.
    pub refused: u64,
    /// Readings without a number: nobody can say whether all of them arrived.
    pub unnumbered: u64,
    /// What of them is still in the history here. Deleted readings are not missing ones.
    pub history: DayHistory,
}

/// A run of places that have not arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MissingRange {
    /// The run of the node.
    pub boot: u64,
    /// First place in its sequence.
    pub from: u32,
    /// Last place.
    pub through: u32,
    /// How many.
    pub count: u64,
    /// When the reading before was taken; null if there is none.
    pub after: Option<Millis>,
    /// When the reading behind was taken.
    pub before: Option<Millis>,
}

/// One run of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BootAccount {
    /// Its number.
    pub boot: u64,
    /// Places that have arrived.
    pub received: u64,
    /// Places below the highest one that have not.
    pub missing: u64,
    /// The highest place that has arrived; the first one is 0.
    pub through: u32,
    /// When the first reading that arrived was taken.
    pub first_at: Option<Millis>,
    /// When the last one was.
    pub last_at: Option<Millis>,
}

/// Readings that an older version stored without a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Undated {
    /// Arrived.
    pub received: u64,
    /// Missing between two that have no time.
    pub missing: u64,
}

/// The account of one node.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct NodeAccount {
    /// Node id.
    pub node: String,
    /// Its name.
    pub name: String,
    /// Its plot.
    pub plot: String,
    /// Numbered readings that have arrived, ever, each once.
    pub received: u64,
    /// Readings that are known to exist and have not, ever.
    pub missing: u64,
    /// Part of what is known to exist that has arrived, rounded down; null if nothing is.
    pub percent: Option<f64>,
    /// Part of `received` that arrived late.
    pub late: u64,
    /// Part of `received` whose record was refused. Messages that were refused as a whole are in `/api/v1/refused`.
    pub refused: u64,
    /// Readings without a number.
    pub unnumbered: u64,
    /// Readings that the node says it overwrote because its outbox was full, as of its last hello.
    pub dropped: Option<u32>,
    /// How much of `missing` that explains at most.
    pub missing_dropped: u64,
    /// What remains of `dropped`: arrived all the same, or lost where the sequence does not show it.
    pub dropped_unseen: u64,
    /// In the sums, and in no day.
    pub undated: Undated,
    /// Missing in the days asked for.
    pub window_missing: u64,
    /// The days asked for, each of them, ascending.
    pub days: Vec<DayAccount>,
    /// Missing ranges that touch these days, newest first; those without a time at the end.
    pub missing_ranges: Vec<MissingRange>,
    /// How many more there are.
    pub missing_ranges_left_off: usize,
}

/// What an account is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LedgerHeading)]
pub struct Heading {
    /// When it was drawn up.
    pub now: Millis,
    /// First day.
    #[schema(example = "2026-11-11")]
    pub from: String,
    /// Last day.
    #[schema(example = "2026-11-24")]
    pub to: String,
    /// A reading that arrives longer than this after it was taken is late.
    pub late_after_ms: Millis,
    /// The history before this instant was deleted by the rules of `[journal]`; null if none was.
    pub deleted_before: Option<Millis>,
}

/// The accounts of all nodes.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Ledger)]
pub struct All {
    /// What it is about.
    #[serde(flatten)]
    pub heading: Heading,
    /// In order of id.
    pub nodes: Vec<NodeAccount>,
}

/// The account of one node with its boots.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = NodeLedger)]
pub struct One {
    /// What it is about.
    #[serde(flatten)]
    pub heading: Heading,
    /// The account.
    #[serde(flatten)]
    pub account: NodeAccount,
    /// Its boots, the newest number first.
    pub boots: Vec<BootAccount>,
    /// How many more there are.
    pub boots_left_off: usize,
}

/// What a node said of itself in its last hello.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Said {
    boot: Option<Boot>,
    dropped: Option<u32>,
}

/// The last hello of each node.
///
/// # Errors
/// SQLite's.
pub fn hellos(c: &Connection) -> rusqlite::Result<HashMap<NodeNum, Said>> {
    let said = |body: &[u8]| {
        Hello::decode(body).map_or_else(
            |_| Said::default(),
            |h| Said {
                boot: h.boot,
                dropped: h.dropped,
            },
        )
    };
    c.prepare_cached("SELECT node, body FROM hello")?
        .query_map([], |r| {
            Ok((r.get(0)?, said(r.get_ref(1)?.as_blob().unwrap_or_default())))
        })?
        .collect()
}

fn percent(received: u64, missing: u64) -> Option<f64> {
    let expected = u128::from(received) + u128::from(missing);
    let tenths = (u128::from(received) * 1_000).checked_div(expected)?;
    Some(tenths as f64 / 10.0)
}

fn days(
    book: &Book,
    holes: &[Dated],
    window: Window,
    deleted_before: Option<Millis>,
) -> Vec<DayAccount> {
    let missing = dating::by_day(holes, window);
    let account = |day| {
        let t = book.days.get(&day).copied().unwrap_or_default();
        let missing = missing.get(&day).copied().unwrap_or_default();
        DayAccount {
            day: date(day),
            received: t.received,
            missing,
            expected: t.received + missing,
            percent: percent(t.received, missing),
            late: t.late,
            refused: t.refused,
            unnumbered: t.unnumbered,
            history: DayHistory::of(day, deleted_before),
        }
    };
    (window.from..=window.to).map(account).collect()
}

fn account(
    node: &Node,
    book: &Book,
    said: Said,
    (window, deleted_before): (Window, Option<Millis>),
    most: usize,
) -> NodeAccount {
    let holes = dating::holes(book);
    let days = days(book, &holes, window, deleted_before);
    let received = book.boots.values().map(|r| r.received()).sum::<u64>();
    let missing = book.boots.values().map(|r| r.missing()).sum::<u64>();
    let own = |boot: Boot| {
        said.boot
            .is_some_and(|b| incarnation(b) == incarnation(boot))
    };
    let in_incarnation: u64 = book
        .boots
        .iter()
        .filter(|(boot, _)| own(**boot))
        .map(|(_, r)| r.missing())
        .sum();
    let dropped = u64::from(said.dropped.unwrap_or_default());
    let missing_dropped = dropped.min(in_incarnation);
    let touches = |h: &&Dated| {
        h.span()
            .is_none_or(|(a, b)| farm_day(b) >= window.from && farm_day(a) <= window.to)
    };
    let mut listed: Vec<&Dated> = holes.iter().filter(touches).collect();
    listed.sort_by_key(|h| std::cmp::Reverse((h.span().map(|s| s.1), h.boot, h.hole.lo)));
    let range = |h: &&Dated| MissingRange {
        boot: h.boot,
        from: h.hole.lo,
        through: h.hole.hi,
        count: h.hole.count(),
        after: h.hole.after,
        before: h.hole.before,
    };
    let Tally {
        received: dated,
        late,
        refused,
        unnumbered,
    } = book.total;
    NodeAccount {
        node: node.id.clone(),
        name: node.name.clone(),
        plot: node.plot.clone(),
        received,
        missing,
        percent: percent(received, missing),
        late,
        refused,
        unnumbered,
        dropped: said.dropped,
        missing_dropped,
        dropped_unseen: dropped - missing_dropped,
        undated: Undated {
            received: received.saturating_sub(dated),
            missing: holes
                .iter()
                .filter(|h| h.span().is_none())
                .map(|h| h.hole.count())
                .sum(),
        },
        window_missing: days.iter().map(|d| d.missing).sum(),
        days,
        missing_ranges: listed.iter().take(most).map(range).collect(),
        missing_ranges_left_off: listed.len().saturating_sub(most),
    }
}

fn boots(book: &Book) -> Vec<BootAccount> {
    let boot = |(&boot, ranges): (&Boot, &journal::ledger::Ranges)| BootAccount {
        boot,
        received: ranges.received(),
        missing: ranges.missing(),
        through: ranges.as_slice().last().map_or(0, |r| r.hi),
        first_at: ranges.as_slice().first().and_then(|r| r.lo_at),
        last_at: ranges.as_slice().last().and_then(|r| r.hi_at),
    };
    book.boots.iter().rev().take(BOOTS).map(boot).collect()
}

fn heading(window: Window, deleted_before: Option<Millis>, now: Millis) -> Heading {
    Heading {
        now,
        from: date(window.from),
        to: date(window.to),
        late_after_ms: LATE_MS,
        deleted_before,
    }
}

impl All {
    /// Draws up the accounts of all nodes that are known.
    #[must_use]
    pub fn of(
        known: &Registry,
        books: &HashMap<NodeNum, Book>,
        hellos: &HashMap<NodeNum, Said>,
        window: Window,
        deleted_before: Option<Millis>,
        now: Millis,
    ) -> Self {
        let none = Book::default();
        let account = |n: &std::sync::Arc<Node>| {
            let said = hellos.get(&n.num).copied().unwrap_or_default();
            let book = books.get(&n.num).unwrap_or(&none);
            account(n, book, said, (window, deleted_before), FEW_RANGES)
        };
        Self {
            heading: heading(window, deleted_before, now),
            nodes: known.nodes.iter().map(account).collect(),
        }
    }
}

impl One {
    /// Draws up the account of one node.
    #[must_use]
    pub fn of(
        node: &Node,
        book: &Book,
        said: Said,
        window: Window,
        deleted_before: Option<Millis>,
        now: Millis,
    ) -> Self {
        Self {
            heading: heading(window, deleted_before, now),
            account: account(node, book, said, (window, deleted_before), MANY_RANGES),
            boots: boots(book),
            boots_left_off: book.boots.len().saturating_sub(BOOTS),
        }
    }
}

/// The account can't be drawn up from the file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is no journal.
    #[error("no journal at {0}; name the gateway's configuration or its data directory")]
    Absent(PathBuf),
    /// Written by a version without this ledger.
    #[error("{0} was written by an older version; start the gateway once to bring it up to date")]
    Old(PathBuf),
    /// Its schema is a newer one.
    #[error(transparent)]
    Newer(#[from] journal::contents::Unusable),
    /// No such node.
    #[error("no node `{0}`; `sen ledger` without --node lists them")]
    NoSuchNode(String),
    /// Reading.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<rusqlite::Error> for FileError {
    fn from(e: rusqlite::Error) -> Self {
        Self::Read(e.into())
    }
}

/// Accounts drawn up from a journal's file.
#[derive(Debug)]
pub enum FromFile {
    /// Of all nodes.
    All(All),
    /// Of the one that was asked for.
    One(Box<One>),
}

/// Draws up accounts from the file alone, beside a gateway that may be running.
///
/// # Errors
/// [`FileError`].
pub fn from_file(
    dir: &Path,
    node: Option<&str>,
    window: Window,
    now: Millis,
) -> Result<FromFile, FileError> {
    let path = dir.join("sen.db");
    if !path.exists() {
        return Err(FileError::Absent(path));
    }
    let c = journal::open_reader(&path)?;
    let version: i64 = c.query_row("PRAGMA user_version", [], |r| r.get(0))?;
    journal::contents::not_newer(version, &path)?;
    if version < journal::LEDGER_VERSION {
        return Err(FileError::Old(path));
    }
    let known = Registry::load(&c)?;
    let node = match node {
        Some(id) => Some(
            known
                .node(id)
                .ok_or_else(|| FileError::NoSuchNode(id.to_owned()))?,
        ),
        None => None,
    };
    let books = books_of(&c, node.map(|n| n.num), window.from)?;
    let hellos = hellos(&c)?;
    let deleted = deleted_before(&c)?;
    Ok(match node {
        Some(node) => {
            let book = books.get(&node.num).cloned().unwrap_or_default();
            let said = hellos.get(&node.num).copied().unwrap_or_default();
            FromFile::One(Box::new(One::of(node, &book, said, window, deleted, now)))
        }
        None => FromFile::All(All::of(&known, &books, &hellos, window, deleted, now)),
    })
}

#[cfg(test)]
mod tests;
