//! The journal: what was acknowledged is here, on disk, once.
//!
//! One SQLite file (`sen.db`, WAL, `synchronous = FULL`). Uplinks are appended to a log by row id, many to a commit, and
//! only a returned commit answers [`Journal::append`]. Every hour (or when it grows long) the log is folded into one
//! packed block a channel and day. Readers ([`cursor`]) follow the log by id; a row is deleted once it is folded and all
//! of them have passed it, so a slow sink is a cursor that lags and never a second queue.
//!
//! A damaged file does not hold up a start and does not stop a running gateway: what is whole goes into a new one
//! (`salvage`), the old one is set aside, and [`Journal::damage`] says so. What is checked when: `files`.
//!
//! ```text
//! append -> writer (group commit) -> log ---fold---> block
//!                                     |  \
//!                                  cursors  history = blocks + tail of the log
//! ```

pub mod backup;
mod block;
pub mod contents;
mod counts;
pub mod cursor;
pub mod days;
pub mod dump;
mod error;
mod files;
mod fold;
mod history;
mod image;
pub mod ledger;
mod record;
#[cfg(test)]
mod released;
pub mod restore;
pub mod retention;
mod salvage;
mod seal;
#[cfg(test)]
mod tests;
mod varint;
mod wal;
mod writer;

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use tokio::sync::{mpsc, oneshot, watch};

pub use block::{Head, Point};
pub use error::{OpenError, ReadError, StoreError};
pub use fold::{FoldError, Folder};
pub use history::{Bucket, History};
pub use ledger::{Account, Boot, Ledger};
pub use salvage::Damage;
pub use varint::Damaged;
pub use writer::{Stored, Uplink};

use crate::reading::NodeNum;
use counts::Counts;
use files::{Files, is_damage};
use writer::{Job, Shared, Tail, Writer, lock};

/// Uplinks that may wait for the writer; beyond it senders wait in turn.
const QUEUE: usize = 4_096;
/// Connections kept open for readers.
const READERS: usize = 3;
/// How long a connection waits for another process that writes (`sen registry`, a backup).
const BUSY: Duration = Duration::from_secs(5);

/// One step a version; a released one never changes. Each changes a table at least: it is by the tables that a file of a newer
/// version is told from one whose version number is damaged.
pub(crate) const MIGRATIONS: [&str; 5] = [
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
];

/// The version that has the ledger by day.
pub(crate) const LEDGER_VERSION: i64 = 2;
/// The version that has the registry as it is read now.
pub(crate) const REGISTRY_VERSION: i64 = 5;

/// The journal of one gateway. Cheap to clone; all clones are the same journal.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: Files,
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
    /// Each with the generation of the file that it has open.
    readers: Mutex<Vec<(u64, Connection)>>,
    /// Held for as long as the journal is open: one gateway a file.
    _lock: File,
}

