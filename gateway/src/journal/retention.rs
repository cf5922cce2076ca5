//! What the journal keeps, what goes when, and what happens when the disk is full.
//!
//! Rules, in this order; each runs in small steps through the writer, between uplinks (`plan::next`):
//!
//! 1. **Age.** History older than `keep_days` goes, whole days, the oldest first.
//! 2. **Room.** While the journal holds more than `max_size`, or less than `keep_free` is left, the oldest days of history
//!    go, down to `least_days`.
//! 3. **The floor.** Only when less than `keep_free` is left even then, the oldest rows go that a sink has not sent yet:
//!    folded ones only, so each of their readings is in the history here; what InfluxDB lacks is counted, logged,
//!    and shown by `/health` for good. A log over `max_size` on a disk that has room costs nothing but a warning.
//! 4. **At last** history younger than `least_days`, never that of the last `plan::LAST_DAYS` days.
//!
//! A lagging sink is warned about at 50 % and 80 % of the room that it may take, with the hours that are left.
//! For `keep_free` a journal below an eighth of `max_size` gives up nothing: it is not what fills the disk.
//!
//! **Why unsent rows go rather than acknowledgements stop.** They are a second copy, of readings that are in the history
//! already. Nodes that get no receipts fill their outboxes and overwrite readings that are nowhere else, and the farm's
//! page and alerts would stand still, all for the sake of a database that has been dead for months.
//!
//! **Disk full.** Readings are held off: no receipts, nodes keep theirs. The reserve ([`crate::disk`]) is given back, so
//! that sinks, trimming and the rules above go on; when there is room the reserve is taken again and readings come in.
//!
//! **The file.** Deleting leaves free pages, which the journal writes next; sizes here do not count them. What is more
//! than a quarter of the file goes back to the file system page by page (`auto_vacuum = INCREMENTAL`), and all of it when
//! the file system is short. A file made by an early version has no such pages: its free pages are only written again.
//! To convert it, stop Sen, have as much room as the file is large, and run
//! `sqlite3 sen.db "PRAGMA auto_vacuum = INCREMENTAL; VACUUM"`.
//!
//! Pages of neighbouring days are shared, so history makes room in strides of up to two thirds of a page a channel: about
//! that much more than asked for may go. The ledger keeps its account of days whose history is gone.
//!
//! What was given up stands in `mark` as `given_up_{rows,readings,first,last,at}:<cursor>`. A batch that was on its way to
//! the server when its rows were given up is counted although it may still arrive.
//! `history_deleted` is the instant before which history was deleted: the ledger's days show it.
//!
//! A sink that has left gaps ([`super::cursor`]) waits for what lies in them; what lies between has been sent and is trimmed,
//! so it goes before anything that is still to be sent.

mod plan;
mod sql;

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::files::beside;
use super::writer::lock;
use super::{Journal, ReadError, StoreError};
use crate::clock::Clock;
use crate::config::Keep;
use crate::disk::{self, Reserve, bytes};
use crate::reading::{DAY_MS, HOUR_MS, Millis};
use plan::{Limits, Scene, Step};
use sql::File;

pub use sql::GivenUp;
pub(crate) use sql::deleted_before;
pub(super) use sql::is_mark;

/// How often the figures are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// Steps of one round; then the figures are taken anew.
const STEPS: usize = 200;
/// The oldest day is looked up this often, after each fold, and whenever history has to go.
const OLDEST_EVERY: Millis = 10 * 60_000;
/// Free pages that stay in the file, at least: it is going to need them again.
const SPARE: u64 = 16 << 20;
/// A write-ahead log longer than this is held up by somebody who reads.
const LONG_WAL: u64 = 128 << 20;
/// An I/O error with less than this free is a full disk: SQLite says so when its shared memory can't grow.
const NOTHING: u64 = 256 << 10;
/// Growth of a lag is judged over at least and at most this long.
const SLOPE: (Millis, Millis) = (10 * 60_000, 6 * HOUR_MS);
/// What was given up is a problem for this long; the figures stay.
const RECENT: Millis = 7 * DAY_MS;

