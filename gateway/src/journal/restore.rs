//! `sen restore`: puts a backup in the place of a journal, while no gateway runs on it.
//!
//! The backup is copied into the data directory under another name, and it is that copy which is checked, brought up to
//! date, held against the backup's ledger and synced; a rename then makes it the journal. What was there before is moved
//! aside under a name of its own, with its write-ahead log, and never deleted. A restore that is killed has changed
//! nothing, or has moved the old journal aside and not yet put the new one in place: then it is run again.
//!
//! The restored journal is that of the backup's instant, and nothing is pretended about the time since:
//! - **Readings** that came after it are not there. A node that still holds them sends them as ever, and they count once. A
//!   node that has let go of them, since it had its receipt, can't: they are missing, and the ledger says so as soon as a
//!   later reading of the same boot arrives. Of a boot that ended meanwhile the places behind the last one in the backup
//!   are known to nobody, so they are not counted as missing.
//! - **Cursors** stand where they stood. A sink that was further sends again what the restored log holds: the same points
//!   at the same times, which InfluxDB takes for the ones it has. It may hold more than the file from then on: what came
//!   after the backup. Dead letters since are gone; points that are refused again are dead letters again.
//! - **Receipts** speak of the restored journal: a place that is not in it is in none, whatever was said before.
//! - **Retained messages** of the embedded broker are those of the backup. A node takes a configuration only if its version
//!   is newer than its own, so an old one does nothing; a newer one has to be published again.
//! - **Registry**: nodes that were added since are unknown and are refused until they are added again.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use chrono::DateTime;
use rusqlite::Connection;

use super::backup::sync_folder;
use super::contents::{self, Contents, Unusable};
use super::files::{Files, beside};
use super::{OpenError, ReadError, claim};
use crate::reading::Millis;

/// How the names of unfinished files begin.
const PREFIX: &str = ".sen.db.";

