//! What a journal's file holds, and whether it is one: what a backup and a restore are checked by.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::days::{Books, books_in};
use super::{LEDGER_VERSION, MIGRATIONS, ReadError, block, mark, record};
use crate::reading::{Day, Measured, Millis};

/// The first bytes of every SQLite file.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// A file is not a journal that this version can use.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// No such file.
    #[error("no file {0}; name a file that `sen backup` has written")]
    Absent(PathBuf),
    /// Something else.
    #[error("{0} is not a journal of Sen; name a file that `sen backup` has written")]
    Foreign(PathBuf),
    /// Of a later version.
    #[error(
        "{path} has schema version {version}, this program knows versions up to {known}; use the version of Sen that wrote it, or a newer one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        version: i64,
        /// The newest one known here.
        known: usize,
    },
    /// Broken.
    #[error("{path} is damaged ({what}); use another backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite's check found first.
        what: String,
    },
}

/// What a journal's file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// Readings stored.
    pub readings: u64,
    /// Nodes registered.
    pub nodes: u64,
    /// When the first and the last of the readings were taken.
    pub range: Option<(Millis, Millis)>,
    /// Size of the file.
    pub bytes: u64,
}

/// Refuses a file that does not begin as a database does.
pub(super) fn sniff(path: &Path) -> Result<(), Unusable> {
    let mut file = File::open(path).map_err(|_| Unusable::Absent(path.to_path_buf()))?;
    let mut head = [0; MAGIC.len()];
    match file.read_exact(&mut head) {
        Ok(()) if &head == MAGIC => Ok(()),
        _ => Err(Unusable::Foreign(path.to_path_buf())),
    }
}

/// Checks that the file behind `c` is a whole journal that this version knows; answers its schema's version. `named` is
/// what the user calls it.
pub(super) fn check(c: &Connection, named: &Path) -> Result<i64, Unusable> {
    let version = version(c, named)?;
    let damaged = |what| Unusable::Damaged {
        path: named.to_path_buf(),
        what,
    };
    // The full check would read every index against its table: there are next to none, and blocks check themselves.
    let found: String = c
        .query_row("PRAGMA quick_check(1)", [], |r| r.get(0))
        .map_err(|e| damaged(e.to_string()))?;
    if found == "ok" {
        Ok(version)
    } else {
        // SQLite puts a heading before what it found.
        Err(damaged(found.replace('\n', " ")))
    }
}

/// The schema's version of a file that is a journal of a version known here.
pub(super) fn version(c: &Connection, named: &Path) -> Result<i64, Unusable> {
    let read = || -> rusqlite::Result<(i64, i64)> {
        let version = c.query_row("PRAGMA user_version", [], |r| r.get(0))?;
        let tables = c.query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name IN ('log', 'block', 'arrived', 'cursor', 'mark', 'node')",
            [],
            |r| r.get(0),
        )?;
        Ok((version, tables))
    };
    let (version, tables) = read().map_err(|e| match e.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => Unusable::Foreign(named.to_path_buf()),
        _ => Unusable::Damaged {
            path: named.to_path_buf(),
            what: e.to_string(),
        },
    })?;
    not_newer(version, named)?;
    if version < 1 || tables < 6 {
        return Err(Unusable::Foreign(named.to_path_buf()));
    }
    Ok(version)
}

/// Refuses a schema that this program does not know yet: what it reads there may mean something else.
pub(crate) fn not_newer(version: i64, named: &Path) -> Result<(), Unusable> {
    if version > MIGRATIONS.len() as i64 {
        return Err(Unusable::Newer {
            path: named.to_path_buf(),
            version,
            known: MIGRATIONS.len(),
        });
    }
    Ok(())
}

/// The whole ledger, in a transaction that the caller has begun; none for a schema that has no ledger by day.
pub(super) fn ledger(c: &Connection, version: i64) -> Result<Option<Books>, ReadError> {
    if version < LEDGER_VERSION {
        return Ok(None);
    }
    books_in(c, None, Day::MIN).map(Some)
}

impl Contents {
    /// Reads them, in a transaction that the caller has begun. Goes through the whole file.
    pub(super) fn of(c: &Connection) -> Result<Self, ReadError> {
        let number = |sql: &str| {
            c.query_row(sql, [], |r| r.get::<_, i64>(0))
                .map(i64::unsigned_abs)
        };
        let folded = number("SELECT coalesce(sum(readings), 0) FROM block")?;
        let mut all = Self {
            readings: folded,
            nodes: number("SELECT count(*) FROM node")?,
            range: None,
            bytes: number(
                "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
            )?,
        };
        // A block is a day: only those of the first and the last one can hold the ends.
        let mut select = c.prepare(
            "SELECT node, channel, day, body FROM block WHERE day IN (SELECT min(day) FROM block UNION ALL SELECT max(day) FROM block)",
        )?;
        let mut rows = select.query([])?;
        while let Some(r) = rows.next()? {
            let key = (r.get(0)?, r.get(1)?, r.get(2)?);
            for p in block::decode(key, r.get_ref(3)?.as_blob().unwrap_or_default())? {
                all.widen(p.at);
            }
        }
        let mut select =
            c.prepare("SELECT id, node, received, boot, seq, n, body FROM log WHERE id > ?1")?;
        let mut rows = select.query(params![mark(c, "folded_upto")?])?;
        while let Some(r) = rows.next()? {
            let key = record::Key::read(r)?;
            all.readings += u64::from(key.n);
            // A body that can't be read is passed over everywhere else as well.
            let body = r.get_ref(6)?.as_blob().unwrap_or_default();
            for reading in record::decode(&key, body).unwrap_or_default() {
                // A refused record's time is that of its arrival.
                if reading.what != Measured::Refused {
                    all.widen(reading.at);
                }
            }
        }
        Ok(all)
    }

    fn widen(&mut self, at: Millis) {
        let (first, last) = self.range.unwrap_or((at, at));
        self.range = Some((first.min(at), last.max(at)));
    }
}
