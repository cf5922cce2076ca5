//! The InfluxDB sink: a cursor into the journal that moves only when the server has said yes.
//!
//! A server that is down, slow or hanging costs nothing but lag. After an outage the newest readings go first and the
//! backlog is paced beside them. A point that the server refuses is found by halving the batch and goes to
//! the dead letters with the server's reason; the others go through.

mod client;
mod dead_letters;
mod halving;
mod line;
mod progress;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Influx;
use crate::journal::cursor::{self, Gap, Row};
use crate::journal::{Journal, ReadError, StoreError};
use crate::reading::Millis;
use crate::registry::Known;
use client::{Client, WriteError};
use halving::{Verdict, halve};
use progress::{Due, Next, Part, Progress};

pub use client::BuildError;
pub use dead_letters::{
    DeadLetters, Kind, Letter, LettersError, Resent, Which, dead_letters, kinds, letters,
};
pub use line::{Field, Point};

/// The cursor's name.
pub const CURSOR: &str = "influx";

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest pause that a server can ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);
/// A batch of the backlog is followed by a rest of this part of the time that it took: the server has others to serve, and
/// the link is narrow.
const REST: u32 = 4;
const LONGEST_REST: Duration = Duration::from_secs(2);
/// Longest reason that a dead letter keeps.
const REASON: usize = 2_000;

/// How the sink is doing.
#[derive(Debug, Clone, Default)]
pub struct SinkState {
    /// When the server last took a batch.
    pub last_ok_at: Option<Millis>,
    /// Why the last request failed, until one succeeds.
    pub last_error: Option<String>,
    /// The last row of the live part that the server has.
    pub live: i64,
    /// What it lacks before that, oldest first.
    pub gaps: Vec<Gap>,
    /// Points refused for good since the start.
    pub refused: u64,
}

impl SinkState {
    /// Everything that the server does not have.
    #[must_use]
    pub fn unsent(&self) -> Vec<Gap> {
        let open = Gap {
            at: self.live,
            upto: i64::MAX,
        };
        self.gaps.iter().copied().chain([open]).collect()
    }
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
    client: Arc<Client>,
    journal: Journal,
    known: Known,
    clock: Clock,
    state: SharedState,
}

