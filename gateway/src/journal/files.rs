//! The journal's file: how it is opened, and how much of it is checked then.
//!
//! A start reads what it needs (counters, registry, ledger, the part of the log that is not folded) and checks just that,
//! in the same order of time; and it looks at the write-ahead log, which is short. The rest (blocks, and log rows that
//! wait for a slow sink) may be a gigabyte: a check of it would cost a minute on a memory card, with every node waiting,
//! after each power cut. It is not needed either: an unclean stop does not damage a file that is synced, and a bad bit
//! comes as often in a file that was closed well. So the rest is checked when it is met. Bodies carry a checksum of their
//! own (seal.rs); and when SQLite comes upon a page that can't be one, the writer checks the whole file and mends it in
//! place (writer.rs), without a restart. Once a day the whole file is checked beside everything else (fold.rs), for what
//! nobody meets.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Error, ErrorCode, OpenFlags, ffi};
use rusqlite_migration::{M, MigrationDefinitionError, Migrations};

use super::{BUSY, MIGRATIONS, OpenError, salvage, wal};

/// Free pages can be given back (retention.rs). Settled by the first write to a new file: it comes before all else, and does
/// nothing to a file that is there.
pub(super) const AUTO_VACUUM: &str = "PRAGMA auto_vacuum = INCREMENTAL;";

/// Tables that a start reads whole.
const READ_AT_START: [&str; 15] = [
    "farm",
    "farm_group",
    "plot",
    "node",
    "node_config",
    "refusal",
    "rule",
    "alarm_state",
    "hello",
    "arrived",
    "day_account",
    "cursor",
    "mark",
    "retained",
    "damage",
];

/// Where the journal's file is, and through which of SQLite's file layers it is reached.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) path: PathBuf,
    /// `None` outside tests: the system's files. Tests put one in between that fails when told to.
    pub(super) vfs: Option<&'static str>,
}

/// Why a file can't be opened.
enum Trouble {
    /// It is damaged: how.
    Damage(String),
    /// Something else, that a new file would not help.
    Other(OpenError),
}

impl Files {
    pub(super) fn of(dir: &Path) -> Self {
        Self::at(&dir.join("sen.db"))
    }

    /// The journal in a file of another name.
    pub(super) fn at(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            vfs: None,
        }
    }

    /// Where the journal is.
    pub(super) fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// Opens the file and reads what a start needs. If what is read is damaged, a new file is made of what is whole.
    ///
    /// # Errors
    /// [`OpenError`], never for damage alone unless there is no room for the new file.
    pub(super) fn open_sound<T>(
        &self,
        read: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<(Connection, T), OpenError> {
        salvage::finish(self).map_err(|source| OpenError::Directory {
            path: self.path.clone(),
            source,
        })?;
        let noticed = match self.sound(&read) {
            Ok(opened) => return Ok(opened),
            Err(Trouble::Other(e)) => return Err(e),
            Err(Trouble::Damage(noticed)) => noticed,
        };
        salvage::salvage(self, &noticed)?;
        match self.sound(&read) {
            Ok(opened) => Ok(opened),
            Err(Trouble::Other(e)) => Err(e),
            Err(Trouble::Damage(again)) => Err(OpenError::Damaged {
                path: self.path.clone(),
                noticed: again.clone(),
                source: again.into(),
            }),
        }
    }

    fn sound<T>(
        &self,
        read: &impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<(Connection, T), Trouble> {
        let log = beside(&self.path, "-wal");
        let has_log = log.metadata().is_ok_and(|m| m.len() > 0);
        match self.path.metadata() {
            Ok(m) if m.len() == 0 && has_log => {
                return Err(Trouble::Damage("it is empty, its log is not".into()));
            }
            Err(_) if has_log => return Err(Trouble::Damage("it is gone, its log is not".into())),
            _ => {}
        }
        if has_log {
            match wal::read(&log, false) {
                Ok(log) if log.damaged => {
                    return Err(Trouble::Damage("its write-ahead log is damaged".into()));
                }
                Ok(_) => {}
                Err(source) => {
                    return Err(Trouble::Other(OpenError::Directory { path: log, source }));
                }
            }
        }
        let sqlite = |e: Error| {
            if is_damage(&e) || is_nonsense(&e) {
                Trouble::Damage(e.to_string())
            } else {
                Trouble::Other(OpenError::Sqlite {
                    path: self.path.clone(),
                    source: e,
                })
            }
        };
        let conn = self.writer().map_err(sqlite)?;
        let conn = self.migrate_sound(conn)?;
        if let Some(wrong) = check(&conn).map_err(sqlite)? {
            return Err(Trouble::Damage(wrong));
        }
        let out = read(&conn).map_err(sqlite)?;
        Ok((conn, out))
    }

    fn migrate_sound(&self, conn: Connection) -> Result<Connection, Trouble> {
        use rusqlite_migration::Error as E;
        let path = self.path.clone();
        let ours = made_new("", &MIGRATIONS)
            .and_then(|c| schema_of(&c))
            .map_err(|source| {
                Trouble::Other(OpenError::Sqlite {
                    path: path.clone(),
                    source,
                })
            })?;
        // Looked at first: `migrate` keeps the connection if it fails.
        let was_ours = schema_of(&conn).is_ok_and(|was| was == ours);
        match migrate(conn) {
            Ok(conn) if schema_of(&conn).is_ok_and(|is| is == ours) => Ok(conn),
            Ok(_) => Err(Trouble::Damage(
                "its tables are not those that were made".into(),
            )),
            Err(E::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead))
                if was_ours =>
            {
                Err(Trouble::Damage(
                    "its version is not that of its tables".into(),
                ))
            }
            // "already exists", "no such table": the number says a version whose tables it has not.
            Err(E::RusqliteError { err, .. })
                if is_damage(&err) || err.sqlite_error_code() == Some(ErrorCode::Unknown) =>
            {
                Err(Trouble::Damage(err.to_string()))
            }
            Err(source) => Err(Trouble::Other(OpenError::Schema { path, source })),
        }
    }

    fn connect(&self, flags: OpenFlags) -> rusqlite::Result<Connection> {
        match self.vfs {
            None => Connection::open_with_flags(&self.path, flags),
            Some(vfs) => Connection::open_with_flags_and_vfs(&self.path, flags, vfs),
        }
    }

    /// Opens the file for writing, making it and bringing its schema up to date.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(super) fn migrated(&self) -> Result<Connection, OpenError> {
        let path = || self.path.clone();
        let conn = self.writer().map_err(|source| OpenError::Sqlite {
            path: path(),
            source,
        })?;
        migrate(conn).map_err(|source| OpenError::Schema {
            path: path(),
            source,
        })
    }

    /// Opens the file for writing as it is.
    ///
    /// # Errors
    /// SQLite's.
    pub(super) fn writer(&self) -> rusqlite::Result<Connection> {
        let conn = self.connect(OpenFlags::default())?;
        conn.busy_timeout(BUSY)?;
        conn.set_prepared_statement_cache_capacity(32);
        // Of a new file only: setting it again writes to the file, be it the one that a later version must find as it was.
        let pages: i64 = conn.query_row("PRAGMA page_count", [], |r| r.get(0))?;
        if pages == 0 {
            conn.execute_batch(AUTO_VACUUM)?;
        }
        // FULL: a commit returns after fsync of the log, so it survives a power cut.
        conn.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -2048;
             PRAGMA journal_size_limit = 16777216;",
        )?;
        Ok(conn)
    }

    /// A read-only connection.
    ///
    /// # Errors
    /// SQLite's.
    pub(super) fn reader(&self) -> rusqlite::Result<Connection> {
        let conn =
            self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.busy_timeout(BUSY)?;
        conn.execute_batch("PRAGMA cache_size = -512;")?;
        Ok(conn)
    }
}

