//! The latest value of every channel, kept in memory from the journal, and the stream of changes.
//!
//! Late data fills history and the last day's means; it never replaces a newer value.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sen_wire::{Channel, Fault};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::journal::{Journal, ReadError};
use crate::reading::{DAY_MS, HOUR_MS, Measured, Millis, NodeNum, Reading};
use crate::registry::Known;

/// Hours in a sparkline.
pub const SPARK_HOURS: usize = 24;
/// Steps whose median is a channel's typical spacing.
const STEPS: usize = 5;
/// Rows taken from the journal at once.
const ROWS: usize = 2_000;
/// Pause between looks into the journal: people do not see it, and a busy journal is read in strides.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);
/// Batches that a slow listener of the stream may lag behind before it loses some.
const STREAM: usize = 64;

/// The newest reading of a channel and the day around it.
#[derive(Debug, Clone)]
pub struct Latest {
    /// The node.
    pub node: NodeNum,
    /// The channel.
    pub channel: Channel,
    /// When it was taken.
    pub at: Millis,
    /// When the gateway got it.
    pub received_at: Millis,
    /// The value, or the fault in its place.
    pub what: Result<f64, Fault>,
    /// The time was worked out afterwards.
    pub estimated: bool,
    steps: [u32; STEPS],
    hours: [(i64, u32, f64); SPARK_HOURS],
}

impl Latest {
    fn first(node: NodeNum, channel: Channel) -> Self {
        Self {
            node,
            channel,
            at: Millis::MIN,
            received_at: 0,
            what: Err(Fault::Other),
            estimated: false,
            steps: [0; STEPS],
            hours: [(i64::MIN, 0, 0.0); SPARK_HOURS],
        }
    }

    /// Takes a reading in; true when it is the newest.
    fn take(
        &mut self,
        at: Millis,
        what: Result<f64, Fault>,
        estimated: bool,
        received: Millis,
    ) -> bool {
        if let Ok(v) = what {
            let hour = at.div_euclid(HOUR_MS);
            let slot = &mut self.hours[hour.rem_euclid(SPARK_HOURS as i64) as usize];
            if slot.0 < hour {
                *slot = (hour, 1, v);
            } else if slot.0 == hour {
                slot.1 += 1;
                slot.2 += v;
            }
        }
        if at <= self.at {
            return false;
        }
        if self.at != Millis::MIN {
            self.steps.rotate_left(1);
            self.steps[STEPS - 1] = u32::try_from(at - self.at).unwrap_or(u32::MAX);
        }
        (self.at, self.what, self.estimated, self.received_at) = (at, what, estimated, received);
        true
    }

    /// Typical spacing: the median of the last steps.
    #[must_use]
    pub fn every_ms(&self) -> Option<Millis> {
        let mut steps: Vec<u32> = self.steps.iter().copied().filter(|s| *s > 0).collect();
        steps.sort_unstable();
        steps.get(steps.len() / 2).map(|s| i64::from(*s))
    }

    /// Hourly means of the 24 hours up to `now`, oldest first; `None` where there was nothing.
    #[must_use]
    pub fn spark(&self, now: Millis) -> Vec<Option<f64>> {
        let last = now.div_euclid(HOUR_MS);
        (last - SPARK_HOURS as i64 + 1..=last)
            .map(|h| {
                let slot = self.hours[h.rem_euclid(SPARK_HOURS as i64) as usize];
                (slot.0 == h && slot.1 > 0).then(|| slot.2 / f64::from(slot.1))
            })
            .collect()
    }
}

/// All latest values. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Live {
    latest: Arc<Mutex<HashMap<(NodeNum, Channel), Latest>>>,
    changes: broadcast::Sender<Arc<Vec<Latest>>>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            latest: Arc::default(),
            changes: broadcast::Sender::new(STREAM),
        }
    }
}

impl Live {
    fn lock(&self) -> MutexGuard<'_, HashMap<(NodeNum, Channel), Latest>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every channel's latest, by node and channel.
    #[must_use]
    pub fn all(&self) -> Vec<Latest> {
        let mut all: Vec<Latest> = self.lock().values().cloned().collect();
        all.sort_by_key(|l| (l.node, l.channel.to_u16()));
        all
    }

