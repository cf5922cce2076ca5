//! The InfluxDB sink: a cursor into the journal that moves only when the server has said yes.
//!
//! A server that is down, slow or hanging costs nothing but lag. A point that it refuses is found by halving the batch and
//! goes to the dead letters with the server's reason; the others go through.

mod client;
mod line;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Influx;
use crate::journal::cursor::Row;
use crate::journal::{Journal, ReadError, StoreError};
use crate::reading::Millis;
use crate::registry::Known;
use client::{Client, WriteError};

pub use client::BuildError;

/// The cursor's name.
pub const CURSOR: &str = "influx";

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest line and reason that a dead letter keeps.
const KEPT: usize = 2_000;

/// How the sink is doing.
#[derive(Debug, Clone, Default)]
pub struct SinkState {
    /// When the server last took a batch.
    pub last_ok_at: Option<Millis>,
    /// Why the last request failed, until one succeeds.
    pub last_error: Option<String>,
    /// The cursor.
    pub at: i64,
    /// Points refused for good since the start.
    pub refused: u64,
}

/// A sink's state, shared.
#[derive(Debug, Clone, Default)]
pub struct SharedState(Arc<Mutex<SinkState>>);

impl SharedState {
    /// The state of this moment.
    #[must_use]
    pub fn get(&self) -> SinkState {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, change: impl FnOnce(&mut SinkState)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What a stop left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Readings that are in the journal and not in InfluxDB; the next start goes on with them.
    pub readings: u64,
}

/// The sink.
#[derive(Debug)]
pub struct Sink {
    config: Influx,
    coop: String,
    client: Client,
    journal: Journal,
    known: Known,
    clock: Clock,
    state: SharedState,
}

/// The journal failed under the sink; it tries again.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Sink {
    /// Prepares the sink; nothing is sent yet.
    ///
    /// # Errors
    /// [`BuildError`] when the HTTP client can't be made.
    pub fn new(
        config: Influx,
        coop: String,
        journal: Journal,
        known: Known,
        clock: Clock,
        state: SharedState,
    ) -> Result<Self, BuildError> {
        let client = Client::new(&config)?;
        Ok(Self {
            config,
            coop,
            client,
            journal,
            known,
            clock,
            state,
        })
    }