/// The journal was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup can't be used.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// A write-ahead log lies beside the file.
    #[error(
        "{0} is a journal in use, or a bare copy of one: part of it is in the -wal file beside it; make a file of it with `sen backup`"
    )]
    Live(PathBuf),
    /// There is a journal with something in it.
    #[error("{0} is not empty; name another data directory, or use --force, which moves it aside")]
    Occupied(PathBuf),
    /// The directory is not free, or the schema can't be brought up to date.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Files can't be read or written.
    #[error("the journal can't be restored in {path}")]
    Files {
        /// The data directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No room.
    #[error("no room for the journal in {0}; make room there and restore again")]
    Full(PathBuf),
    /// SQLite failed.
    #[error("the journal can't be restored")]
    Sqlite(#[from] rusqlite::Error),
    /// The ledger can't be read.
    #[error("the ledger can't be read")]
    Ledger(#[from] ReadError),
    /// What was restored is not what is in the backup.
    #[error("what was restored differs from the backup; check the disk of {0}")]
    Differs(PathBuf),
}

impl RestoreError {
    /// Whether what the user asked for is to blame.
    #[must_use]
    pub fn is_input(&self) -> bool {
        matches!(self, Self::Unusable(_) | Self::Live(_) | Self::Occupied(_))
    }
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What the journal holds now.
    pub contents: Contents,
    /// Where the journal is that was there before.
    pub aside: Option<PathBuf>,
    /// The schema's version in the backup, if it was an older one.
    pub migrated_from: Option<i64>,
}

/// Makes `backup` the journal of `dir`; with `replace` also where there is one, which is moved aside.
///
/// # Errors
/// [`RestoreError`]; the journal that was there is there still.
pub fn restore(
    backup: &Path,
    dir: &Path,
    replace: bool,
    now: Millis,
) -> Result<Restored, RestoreError> {
    contents::sniff(backup)?;
    if fs::metadata(beside(backup, "-wal")).is_ok_and(|m| m.len() > 0) {
        return Err(RestoreError::Live(backup.to_path_buf()));
    }
    // Held until the end: no gateway starts meanwhile.
    let lock = claim(dir)?;
    let files = |e| failed(dir, e);
    let journal = dir.join("sen.db");
    if !replace && occupied(&journal) {
        return Err(RestoreError::Occupied(journal));
    }
    sweep(dir);
    let mut part = tempfile::Builder::new()
        .prefix(PREFIX)
        .suffix(".part")
        .tempfile_in(dir)
        .map_err(files)?;
    let mut from = File::open(backup).map_err(files)?;
    io::copy(&mut from, part.as_file_mut()).map_err(files)?;
    let found = prepare(part.path(), backup)?;
    for file in [part.as_file(), &lock] {
        give_to_owner_of(dir, file).map_err(files)?;
    }
    part.as_file().sync_all().map_err(files)?;
    let aside = move_aside(&journal, now).map_err(files)?;
    part.persist_noclobber(&journal)
        .map_err(|e| failed(dir, e.error))?;
    sync_folder(dir).map_err(files)?;
    Ok(Restored { aside, ..found })
}

/// Deletes what restores left that were killed: this one holds the directory, so no other is at work.
fn sweep(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            // Best effort: what stays is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Checks the copy, brings its schema up to date and holds its ledger against the one it came with.
fn prepare(part: &Path, backup: &Path) -> Result<Restored, RestoreError> {
    let c = Connection::open(part)?;
    let version = contents::check(&c, backup)?;
    c.execute_batch("BEGIN")?;
    let before = contents::ledger(&c, version)?;
    c.execute_batch("COMMIT")?;
    drop(c);
    let c = Files::at(part).migrated()?;
    c.execute_batch("BEGIN")?;
    let current = contents::version(&c, backup)?;
    let after = contents::ledger(&c, current)?;
    let contents = Contents::of(&c)?;
    c.execute_batch("COMMIT")?;
    if before.is_some() && before != after {
        return Err(RestoreError::Differs(part.to_path_buf()));
    }
    // Everything into the one file that is renamed.
    let busy: i64 = c.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |r| r.get(0))?;
    c.close().map_err(|(_, e)| e)?;
    if busy != 0 || beside(part, "-wal").exists() {
        return Err(RestoreError::Differs(part.to_path_buf()));
    }
    Ok(Restored {
        contents,
        aside: None,
        migrated_from: (version < current).then_some(version),
    })
}

/// Whether there is a journal in which somebody has put something; one that can't be read counts.
fn occupied(journal: &Path) -> bool {
    if !journal.exists() {
        return false;
    }
    let look = || -> rusqlite::Result<bool> {
        Files::at(journal).reader()?.query_row(
            "SELECT EXISTS (SELECT 1 FROM log) OR EXISTS (SELECT 1 FROM block) OR EXISTS (SELECT 1 FROM arrived)
                 OR EXISTS (SELECT 1 FROM node) OR EXISTS (SELECT 1 FROM farm)",
            [],
            |r| r.get(0),
        )
    };
    look().unwrap_or(true)
}

/// Moves the journal out of the way, with its write-ahead log: one that stayed would be taken for the new journal's.
fn move_aside(journal: &Path, now: Millis) -> io::Result<Option<PathBuf>> {
    // Best effort: what is in the log goes into the file. A damaged one takes its log along.
    if journal.exists()
        && let Ok(c) = Files::at(journal).writer()
    {
        let _ = c.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
    let stamp = DateTime::from_timestamp_millis(now).map_or_else(
        || now.to_string(),
        |t| t.format("%Y%m%dT%H%M%S%3fZ").to_string(),
    );
    let aside = beside(journal, &format!(".before-restore-{stamp}"));
    let mut moved = None;
    for suffix in ["", "-wal"] {
        let (from, to) = (beside(journal, suffix), beside(&aside, suffix));
        if !from.exists() {
            continue;
        }
        if to.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        fs::rename(from, to)?;
        moved = Some(aside.clone());
    }
    match fs::remove_file(beside(journal, "-shm")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(moved),
    }
}

/// A restore run as root leaves files that the gateway's user can open.
fn give_to_owner_of(dir: &Path, file: &File) -> io::Result<()> {
    let (owner, own) = (fs::metadata(dir)?, file.metadata()?);
    if owner.uid() == own.uid() {
        return Ok(());
    }
    match fchown(file, Some(owner.uid()), Some(owner.gid())) {
        // Not root: whoever restores into a shared directory is taken to know who runs the gateway.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done,
    }
}

fn failed(dir: &Path, source: io::Error) -> RestoreError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            RestoreError::Full(dir.to_path_buf())
        }
        _ => RestoreError::Files {
            path: dir.to_path_buf(),
            source,
        },
    }
}