    /// When each node was last heard of through a reading.
    #[must_use]
    pub fn last_seen(&self) -> HashMap<NodeNum, Millis> {
        let mut seen: HashMap<NodeNum, Millis> = HashMap::new();
        for l in self.lock().values() {
            let at = seen.entry(l.node).or_default();
            *at = (*at).max(l.received_at);
        }
        seen
    }

    /// Changes from now on, a batch for each group of rows.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Arc<Vec<Latest>>> {
        self.changes.subscribe()
    }

    /// Starts from the journal as it is: the newest days of every channel, folded and not.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn load(&self, journal: &Journal, known: &Known) -> Result<i64, ReadError> {
        let head = *journal.head().borrow();
        let mut done = std::collections::HashSet::new();
        for (node, channels) in journal.folded_channels().await? {
            if known.now().node_num(node).is_none() {
                continue;
            }
            for channel in channels {
                let Some(day) = journal.newest_day(node, channel).await? else {
                    continue;
                };
                let points = journal
                    .points(node, channel, (day - 1) * DAY_MS, Millis::MAX)
                    .await?;
                let mut l = Latest::first(node, channel);
                for p in points {
                    l.take(p.at, p.what.map(|v| v.to_f64()), p.estimated, p.at);
                }
                self.lock().insert((node, channel), l);
                done.insert((node, channel));
            }
        }
        // Channels that have nothing folded yet.
        let folded = journal
            .read(|c| {
                Ok(
                    c.query_row("SELECT at FROM mark WHERE name = 'folded_upto'", [], |r| {
                        r.get(0)
                    })?,
                )
            })
            .await?;
        let mut at: i64 = folded;
        while at < head {
            let rows = journal.rows_after(at, ROWS).await?;
            let Some(last) = rows.last() else { break };
            at = last.id;
            for row in rows {
                let fresh: Vec<Reading> = row
                    .readings
                    .into_iter()
                    .filter(|r| r.channel.is_none_or(|c| !done.contains(&(row.node, c))))
                    .collect();
                self.absorb(row.node, row.received, &fresh);
            }
        }
        Ok(head.max(at))
    }

    fn absorb(
        &self,
        node: NodeNum,
        received: Millis,
        readings: &[Reading],
    ) -> Vec<(NodeNum, Channel)> {
        let mut changed = Vec::new();
        let mut latest = self.lock();
        for r in readings {
            let Some(channel) = r.channel else { continue };
            let what = match r.what {
                Measured::Value(v) => Ok(v.to_f64()),
                Measured::Fault(f) => Err(f),
                Measured::Refused => continue,
            };
            let l = latest
                .entry((node, channel))
                .or_insert_with(|| Latest::first(node, channel));
            if l.take(r.at, what, r.estimated, received) {
                changed.push((node, channel));
            }
        }
        changed
    }

    /// Follows the journal from row `at` until `stop`.
    pub async fn follow(self, journal: Journal, mut at: i64, stop: CancellationToken) {
        let mut head = journal.head();
        let mut caught_up = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                moved = head.wait_for(|h| *h > at) => if moved.is_err() { return },
            }
            if caught_up {
                tokio::time::sleep(PAUSE).await;
            }
            let rows = match journal.rows_after(at, ROWS).await {
                Ok(rows) => rows,
                Err(e) => {
                    tracing::warn!("latest values wait: {e}");
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                    continue;
                }
            };
            // An empty answer means that the rows were folded and trimmed meanwhile: nothing newer is left to show.
            caught_up = rows.len() < ROWS;
            at = rows.last().map_or(*head.borrow(), |r| r.id);
            let mut changed: Vec<(NodeNum, Channel)> = rows
                .iter()
                .flat_map(|r| self.absorb(r.node, r.received, &r.readings))
                .collect();
            if changed.is_empty() || self.changes.receiver_count() == 0 {
                continue;
            }
            changed.sort_unstable_by_key(|(n, c)| (*n, c.to_u16()));
            changed.dedup();
            let batch: Vec<Latest> = {
                let latest = self.lock();
                changed
                    .iter()
                    .filter_map(|k| latest.get(k).cloned())
                    .collect()
            };
            let _ = self.changes.send(Arc::new(batch));
        }
    }
}
