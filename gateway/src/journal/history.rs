//! Reading back: one channel over any range, from blocks and the unfolded tail, whole or down-sampled.

use rusqlite::{Connection, OptionalExtension, params};
use sen_wire::Channel;

use super::block::{self, Head, Point};
use super::writer::lock;
use super::{Journal, ReadError, fold, mark, record};
use crate::reading::{DAY_MS, Measured, Millis, NodeNum};

/// One bucket of a down-sampled series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Its first instant.
    pub start: Millis,
    /// What fell into it.
    pub head: Head,
    /// How many of its points have a time that was worked out afterwards.
    pub estimated: u32,
}

/// A down-sampled series.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// Width of a bucket.
    pub bucket_ms: Millis,
    /// Typical spacing of the readings, the median; `None` with fewer than two.
    pub every_ms: Option<Millis>,
    /// Buckets that hold anything, ascending.
    pub buckets: Vec<Bucket>,
}

impl Journal {
    /// All points of a channel with `from <= at < to`, ascending, one an instant.
    ///
    /// # Errors
    /// [`ReadError`]. A damaged block is left out and logged.
    pub async fn points(
        &self,
        node: NodeNum,
        channel: Channel,
        from: Millis,
        to: Millis,
    ) -> Result<Vec<Point>, ReadError> {
        // The list of tail rows is taken before the snapshot begins: a fold in between moves rows into blocks that the
        // snapshot then sees, and never the other way round.
        let tail = lock(&self.0.shared.tail).of(node);
        self.read(move |c| {
            c.execute_batch("BEGIN")?;
            let out = points(c, node, channel, from, to, &tail);
            c.execute_batch("COMMIT")?;
            out
        })
        .await
    }

    /// A channel over `from..to` in at most `buckets` equal buckets, aligned to their own width.
    ///
    /// # Errors
    /// As [`Journal::points`].
    pub async fn history(
        &self,
        node: NodeNum,
        channel: Channel,
        from: Millis,
        to: Millis,
        buckets: u32,
    ) -> Result<History, ReadError> {
        let points = self.points(node, channel, from, to).await?;
        Ok(down_sample(&points, from, to, buckets))
    }

    /// Every (node, channel) that has folded history.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn folded_channels(
        &self,
    ) -> Result<std::collections::HashMap<NodeNum, Vec<Channel>>, ReadError> {
        self.read(fold::channels).await
    }

    /// The newest point that is folded: where the live value starts from.
    ///
    /// # Errors
    /// As [`Journal::points`].
    pub async fn newest_day(
        &self,
        node: NodeNum,
        channel: Channel,
    ) -> Result<Option<i64>, ReadError> {
        self.read(move |c| {
            Ok(c.query_row(
                "SELECT max(day) FROM block WHERE node = ?1 AND channel = ?2",
                params![node, channel.to_u16()],
                |r| r.get(0),
            )
            .optional()?
            .flatten())
        })
        .await
    }
}

fn points(
    c: &Connection,
    node: NodeNum,
    channel: Channel,
    from: Millis,
    to: Millis,
    tail: &[i64],
) -> Result<Vec<Point>, ReadError> {
    let folded = mark(c, "folded_upto")?;
    let mut out = Vec::new();
    let mut select = c.prepare_cached("SELECT day, body FROM block WHERE node = ?1 AND channel = ?2 AND day BETWEEN ?3 AND ?4 ORDER BY day")?;
    let last_day = (to.saturating_sub(1)).div_euclid(DAY_MS);
    let mut rows = select.query(params![
        node,
        channel.to_u16(),
        from.div_euclid(DAY_MS),
        last_day
    ])?;
    while let Some(r) = rows.next()? {
        let day = r.get(0)?;
        let body = r.get_ref(1)?.as_blob().unwrap_or_default();
        match block::decode((node, channel.to_u16(), day), body) {
            Ok(points) => out.extend(points.into_iter().filter(|p| p.at >= from && p.at < to)),
            Err(e) => {
                tracing::error!("block of node {node}, {channel}, day {day}: {e}; left out");
            }
        }
    }
    let folded_points = out.len();
    let mut select =
        c.prepare_cached("SELECT id, node, received, boot, seq, n, body FROM log WHERE id = ?1")?;
    for id in tail.iter().filter(|&&id| id > folded) {
        let row = select
            .query_row([id], |r| {
                let key = record::Key::read(r)?;
                Ok(record::decode(
                    &key,
                    r.get_ref(6)?.as_blob().unwrap_or_default(),
                ))
            })
            .optional()?;
        // A damaged row is left out here and reported by whoever reads it in its turn (cursor.rs).
        for r in row.and_then(Result::ok).unwrap_or_default() {
            if r.channel == Some(channel) && r.at >= from && r.at < to {
                let what = match r.what {
                    Measured::Value(v) => Ok(v),
                    Measured::Fault(f) => Err(f),
                    Measured::Refused => continue,
                };
                out.push(Point {
                    at: r.at,
                    what,
                    estimated: r.estimated,
                });
            }
        }
    }
    if out.len() > folded_points {
        block::settle(&mut out);
    }
    Ok(out)
}

/// Buckets of `ceil((to - from) / buckets)`, aligned to multiples of themselves.
fn down_sample(points: &[Point], from: Millis, to: Millis, buckets: u32) -> History {
    let span = to.saturating_sub(from).max(1);
    let bucket_ms =
        (span.saturating_add(i64::from(buckets) - 1) / i64::from(buckets.max(1))).max(1);
    let mut out: Vec<Bucket> = Vec::new();
    for p in points {
        let start = p.at.div_euclid(bucket_ms) * bucket_ms;
        match out.last_mut() {
            Some(b) if b.start == start => {
                b.head.add(p);
                b.estimated += u32::from(p.estimated);
            }
            _ => {
                let mut head = Head::default();
                head.add(p);
                out.push(Bucket {
                    start,
                    head,
                    estimated: u32::from(p.estimated),
                });
            }
        }
    }
    History {
        bucket_ms,
        every_ms: median_step(points),
        buckets: out,
    }
}

fn median_step(points: &[Point]) -> Option<Millis> {
    let mut steps: Vec<Millis> = points.windows(2).map(|w| w[1].at - w[0].at).collect();
    if steps.is_empty() {
        return None;
    }
    let middle = steps.len() / 2;
    Some(*steps.select_nth_unstable(middle).1)
}
