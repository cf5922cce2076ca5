//! The task that watches: reads the journal behind its cursor, takes people's acts, lets time pass, and writes down what was
//! said together with how far it has read.

use std::sync::Arc;
use std::time::Duration;

use sen_alerts::engine::Alarm;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::watcher::Watcher;
use super::{Act, Alarms, CURSOR, book, measured, offline, rules};
use crate::broker;
use crate::clock::Clock;
use crate::influx;
use crate::journal::{Journal, ReadError, cursor};
use crate::live::Live;
use crate::reading::Millis;
use crate::registry::Known;

/// Between two looks into the journal: an alarm is that late at most, beside its write.
const LOOK: Duration = Duration::from_millis(500);
/// Rows taken at once.
const ROWS: usize = 2_000;
/// Without anything said the state goes to disk this often: so far back a start begins.
const CHECKPOINT: Millis = 60_000;
/// After as many rows, too: a short disk gives up the oldest, and those are then behind the cursor.
const CHECKPOINT_ROWS: i64 = 2_000;
/// A doubtful reading is marked within this time: people look at the chart.
const MARKED_WITHIN: Millis = 5_000;
/// Doubtful readings that may wait in memory.
const DOUBTS: usize = 10_000;
/// A database is called away when it has taken nothing for this long.
const STORE_AWAY: Millis = 600_000;
/// Acts of people that may wait.
const ACTS: usize = 64;

/// The watch over alarms.
#[derive(Debug)]
pub struct Follower {
    watcher: Watcher,
    journal: Journal,
    known: Known,
    clock: Clock,
    /// A broker elsewhere, which may be out of reach.
    link: Option<broker::SharedState>,
    store: Option<influx::SharedState>,
    acts: mpsc::Receiver<Act>,
    board: watch::Sender<Arc<Vec<Alarm>>>,
    /// The last row that was judged.
    at: i64,
    /// Where it stood, and when, as it was last written down.
    saved: i64,
    saved_at: Millis,
    started_at: Millis,
    /// Who waits for the next step to be on disk.
    waiting: Vec<(oneshot::Sender<bool>, bool)>,
}

impl Follower {
    /// Takes up the watch where it was left. The cursor [`CURSOR`] must be there.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn load(
        journal: &Journal,
        known: &Known,
        live: &Live,
        clock: &Clock,
        link: Option<broker::SharedState>,
        store: Option<influx::SharedState>,
    ) -> Result<(Self, Alarms), ReadError> {
        let at = journal.cursor(CURSOR).await?;
        let (rules, state) = journal
            .read(|c| Ok((rules::in_force(c)?, book::state(c)?)))
            .await?;
        let now = clock.now();
        let watcher = Watcher::new(known.now(), rules, measured(live), state, now);
        let (board, seen) = watch::channel(Arc::new(watcher.alarms()));
        let (sender, acts) = mpsc::channel(ACTS);
        let follower = Self {
            watcher,
            journal: journal.clone(),
            known: known.clone(),
            clock: clock.clone(),
            link,
            store,
            acts,
            board,
            at,
            saved: at,
            saved_at: now,
            started_at: now,
            waiting: Vec::new(),
        };
        let alarms = Alarms {
            board: seen,
            acts: sender,
        };
        Ok((follower, alarms))
    }

    /// Watches until `stop`, and writes down where it stands.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.known.changes();
        let mut every = tokio::time::interval(LOOK);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                changed = changes.changed() => {
                    changes.mark_unchanged();
                    if changed.is_ok() && let Err(e) = self.know().await {
                        tracing::warn!("rules wait: {e}");
                        changes.mark_changed();
                        tokio::time::sleep(LOOK).await;
                    }
                }
                Some(act) = self.acts.recv() => {
                    // What came before the act is judged before it.
                    self.look(&stop).await;
                    self.act(act);
                    self.save().await;
                }
                _ = every.tick() => self.round(&stop).await,
            }
        }
        self.look(&stop).await;
        self.save().await;
    }

    async fn know(&mut self) -> Result<(), ReadError> {
        let rules = self.journal.read(|c| Ok(rules::in_force(c)?)).await?;
        let now = self.clock.now();
        self.watcher.know(self.known.now(), rules, now);
        Ok(())
    }

    fn act(&mut self, act: Act) {
        let now = self.clock.now();
        let done = self.watcher.act(&act.subject, act.snooze, &act.who, now);
        self.waiting.push((act.done, done));
    }

    async fn round(&mut self, stop: &CancellationToken) {
        if self.look(stop).await {
            let now = self.clock.now();
            self.watcher.tick(now);
            let link = self.link.as_ref().is_none_or(|link| link.connected());
            let store = self
                .store
                .as_ref()
                .is_none_or(|store| self.takes(store, now));
            self.watcher.outside(link, store, now);
        }
        let wait = if self.watcher.doubts() > 0 {
            MARKED_WITHIN
        } else {
            CHECKPOINT
        };
        let due = (self.clock.now() - self.saved_at).abs() >= wait
            || self.at - self.saved >= CHECKPOINT_ROWS;
        if self.watcher.has_said() || due || !self.waiting.is_empty() {
            self.save().await;
        }
    }

    fn takes(&self, store: &influx::SharedState, now: Millis) -> bool {
        let state = store.get();
        let since = state.last_ok_at.unwrap_or(self.started_at);
        state.last_error.is_none() || now.saturating_sub(since) < STORE_AWAY
    }

    /// Judges what is in the journal; true once nothing is left.
    async fn look(&mut self, stop: &CancellationToken) -> bool {
        loop {
            let head = *self.journal.head().borrow();
            if head <= self.at {
                return true;
            }
            let rows = match self.journal.rows_after(self.at, ROWS).await {
                Ok(rows) => rows,
                Err(e) => {
                    tracing::warn!("alarms wait: {e}");
                    return false;
                }
            };
            for row in &rows {
                self.watcher.row(row);
            }
            let last = rows.last().map_or(self.at, |row| row.id);
            if rows.len() < ROWS {
                self.at = last.max(head);
                return true;
            }
            self.at = last;
            if stop.is_cancelled() {
                return false;
            }
            if self.watcher.has_said() || self.watcher.doubts() > DOUBTS {
                self.save().await;
            }
        }
    }

    /// Writes down what was said, the state that led to it and the place of both, as one.
    async fn save(&mut self) {
        let now = self.clock.now();
        for late in self.watcher.take_late() {
            let version = |subject: &_| self.watcher.version(subject);
            match offline::look_through(&self.journal, &late, version, now).await {
                Ok(events) => self.watcher.found(events),
                Err(e) => {
                    tracing::warn!("what came late waits: {e}");
                    self.watcher.put_back(late);
                }
            }
        }
        let step = Arc::new(self.watcher.step());
        let (written, at) = (step.clone(), self.at);
        let stored = self
            .journal
            .write(move |c| {
                book::write(c, &written)?;
                cursor::advance(c, CURSOR, at)
            })
            .await;
        match stored {
            Ok(()) => {
                self.watcher.stored(&step);
                (self.saved, self.saved_at) = (at, now);
                let alarms = self.watcher.alarms();
                self.board.send_if_modified(|board| {
                    let changed = **board != alarms;
                    if changed {
                        *board = Arc::new(alarms);
                    }
                    changed
                });
                for (waits, done) in self.waiting.drain(..) {
                    let _ = waits.send(done);
                }
            }
            Err(e) => tracing::warn!("alarms are not written down yet, trying later: {e}"),
        }
    }
}
