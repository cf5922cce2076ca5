//! `sen backup` and `sen restore`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use sen_gateway::clock::Clock;
use sen_gateway::completeness::farm_time;
use sen_gateway::journal::backup::{self, BackupError};
use sen_gateway::journal::contents::Contents;
use sen_gateway::journal::restore::{self, RestoreError};

use super::place::Place;

#[derive(Args)]
pub(super) struct Backup {
    /// The file to write.
    target: PathBuf,
    #[command(flatten)]
    place: Place,
    /// Replace the file if there is one.
    #[arg(long)]
    force: bool,
}

#[derive(Args)]
pub(super) struct Restore {
    /// A file that `sen backup` has written.
    backup: PathBuf,
    #[command(flatten)]
    place: Place,
    /// Move a journal that is not empty aside.
    #[arg(long)]
    force: bool,
}

/// Makes a backup.
pub(super) fn backup(args: &Backup) -> anyhow::Result<()> {
    let started = Instant::now();
    let contents = backup::backup(&args.place.dir()?, &args.target, args.force)?;
    println!("{}", summary(&args.target, &contents, started));
    Ok(())
}

/// Restores one.
pub(super) fn restore(args: &Restore) -> anyhow::Result<()> {
    let started = Instant::now();
    let dir = args.place.dir()?;
    let now = Clock::system().now();
    let done = restore::restore(&args.backup, &dir, args.force, now)?;
    if let Some(aside) = &done.aside {
        println!("the journal that was there is {}", aside.display());
    }
    if let Some(version) = done.migrated_from {
        println!("brought up to date from schema version {version}");
    }
    println!("{}", summary(&dir.join("sen.db"), &done.contents, started));
    Ok(())
}

fn summary(file: &Path, c: &Contents, started: Instant) -> String {
    let range = c.range.map_or_else(
        || "no times".to_owned(),
        |(first, last)| format!("{} to {}", farm_time(first), farm_time(last)),
    );
    format!(
        "{}: {} readings, {} nodes, {range}, {:.1} MB, {:.1} s",
        file.display(),
        c.readings,
        c.nodes,
        c.bytes as f64 / 1e6,
        started.elapsed().as_secs_f64()
    )
}

/// Whether the input is to blame.
pub(super) fn is_input_error(e: &anyhow::Error) -> bool {
    e.downcast_ref().is_some_and(BackupError::is_input)
        || e.downcast_ref().is_some_and(RestoreError::is_input)
}
