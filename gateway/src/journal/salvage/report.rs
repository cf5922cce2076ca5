//! What became of a damaged journal: said in the log, kept in the new file, shown for as long as the damaged one is there.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, params};

use super::super::files;
use crate::clock::Clock;
use crate::reading::Millis;

/// A journal that was damaged, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// When it was salvaged, ms UTC by the system's clock.
    pub at: Millis,
    /// The damaged file, kept to look at.
    pub file: PathBuf,
    /// How it was noticed.
    pub noticed: String,
    /// Rows that were kept: uplinks in the log, blocks, everything of the registry.
    pub kept: u64,
    /// Rows that are known to be lost. More may be: nothing says how many blocks there were.
    pub lost: u64,
    /// Places in the file where something was and can't be read.
    pub broken: u64,
    /// Nodes whose row was lost but for id and number: they need a new password.
    pub nodes_without_secret: Vec<String>,
}

impl Damage {
    /// A journal that was here and is gone, or empty.
    pub(in super::super) fn of_nothing(file: PathBuf) -> Self {
        let noticed = "it was here before, and is gone or empty";
        tracing::error!("{}: {noticed}; a new one is made", file.display());
        Self {
            at: Clock::system().now(),
            file,
            noticed: noticed.into(),
            kept: 0,
            lost: 0,
            broken: 1,
            nodes_without_secret: Vec::new(),
        }
    }

    pub(super) fn log(&self) {
        tracing::error!(
            "the damaged journal is kept as {}: {} rows went into the new one, {} are known to be lost, {} places can't be read",
            self.file.display(),
            self.kept,
            self.lost,
            self.broken
        );
        for node in &self.nodes_without_secret {
            tracing::error!(
                "node `{node}` needs a new password: sen registry apply with its plot and password"
            );
        }
    }

    /// Writes it into the new file.
    pub(super) fn write(&self, c: &Connection) -> rusqlite::Result<()> {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        c.execute(
            "INSERT INTO damage (at, file, noticed, kept, lost, broken, nodes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                self.at,
                name,
                self.noticed,
                number(self.kept),
                number(self.lost),
                number(self.broken),
                serde_json::json!(self.nodes_without_secret).to_string()
            ],
        )
        .map(drop)
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the journal was damaged ({}): {} rows kept, {} known to be lost, {} places unreadable",
            self.noticed.trim(),
            self.kept,
            self.lost,
            self.broken
        )?;
        if !self.nodes_without_secret.is_empty() {
            let nodes = self.nodes_without_secret.join(", ");
            write!(f, "; these nodes need a new password: {nodes}")?;
        }
        write!(
            f,
            "; the damaged file is kept as {}, and this is said until it is moved away",
            self.file.display()
        )
    }
}

/// The damages of the journal in `dir` whose files are still there, the newest last.
pub(crate) fn reports(c: &Connection, dir: &Path) -> rusqlite::Result<Vec<Damage>> {
    let mut select =
        c.prepare("SELECT at, file, noticed, kept, lost, broken, nodes FROM damage ORDER BY id")?;
    let found = select.query_map([], |r| {
        let number = |i| r.get::<_, i64>(i).map(i64::unsigned_abs);
        Ok(Damage {
            at: r.get(0)?,
            file: dir.join(r.get::<_, String>(1)?),
            noticed: r.get(2)?,
            kept: number(3)?,
            lost: number(4)?,
            broken: number(5)?,
            nodes_without_secret: serde_json::from_str(&r.get::<_, String>(6)?).unwrap_or_default(),
        })
    })?;
    let mut all = found.collect::<rusqlite::Result<Vec<_>>>()?;
    // Of a file whose database part was gone, only the log was set aside.
    all.retain(|d| d.file.exists() || files::beside(&d.file, "-wal").exists());
    Ok(all)
}

/// Under which name the file at `path` says that the damaged one is to be set aside.
pub(super) fn newest_name(path: &Path) -> Option<String> {
    let c = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    let newest = "SELECT file FROM damage ORDER BY id DESC LIMIT 1";
    c.query_row(newest, [], |r| r.get(0)).ok()
}
