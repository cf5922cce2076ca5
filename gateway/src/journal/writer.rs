//! The one thread that writes: it takes what has queued up, commits it as one group with one fsync, then answers.
//!
//! Invariants: nobody is answered `Ok` before the commit has returned; a group that fails leaves the ledger as it was;
//! a job that fails by itself (a constraint) does not fail its neighbours.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use tokio::sync::{mpsc, oneshot, watch};

use super::counts::Counts;
use super::cursor;
use super::days::{self, Days, Tally};
use super::files::{self, Files, is_damage};
use super::ledger::{Boot, Ledger, Range, Seam};
use super::salvage::{self, Damage};
use super::{StoreError, record, replay, settled};
use crate::reading::{Day, Millis, NodeNum, Reading};

/// Most jobs in one commit: bounds how long the first of them waits.
const GROUP_JOBS: usize = 1_024;
/// Commits of few jobs keep this distance: a message that comes alone is committed at once, a steady trickle shares fsyncs.
const SPACING: Duration = Duration::from_millis(5);
/// Jobs that are enough company not to wait for more.
const COMPANY: usize = 32;
/// First wait for company; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_micros(150);
/// Rows after which the ledger is written out, so that a start replays no more than these.
const LEDGER_EVERY: i64 = 50_000;
/// A check of the whole file keeps appends waiting: not more often than this.
const CHECK_EVERY: Duration = Duration::from_secs(600);
/// Log rows deleted in one commit: after months without its server a sink has millions behind it.
const TRIM_ROWS: i64 = 5_000;

/// One uplink to store.
#[derive(Debug)]
pub struct Uplink {
    /// Who sent it.
    pub node: NodeNum,
    /// When it arrived.
    pub received: Millis,
    /// Boot and sequence number of the first reading; `None` for devices that do not number.
    pub place: Option<(Boot, u32)>,
    /// Its readings in sequence; never empty.
    pub readings: Vec<Reading>,
}

/// What became of an uplink, after the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Readings that are new.
    pub fresh: u32,
    /// Readings that were there already.
    pub repeated: u32,
    /// For numbered uplinks: the run of arrived places around it, what a receipt may say.
    pub receipt: Option<Range>,
}

/// Runs inside the group's transaction (or learns why there is none); says whether it succeeded, and what to do when
/// the commit is decided.
pub(super) type Exec = Box<dyn FnOnce(Result<&Connection, StoreError>) -> (bool, Finish) + Send>;
/// Called once with the group's fate.
pub(super) type Finish = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

pub(super) enum Job {
    Append(Uplink, oneshot::Sender<Result<Stored, StoreError>>),
    Exec(Exec),
    /// Write the ledger out, then delete some log rows that no one needs any more; says whether there are more.
    Trim(oneshot::Sender<Result<bool, StoreError>>),
    Close(oneshot::Sender<()>),
}

/// Log rows of each node that are not folded yet, ascending: what a history query has to look at beside the blocks.
#[derive(Debug, Default)]
pub(super) struct Tail(HashMap<NodeNum, Vec<i64>>, u64);

impl Tail {
    pub(super) fn push(&mut self, node: NodeNum, id: i64) {
        self.0.entry(node).or_default().push(id);
        self.1 += 1;
    }

    pub(super) fn of(&self, node: NodeNum) -> Vec<i64> {
        self.0.get(&node).cloned().unwrap_or_default()
    }

    pub(super) fn rows(&self) -> u64 {
        self.1
    }

    pub(super) fn folded(&mut self, upto: i64) {
        self.0.retain(|_, ids| {
            let gone = ids.partition_point(|&id| id <= upto);
            ids.drain(..gone);
            self.1 -= gone as u64;
            if ids.capacity() > 64 && ids.capacity() > ids.len() * 4 {
                ids.shrink_to_fit();
            }
            !ids.is_empty()
        });
    }
}

/// What the writer shares with readers.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) ledger: Mutex<Ledger>,
    pub(super) tail: Mutex<Tail>,
    pub(super) counts: Counts,
    pub(super) head: watch::Sender<i64>,
    pub(super) failing: watch::Sender<Option<StoreError>>,
    /// Someone has come upon a page that can't be one: the writer looks at the whole file next.
    pub(super) suspect: AtomicBool,
    /// Counts the files that were put in each other's place.
    pub(super) generation: AtomicU64,
    pub(super) damage: Mutex<Vec<Damage>>,
    /// Appends are held off.
    pub(super) held: AtomicBool,
}