/// Retention stopped half-way; it goes on in the next round.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the file system can't be asked for its room: {0}")]
    Room(#[from] std::io::Error),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The journal's disk, for people and programs.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Status {
    /// Since when readings are held off because the disk is full.
    pub full_since: Option<Millis>,
    /// Bytes that can still be written on the file system of `data_dir`.
    pub free_bytes: u64,
    /// Bytes that stay free: below it old history goes, then unsent readings.
    pub keep_free_bytes: u64,
    /// What the journal holds.
    pub used_bytes: u64,
    /// What it may hold.
    pub max_bytes: u64,
    /// Free pages in its file.
    pub spare_bytes: u64,
    /// The write-ahead log beside it.
    pub wal_bytes: u64,
    /// Start of the oldest day that has folded history.
    pub oldest_at: Option<Millis>,
    /// The rules of `[journal]` have deleted the history before this instant; the ledger's account of it stays.
    pub deleted_before: Option<Millis>,
    /// What waits for each sink.
    pub cursors: Vec<Waiting>,
    /// What is wrong, for people; part of the problems of `/health`.
    #[serde(skip)]
    pub problems: Vec<String>,
}

/// What the log keeps for one sink.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Waiting {
    /// The sink.
    pub name: String,
    /// Uplinks that it has not sent.
    pub rows: u64,
    /// How much of the room that they may take they do.
    pub room_pct: u64,
    /// At the growth of the last hours, when that is used up.
    pub hours_left: Option<u64>,
    /// What it will never send: given up for lack of room. It is in the history here.
    pub given_up: GivenUp,
}

/// Shared with the web side.
#[derive(Debug, Clone, Default)]
pub struct SharedStatus(Arc<Mutex<Status>>);

impl SharedStatus {
    /// The state of the last look.
    #[must_use]
    pub fn get(&self) -> Status {
        lock(&self.0).clone()
    }
}

/// Keeps the journal within its bounds.
#[derive(Debug)]
pub struct Retention {
    journal: Journal,
    dir: PathBuf,
    keep: Keep,
    clock: Clock,
    reserve: Reserve,
    status: SharedStatus,
    /// Readers of the log that are no sinks: nothing of theirs leaves the gateway.
    own: &'static [&'static str],
    full_since: Option<Millis>,
    oldest: Option<i64>,
    oldest_looked: Option<Millis>,
    /// The fold after which that was.
    settled: i64,
    /// When and how much the log held for sinks.
    lag: VecDeque<(Millis, u64)>,
    /// The warning that each cursor has had, in percent.
    warned: HashMap<String, u64>,
}

/// Gives the reserve back if the disk is full already, so that the journal can be opened. Call before that.
pub fn make_way(dir: &Path) {
    if let Ok(reserve) = Reserve::in_dir(dir)
        && disk::room(dir).is_ok_and(|r| r.free < reserve.size() / 4)
    {
        reserve.release();
    }
}