impl Journal {
    /// Opens or makes the journal in `dir`, brings its schema up to date and replays what the ledger's table lacks.
    ///
    /// # Errors
    /// See [`OpenError`]; each says what to do.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        Self::open_files(dir, Files::of(dir)).map_err(OpenError::or_full)
    }

    fn open_files(dir: &Path, files: Files) -> Result<Self, OpenError> {
        let file = claim(dir)?;
        let empty = files.path.metadata().map_or(true, |m| m.len() == 0);
        let (conn, ((head, ledger, tail, dirty), mut damage)) =
            files.open_sound(|c| Ok((replay(c)?, salvage::reports(c, dir)?)))?;
        if was_here(&file) && empty && damage.is_empty() {
            damage.push(Damage::of_nothing(files.path.clone()));
        }
        let shared = Arc::new(Shared {
            ledger: Mutex::new(ledger),
            tail: Mutex::new(tail),
            counts: Counts::default(),
            head: watch::Sender::new(head),
            failing: watch::Sender::new(None),
            suspect: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            damage: Mutex::new(damage),
            held: AtomicBool::new(false),
        });
        let (jobs, queue) = mpsc::channel(QUEUE);
        let writer = Writer {
            conn,
            shared: shared.clone(),
            files: files.clone(),
            head,
            dirty,
            counted: Vec::new(),
            written: None,
            checked: None,
            adrift: false,
        };
        std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.run(queue))
            .map_err(OpenError::Thread)?;
        Ok(Self(Arc::new(Inner {
            files,
            jobs,
            shared,
            readers: Mutex::new(Vec::new()),
            _lock: file,
        })))
    }

    /// Stores an uplink. Returns when it is on disk.
    ///
    /// # Errors
    /// [`StoreError`]: nothing of the uplink was stored.
    pub async fn append(&self, uplink: Uplink) -> Result<Stored, StoreError> {
        if uplink.readings.is_empty() {
            return Ok(Stored {
                fresh: 0,
                repeated: 0,
                receipt: None,
            });
        }
        if self.is_held() {
            return Err(StoreError::Full);
        }
        let (reply, answer) = oneshot::channel();
        self.0
            .jobs
            .send(Job::Append(uplink, reply))
            .await
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Runs `f` in the writer's next transaction. Returns when that is on disk.
    ///
    /// # Errors
    /// [`StoreError`]: nothing that `f` did was stored.
    pub async fn write<T, F>(&self, f: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let shared = self.0.shared.clone();
        let exec: writer::Exec = Box::new(move |conn| {
            let done = conn.and_then(|conn| {
                f(conn).map_err(|e| {
                    shared.suspect_if(&e);
                    StoreError::from(e)
                })
            });
            let ok = done.is_ok();
            let finish: writer::Finish = Box::new(move |outcome| {
                let _ = reply.send(outcome.and(done));
            });
            (ok, finish)
        });
        self.0
            .jobs
            .send(Job::Exec(exec))
            .await
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Runs `f` on a read-only connection, off the async threads.
    ///
    /// # Errors
    /// Whatever `f` returns, or [`ReadError`].
    pub async fn read<T, F>(&self, f: F) -> Result<T, ReadError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, ReadError> + Send + 'static,
    {
        let inner = self.0.clone();
        tokio::task::spawn_blocking(move || inner.with_reader(f))
            .await
            .map_err(|_| ReadError::Closed)?
    }

    /// The id of the last committed log row, as it moves.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<i64> {
        self.0.shared.head.subscribe()
    }

    /// Why readings can't be stored; `None` while all is well.
    #[must_use]
    pub fn failing(&self) -> Option<StoreError> {
        if self.is_held() {
            return Some(StoreError::Full);
        }
        self.commit_failing()
    }

    /// Why the last commit failed.
    fn commit_failing(&self) -> Option<StoreError> {
        self.0.shared.failing.borrow().clone()
    }

    /// Damage that was met, and what became of it; the newest last. Said for as long as the damaged file is there.
    #[must_use]
    pub fn damage(&self) -> Vec<Damage> {
        lock(&self.0.shared.damage).clone()
    }

    /// Holds appends off (they answer [`StoreError::Full`]) while the disk is full, so that the room which is left goes
    /// to what makes more of it; or lets them in again.
    fn hold(&self, held: bool) {
        self.0.shared.held.store(held, Ordering::Relaxed);
    }

    fn is_held(&self) -> bool {
        self.0.shared.held.load(Ordering::Relaxed)
    }

    /// What has arrived from a node and what is missing.
    #[must_use]
    pub fn account(&self, node: NodeNum) -> Account {
        lock(&self.0.shared.ledger).account(node)
    }

    /// What has arrived from a node around the places `lo..=hi`.
    #[must_use]
    pub fn neighbours(&self, node: NodeNum, boot: Boot, lo: u32, hi: u32) -> ledger::Neighbours {
        lock(&self.0.shared.ledger).neighbours(node, boot, lo, hi)
    }

    /// When the newest row of the log arrived; none if all are folded.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn last_received(&self) -> Result<Option<crate::reading::Millis>, ReadError> {
        self.read(|c| {
            let newest = "SELECT received FROM log WHERE id = (SELECT max(id) FROM log)";
            Ok(c.query_row(newest, [], |r| r.get(0)).optional()?)
        })
        .await
    }

    /// Log rows that are not folded yet.
    #[must_use]
    pub fn unfolded(&self) -> u64 {
        lock(&self.0.shared.tail).rows()
    }

    /// Writes the ledger out and closes the file. Later appends answer [`StoreError::Closed`].
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.0.jobs.send(Job::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }

    /// Looks at the whole file beside everything else, and has it mended if it is damaged.
    pub async fn check(&self) {
        match self.read(|c| Ok(files::check_all(c)?)).await {
            Ok(None) => return,
            Ok(Some(wrong)) => {
                tracing::error!("the journal is damaged: {wrong}");
                self.0.shared.suspect.store(true, Ordering::Release);
            }
            // Damage is noted by `read`; anything else is met by others too.
            Err(e) => tracing::warn!("the journal's file can't be checked: {e}"),
        }
        // The writer mends behind a commit: the first wakes it, the second waits until it is done.
        for _ in 0..2 {
            let _ = self.write(|_| Ok(())).await;
        }
    }

    /// Does `f`, and once more if it came upon damage that is mended by then: for what a start can't go on without.
    ///
    /// # Errors
    /// Those of `f`.
    pub async fn insist<T, E>(&self, f: impl AsyncFn() -> Result<T, E>) -> Result<T, E> {
        match f().await {
            Err(_) if self.0.shared.suspect.load(Ordering::Acquire) => {
                self.check().await;
                f().await
            }
            done => done,
        }
    }

    /// Deletes some of the log rows that nobody needs. True when more of them are there.
    async fn trim(&self) -> Result<bool, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.0
            .jobs
            .send(Job::Trim(reply))
            .await
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

