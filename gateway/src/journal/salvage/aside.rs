//! The damaged file goes out of the way and the new one takes its place, through power cuts.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::super::files::{Files, beside};
use super::report;
use crate::clock::Clock;

/// The new file while it is built.
pub(super) fn building(files: &Files) -> PathBuf {
    files.path.with_extension("db.building")
}

/// The new file once it is whole.
pub(super) fn whole(files: &Files) -> PathBuf {
    files.path.with_extension("db.salvaged")
}

/// A name for the damaged file that nothing has yet.
pub(super) fn unused(files: &Files) -> PathBuf {
    let now: DateTime<Utc> =
        DateTime::from_timestamp_millis(Clock::system().now()).unwrap_or_default();
    let mut path = beside(
        &files.path,
        &format!(".damaged-{}", now.format("%Y%m%dT%H%M%SZ")),
    );
    while path.exists() {
        path = beside(&path, "-again");
    }
    path
}

/// Finishes a salvage that a stop of the process cut short.
pub(in super::super) fn finish(files: &Files) -> io::Result<()> {
    let whole = whole(files);
    if !whole.exists() {
        return Ok(());
    }
    let named = report::newest_name(&whole).map(|name| files.path.with_file_name(name));
    put_in_place(files, &named.unwrap_or_else(|| unused(files)))
}

/// Renames the damaged file and its log to `aside`, then the new one.
pub(super) fn put_in_place(files: &Files, aside: &Path) -> io::Result<()> {
    // Renamed already, and something new came since: that is set aside too, and takes no one's place.
    let aside = if aside.exists() && files.path.exists() {
        unused(files)
    } else {
        aside.to_path_buf()
    };
    let dir = files.path.parent().unwrap_or(Path::new("."));
    let sync = || File::open(dir)?.sync_all();
    sync()?;
    // The log goes with its file: left behind, it would be taken for the new one's.
    for suffix in ["", "-wal"] {
        match fs::rename(beside(&files.path, suffix), beside(&aside, suffix)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    let _ = fs::remove_file(beside(&files.path, "-shm"));
    sync()?;
    fs::rename(whole(files), &files.path)?;
    sync()
}