impl Retention {
    /// For a journal in `dir`. Of its readers those in `own` are no sinks: they are in no report. If there is next to no
    /// room, readings are held off from the start.
    ///
    /// # Errors
    /// The file system can't be asked for its room.
    pub fn new(
        journal: Journal,
        dir: &Path,
        keep: Keep,
        clock: Clock,
        status: SharedStatus,
        own: &'static [&'static str],
    ) -> std::io::Result<Self> {
        let reserve = Reserve::in_dir(dir)?;
        let mut retention = Self {
            journal,
            dir: dir.to_path_buf(),
            keep,
            clock,
            reserve,
            status,
            own,
            full_since: None,
            oldest: None,
            oldest_looked: None,
            settled: 0,
            lag: VecDeque::new(),
            warned: HashMap::new(),
        };
        if !retention.reserve.take() && disk::room(dir)?.free < retention.reserve.size() * 5 / 4 {
            retention.hold_off();
        }
        Ok(retention)
    }

    /// Runs until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut failing = self.journal.0.shared.failing.subscribe();
        let mut failed = false;
        loop {
            match self.round().await {
                Ok(()) => failed = false,
                Err(e) if !failed => {
                    tracing::warn!("retention put off: {e}");
                    failed = true;
                }
                Err(_) => {}
            }
            // A disk that gets full is noticed at once; while it is, looking now and then is enough.
            let noticed = async {
                if self.full_since.is_some() || failing.wait_for(is_full).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
                () = noticed => {}
            }
        }
    }

    async fn round(&mut self) -> Result<(), Trouble> {
        self.notice_full()?;
        let total = disk::room(&self.dir)?.total;
        let limits = Limits::of(&self.keep, total);
        let now = self.clock.now();
        let mut file = self.journal.read(sql::measure).await?;
        let mut scene = self.scene(&file, now)?;
        let pressed = scene.full || scene.used > limits.max_size || scene.room < limits.keep_free;
        if pressed && file.passed {
            while self.journal.trim().await? {}
            file = self.journal.read(sql::measure).await?;
            scene = self.scene(&file, now)?;
        }
        let due = file.settled != self.settled
            || self.oldest_looked.is_none_or(|at| now - at >= OLDEST_EVERY);
        self.settled = file.settled;
        if due || plan::next(&limits, &scene) == Step::Day {
            scene.oldest = self.look_up_oldest(now).await?;
        }
        let idle = self.clear(&limits, &mut scene, now).await?;
        self.bound_letters(now).await?;
        let file = self.journal.read(sql::measure).await?;
        self.shrink(&file, &limits).await?;
        self.let_in(&file);
        let file = self.journal.read(sql::measure).await?;
        let scene = self.scene(&file, now)?;
        self.report(&file, &scene, &limits, idle, now)
    }

    fn scene(&self, file: &File, now: Millis) -> std::io::Result<Scene> {
        let free = disk::room(&self.dir)?.free;
        // The reserve is owed, not room.
        let owed = if self.reserve.is_taken() {
            0
        } else {
            self.reserve.size()
        };
        Ok(Scene {
            today: now.div_euclid(DAY_MS),
            oldest: self.oldest,
            used: file.used(),
            room: (free + file.spare()).saturating_sub(owed),
            held: file.held(),
            full: self.full_since.is_some(),
        })
    }

    /// Takes what the rules say, a step at a time. Says whether they are through: nothing more has to go, or may.
    async fn clear(
        &mut self,
        limits: &Limits,
        scene: &mut Scene,
        now: Millis,
    ) -> Result<bool, Trouble> {
        for _ in 0..STEPS {
            let gone = match plan::next(limits, scene) {
                Step::Nothing => return Ok(true),
                Step::Day => self.delete_oldest_day(scene.oldest).await?,
                Step::Rows => {
                    let gone = self.give_up(now).await?;
                    scene.held = scene.held.saturating_sub(gone);
                    gone
                }
            };
            // Pages become free later than what is on them goes: counting what went keeps a round from taking too much.
            scene.used = scene.used.saturating_sub(gone);
            scene.room = scene.room.saturating_add(gone);
            if gone == 0 {
                return Ok(true);
            }
            if plan::next(limits, scene) == Step::Day {
                scene.oldest = self.look_up_oldest(now).await?;
            }
        }
        Ok(false)
    }

    async fn look_up_oldest(&mut self, now: Millis) -> Result<Option<i64>, Trouble> {
        let firsts = self.journal.read(sql::first_days).await?;
        self.oldest = firsts.iter().map(|f| f.2).min();
        self.oldest_looked = Some(now);
        Ok(self.oldest)
    }

    async fn delete_oldest_day(&mut self, oldest: Option<i64>) -> Result<u64, Trouble> {
        let Some(oldest) = oldest else { return Ok(0) };
        let firsts = self.journal.read(sql::first_days).await?;
        let mut gone = 0;
        let of_day: Vec<_> = firsts.into_iter().filter(|f| f.2 <= oldest).collect();
        for keys in of_day.chunks(sql::BLOCKS) {
            let keys = keys.to_vec();
            gone += self
                .journal
                .write(move |c| sql::delete_blocks(c, &keys))
                .await?;
        }
        self.oldest = None;
        self.oldest_looked = None;
        metrics::counter!("sen_history_days_deleted_total").increment(1);
        tracing::info!("history of {} deleted ({})", day_name(oldest), bytes(gone));
        Ok(gone)
    }

    async fn give_up(&self, now: Millis) -> Result<u64, Trouble> {
        let (lost, gone) = self.journal.write(move |c| sql::give_up(c, now)).await?;
        for (cursor, rows, readings) in lost {
            if self.own.contains(&cursor.as_str()) {
                tracing::warn!(
                    "{cursor}: {readings} readings went for lack of room before it was written down that they have been seen"
                );
                continue;
            }
            tracing::error!(
                "{cursor}: {readings} readings ({rows} uplinks) given up for lack of room: it will never get them; they are in the history here"
            );
        }
        Ok(gone)
    }

    async fn bound_letters(&self, now: Millis) -> Result<(), Trouble> {
        for table in sql::BOUNDED {
            while self
                .journal
                .read(move |c| Ok(table.is_over(c, now)?))
                .await?
            {
                let gone = self.journal.write(move |c| table.trim(c, now)).await?;
                metrics::counter!("sen_journal_dropped_total", "table" => table.name)
                    .increment(gone);
                if gone == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Gives free pages back to the file system, as far as they are too many or it is short.
    async fn shrink(&self, file: &File, limits: &Limits) -> Result<(), Trouble> {
        let short = self.full_since.is_some() || disk::room(&self.dir)?.free < limits.keep_free;
        let stays = if short { 0 } else { SPARE.max(file.used() / 3) };
        let excess = file.spare().saturating_sub(stays);
        if file.incremental && (short && excess > 0 || excess > SPARE / 4) {
            let pages = excess / file.page_size.max(1);
            for _ in 0..pages.div_ceil(sql::PAGES).min(STEPS as u64) {
                self.journal.write(sql::vacuum).await?;
            }
        } else if self.full_since.is_none() {
            return Ok(());
        }
        // The file shrinks when the write-ahead log is copied into it. A full disk needs that log's room, too.
        let (path, full) = (self.journal.0.files.path.clone(), self.full_since.is_some());
        let copied = tokio::task::spawn_blocking(move || sql::checkpoint(&path, full)).await;
        if let Ok(Err(e)) = copied {
            tracing::debug!("checkpoint: {e}");
        }
        Ok(())
    }

    /// A commit that failed for lack of room: from now on readings are held off.
    fn notice_full(&mut self) -> std::io::Result<()> {
        let full = match self.journal.commit_failing() {
            Some(StoreError::Full) => true,
            Some(StoreError::Io(_)) => disk::room(&self.dir)?.free < NOTHING,
            _ => false,
        };
        if full && self.full_since.is_none() {
            self.hold_off();
        }
        Ok(())
    }

    fn hold_off(&mut self) {
        self.journal.hold(true);
        self.reserve.release();
        self.full_since = Some(self.clock.now());
        tracing::error!("{}", StoreError::Full);
    }

    /// Takes the reserve if it is not there; when it is, readings come in again.
    fn let_in(&mut self, file: &File) {
        let taken = self.reserve.take();
        // A file that can't shrink has its room inside.
        let inside = !file.incremental && file.spare() >= 4 * self.reserve.size();
        if (taken || inside)
            && let Some(since) = self.full_since.take()
        {
            self.journal.hold(false);
            tracing::warn!(
                "there is room again: readings are stored; for {} s they were not",
                (self.clock.now() - since) / 1_000
            );
        }
    }

    fn report(
        &mut self,
        file: &File,
        scene: &Scene,
        limits: &Limits,
        idle: bool,
        now: Millis,
    ) -> Result<(), Trouble> {
        let free = disk::room(&self.dir)?.free;
        let wal =
            std::fs::metadata(beside(&self.journal.0.files.path, "-wal")).map_or(0, |m| m.len());
        let mut problems = Vec::new();
        if scene.room < limits.keep_free && !scene.full {
            problems.push(format!(
                "{} free on the file system of data_dir, less than keep_free ({}); make room there",
                bytes(free),
                bytes(limits.keep_free)
            ));
        }
        if idle && scene.used.saturating_sub(scene.held) > limits.max_size {
            problems.push(format!(
                "the journal holds {}, more than max_size ({}), and nothing more may be deleted; raise max_size",
                bytes(scene.used),
                bytes(limits.max_size)
            ));
        }
        if wal > LONG_WAL {
            problems.push(format!(
                "the journal's write-ahead log has grown to {}: something has been reading sen.db for long; end it",
                bytes(wal)
            ));
        }
        let hours_left = self.hours_left(scene, limits, now);
        let cursors = file
            .cursors
            .iter()
            .filter(|c| !self.own.contains(&c.name.as_str()))
            .map(|c| self.waiting(c, scene, limits, hours_left, now, &mut problems))
            .collect();
        let status = Status {
            full_since: self.full_since,
            free_bytes: free,
            keep_free_bytes: limits.keep_free,
            used_bytes: scene.used,
            max_bytes: limits.max_size,
            spare_bytes: file.spare(),
            wal_bytes: wal,
            oldest_at: self.oldest.map(|day| day * DAY_MS),
            deleted_before: file.deleted_before,
            cursors,
            problems,
        };
        gauges(&status);
        *lock(&self.status.0) = status;
        Ok(())
    }

    /// Hours until the lag has used up its room, at its growth since the first sample.
    fn hours_left(&mut self, scene: &Scene, limits: &Limits, now: Millis) -> Option<u64> {
        if self.lag.back().is_none_or(|(at, _)| now - at >= 60_000) {
            self.lag.push_back((now, scene.held));
        }
        // A sink that catches up starts the count anew.
        if self.lag.back().is_some_and(|(_, held)| *held > scene.held) {
            self.lag.clear();
        }
        while self.lag.front().is_some_and(|(at, _)| now - at > SLOPE.1) {
            self.lag.pop_front();
        }
        let &(at, held) = self.lag.front()?;
        let (took, grown) = (now - at, scene.held.saturating_sub(held));
        if took < SLOPE.0 || grown == 0 {
            return None;
        }
        let left = limits.lag_room(scene).saturating_sub(scene.held);
        let hours = left as f64 / grown as f64 * took as f64 / HOUR_MS as f64;
        Some(hours as u64)
    }

    fn waiting(
        &mut self,
        cursor: &sql::Cursor,
        scene: &Scene,
        limits: &Limits,
        hours_left: Option<u64>,
        now: Millis,
        problems: &mut Vec<String>,
    ) -> Waiting {
        let given_up = cursor.given_up;
        if given_up.readings > 0 && given_up.at.is_some_and(|at| now - at < RECENT) {
            problems.push(format!(
                "{}: {} readings given up for lack of room, it will never get them; they are in the history here",
                cursor.name, given_up.readings
            ));
        }
        let room_pct = scene.held * 100 / limits.lag_room(scene).max(1);
        let level = match room_pct {
            _ if scene.held <= limits.share() => 0,
            80.. => 80,
            50.. => 50,
            _ => 0,
        };
        let before = self.warned.insert(cursor.name.clone(), level);
        if level > 0 {
            let hours =
                hours_left.map_or_else(String::new, |h| format!(", at this rate for {h} h"));
            let problem = format!(
                "{}: what waits for it takes {} and {room_pct} % of its room{hours}; then the oldest history goes, and when the disk is short what it has not got; bring it back or take [{}] out",
                cursor.name,
                bytes(scene.held),
                cursor.name
            );
            if level > before.unwrap_or(0) {
                tracing::warn!("{problem}");
            }
            problems.push(problem);
        }
        Waiting {
            name: cursor.name.clone(),
            rows: cursor.rows,
            room_pct,
            hours_left,
            given_up,
        }
    }
}

fn is_full(failing: &Option<StoreError>) -> bool {
    matches!(failing, Some(StoreError::Full | StoreError::Io(_)))
}

fn day_name(day: i64) -> String {
    chrono::DateTime::from_timestamp_millis(day * DAY_MS)
        .map_or_else(|| day.to_string(), |d| d.date_naive().to_string())
}

fn gauges(s: &Status) {
    let set = |name: &'static str, value: u64| metrics::gauge!(name).set(value as f64);
    set("sen_disk_full", s.full_since.is_some().into());
    set("sen_disk_free_bytes", s.free_bytes);
    set("sen_journal_used_bytes", s.used_bytes);
    set("sen_journal_spare_bytes", s.spare_bytes);
    set("sen_journal_wal_bytes", s.wal_bytes);
    set(
        "sen_journal_oldest_seconds",
        (s.oldest_at.unwrap_or(0) / 1_000).unsigned_abs(),
    );
    for c in &s.cursors {
        let of = |name: &'static str| metrics::gauge!(name, "sink" => c.name.clone());
        of("sen_sink_rows_held").set(c.rows as f64);
        of("sen_sink_room_percent").set(c.room_pct as f64);
        // From the journal, so it survives a restart.
        metrics::counter!("sen_sink_given_up_total", "sink" => c.name.clone())
            .absolute(c.given_up.readings);
    }
}

#[cfg(test)]
mod tests;