impl Shared {
    pub(super) fn suspect_if(&self, e: &rusqlite::Error) {
        if is_damage(e) {
            self.suspect.store(true, Ordering::Release);
        }
    }
}

pub(super) fn lock<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic elsewhere must not silence the journal: every update below leaves its data whole.
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct Writer {
    pub(super) conn: Connection,
    pub(super) files: Files,
    pub(super) shared: Arc<Shared>,
    /// The last id given.
    pub(super) head: i64,
    /// Boots whose ranges are newer than the table.
    pub(super) dirty: HashSet<(NodeNum, Boot)>,
    /// What the group has counted by day, to take it back if its commit fails.
    pub(super) counted: Vec<(NodeNum, Day, Tally)>,
    /// What the group has written of the ledger.
    pub(super) written: Option<Written>,
    /// When the whole file was last looked at.
    pub(super) checked: Option<Instant>,
    /// The damaged file is closed, and the new one not open yet.
    pub(super) adrift: bool,
}

/// Left to the tables, and taken back if the commit fails.
#[derive(Debug)]
pub(super) struct Written {
    days: Days,
    dirty: HashSet<(NodeNum, Boot)>,
}

/// A row that the group has written, until its commit is decided.
struct Staged {
    node: NodeNum,
    id: i64,
    place: Option<(Boot, Range, Seam)>,
}

type Answer = Box<dyn FnOnce(&Result<(), StoreError>) + Send>;

/// Waits for company until the group is worth a commit or the last one is long enough ago.
fn gather(jobs: &mut mpsc::Receiver<Job>, group: &mut Vec<Job>, last: Instant) {
    let mut wait = FIRST_WAIT;
    loop {
        while group.len() < GROUP_JOBS
            && let Ok(job) = jobs.try_recv()
        {
            group.push(job);
        }
        let left = SPACING.saturating_sub(last.elapsed());
        let closing = group.iter().any(|j| matches!(j, Job::Close(_)));
        if group.len() >= COMPANY || left.is_zero() || closing {
            return;
        }
        std::thread::sleep(wait.min(left));
        wait *= 2;
    }
}

