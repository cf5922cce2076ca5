//! What is whole in a damaged journal goes into a new one; the damaged one is set aside.
//!
//! Trees are followed from their roots as far as they lead. Then every page that nothing leads to is looked at: a log row
//! or a block found there is taken if its checksum says that it is one, a registry row if it looks like one, so that a
//! damaged page costs what was on it and not what it led to ([`found`]). What can be worked out is: a plot that a node
//! names, the number of a node from the index of its ids, how far the log had come ([`rebuild`]).
//!
//! The new file is built and synced beside the old one, then both are renamed ([`aside`]). A start that finds this half
//! done finishes it. The new file says what it was made of ([`report`]).

mod aside;
mod found;
mod rebuild;
mod report;
mod tables;

use std::fs::{self, File};
use std::io;

use rusqlite::Connection;

use super::files::{AUTO_VACUUM, Files, beside, migrate};
use super::image::Image;
use super::{OpenError, wal};
use found::Found;

pub(super) use aside::finish;
pub use report::Damage;
pub(crate) use report::reports;

/// Why a damaged journal could not be salvaged. It is where it was.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Schema(#[from] rusqlite_migration::Error),
}

/// Makes a new journal from what is whole in the damaged one, and puts it in its place.
pub(super) fn salvage(files: &Files, noticed: &str) -> Result<Damage, OpenError> {
    try_salvage(files, noticed).map_err(|e| OpenError::Damaged {
        path: files.path.clone(),
        noticed: noticed.to_owned(),
        source: Box::new(e),
    })
}

fn try_salvage(files: &Files, noticed: &str) -> Result<Damage, Failed> {
    tracing::error!(
        "{} is damaged ({noticed}); what is whole goes into a new file",
        files.path.display()
    );
    let log = wal::read(&beside(&files.path, "-wal"), true)?;
    let mut image = Image::open(&files.path, log)?;
    let building = aside::building(files);
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(beside(&building, suffix));
    }
    let conn = Connection::open(&building)?;
    // Nobody reads it before it is whole and synced, so it needs no journal of its own.
    conn.execute_batch(AUTO_VACUUM)?;
    conn.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
    let conn = migrate(conn)?;
    conn.execute_batch("PRAGMA foreign_keys = OFF; BEGIN; DELETE FROM mark;")?;
    let rebuilt = Found::in_image(&mut image, &conn)?.write()?;
    let damage = Damage {
        broken: rebuilt.broken + image.broken,
        noticed: noticed.to_owned(),
        file: aside::unused(files),
        ..rebuilt
    };
    damage.write(&conn)?;
    conn.execute_batch("COMMIT")?;
    conn.close().map_err(|(_, e)| e)?;
    File::open(&building)?.sync_all()?;
    fs::rename(&building, aside::whole(files))?;
    drop(image);
    aside::put_in_place(files, &damage.file)?;
    damage.log();
    Ok(damage)
}
