//! The journal: what was acknowledged is here, on disk, once.
//!
//! One SQLite file (`sen.db`, WAL, `synchronous = FULL`). Uplinks are appended to a log by row id, many to a commit, and
//! only a returned commit answers [`Journal::append`]. Every hour (or when it grows long) the log is folded into one
//! packed block a channel and day. Readers ([`cursor`]) follow the log by id; a row is deleted once it is folded and all
//! of them have passed it, so a slow sink is a cursor that lags and never a second queue.
//!
//! ```text
//! append -> writer (group commit) -> log ---fold---> block
//!                                     |  \
//!                                  cursors  history = blocks + tail of the log
//! ```

pub mod backup;
mod block;
pub mod contents;
pub mod cursor;
pub mod days;
pub mod dump;
mod error;
mod fold;
mod history;
pub mod ledger;
mod record;
#[cfg(test)]
mod released;
pub mod restore;
mod varint;
mod writer;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, Migrations};
use tokio::sync::{mpsc, oneshot, watch};

pub use block::{Head, Point};
pub use error::{OpenError, ReadError, StoreError};
pub use fold::Folder;
pub use history::{Bucket, History};
pub use ledger::{Account, Boot, Ledger};
pub use varint::Damaged;
pub use writer::{Stored, Uplink};

use crate::reading::NodeNum;
use writer::{Job, Shared, Tail, Writer, lock};

/// Uplinks that may wait for the writer; beyond it senders wait in turn.
const QUEUE: usize = 4_096;
/// Connections kept open for readers.
const READERS: usize = 3;
/// How long a connection waits for another process that writes (`sen registry`, a backup).
const BUSY: Duration = Duration::from_secs(5);

/// One step a version; a released one never changes.
const MIGRATIONS: [&str; 3] = [
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
];

/// The version that has the ledger by day.
pub(crate) const LEDGER_VERSION: i64 = 2;
/// The version that has the registry as it is read now.
pub(crate) const REGISTRY_VERSION: i64 = 3;

/// The journal of one gateway. Cheap to clone; all clones are the same journal.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
    readers: Mutex<Vec<Connection>>,
    /// Held for as long as the journal is open: one gateway a file.
    _lock: File,
}

impl Journal {
    /// Opens or makes the journal in `dir`, brings its schema up to date and replays what the ledger's table lacks.
    ///
    /// # Errors
    /// See [`OpenError`]; each says what to do.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let file = claim(dir)?;
        let path = dir.join("sen.db");
        let conn = migrated(&path)?;
        let sqlite = |source| OpenError::Sqlite {
            path: path.clone(),
            source,
        };
        let (head, ledger, tail, dirty) = replay(&conn).map_err(sqlite)?;
        let shared = Arc::new(Shared {
            ledger: Mutex::new(ledger),
            tail: Mutex::new(tail),
            head: watch::Sender::new(head),
            failing: watch::Sender::new(None),
        });
        let (jobs, queue) = mpsc::channel(QUEUE);
        let writer = Writer {
            conn,
            shared: shared.clone(),
            head,
            dirty,
            counted: Vec::new(),
            written: None,
        };
        std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.run(queue))
            .map_err(OpenError::Thread)?;
        Ok(Self(Arc::new(Inner {
            path,
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
        let exec: writer::Exec = Box::new(move |conn| {
            let done = conn.and_then(|conn| f(conn).map_err(StoreError::from));
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

    /// Why the last commit failed; `None` while all is well.
    #[must_use]
    pub fn failing(&self) -> Option<StoreError> {
        self.0.shared.failing.borrow().clone()
    }

    /// What has arrived from a node and what is missing.
    #[must_use]
    pub fn account(&self, node: NodeNum) -> Account {
        lock(&self.0.shared.ledger).account(node)
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

    async fn trim(&self) -> Result<(), StoreError> {
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
        let idle = lock(&self.readers).pop();
        let conn = match idle {
            Some(conn) => conn,
            None => open_reader(&self.path)?,
        };
        let out = f(&conn);
        let mut idle = lock(&self.readers);
        if idle.len() < READERS && conn.is_autocommit() {
            idle.push(conn);
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

/// Opens the file for writing, making it and bringing its schema up to date.
fn migrated(path: &Path) -> Result<Connection, OpenError> {
    let mut conn = open_writer(path).map_err(|source| OpenError::Sqlite {
        path: path.to_path_buf(),
        source,
    })?;
    Migrations::new(MIGRATIONS.iter().map(|sql| M::up(sql)).collect())
        .to_latest(&mut conn)
        .map_err(|source| OpenError::Schema {
            path: path.to_path_buf(),
            source,
        })?;
    Ok(conn)
}

/// Opens the tables beside a gateway that may be running: for the registry's command line, which never touches the log.
pub(crate) fn open_tables(dir: &Path) -> Result<Connection, OpenError> {
    std::fs::create_dir_all(dir).map_err(|source| OpenError::Directory {
        path: dir.to_path_buf(),
        source,
    })?;
    migrated(&dir.join("sen.db"))
}

fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open(path)?;
    conn.busy_timeout(BUSY)?;
    conn.set_prepared_statement_cache_capacity(32);
    // FULL: a commit returns after fsync of the log, so it survives a power cut.
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -2048;
         PRAGMA journal_size_limit = 16777216;",
    )?;
    Ok(conn)
}

/// A read-only connection to a journal file, for readers inside the gateway and for the command line beside it.
pub(crate) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    conn.busy_timeout(BUSY)?;
    conn.execute_batch("PRAGMA cache_size = -512;")?;
    Ok(conn)
}

/// Reads a counter of the `mark` table.
fn mark(conn: &Connection, name: &str) -> rusqlite::Result<i64> {
    conn.prepare_cached("SELECT at FROM mark WHERE name = ?1")?
        .query_row([name], |r| r.get(0))
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
        let (id, node): (i64, NodeNum) = (r.get(0)?, r.get(1)?);
        head = head.max(id);
        if id > folded {
            tail.push(node, id);
        }
        if id > covered {
            let place = r.get::<_, Option<i64>>(3)?.map(|b| b as u64).zip(r.get(4)?);
            let body = r.get_ref(6)?.as_blob().unwrap_or_default();
            ledger.replay((node, r.get(2)?), place, r.get(5)?, body);
            dirty.extend(place.map(|(boot, _)| (node, boot)));
        }
    }
    Ok((head, ledger, tail, dirty))
}
