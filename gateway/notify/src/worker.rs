//! Takes due messages out of the outbox, sends them, and notes what came of it. One task a channel, each with a bound of its own, so
//! that a channel that hangs holds up no other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Millis;
use crate::channel::{Channel, Outcome};
use crate::desk;
use crate::outbox::{self, Error, Taken};
use crate::person::Kind;
use crate::plan::{Event, Key};
use crate::policy::Book;

/// The wall clock.
pub type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// Where the outbox lies. The gateway may have its own, that goes through its writer; [`SqliteStore`] is over a connection.
#[async_trait]
pub trait Store: Send + Sync {
    /// As [`outbox::take`].
    async fn take(&self, channel: Kind, most: usize) -> Result<Vec<Taken>, Error>;
    /// As [`desk::settle`].
    async fn settle(&self, key: Key, outcome: Outcome) -> Result<(), Error>;
    /// As [`outbox::looks`].
    async fn looks(&self, channel: Kind, most: usize) -> Result<Vec<(Key, String)>, Error>;
    /// As [`desk::receipt`].
    async fn receipt(&self, key: Key, outcome: Outcome) -> Result<(), Error>;
    /// As [`desk::apply`].
    async fn apply(&self, event: Event) -> Result<(), Error>;
}

/// The outbox over a connection of its own.
#[derive(Clone)]
pub struct SqliteStore {
    connection: Arc<Mutex<Connection>>,
    book: watch::Receiver<Arc<Book>>,
    clock: Clock,
}

impl SqliteStore {
    /// Over a connection whose file has the tables of [`outbox::SQL`]. What was being sent when the last process ended waits again.
    ///
    /// # Errors
    /// SQLite.
    pub fn new(
        connection: Arc<Mutex<Connection>>,
        book: watch::Receiver<Arc<Book>>,
        clock: Clock,
    ) -> Result<Self, Error> {
        let n = outbox::recover(
            &connection.lock().unwrap_or_else(PoisonError::into_inner),
            clock(),
        )?;
        if n > 0 {
            tracing::info!(
                messages = n,
                "messages that were being sent when the last run ended are sent again, under the same keys"
            );
        }
        Ok(Self {
            connection,
            book,
            clock,
        })
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>, &Book, Millis) -> Result<T, Error>
        + Send
        + 'static,
    ) -> Result<T, Error> {
        let (connection, book, now) = (
            self.connection.clone(),
            self.book.borrow().clone(),
            (self.clock)(),
        );
        let done = tokio::task::spawn_blocking(move || {
            let mut c = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let t = c.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let out = work(&t, &book, now)?;
            t.commit()?;
            Ok(out)
        });
        done.await.map_err(|e| Error::Row(e.to_string()))?
    }
}

/// One random octet; without a source of randomness pauses are not spread, which is no fault.
fn dice() -> u8 {
    let mut byte = [128];
    let _ = getrandom::fill(&mut byte);
    byte[0]
}

#[async_trait]
impl Store for SqliteStore {
    async fn take(&self, channel: Kind, most: usize) -> Result<Vec<Taken>, Error> {
        self.with(move |t, book, now| outbox::take(t, channel, most, book.offset, now))
            .await
    }

    async fn settle(&self, key: Key, outcome: Outcome) -> Result<(), Error> {
        self.with(move |t, book, now| desk::settle(t, book, &key, &outcome, now, dice()))
            .await
    }

    async fn looks(&self, channel: Kind, most: usize) -> Result<Vec<(Key, String)>, Error> {
        self.with(move |t, _, now| outbox::looks(t, channel, most, now))
            .await
    }

    async fn receipt(&self, key: Key, outcome: Outcome) -> Result<(), Error> {
        self.with(move |t, book, now| desk::receipt(t, book, &key, &outcome, now))
            .await
    }

    async fn apply(&self, event: Event) -> Result<(), Error> {
        self.with(move |t, book, now| desk::apply(t, book, event, now))
            .await
    }
}

/// How the worker works.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How often the outbox is looked at without being asked to.
    pub every: Duration,
    /// How long one try may take.
    pub patience: Duration,
    /// How long a stop waits for what is under way.
    pub grace: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(2),
            patience: Duration::from_secs(120),
            grace: Duration::from_secs(5),
        }
    }
}

/// The tasks that deliver.
pub struct Worker {
    tasks: JoinSet<Option<Kind>>,
    stop: CancellationToken,
    wake: BTreeMap<Kind, Arc<Notify>>,
    grace: Duration,
}

impl Worker {
    /// Starts one task a channel, and one that tells the plan that time passes. Of two channels of a kind the last one counts.
    #[must_use]
    pub fn start(store: Arc<dyn Store>, channels: Vec<Arc<dyn Channel>>, pace: Pace) -> Self {
        let stop = CancellationToken::new();
        let channels: BTreeMap<Kind, Arc<dyn Channel>> =
            channels.into_iter().map(|c| (c.kind(), c)).collect();
        let wake: BTreeMap<Kind, Arc<Notify>> = channels
            .keys()
            .map(|k| (*k, Arc::new(Notify::new())))
            .collect();
        let mut tasks = JoinSet::new();
        for (kind, channel) in channels {
            let notify = wake.get(&kind).cloned().unwrap_or_default();
            let line = Line {
                store: store.clone(),
                channel,
                pace,
                stop: stop.clone(),
                notify,
            };
            tasks.spawn(async move {
                line.run().await;
                Some(kind)
            });
        }
        let ticks = tick(
            store,
            pace.every,
            stop.clone(),
            wake.values().cloned().collect(),
        );
        tasks.spawn(async move {
            ticks.await;
            None
        });
        Self {
            tasks,
            stop,
            wake,
            grace: pace.grace,
        }
    }