impl Inner {
    fn with_reader<T>(
        &self,
        f: impl FnOnce(&Connection) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let generation = self.shared.generation.load(Ordering::Acquire);
        let idle = {
            let mut idle = lock(&self.readers);
            // Those of before a mending look at the file that was set aside.
            idle.retain(|(of, _)| *of == generation);
            idle.pop()
        };
        let conn = match idle {
            Some((_, conn)) => conn,
            None => self.files.reader()?,
        };
        let out = f(&conn);
        if let Err(ReadError::Sqlite(e)) = &out
            && is_damage(e)
        {
            self.shared.suspect.store(true, Ordering::Release);
        }
        let mut idle = lock(&self.readers);
        if idle.len() < READERS && conn.is_autocommit() {
            idle.push((generation, conn));
        }
        out
    }
}

/// Makes the data directory and takes it for one process, until the file is dropped.
fn claim(dir: &Path) -> Result<File, OpenError> {
    let directory = |source| OpenError::Directory {
        path: dir.to_path_buf(),
        source,
    };
    std::fs::create_dir_all(dir).map_err(directory)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(dir.join("lock"))
        .map_err(directory)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::Busy {
            path: dir.join("sen.db"),
        }),
        Err(std::fs::TryLockError::Error(e)) => Err(directory(e)),
    }
}

/// Whether a journal was opened here before: the lock file says so from the first time on.
fn was_here(mut lock: &File) -> bool {
    let was = lock.metadata().is_ok_and(|m| m.len() > 0);
    if !was {
        // Best effort: without it, a file that vanishes is not reported.
        let _ = lock.write_all(b"A journal is here.\n");
    }
    was
}

/// Opens the tables beside a gateway that may be running: for the registry's command line, which never touches the log.
pub(crate) fn open_tables(dir: &Path) -> Result<Connection, OpenError> {
    std::fs::create_dir_all(dir).map_err(|source| OpenError::Directory {
        path: dir.to_path_buf(),
        source,
    })?;
    Files::of(dir).migrated()
}

/// A read-only connection to a journal file, for the command line beside a gateway.
pub(crate) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    Files::at(path).reader()
}

/// What became of damaged files of the journal in `dir`, from the file alone; see [`Journal::damage`].
#[must_use]
pub fn damage_of(dir: &Path) -> Vec<Damage> {
    // Older versions have no such table; a file that can't be read is reported by whoever reads more of it.
    open_reader(&dir.join("sen.db"))
        .and_then(|c| salvage::reports(&c, dir))
        .unwrap_or_default()
}

/// Reads a counter of the `mark` table.
fn mark(conn: &Connection, name: &str) -> rusqlite::Result<i64> {
    conn.prepare_cached("SELECT at FROM mark WHERE name = ?1")?
        .query_row([name], |r| r.get(0))
}

/// Rows up to this one are folded and in the ledger's table: they are in the log only for who still waits for them.
fn settled(conn: &Connection) -> rusqlite::Result<i64> {
    Ok(mark(conn, "folded_upto")?.min(mark(conn, "ledger_upto")?))
}

type Replayed = (i64, Ledger, Tail, HashSet<(NodeNum, Boot)>);

/// Rebuilds what lives in memory: the ledger's table plus the log rows after it, and the tail that is not folded.
fn replay(conn: &Connection) -> rusqlite::Result<Replayed> {
    let (folded, covered) = (mark(conn, "folded_upto")?, mark(conn, "ledger_upto")?);
    let (mut tail, mut dirty) = (Tail::default(), HashSet::new());
    let mut ledger = Ledger::written(conn)?;
    let mut head = mark(conn, "head")?;
    let mut log = conn.prepare(
        "SELECT id, node, received, boot, seq, n, CASE WHEN id > ?2 THEN body END FROM log WHERE id > ?1 ORDER BY id",
    )?;
    let mut rows = log.query([folded.min(covered), covered])?;
    while let Some(r) = rows.next()? {
        let key = record::Key::read(r)?;
        head = head.max(key.id);
        if key.id > folded {
            tail.push(key.node, key.id);
        }
        if key.id > covered {
            ledger.replay(&key, r.get_ref(6)?.as_blob().unwrap_or_default());
            dirty.extend(key.place.map(|(boot, _)| (key.node, boot)));
        }
    }
    Ok((head, ledger, tail, dirty))
}
