//! The load generator: many QoS 1 clients on one thread.
//!
//! The same for every system that the benchmark compares. It has to cost much less than what it
//! measures, so it has no task, channel or timer a message: a client fills its window, writes it
//! with one system call, lets acknowledgements gather, reads them with one more, and fills up.
//! `rumqttc`'s codec is quick enough for that (well under a microsecond a packet; what remains is
//! the kernel's loopback TCP); its event loop is not. Latencies are worth reading for paced runs
//! only: in a flood they are the window divided by the rate.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use rumqttc::mqttbytes::v4::Packet;

use crate::mqtt::{Client, Who};
use crate::process::cpu_of;

/// Longest time without any acknowledgement before a run is given up.
const STALL: Duration = Duration::from_secs(60);
/// Longest time that a flooding client lets answers gather.
const LONGEST_NAP: Duration = Duration::from_millis(20);
/// A flood is given up when it is slower than this a message on the whole: one timer a run costs
/// nothing, one a message would.
const LEAST: Duration = Duration::from_millis(2);

/// What one client publishes: its topic, and the payload of its `k`-th message.
pub trait Source: Send + Sync + 'static {
    /// Credentials of client `i`.
    fn who(&self, client: usize) -> Who;
    /// Topic of client `i`.
    fn topic(&self, client: usize) -> String;
    /// Payload `k` of client `i`.
    fn payload(&self, client: usize, k: usize) -> Bytes;
}

/// A run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The broker.
    pub addr: SocketAddr,
    /// How many connections.
    pub clients: usize,
    /// How many messages in all; a multiple of `clients`.
    pub messages: usize,
    /// How many messages a client may have in flight.
    pub window: usize,
    /// Messages a second in all; none sends as fast as the acknowledgements allow.
    pub rate: Option<f64>,
}

/// What a run measured.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// From the first message (all clients are connected by then) to the last acknowledgement.
    pub elapsed: Duration,
    /// Messages acknowledged.
    pub acked: usize,
    /// CPU time of this process meanwhile.
    pub cpu: Duration,
    /// Time from writing a message to its acknowledgement, sorted.
    latencies: Vec<Duration>,
}

impl Outcome {
    /// Messages a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.acked as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency that a share `q` (0..=1) of the messages stayed under.
    #[must_use]
    pub fn latency(&self, q: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        let at = (q * last as f64).round() as usize;
        self.latencies.get(at).copied().unwrap_or_default()
    }
}

/// Runs the plan.
///
/// # Errors
/// When a client is refused, loses its connection, or gets no acknowledgement for a minute.
pub async fn run(plan: Plan, source: Arc<dyn Source>) -> Result<Outcome> {
    ensure!(
        plan.clients > 0 && plan.messages.is_multiple_of(plan.clients),
        "{} messages do not divide among {} clients",
        plan.messages,
        plan.clients
    );
    let mut clients = Vec::new();
    for i in 0..plan.clients {
        let client = Client::connect(plan.addr, &source.who(i))
            .await
            .with_context(|| format!("client {i}"))?;
        clients.push(client);
    }
    let each = plan.messages / plan.clients;
    let mut payloads: Vec<Vec<Bytes>> = match plan.rate {
        // Written before the clock starts: they are not what is measured.
        None => (0..plan.clients)
            .map(|i| (0..each).map(|k| source.payload(i, k)).collect())
            .collect(),
        Some(_) => vec![Vec::new(); plan.clients],
    };
    let own = cpu_of(std::process::id())?;
    let started = Instant::now();
    let tasks: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(i, client)| {
            let source = Arc::clone(&source);
            let payloads = std::mem::take(&mut payloads[i]);
            tokio::spawn(async move {
                match plan.rate {
                    None => {
                        let run = flood(client, i, payloads, plan.window, &*source);
                        let most = STALL + LEAST.mul_f64(plan.messages as f64);
                        tokio::time::timeout(most, run).await?
                    }
                    Some(rate) => {
                        let every = Duration::from_secs_f64(plan.clients as f64 / rate);
                        // Spreads the clients over the period.
                        let offset = every.mul_f64(i as f64 / plan.clients as f64);
                        pace(client, i, each, every, offset, &*source).await
                    }
                }
                .with_context(|| format!("client {i}"))
            })
        })
        .collect();
    let mut latencies = Vec::with_capacity(plan.messages);
    for task in tasks {
        latencies.append(&mut task.await??);
    }
    let elapsed = started.elapsed();
    latencies.sort_unstable();
    Ok(Outcome {
        elapsed,
        acked: latencies.len(),
        cpu: cpu_of(std::process::id())?.saturating_sub(own),
        latencies,
    })
}

async fn flood(
    mut client: Client,
    i: usize,
    payloads: Vec<Bytes>,
    window: usize,
    source: &dyn Source,
) -> Result<Vec<Duration>> {
    let topic = source.topic(i);
    let messages = payloads.len();
    let mut payloads = payloads.into_iter();
    let mut latencies = Vec::with_capacity(messages);
    let mut in_flight = VecDeque::with_capacity(window);
    let mut filled = Instant::now();
    while latencies.len() < messages {
        if in_flight.len() <= window / 2 {
            let now = Instant::now();
            for payload in payloads.by_ref().take(window - in_flight.len()) {
                let id = client.queue_publish(&topic, payload, false)?;
                in_flight.push_back((id, now));
            }
            client.flush().await?;
            // A broker that answers each message by itself would wake this client for each: two
            // system calls a message, as much as the broker takes. Half a window is still on
            // its way, so nothing stands still while the client lets some answers gather.
            let nap = now.duration_since(filled).mul_f64(0.6).min(LONGEST_NAP);
            filled = now;
            if nap > Duration::from_millis(2) && in_flight.len() == window {
                tokio::time::sleep(nap).await;
            }
        }
        let mut packet = Some(client.next().await?);
        let now = Instant::now();
        while let Some(one) = packet {
            acknowledge(&one, &mut in_flight, &mut latencies, now)?;
            packet = client.parsed()?;
        }
    }
    Ok(latencies)
}

async fn pace(
    mut client: Client,
    i: usize,
    messages: usize,
    every: Duration,
    offset: Duration,
    source: &dyn Source,
) -> Result<Vec<Duration>> {
    let topic = source.topic(i);
    let mut latencies = Vec::with_capacity(messages);
    let mut in_flight = VecDeque::new();
    let mut sent = 0;
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + offset, every);
    while latencies.len() < messages {
        tokio::select! {
            _ = ticks.tick(), if sent < messages => {
                let id = client.queue_publish(&topic, source.payload(i, sent), false)?;
                in_flight.push_back((id, Instant::now()));
                sent += 1;
                client.flush().await?;
            }
            packet = client.next_within(STALL) => {
                acknowledge(&packet?, &mut in_flight, &mut latencies, Instant::now())?;
            }
        }
    }
    Ok(latencies)
}

fn acknowledge(
    packet: &Packet,
    in_flight: &mut VecDeque<(u16, Instant)>,
    latencies: &mut Vec<Duration>,
    now: Instant,
) -> Result<()> {
    // Receipts and configuration come on the same connection when a source subscribes to them.
    let Packet::PubAck(ack) = packet else {
        return Ok(());
    };
    // Acknowledgements of one connection come in the order of its messages (MQTT 3.1.1, 4.6).
    let (id, sent) = in_flight.pop_front().context("PUBACK for nothing")?;
    ensure!(id == ack.pkid, "PUBACK {} in place of {id}", ack.pkid);
    latencies.push(now - sent);
    Ok(())
}
