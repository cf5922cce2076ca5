//! The load generator: many QoS 1 clients on one thread.
//!
//! The same for every system that the benchmark compares. It has to cost much less than what it
//! measures, so it has no task a message, no channel and no timer: a client fills its window,
//! writes it with one system call, reads what acknowledgements came, and fills up again.
//! `rumqttc`'s codec is quick enough for that (about 0.2 us a packet beside 3 us of system calls);
//! its event loop is not.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use rumqttc::mqttbytes::v4::Packet;

use crate::mqtt::{Client, Who};

/// Longest time without any acknowledgement before a run is given up.
const STALL: Duration = Duration::from_secs(60);

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
    let started = Instant::now();
    let tasks: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(i, client)| {
            let source = Arc::clone(&source);
            tokio::spawn(async move {
                match plan.rate {
                    None => flood(client, i, each, plan.window, &*source).await,
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
        latencies,
    })
}

async fn flood(
    mut client: Client,
    i: usize,
    messages: usize,
    window: usize,
    source: &dyn Source,
) -> Result<Vec<Duration>> {
    let topic = source.topic(i);
    let mut latencies = Vec::with_capacity(messages);
    let mut in_flight = VecDeque::with_capacity(window);
    let mut sent = 0;
    while latencies.len() < messages {
        if sent < messages && in_flight.len() < window {
            let now = Instant::now();
            while sent < messages && in_flight.len() < window {
                let id = client.queue_publish(&topic, source.payload(i, sent), false)?;
                in_flight.push_back((id, now));
                sent += 1;
            }
            client.flush().await?;
        }
        let mut packet = Some(client.next_within(STALL).await?);
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
