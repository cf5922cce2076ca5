//! `sen backup`: a copy of the journal as of one instant, made beside a gateway that goes on writing.
//!
//! The copy is read in one read transaction. In WAL mode that holds up no writer; what it costs the gateway is a log file
//! that can't start over until the copy is read. It is made by SQLite's backup API a few megabytes at a time, each on
//! disk before the next: the gateway's own fsyncs then never queue behind a copy's worth of dirty pages. `VACUUM INTO`
//! leaves the free pages out, but its sync comes in one piece at the end, and being no part of a transaction it can't be held
//! against the ledger of the very instant that it copies. `tests/README.md` has the figures.
//!
//! The target appears whole or not at all: it is written beside its place under another name, synced, read back (SQLite's
//! check, and its ledger against the journal's as of the same instant), and only then renamed. It is one file in rollback
//! mode that no `-wal` belongs to, and readable by its owner only: it holds the hashes of the nodes' passwords, and beside the
//! journal's tables one with the files of the data folder that nothing can make again (`beside`).

pub(super) mod beside;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use tempfile::NamedTempFile;

use super::contents::{self, Contents, Unusable};
use super::days::Books;
use super::{ReadError, open_reader};

/// Pages copied between two syncs: 4 MiB.
const STEP_PAGES: i32 = 1_024;
/// How long to wait for whoever holds the file.
const PAUSE: Duration = Duration::from_millis(20);
/// A backup writes all the time; what has not changed for so long was left by one that was killed.
const STALE: Duration = Duration::from_secs(3_600);
/// How the unfinished files' names end.
const PART: &str = ".part";

/// The backup was not made. What stood at the target before still stands there.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is no journal.
    #[error("no journal at {0}; name the gateway's configuration or its data directory")]
    Absent(PathBuf),
    /// Something is there already.
    #[error("{0} exists; name another file, or replace it with --force")]
    Exists(PathBuf),
    /// The target can't be a file.
    #[error("{0} is no name for a backup; name a file")]
    NotAFile(PathBuf),
    /// The target is the journal itself.
    #[error("{0} belongs to the journal itself; name a file elsewhere, best on another disk")]
    Own(PathBuf),
    /// The journal can't be used.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// No room.
    #[error("no room for the backup in {0}; make room there, or name a file on another disk")]
    Full(PathBuf),
    /// The target can't be written.
    #[error("the backup can't be written in {path}")]
    Target {
        /// The target's folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key beside the journal can't be read.
    #[error("the keys in {path} can't be read; a backup without them would be none")]
    Beside {
        /// The data folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// SQLite failed.
    #[error("the journal can't be copied")]
    Sqlite(#[source] rusqlite::Error),
    /// The ledger can't be read.
    #[error("the ledger can't be read")]
    Ledger(#[source] ReadError),
    /// The copy is not what was copied.
    #[error("the copy read back differs from the journal; check the disk of {0}")]
    Differs(PathBuf),
}

impl BackupError {
    /// Whether what the user asked for is to blame.
    #[must_use]
    pub fn is_input(&self) -> bool {
        matches!(
            self,
            Self::Absent(_)
                | Self::Exists(_)
                | Self::NotAFile(_)
                | Self::Own(_)
                | Self::Unusable(_)
        )
    }
}

/// Copies the journal of `dir` to the file `target`; with `replace` also over an older one.
///
/// # Errors
/// [`BackupError`]; nothing is left at the target then that was not there before.
pub fn backup(dir: &Path, target: &Path, replace: bool) -> Result<Contents, BackupError> {
    let journal = dir.join("sen.db");
    if !journal.exists() {
        return Err(BackupError::Absent(journal));
    }
    let place = Place::of(target, dir)?;
    if !replace && target.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(target.to_path_buf()));
    }
    place.sweep();
    let part = place.part().map_err(|e| place.failed(e))?;
    let files = beside::read(dir).map_err(|source| BackupError::Beside {
        path: dir.to_path_buf(),
        source,
    })?;
    let (version, ledger) = copy(&journal, &files, &part, &place)?;
    let contents = read_back(part.path(), version, ledger.as_ref(), target)?;
    part.as_file().sync_all().map_err(|e| place.failed(e))?;
    if replace {
        part.persist(target).map_err(|e| place.failed(e.error))?;
    } else {
        part.persist_noclobber(target)
            .map_err(|e| match e.error.kind() {
                io::ErrorKind::AlreadyExists => BackupError::Exists(target.to_path_buf()),
                _ => place.failed(e.error),
            })?;
    }
    sync_folder(&place.folder).map_err(|e| place.failed(e))?;
    Ok(contents)
}

/// Makes a rename in that folder survive a power cut.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Where the backup goes.
struct Place {
    folder: PathBuf,
    /// What the names of its unfinished files begin with.
    prefix: String,
}

impl Place {
    fn of(target: &Path, journal_dir: &Path) -> Result<Self, BackupError> {
        let no_file = || BackupError::NotAFile(target.to_path_buf());
        let name = target.file_name().ok_or_else(no_file)?.to_string_lossy();
        if target.is_dir() {
            return Err(no_file());
        }
        let folder = match target.parent() {
            Some(p) if p != Path::new("") => p.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let same = match (folder.canonicalize(), journal_dir.canonicalize()) {
            (Ok(a), Ok(b)) => a == b,
            (Err(source), _) => {
                return Err(BackupError::Target {
                    path: folder,
                    source,
                });
            }
            _ => false,
        };
        if same && ["sen.db", "sen.db-wal", "sen.db-shm", "lock"].contains(&&*name) {
            return Err(BackupError::Own(target.to_path_buf()));
        }
        Ok(Self {
            prefix: format!(".{name}."),
            folder,
        })
    }

    /// A new file beside the target, mode 0600, deleted unless it is renamed.
    fn part(&self) -> io::Result<NamedTempFile> {
        tempfile::Builder::new()
            .prefix(&self.prefix)
            .suffix(PART)
            .tempfile_in(&self.folder)
    }

    /// Deletes what backups to this target left that were killed.
    fn sweep(&self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let ours = name.strip_prefix(&self.prefix);
            let stale = || {
                let changed = entry.metadata().and_then(|m| m.modified()).ok();
                changed
                    .and_then(|at| at.elapsed().ok())
                    .is_some_and(|age| age > STALE)
            };
            if ours.is_some_and(|rest| rest.contains(PART)) && stale() {
                // Best effort: what stays is swept by a later one.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn failed(&self, source: io::Error) -> BackupError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                BackupError::Full(self.folder.clone())
            }
            _ => BackupError::Target {
                path: self.folder.clone(),
                source,
            },
        }
    }

    fn sqlite(&self, source: rusqlite::Error) -> BackupError {
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => BackupError::Full(self.folder.clone()),
            _ => BackupError::Sqlite(source),
        }
    }
}