    /// Runs until `stop`, then sends what is left for at most the configured time.
    pub async fn run(self, stop: CancellationToken) -> Left {
        while !stop.is_cancelled() {
            match self.follow(&stop).await {
                Ok(()) => break,
                Err(e) => {
                    tracing::warn!("influx: {e}; trying again in {LONGEST_PAUSE:?}");
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = tokio::time::sleep(LONGEST_PAUSE) => {}
                    }
                }
            }
        }
        if tokio::time::timeout(self.config.drain, self.drain())
            .await
            .is_err()
        {
            tracing::warn!("influx: not drained within {:?}", self.config.drain);
        }
        let at = self.state.get().at;
        Left {
            readings: self.journal.readings_after(at).await.unwrap_or_default(),
        }
    }

    async fn follow(&self, stop: &CancellationToken) -> Result<(), Trouble> {
        let mut head = self.journal.head();
        let mut at = self.journal.cursor(CURSOR).await?;
        self.state.set(|s| s.at = at);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                moved = head.wait_for(|h| *h > at) => if moved.is_err() { return Ok(()) },
            }
            self.gather(at, stop).await;
            at = self.send_next(at, Some(stop)).await?;
        }
    }

    /// Waits for company: until the batch is full or old enough.
    async fn gather(&self, at: i64, stop: &CancellationToken) {
        let full = i64::try_from(self.config.batch_points).unwrap_or(i64::MAX);
        let mut head = self.journal.head();
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(self.config.batch_age) => {}
            _ = head.wait_for(|h| *h - at >= full) => {}
        }
    }

    async fn drain(&self) {
        let mut at = self.state.get().at;
        while *self.journal.head().borrow() > at {
            match self.send_next(at, None).await {
                Ok(to) if to > at => at = to,
                _ => return,
            }
        }
    }

    /// Sends the batch after `at`; returns where the cursor is now.
    async fn send_next(&self, at: i64, stop: Option<&CancellationToken>) -> Result<i64, Trouble> {
        let rows = self
            .journal
            .rows_after(at, self.config.batch_points)
            .await?;
        let Some(last) = rows.last().map(|r| r.id) else {
            return Ok(at);
        };
        let lines = self.lines(&rows);
        let mut dead = Vec::new();
        for batch in lines.chunks(self.config.batch_points.max(1)) {
            if !self.deliver(batch, &mut dead, stop).await {
                return Ok(at);
            }
        }
        self.commit(last, dead).await?;
        let now = self.clock.now();
        self.state.set(|s| {
            s.at = last;
            s.last_ok_at = Some(now);
            s.last_error = None;
        });
        metrics::counter!("sen_influx_points_total").increment(lines.len() as u64);
        Ok(last)
    }

    fn lines(&self, rows: &[Row]) -> Vec<String> {
        let known = self.known.now();
        let mut lines = Vec::with_capacity(rows.len() * 2);
        for row in rows {
            line::write(row, &known, &self.coop, &mut lines);
        }
        lines
    }

    /// Sends lines until the server has taken or refused each. False when a stop came first.
    async fn deliver(
        &self,
        lines: &[String],
        dead: &mut Vec<(String, String)>,
        stop: Option<&CancellationToken>,
    ) -> bool {
        let mut pause = FIRST_PAUSE;
        let mut waiting = vec![lines];
        while let Some(part) = waiting.pop() {
            // A request that hangs must not put off a stop: it is let go, and sent again by the drain. Writing a point twice
            // leaves one.
            let answer = tokio::select! {
                () = async { match stop { Some(s) => s.cancelled().await, None => std::future::pending().await } } => return false,
                answer = self.client.write(part) => answer,
            };
            match answer {
                Ok(()) => pause = FIRST_PAUSE,
                Err(WriteError::Refused(reason)) => {
                    if let [only] = part {
                        metrics::counter!("sen_influx_refused_total").increment(1);
                        self.state.set(|s| s.refused += 1);
                        dead.push((cut(only), cut(&reason)));
                    } else {
                        let (first, second) = part.split_at(part.len() / 2);
                        waiting.push(second);
                        waiting.push(first);
                    }
                }
                Err(WriteError::Later { reason, after }) => {
                    metrics::counter!("sen_influx_failures_total").increment(1);
                    self.state.set(|s| {
                        if s.last_error.is_none() {
                            tracing::warn!("influx: {reason}; readings wait in the journal");
                        }
                        s.last_error = Some(reason);
                    });
                    waiting.push(part);
                    let Some(stop) = stop else { return false };
                    tokio::select! {
                        () = stop.cancelled() => return false,
                        () = tokio::time::sleep(after.unwrap_or(pause).min(LONGEST_PAUSE * 4)) => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        true
    }

    async fn commit(&self, to: i64, dead: Vec<(String, String)>) -> Result<(), StoreError> {
        if dead.is_empty() {
            return self.journal.advance(CURSOR, to).await;
        }
        let now = self.clock.now();
        self.journal
            .write(move |c| {
                let mut insert = c.prepare_cached(
                    "INSERT INTO dead_letter (at, sink, line, reason) VALUES (?1, ?2, ?3, ?4)",
                )?;
                for (line, reason) in &dead {
                    insert.execute((now, CURSOR, line, reason))?;
                }
                c.execute(
                    "UPDATE cursor SET at = ?2 WHERE name = ?1 AND at < ?2",
                    (CURSOR, to),
                )
                .map(drop)
            })
            .await
    }
}

fn cut(text: &str) -> String {
    text.chars().take(KEPT).collect()
}
