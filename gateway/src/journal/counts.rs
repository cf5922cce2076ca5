//! How many readings a stretch of the log has, without reading all of it each time somebody asks.
//!
//! Log rows never change once they are committed, so the sum of a whole block of them is worked out once and kept. A
//! question then reads at most the two blocks at the ends, however far a reader lags: exact, at the price of 16 bytes for
//! each [`BLOCK`] rows that wait.

use std::collections::BTreeMap;
use std::sync::Mutex;

use rusqlite::Connection;

use super::cursor::Gap;
use super::writer::lock;
use super::{Journal, ReadError};

/// Log rows of a block: `k * BLOCK + 1 ..= (k + 1) * BLOCK`.
const BLOCK: i64 = 1_024;

/// Readings of whole blocks, by block.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<BTreeMap<i64, u64>>);

impl Counts {
    /// Readings in `gap`, whose end must be committed and whose beginning must not be trimmed.
    fn of(&self, c: &Connection, gap: Gap) -> rusqlite::Result<u64> {
        let first = gap.at.div_euclid(BLOCK) + i64::from(gap.at.rem_euclid(BLOCK) != 0);
        let end = gap.upto.div_euclid(BLOCK);
        if first >= end {
            return sum(c, gap.at, gap.upto);
        }
        let mut readings = sum(c, gap.at, first * BLOCK)? + sum(c, end * BLOCK, gap.upto)?;
        for block in first..end {
            let known = lock(&self.0).get(&block).copied();
            readings += match known {
                Some(n) => n,
                None => {
                    let n = sum(c, block * BLOCK, (block + 1) * BLOCK)?;
                    lock(&self.0).insert(block, n);
                    n
                }
            };
        }
        Ok(readings)
    }

    /// Forgets all: another file has taken the place of the one that was counted.
    pub(super) fn forget(&self) {
        lock(&self.0).clear();
    }

    /// Forgets what lies wholly before this row: it may be trimmed.
    pub(super) fn passed(&self, id: i64) {
        let mut known = lock(&self.0);
        *known = known.split_off(&id.div_euclid(BLOCK));
    }
}

fn sum(c: &Connection, after: i64, upto: i64) -> rusqlite::Result<u64> {
    c.prepare_cached("SELECT coalesce(sum(n), 0) FROM log WHERE id > ?1 AND id <= ?2")?
        .query_row([after, upto], |r| r.get::<_, i64>(0))
        .map(i64::unsigned_abs)
}

impl Journal {
    /// Readings in the log after `id`: a reader's lag.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn readings_after(&self, id: i64) -> Result<u64, ReadError> {
        let open = Gap {
            at: id,
            upto: i64::MAX,
        };
        self.readings_in(vec![open]).await
    }

    /// Readings in the log within these gaps, which a cursor keeps from being trimmed.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn readings_in(&self, gaps: Vec<Gap>) -> Result<u64, ReadError> {
        // Nothing beyond it is counted for good: a row may be on its way.
        let head = *self.head().borrow();
        let shared = self.0.shared.clone();
        self.read(move |c| {
            let ends = gaps.iter().map(|g| Gap {
                at: g.at,
                upto: g.upto.min(head),
            });
            let mut readings = 0;
            for gap in ends.filter(|g| g.at < g.upto) {
                readings += shared.counts.of(c, gap)?;
            }
            Ok(readings)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of `rows` rows; row `id` has `id % 5` readings.
    fn log(rows: i64) -> Connection {
        let c = Connection::open_in_memory().unwrap();
        c.execute_batch("CREATE TABLE log (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)")
            .unwrap();
        let mut insert = c.prepare("INSERT INTO log VALUES (?1, ?1 % 5)").unwrap();
        for id in 1..=rows {
            insert.execute([id]).unwrap();
        }
        drop(insert);
        c
    }

    #[test]
    fn counts_what_is_there_wherever_it_begins_and_ends() {
        let c = log(3 * BLOCK + 7);
        let counts = Counts::default();
        let edges = [
            0,
            1,
            5,
            BLOCK - 1,
            BLOCK,
            BLOCK + 1,
            2 * BLOCK,
            3 * BLOCK,
            3 * BLOCK + 7,
        ];
        for _ in 0..2 {
            for at in edges {
                for upto in edges.into_iter().filter(|&upto| upto >= at) {
                    let all: i64 = (at + 1..=upto).map(|id| id % 5).sum();
                    let counted = counts.of(&c, Gap { at, upto }).unwrap();
                    assert_eq!(counted, all.unsigned_abs(), "{at}..{upto}");
                }
            }
            counts.passed(BLOCK + 1);
        }
    }

    #[test]
    fn whole_blocks_are_read_once() {
        let c = log(4 * BLOCK);
        let counts = Counts::default();
        let gap = Gap {
            at: 10,
            upto: 4 * BLOCK,
        };
        let before = counts.of(&c, gap).unwrap();
        // What is in the middle is not looked at again.
        c.execute(
            "DELETE FROM log WHERE id > ?1 AND id <= ?2",
            [BLOCK, 3 * BLOCK],
        )
        .unwrap();
        assert_eq!(counts.of(&c, gap).unwrap(), before);
        counts.passed(3 * BLOCK);
        assert_eq!(lock(&counts.0).len(), 1);
    }
}
