//! A named place in the log: how far one reader has come. It moves only forward, and only when the reader says so.

use rusqlite::{Connection, params};

use super::{Boot, Journal, ReadError, StoreError, record};
use crate::reading::{Millis, NodeNum, Reading};

/// One log row: the readings of one uplink (or the part of it that was new).
#[derive(Debug, Clone)]
pub struct Row {
    /// Its place in the log.
    pub id: i64,
    /// Who sent it.
    pub node: NodeNum,
    /// When it arrived.
    pub received: Millis,
    /// Boot and sequence number of the first reading.
    pub place: Option<(Boot, u32)>,
    /// The readings.
    pub readings: Vec<Reading>,
}

impl Journal {
    /// Makes sure that exactly the cursors named here exist. New ones begin at the start of what the log still holds;
    /// one that is no longer named is dropped, or it would hold the log back for ever.
    ///
    /// # Errors
    /// [`StoreError`] from the write.
    pub async fn keep_cursors(&self, names: &[&str]) -> Result<(), StoreError> {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        self.write(move |c| {
            let known: Vec<String> = c.prepare("SELECT name FROM cursor")?.query_map([], |r| r.get(0))?.collect::<Result<_, _>>()?;
            for gone in known.iter().filter(|k| !names.contains(k)) {
                c.execute("DELETE FROM cursor WHERE name = ?1", [gone])?;
            }
            for name in &names {
                c.execute("INSERT OR IGNORE INTO cursor VALUES (?1, coalesce((SELECT min(id) - 1 FROM log), (SELECT at FROM mark WHERE name = 'head')))", [name])?;
            }
            Ok(())
        })
        .await
    }

    /// Where a cursor stands.
    ///
    /// # Errors
    /// [`ReadError`]; also for a name that [`Journal::keep_cursors`] was not told of.
    pub async fn cursor(&self, name: &'static str) -> Result<i64, ReadError> {
        self.read(move |c| {
            Ok(
                c.query_row("SELECT at FROM cursor WHERE name = ?1", [name], |r| {
                    r.get(0)
                })?,
            )
        })
        .await
    }

    /// Moves a cursor forward.
    ///
    /// # Errors
    /// [`StoreError`] from the write; the cursor stays where it was.
    pub async fn advance(&self, name: &'static str, to: i64) -> Result<(), StoreError> {
        self.write(move |c| {
            c.prepare_cached("UPDATE cursor SET at = ?2 WHERE name = ?1 AND at < ?2")?
                .execute(params![name, to])
                .map(drop)
        })
        .await
    }

    /// The rows after `id`, at most `limit`.
    ///
    /// # Errors
    /// [`ReadError`]. A row whose body is damaged is left out and logged: it must not hold up those behind it.
    pub async fn rows_after(&self, id: i64, limit: usize) -> Result<Vec<Row>, ReadError> {
        self.read(move |c| rows_after(c, id, limit)).await
    }

    /// Readings in the log after `id`: a reader's lag.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn readings_after(&self, id: i64) -> Result<u64, ReadError> {
        self.read(move |c| {
            Ok(c.query_row(
                "SELECT coalesce(sum(n), 0) FROM log WHERE id > ?1",
                [id],
                |r| r.get::<_, i64>(0),
            )?
            .unsigned_abs())
        })
        .await
    }
}

pub(super) fn rows_after(c: &Connection, id: i64, limit: usize) -> Result<Vec<Row>, ReadError> {
    let mut select = c.prepare_cached(
        "SELECT id, node, received, boot, seq, n, body FROM log WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let mut rows = select.query(params![id, limit as i64])?;
    let mut out = Vec::new();
    while let Some(r) = rows.next()? {
        let key = record::Key::read(r)?;
        let body = r.get_ref(6)?.as_blob().unwrap_or_default();
        let readings = record::decode(&key, body).unwrap_or_else(|e| {
            tracing::error!("log row {}: {e}; it is passed over", key.id);
            Vec::new()
        });
        out.push(Row {
            id: key.id,
            node: key.node,
            received: key.received,
            place: key.place,
            readings,
        });
    }
    Ok(out)
}
