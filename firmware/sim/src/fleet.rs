//! Starts a fleet of simulated nodes, counts what they do, and stops them.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sen_node::{Identity, Node, Timer, run};
use sen_wire::{NodeConfig, NodeId, ResetReason};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::Instant,
};

use crate::{
    link::MqttLink,
    outbox::HeapOutbox,
    probes::ReplayProbes,
    replay::{Pace, Replay},
    series::{Series, SeriesError},
    source::Source,
};

/// A node's MQTT password; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// One simulated node.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// Its id, MQTT client id and user name.
    pub id: NodeId,
    /// Its password.
    pub password: Password,
    /// What it replays.
    pub source: Source,
    /// Where in the recording it begins, after the fleet's own offset: nodes that share a recording differ in this.
    pub start_offset: Duration,
}

/// A fleet.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    /// The broker's `host:port`.
    pub broker: String,
    /// The nodes.
    pub nodes: Vec<NodeSpec>,
    /// How they replay.
    pub pace: Pace,
}

/// Why a fleet can't start.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The broker's address is not `host:port`.
    #[error("{0:?} is no broker address: write host:port, such as 127.0.0.1:1883")]
    Broker(String),
    /// A recording can't be read.
    #[error("can't load the recording {}", .0.name())]
    Source(Source, #[source] SeriesError),
}

/// What a node has done so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Which node.
    pub node: NodeId,
    /// Readings taken.
    pub sampled: u64,
    /// Readings that receipts named.
    pub receipted: u64,
    /// Readings that had to make room in the outbox.
    pub dropped: u64,
    /// The recording is over, and all of it was receipted.
    pub done: bool,
    /// Why the last connection failed.
    pub last_error: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    sampled: AtomicU64,
    receipted: AtomicU64,
    dropped: AtomicU64,
    ended: AtomicBool,
    last_error: Mutex<Option<String>>,
    changed: Notify,
}

impl Counters {
    pub(crate) fn sampled(&self, readings: usize) {
        self.sampled.fetch_add(readings as u64, Relaxed);
    }

    pub(crate) fn receipted(&self, readings: usize) {
        self.receipted.fetch_add(readings as u64, Relaxed);
        self.changed.notify_waiters();
    }

    pub(crate) fn dropped(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }

    pub(crate) fn end_of_recording(&self) {
        if !self.ended.swap(true, Relaxed) {
            self.changed.notify_waiters();
        }
    }

    pub(crate) fn failed(&self, error: String) {
        *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    fn done(&self) -> bool {
        let settled = self.receipted.load(Relaxed) + self.dropped.load(Relaxed);
        self.ended.load(Relaxed) && settled == self.sampled.load(Relaxed)
    }
}

/// A fleet that runs. Drop it and it goes on; [`stop`](Self::stop) it.
pub struct Fleet {
    nodes: Vec<Running>,
    stop: watch::Sender<bool>,
}

struct Running {
    id: NodeId,
    series: Arc<Series>,
    replay: Replay,
    counters: Arc<Counters>,
    task: JoinHandle<()>,
}

impl Fleet {
    /// Starts it, now. Recordings are loaded once and shared.
    pub fn start(config: &FleetConfig) -> Result<Self, FleetError> {
        let (host, port) = parse_broker(&config.broker)
            .ok_or_else(|| FleetError::Broker(config.broker.clone()))?;
        let mut loaded = HashMap::new();
        for node in &config.nodes {
            if let std::collections::hash_map::Entry::Vacant(entry) = loaded.entry(node.source) {
                let series = node
                    .source
                    .load()
                    .map_err(|error| FleetError::Source(node.source, error))?;
                entry.insert(Arc::new(series));
            }
        }
        let (stop, stopped) = watch::channel(false);
        let origin_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| now.as_millis() as i64);
        let timer = HostTimer(Instant::now());
        let nodes = config.nodes.iter().map(|spec| {
            let series = loaded[&spec.source].clone();
            let pace = Pace {
                start_offset: config.pace.start_offset + spec.start_offset,
                ..config.pace
            };
            let replay = Replay::new(&series, &pace, origin_ms);
            let counters = Arc::new(Counters::default());
            let link = MqttLink::new(&host, port, &spec.id, &spec.password.0, counters.clone());
            let probes = ReplayProbes {
                row: replay.first_row(&series),
                series: series.clone(),
                replay,
                counters: counters.clone(),
            };
            // Its outbox is in RAM: every start is a new incarnation. The time in milliseconds is one, and rises.
            let boot = u64::try_from(origin_ms).unwrap_or(0);
            let outbox = HeapOutbox::new(counters.clone());
            let task = tokio::spawn(live(
                spec.id.clone(),
                boot,
                outbox,
                link,
                probes,
                timer.clone(),
                stopped.clone(),
            ));
            Running {
                id: spec.id.clone(),
                series,
                replay,
                counters,
                task,
            }
        });
        Ok(Self {
            nodes: nodes.collect(),
            stop,
        })
    }

    /// What each node has done so far.
    pub fn stats(&self) -> Vec<Stats> {
        let stats = |node: &Running| Stats {
            node: node.id.clone(),
            sampled: node.counters.sampled.load(Relaxed),
            receipted: node.counters.receipted.load(Relaxed),
            dropped: node.counters.dropped.load(Relaxed),
            done: node.counters.done(),
            last_error: node
                .counters
                .last_error
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        };
        self.nodes.iter().map(stats).collect()
    }

    /// What a node replays, and how: so that a test can say what has to be on the other side.
    pub fn replay(&self, node: &str) -> Option<(&Series, Replay)> {
        let running = self
            .nodes
            .iter()
            .find(|running| running.id.as_str() == node)?;
        Some((&running.series, running.replay))
    }

    /// Waits until every node is done; for ever, if the recordings go round.
    pub async fn finished(&self) {
        for node in &self.nodes {
            loop {
                let changed = node.counters.changed.notified();
                tokio::pin!(changed);
                // Listen before looking: what changes in between is not missed.
                changed.as_mut().enable();
                if node.counters.done() {
                    break;
                }
                changed.await;
            }
        }
    }

    /// Disconnects and ends every node.
    pub async fn stop(self) -> Vec<Stats> {
        let _ = self.stop.send(true);
        let stats = self.stats();
        for node in self.nodes {
            let _ = node.task.await;
        }
        stats
    }
}

/// One node's life.
async fn live(
    id: NodeId,
    boot: u64,
    outbox: HeapOutbox,
    mut link: MqttLink,
    mut probes: ReplayProbes,
    mut timer: HostTimer,
    mut stopped: watch::Receiver<bool>,
) {
    let identity = Identity {
        node: id,
        firmware: concat!("sim ", env!("CARGO_PKG_VERSION")),
        board: "simulated",
        reset_reason: ResetReason::PowerOn,
        boot,
    };
    let Ok(mut node) = Node::start(identity, NodeConfig::default(), outbox).await;
    tokio::select! {
        never = run(&mut node, &mut link, &mut probes, &mut timer) => never,
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    link.close().await;
}

#[derive(Clone)]
struct HostTimer(Instant);

impl Timer for HostTimer {
    fn uptime_ms(&self) -> u64 {
        self.0.elapsed().as_millis() as u64
    }

    async fn sleep_until(&mut self, uptime_ms: u64) {
        match self.0.checked_add(Duration::from_millis(uptime_ms)) {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

/// `host:port`, or `[v6]:port`.
fn parse_broker(broker: &str) -> Option<(String, u16)> {
    let (host, port) = broker.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        None
    } else {
        Some((host.into(), port.parse().ok()?))
    }
}