/// An empty journal with this pragma and these steps of the schema, in memory: what its tables look like.
pub(super) fn made_new(pragma: &str, steps: &[&str]) -> rusqlite::Result<Connection> {
    let c = Connection::open_in_memory()?;
    c.execute_batch(pragma)?;
    for sql in steps {
        c.execute_batch(sql)?;
    }
    Ok(c)
}

/// Brings a file's schema up to date.
pub(super) fn migrate(mut conn: Connection) -> Result<Connection, rusqlite_migration::Error> {
    Migrations::new(MIGRATIONS.iter().map(|sql| M::up(sql)).collect()).to_latest(&mut conn)?;
    Ok(conn)
}

/// The file whose name has that at its end.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(super) fn schema_of(conn: &Connection) -> rusqlite::Result<Option<String>> {
    conn.query_row(
        "SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name)",
        [],
        |r| r.get(0),
    )
}

/// What is wrong with the tables that a start reads, if anything.
fn check(conn: &Connection) -> rusqlite::Result<Option<String>> {
    for table in READ_AT_START {
        let found: String =
            conn.query_row(&format!("PRAGMA quick_check({table})"), [], |r| r.get(0))?;
        if found != "ok" {
            return Ok(Some(found));
        }
    }
    // The registry, with the types that it will be read with.
    let mut rows = conn.prepare("SELECT num, id, plot, name, secret, revoked, board FROM node")?;
    let mut rows = rows.query([])?;
    while let Some(r) = rows.next()? {
        let _: (u32, String, String, String, [u8; 32]) =
            (r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?);
        let _: (Option<i64>, Option<String>) = (r.get(5)?, r.get(6)?);
    }
    let mut texts = conn.prepare(
        "SELECT id, name, commune FROM farm UNION ALL SELECT id, farm, name || coalesce(crop, '') FROM plot",
    )?;
    let mut rows = texts.query([])?;
    while let Some(r) = rows.next()? {
        let _: (String, String, Option<String>) = (r.get(0)?, r.get(1)?, r.get(2)?);
    }
    // No place can be beyond the last row that was ever given an id.
    let beyond: bool = conn.query_row(
        "SELECT EXISTS (SELECT 1 FROM (SELECT at FROM cursor UNION ALL SELECT at FROM mark WHERE name LIKE '%_upto')
           WHERE at > (SELECT max(coalesce((SELECT max(id) FROM log), 0), (SELECT at FROM mark WHERE name = 'head'))))",
        [],
        |r| r.get(0),
    )?;
    Ok(beyond.then(|| "a counter is beyond the end of the log".into()))
}

/// Looks at the whole file; `None` if it is whole. Takes as long as reading it does.
///
/// # Errors
/// SQLite's, which may be damage too.
pub(super) fn check_all(conn: &Connection) -> rusqlite::Result<Option<String>> {
    let found: String = conn.query_row("PRAGMA quick_check(1)", [], |r| r.get(0))?;
    Ok((found != "ok").then_some(found))
}

/// Whether an error means that bytes on the disk are not what was written, or can't be read back at all.
pub(super) fn is_damage(e: &Error) -> bool {
    e.sqlite_error().is_some_and(|e| {
        matches!(e.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            || matches!(
                e.extended_code,
                ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_CORRUPTFS
            )
    })
}

/// Whether a row, or its absence, is what no journal writes.
fn is_nonsense(e: &Error) -> bool {
    matches!(
        e,
        Error::QueryReturnedNoRows
            | Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
            | Error::Utf8Error(..)
    )
}