impl Writer {
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut group = Vec::with_capacity(GROUP_JOBS);
        let mut last: Option<Instant> = None;
        loop {
            if jobs.blocking_recv_many(&mut group, GROUP_JOBS) == 0 {
                break;
            }
            if let Some(last) = last {
                gather(&mut jobs, &mut group, last);
            }
            last = Some(Instant::now());
            let mut closing = None;
            let mut batch = Vec::with_capacity(group.len());
            for job in group.drain(..) {
                match job {
                    Job::Close(done) => closing = Some(done),
                    job => batch.push(job),
                }
            }
            if !batch.is_empty() {
                self.commit(batch);
            }
            if let Some(done) = closing {
                // Best effort: a ledger that is not written out is rebuilt from the log.
                if let Err(e) = self.write_ledger_now() {
                    tracing::warn!("ledger not written out at the stop: {e}");
                }
                let _ = self.conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
                drop(self);
                let _ = done.send(());
                return;
            }
        }
    }

    fn commit(&mut self, batch: Vec<Job>) {
        let started = Instant::now();
        let head_before = self.head;
        self.counted.clear();
        let mut staged = Vec::with_capacity(batch.len());
        let mut answers: Vec<Answer> = Vec::with_capacity(batch.len());
        let outcome = self.group(batch, &mut staged, &mut answers);
        match &outcome {
            Ok(()) => {
                if self.head != head_before {
                    let mut tail = lock(&self.shared.tail);
                    for s in &staged {
                        tail.push(s.node, s.id);
                    }
                    drop(tail);
                    self.shared.head.send_replace(self.head);
                }
                self.written = None;
                self.shared.failing.send_if_modified(|f| f.take().is_some());
                metrics::histogram!("sen_journal_commit_seconds")
                    .record(started.elapsed().as_secs_f64());
                metrics::counter!("sen_journal_commits_total").increment(1);
            }
            Err(e) => {
                self.take_back_written();
                let mut ledger = lock(&self.shared.ledger);
                // The last one first: its seam is what the one before it left.
                for s in staged.iter().rev() {
                    if let Some((boot, (lo, hi), seam)) = s.place {
                        ledger.boot_mut(s.node, boot).remove(lo, hi, seam);
                    }
                }
                for (node, day, tally) in &self.counted {
                    ledger.days.subtract(*node, *day, tally);
                }
                drop(ledger);
                self.head = head_before;
                metrics::counter!("sen_journal_commit_failures_total").increment(1);
                self.shared
                    .failing
                    .send_if_modified(|f| f.replace(e.clone()).as_ref() != Some(e));
            }
        }
        for answer in answers {
            answer(&outcome);
        }
        if self.shared.suspect.load(Ordering::Acquire) {
            self.mend();
        }
        if outcome.is_ok()
            && self.head - lock(&self.shared.ledger).days.since >= LEDGER_EVERY
            && let Err(e) = self.write_ledger_now()
        {
            tracing::warn!("ledger not written out, trying again later: {e}");
        }
    }

    /// Looks at the whole file, and makes a new one of what is whole if it is damaged.
    ///
    /// Appends wait meanwhile. None is lost by that: they are not answered, and their nodes keep them.
    fn mend(&mut self) {
        if !self.adrift {
            if self.checked.is_some_and(|at| at.elapsed() < CHECK_EVERY) {
                return;
            }
            self.checked = Some(Instant::now());
            let noticed = match files::check_all(&self.conn) {
                Ok(None) => {
                    tracing::warn!("a page of the journal could not be read, and can be now");
                    self.shared.suspect.store(false, Ordering::Release);
                    return;
                }
                Ok(Some(wrong)) => wrong,
                Err(e) => e.to_string(),
            };
            // The old file is closed first: its last connection tidies up its log by name, which would be the new one's.
            match Connection::open_in_memory() {
                Ok(none) => self.conn = none,
                Err(e) => return tracing::error!("the journal can't be mended now: {e}"),
            }
            self.adrift = true;
            if let Err(e) = salvage::salvage(&self.files, &noticed) {
                tracing::error!("{e}");
                // As it was: what can still be stored is, and in a while this is tried again.
                if let Ok(conn) = self.files.migrated() {
                    (self.conn, self.adrift) = (conn, false);
                    return;
                }
            }
        }
        let dir = self.files.dir();
        let read = |c: &Connection| Ok((replay(c)?, salvage::reports(c, dir)?));
        match self.files.open_sound(read) {
            Ok((conn, ((head, ledger, tail, dirty), damage))) => {
                (self.conn, self.head, self.dirty) = (conn, head, dirty);
                // What the last group had counted and written is in the file, or was taken back: both are counted anew.
                self.counted.clear();
                self.written = None;
                self.shared.counts.forget();
                *lock(&self.shared.ledger) = ledger;
                *lock(&self.shared.tail) = tail;
                *lock(&self.shared.damage) = damage;
                self.shared.generation.fetch_add(1, Ordering::AcqRel);
                self.shared.head.send_replace(head);
                self.shared.suspect.store(false, Ordering::Release);
                self.adrift = false;
            }
            // Without a file every append fails, and says so; the next one tries this again.
            Err(e) => tracing::error!("the journal can't be opened after mending: {e}"),
        }
    }

    /// Notes an error that means damage.
    fn failed(&self, e: rusqlite::Error) -> StoreError {
        self.shared.suspect_if(&e);
        e.into()
    }

    /// Writes the batch in one transaction. On error nothing of it is on disk.
    fn group(
        &mut self,
        batch: Vec<Job>,
        staged: &mut Vec<Staged>,
        answers: &mut Vec<Answer>,
    ) -> Result<(), StoreError> {
        let begun = self
            .conn
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(|e| self.failed(e));
        let mut failed = begun.err();
        for job in batch {
            match job {
                Job::Append(uplink, reply) => {
                    let stored = match &failed {
                        Some(e) => Err(e.clone()),
                        None => self.append(&uplink, staged).map_err(|e| self.failed(e)),
                    };
                    if let Err(e) = &stored {
                        failed.get_or_insert_with(|| e.clone());
                    }
                    answers.push(Box::new(move |outcome| {
                        let _ = reply.send(outcome.clone().and(stored));
                    }));
                }
                Job::Exec(exec) => {
                    let finish = match failed.clone() {
                        Some(e) => exec(Err(e)).1,
                        None => match self.savepoint(exec) {
                            (Ok(()), finish) => finish,
                            (Err(e), finish) => {
                                failed = Some(self.failed(e));
                                finish
                            }
                        },
                    };
                    answers.push(Box::new(move |outcome| finish(outcome.clone())));
                }
                Job::Trim(reply) => {
                    let trimmed = if failed.is_none() {
                        self.trim().map_err(|e| self.failed(e))
                    } else {
                        Ok(false)
                    };
                    if let Err(e) = &trimmed {
                        failed.get_or_insert_with(|| e.clone());
                    }
                    answers.push(Box::new(move |outcome| {
                        let _ = reply.send(outcome.clone().and(trimmed));
                    }));
                }
                Job::Close(_) => unreachable!("taken out by run()"),
            }
        }
        let result = match failed {
            None => self
                .conn
                .execute_batch("COMMIT")
                .map_err(|e| self.failed(e)),
            Some(e) => Err(e),
        };
        if result.is_err() && !self.conn.is_autocommit() {
            let _ = self.conn.execute_batch("ROLLBACK");
        }
        result
    }

    /// Runs one job so that its own failure undoes only itself.
    fn savepoint(&self, exec: Exec) -> (rusqlite::Result<()>, Finish) {
        let saved = self.conn.execute_batch("SAVEPOINT job");
        let (ok, finish) = exec(Ok(&self.conn));
        let ended = self.conn.execute_batch(if ok {
            "RELEASE job"
        } else {
            "ROLLBACK TO job; RELEASE job"
        });
        (saved.and(ended), finish)
    }

    fn append(&mut self, uplink: &Uplink, staged: &mut Vec<Staged>) -> rusqlite::Result<Stored> {
        let n = u32::try_from(uplink.readings.len()).unwrap_or(u32::MAX);
        let Some((boot, seq)) = uplink.place else {
            self.row(uplink, None, &uplink.readings)?;
            staged.push(Staged {
                node: uplink.node,
                id: self.head,
                place: None,
            });
            self.arrived(uplink, None, &uplink.readings);
            return Ok(Stored {
                fresh: n,
                repeated: 0,
                receipt: None,
            });
        };
        let last = seq.saturating_add(n - 1);
        let fresh = lock(&self.shared.ledger)
            .boot_mut(uplink.node, boot)
            .missing_in(seq, last);
        let mut new = 0;
        for &(lo, hi) in &fresh {
            let readings = &uplink.readings[(lo - seq) as usize..=(hi - seq) as usize];
            self.row(uplink, Some((boot, lo)), readings)?;
            let seam = self.arrived(uplink, Some((boot, lo)), readings);
            staged.push(Staged {
                node: uplink.node,
                id: self.head,
                place: Some((boot, (lo, hi), seam)),
            });
            new += hi - lo + 1;
        }
        if new > 0 {
            self.dirty.insert((uplink.node, boot));
        }
        let receipt = lock(&self.shared.ledger)
            .boot(uplink.node, boot)
            .and_then(|r| r.around(seq));
        Ok(Stored {
            fresh: new,
            repeated: n - new,
            receipt,
        })
    }

    /// Notes a row's readings in the ledger, under one lock: places and days never disagree.
    fn arrived(
        &mut self,
        uplink: &Uplink,
        place: Option<(Boot, u32)>,
        readings: &[Reading],
    ) -> Seam {
        let mut ledger = lock(&self.shared.ledger);
        let numbered = place.is_some();
        days::count(readings, uplink.received, numbered, |day, tally| {
            ledger.days.add(uplink.node, day, &tally);
            self.counted.push((uplink.node, day, tally));
        });
        place.map_or_else(Seam::default, |(boot, lo)| {
            ledger
                .boot_mut(uplink.node, boot)
                .insert(days::span(lo, readings))
        })
    }

    fn row(
        &mut self,
        uplink: &Uplink,
        place: Option<(Boot, u32)>,
        readings: &[Reading],
    ) -> rusqlite::Result<()> {
        let mut insert = self.conn.prepare_cached("INSERT INTO log (id, node, received, boot, seq, n, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
        let key = record::Key {
            id: self.head + 1,
            node: uplink.node,
            received: uplink.received,
            place,
            n: u32::try_from(readings.len()).unwrap_or(u32::MAX),
        };
        insert.execute(params![
            key.id,
            key.node,
            key.received,
            place.map(|p| p.0 as i64), // at most 2^53 - 1 by the wire's rule
            place.map(|p| p.1),
            key.n,
            record::encode(&key, readings)
        ])?;
        self.head = key.id;
        Ok(())
    }

    fn write_ledger_now(&mut self) -> rusqlite::Result<()> {
        self.conn.execute_batch("BEGIN IMMEDIATE")?;
        let written = self
            .write_ledger()
            .and_then(|()| self.conn.execute_batch("COMMIT"));
        if written.is_err() && !self.conn.is_autocommit() {
            let _ = self.conn.execute_batch("ROLLBACK");
        }
        if written.is_ok() {
            self.written = None;
        } else {
            self.take_back_written();
        }
        written
    }

    /// Writes the ledger as of the last row. Until the commit is decided, what was written is kept in `written`.
    fn write_ledger(&mut self) -> rusqlite::Result<()> {
        let mut ledger = lock(&self.shared.ledger);
        let mut delete = self
            .conn
            .prepare_cached("DELETE FROM arrived WHERE node = ?1 AND boot = ?2")?;
        let mut insert = self.conn.prepare_cached(
            "INSERT INTO arrived (node, boot, lo, hi, lo_at, hi_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for &(node, boot) in &self.dirty {
            delete.execute(params![node, boot as i64])?;
            for r in ledger
                .boot(node, boot)
                .map(super::ledger::Ranges::as_slice)
                .unwrap_or_default()
            {
                insert.execute(params![node, boot as i64, r.lo, r.hi, r.lo_at, r.hi_at])?;
            }
        }
        ledger.days.write(&self.conn)?;
        let mut mark = self
            .conn
            .prepare_cached("UPDATE mark SET at = ?2 WHERE name = ?1")?;
        mark.execute(params!["ledger_upto", self.head])?;
        mark.execute(params!["head", self.head])?;
        let days = ledger.days.take(self.head);
        let dirty = std::mem::take(&mut self.dirty);
        match &mut self.written {
            // A group may write it twice; its failure undoes both.
            Some(written) => {
                written.days.merge(&days);
                written.dirty.extend(dirty);
            }
            None => self.written = Some(Written { days, dirty }),
        }
        Ok(())
    }

    fn take_back_written(&mut self) {
        if let Some(written) = self.written.take() {
            lock(&self.shared.ledger).days.put_back(&written.days);
            self.dirty.extend(written.dirty);
        }
    }

    /// Deletes log rows that are folded, that the ledger's table covers, and that nobody waits for, also those between the
    /// gaps of a reader; at most [`TRIM_ROWS`], the oldest. True when there are more.
    fn trim(&mut self) -> rusqlite::Result<bool> {
        self.write_ledger()?;
        let settled = settled(&self.conn)?;
        let mut delete = self.conn.prepare_cached(
            "DELETE FROM log WHERE id IN (SELECT id FROM log WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3)",
        )?;
        let mut left = TRIM_ROWS;
        let mut more = false;
        for stretch in cursor::passed(&cursor::all_readers(&self.conn)?, settled) {
            let gone = delete.execute([stretch.at, stretch.upto, left])?;
            left = left.saturating_sub(i64::try_from(gone).unwrap_or(i64::MAX));
            if left == 0 {
                more = true;
                break;
            }
        }
        let oldest: Option<i64> = self
            .conn
            .query_row("SELECT min(id) FROM log", [], |r| r.get(0))?;
        self.shared.counts.passed(oldest.unwrap_or(settled));
        Ok(more)
    }
}