    /// Something may be due: look now.
    pub fn wake(&self) {
        self.wake.values().for_each(|n| n.notify_one());
    }

    /// Takes nothing more, and waits for what is under way, at most the stated time. What is not done by then is sent again after
    /// the next start, under the same key; the channels that this concerns are returned.
    pub async fn stop(mut self) -> Vec<Kind> {
        self.stop.cancel();
        let mut late: Vec<Kind> = self.wake.keys().copied().collect();
        let _ = tokio::time::timeout(self.grace, async {
            while let Some(done) = self.tasks.join_next().await {
                if let Ok(Some(kind)) = done {
                    late.retain(|k| *k != kind);
                }
            }
        })
        .await;
        late
    }
}

async fn tick(
    store: Arc<dyn Store>,
    every: Duration,
    stop: CancellationToken,
    wake: Vec<Arc<Notify>>,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
        match store.apply(Event::Tick).await {
            Ok(()) => wake.iter().for_each(|n| n.notify_one()),
            Err(e) => tracing::error!("the notifications' plan could not go on: {}", chain(&e)),
        }
    }
}

fn chain(e: &dyn std::error::Error) -> String {
    let mut words = e.to_string();
    let mut source = e.source();
    while let Some(s) = source {
        words.push_str(&format!(": {s}"));
        source = s.source();
    }
    words
}

/// One channel's task.
struct Line {
    store: Arc<dyn Store>,
    channel: Arc<dyn Channel>,
    pace: Pace,
    stop: CancellationToken,
    notify: Arc<Notify>,
}

impl Line {
    async fn run(self) {
        let line = Arc::new(self);
        let mut busy = JoinSet::new();
        let most = line.channel.at_once().max(1);
        loop {
            while busy.try_join_next().is_some() {}
            if !line.stop.is_cancelled() {
                let free = most.saturating_sub(busy.len());
                line.fill(&mut busy, free).await;
            } else if busy.is_empty() {
                return;
            }
            tokio::select! {
                () = line.stop.cancelled(), if !line.stop.is_cancelled() => {}
                () = line.notify.notified() => {}
                () = tokio::time::sleep(line.pace.every) => {}
                Some(_) = busy.join_next(), if !busy.is_empty() => {}
            }
        }
    }

    /// Begins as many tries as there is room for; with room left, asks for receipts.
    async fn fill(self: &Arc<Self>, busy: &mut JoinSet<()>, free: usize) {
        if free == 0 {
            return;
        }
        let kind = self.channel.kind();
        let taken = match self.store.take(kind, free).await {
            Ok(taken) => taken,
            Err(e) => {
                tracing::error!(
                    channel = kind.name(),
                    "the outbox could not be read: {}",
                    chain(&e)
                );
                return;
            }
        };
        let left = free - taken.len().min(free);
        for t in taken {
            let line = self.clone();
            busy.spawn(async move { line.deliver(t).await });
        }
        if left > 0 && self.channel.can_look() {
            match self.store.looks(kind, left).await {
                Ok(all) => {
                    for (key, reference) in all {
                        let line = self.clone();
                        busy.spawn(async move { line.look(key, reference).await });
                    }
                }
                Err(e) => tracing::error!(
                    channel = kind.name(),
                    "the outbox could not be read: {}",
                    chain(&e)
                ),
            }
        }
    }

    async fn deliver(&self, taken: Taken) {
        let kind = self.channel.kind().name();
        let key = taken.message.key.clone();
        let outcome =
            match tokio::time::timeout(self.pace.patience, self.channel.send(&taken.message)).await
            {
                Ok(outcome) => outcome,
                Err(_) => Outcome::later(format!(
                    "no answer within {} s",
                    self.pace.patience.as_secs()
                )),
            };
        match &outcome {
            Outcome::Received { .. } => {
                tracing::debug!(channel = kind, %key, attempt = taken.attempt, "sent")
            }
            Outcome::Failed(f) => {
                tracing::warn!(channel = kind, %key, attempt = taken.attempt, "a message was not taken: {}", f.why)
            }
        }
        // Until it is noted the row stays as being sent: nobody else sends it, and a new start would send it again.
        while let Err(e) = self.store.settle(key.clone(), outcome.clone()).await {
            tracing::error!(channel = kind, %key, "what came of a message could not be noted: {}", chain(&e));
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(self.pace.every) => {}
            }
        }
    }

    async fn look(&self, key: Key, reference: String) {
        let answer = tokio::time::timeout(self.pace.patience, self.channel.look(&reference)).await;
        if let Ok(Some(outcome)) = answer
            && let Err(e) = self.store.receipt(key.clone(), outcome).await
        {
            tracing::error!(channel = self.channel.kind().name(), %key, "a receipt could not be noted: {}", chain(&e));
        }
    }
}