/// The journal failed under the sink; it tries again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A stop came, or a drain failed, before the server had said what it makes of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stopped;

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
        let client = Arc::new(Client::new(&config)?);
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
        match tokio::time::timeout(self.config.drain, self.drain()).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::warn!("influx: not drained: {e}"),
            Err(_) => tracing::warn!("influx: not drained within {:?}", self.config.drain),
        }
        let unsent = self.state.get().unsent();
        Left {
            readings: self.journal.readings_in(unsent).await.unwrap_or_default(),
        }
    }

    /// What lets the dead letters be looked at and sent again.
    #[must_use]
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters::new(self.journal.clone(), self.client.clone())
    }

    async fn follow(&self, stop: &CancellationToken) -> Result<(), Trouble> {
        let mut head = self.journal.head();
        let mut done = Progress::load(&self.journal).await?;
        self.show(&done);
        let due = self.due(self.config.batch_age);
        let mut fresh_since: Option<Instant> = None;
        while !stop.is_cancelled() {
            let last = *head.borrow_and_update();
            if last <= done.live {
                fresh_since = None;
            } else {
                fresh_since.get_or_insert_with(Instant::now);
            }
            let waited = fresh_since.map_or(Duration::ZERO, |since| since.elapsed());
            let part = match done.next(last, waited, due) {
                Next::Send(part) => part,
                wait => {
                    let longest = match wait {
                        Next::Gather(longest) => longest,
                        _ => Duration::MAX,
                    };
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(longest) => {}
                        moved = head.changed() => if moved.is_err() { return Ok(()) },
                    }
                    continue;
                }
            };
            if part == Part::Live {
                fresh_since = None;
            }
            let started = Instant::now();
            let sent = self.send(&mut done, part, Some(stop)).await?;
            if sent && part == Part::Backlog {
                let rest = (started.elapsed() / REST).min(LONGEST_REST);
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(rest) => {}
                }
            }
        }
        Ok(())
    }

    /// What makes a batch of fresh rows due when they wait for company at most `age`.
    fn due(&self, age: Duration) -> Due {
        Due {
            rows: i64::try_from(self.config.batch_points).unwrap_or(i64::MAX),
            age,
        }
    }

    async fn drain(&self) -> Result<(), Trouble> {
        let mut done = Progress::load(&self.journal).await?;
        let due = self.due(Duration::ZERO);
        loop {
            let last = *self.journal.head().borrow();
            let Next::Send(part) = done.next(last, Duration::ZERO, due) else {
                return Ok(());
            };
            if !self.send(&mut done, part, None).await? {
                return Ok(());
            }
        }
    }

    fn show(&self, done: &Progress) {
        let backlog: i64 = done.gaps.iter().map(|g| g.upto - g.at).sum();
        metrics::gauge!("sen_influx_backlog_rows").set(backlog as f64);
        self.state.set(|s| {
            s.live = done.live;
            s.gaps.clone_from(&done.gaps);
        });
    }

    /// Sends the next batch of a part; says whether the server took it.
    async fn send(
        &self,
        done: &mut Progress,
        part: Part,
        stop: Option<&CancellationToken>,
    ) -> Result<bool, Trouble> {
        let (after, upto) = done.range(part);
        let mut rows = self
            .journal
            .rows_after(after, self.config.batch_points)
            .await?;
        let full = rows.len() == self.config.batch_points;
        rows.retain(|r| r.id <= upto);
        // The rows that a gap still names may be gone with a damaged file.
        let last = rows.last().map(|r| (r.id, r.received));
        let to = match (part, last) {
            (Part::Backlog, Some((id, _))) if full => id,
            (Part::Backlog, _) => upto,
            (Part::Live, Some((id, _))) => id,
            (Part::Live, None) => return Ok(false),
        };
        let lines = self.lines(&rows);
        let mut dead = Vec::new();
        for batch in lines.chunks(self.config.batch_points.max(1)) {
            match self.deliver(batch, stop).await {
                Ok(refused) => dead.extend(refused),
                Err(Stopped) => return Ok(false),
            }
        }
        let now = self.clock.now();
        let mut gaps: Vec<Gap> = done.sent(part, to).into_iter().collect();
        let late = i64::try_from(self.config.backlog_after.as_millis()).unwrap_or(i64::MAX);
        if part == Part::Live
            && full
            && last.is_some_and(|(_, received)| now.saturating_sub(received) > late)
            && let Some(gap) = done.go_ahead(*self.journal.head().borrow())
        {
            tracing::info!(
                "influx: newest readings first; {} rows wait behind them",
                gap.upto - gap.at
            );
            gaps.push(gap);
        }
        let refused = dead.len() as u64;
        self.commit(done.live, gaps, dead).await?;
        self.show(done);
        metrics::counter!("sen_influx_refused_total").increment(refused);
        self.state.set(|s| {
            s.refused += refused;
            s.last_ok_at = Some(now);
            s.last_error = None;
        });
        metrics::counter!("sen_influx_points_total", "part" => part.name())
            .increment(lines.len() as u64);
        Ok(true)
    }

    fn lines(&self, rows: &[Row]) -> Vec<String> {
        let known = self.known.now();
        let mut lines = Vec::with_capacity(rows.len() * 2);
        for row in rows {
            line::write(row, &known, &self.coop, &mut lines);
        }
        lines
    }

    /// Sends lines until the server has taken or refused each; those that it refused, with the reasons.
    async fn deliver(
        &self,
        lines: &[String],
        stop: Option<&CancellationToken>,
    ) -> Result<Vec<(String, String)>, Stopped> {
        let halved = halve(lines, |part| self.insist(part, stop)).await;
        if let Some((_, stopped)) = halved.undecided {
            return Err(stopped);
        }
        let refused = halved.refused.into_iter();
        Ok(refused
            .map(|(line, reason)| (line.clone(), cut(&reason)))
            .collect())
    }

    /// Asks until the server has an opinion of these lines. Without `stop`, the first failure ends it.
    async fn insist(
        &self,
        lines: &[String],
        stop: Option<&CancellationToken>,
    ) -> Result<Verdict, Stopped> {
        let mut pause = FIRST_PAUSE;
        loop {
            // A request that hangs must not put off a stop: it is let go, and sent again by the drain. Writing a point twice
            // leaves one.
            let answer = tokio::select! {
                () = async { match stop { Some(s) => s.cancelled().await, None => std::future::pending().await } } => return Err(Stopped),
                answer = self.client.write(lines) => answer,
            };
            let (reason, after) = match answer {
                Ok(()) => return Ok(Verdict::Taken),
                Err(WriteError::Refused(reason)) => return Ok(Verdict::Refused(reason)),
                Err(WriteError::Later { reason, after }) => (reason, after),
            };
            metrics::counter!("sen_influx_failures_total").increment(1);
            self.state.set(|s| {
                if s.last_error.is_none() {
                    tracing::warn!("influx: {reason}; readings wait in the journal");
                }
                s.last_error = Some(reason);
            });
            let Some(stop) = stop else {
                return Err(Stopped);
            };
            tokio::select! {
                () = stop.cancelled() => return Err(Stopped),
                () = tokio::time::sleep(after.unwrap_or(pause).min(LONGEST_ASKED)) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn commit(
        &self,
        live: i64,
        gaps: Vec<Gap>,
        dead: Vec<(String, String)>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.journal
            .write(move |c| {
                dead_letters::keep(c, now, &dead)?;
                for gap in gaps {
                    cursor::set_gap(c, CURSOR, gap)?;
                }
                cursor::advance(c, CURSOR, live)
            })
            .await
    }
}

fn cut(reason: &str) -> String {
    reason.chars().take(REASON).collect()
}