/// Copies every page as of one instant; answers the schema's version and the ledger of that instant.
fn copy(
    journal: &Path,
    files: &[beside::Kept],
    part: &NamedTempFile,
    place: &Place,
) -> Result<(i64, Option<Books>), BackupError> {
    contents::sniff(journal)?;
    let sqlite = |e| place.sqlite(e);
    let from = open_reader(journal).map_err(sqlite)?;
    // What is read from here on is one state of the file, however long it takes.
    from.execute_batch("BEGIN").map_err(sqlite)?;
    let version = contents::version(&from, journal)?;
    let ledger = contents::ledger(&from, version).map_err(BackupError::Ledger)?;
    let mut to = Connection::open(part.path()).map_err(sqlite)?;
    // Nobody else knows the file yet, and a copy that fails is thrown away: no rollback, and the syncs are made here.
    to.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;",
    )
    .map_err(sqlite)?;
    {
        let run = Backup::new(&from, &mut to).map_err(sqlite)?;
        loop {
            match run.step(STEP_PAGES).map_err(sqlite)? {
                StepResult::Done => break,
                StepResult::Busy | StepResult::Locked => std::thread::sleep(PAUSE),
                _ => part.as_file().sync_data().map_err(|e| place.failed(e))?,
            }
        }
    }
    from.execute_batch("COMMIT").map_err(sqlite)?;
    // The journal's own mode came with its first page; one file alone must do.
    to.execute_batch("PRAGMA journal_mode = DELETE")
        .map_err(sqlite)?;
    beside::put(&to, files).map_err(sqlite)?;
    to.close().map_err(|(_, e)| sqlite(e))?;
    Ok((version, ledger))
}

/// Holds the finished copy to what was copied.
fn read_back(
    part: &Path,
    version: i64,
    ledger: Option<&Books>,
    target: &Path,
) -> Result<Contents, BackupError> {
    let differs = || BackupError::Differs(target.to_path_buf());
    let c = Connection::open_with_flags(part, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(BackupError::Sqlite)?;
    // A journal that is damaged itself shows here: its copy is as damaged.
    let found = contents::check(&c, target)?;
    c.execute_batch("BEGIN").map_err(BackupError::Sqlite)?;
    let copied = contents::ledger(&c, found).map_err(BackupError::Ledger)?;
    if found != version || copied.as_ref() != ledger {
        return Err(differs());
    }
    Contents::of(&c).map_err(BackupError::Ledger)
}

#[cfg(test)]
mod tests;
