//! A device under load that remembers exactly what it was promised.
//!
//! Not `sen-node`: that keeps its promises by itself and would hide a gateway that breaks its own.
//! This one sends numbered packs as fast as it is let, reconnects for ever, and writes down every
//! PUBACK and every receipt; the test then holds the gateway to them.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use rumqttc::mqttbytes::v4::Packet;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::mqtt::{Client, Who};
use crate::pack::{Decimal, Pack, Record};
use crate::wait;

/// Channels that a device writes, code and text name, in turn.
pub const CHANNELS: [(&str, &str); 4] = [
    ("sal", "salinity"),
    ("wt", "water_temperature"),
    ("ph", "ph"),
    ("do", "dissolved_oxygen"),
];
/// Readings of a pack.
pub const PER_PACK: u32 = 4;
/// Packs sent and not yet acknowledged.
const WINDOW: usize = 8;
/// Packs that wait for a receipt before the device sends no new ones.
const OUTBOX: usize = 64;
/// After so long without a receipt a device sends again what it still has.
const IMPATIENCE: Duration = Duration::from_secs(3);

/// When a device lets go of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// Never sends anything twice: what was in flight when the connection broke may be lost.
    Nothing,
    /// Sends again until PUBACK: any device with QoS 1.
    UntilPuback,
    /// Sends again until the gateway's receipt: a Sen node.
    UntilReceipt,
}

/// One reading's name: boot and place in its sequence.
pub type Place = (u64, u32);

/// What a device did and was promised.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Everything sent at least once.
    pub sent: BTreeSet<Place>,
    /// Acknowledged by PUBACK.
    pub acked: BTreeSet<Place>,
    /// Named by a receipt.
    pub received: BTreeSet<Place>,
    /// Connections made.
    pub connections: u32,
    /// Longest time from sending a pack to its PUBACK on a connection that held.
    pub slowest_puback: Duration,
}

/// A device running as a task.
#[derive(Debug)]
pub struct Device {
    /// Node id.
    pub node: String,
    /// ms UTC of reading 0.
    pub from: i64,
    ledger: Arc<Mutex<Ledger>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// The reading of that name.
#[must_use]
pub fn record(from: i64, seq: u32) -> Record {
    Record {
        channel: CHANNELS[seq as usize % CHANNELS.len()].0,
        at: from + i64::from(seq),
        // Within every channel's range.
        value: Ok(Decimal(i64::from(seq.wrapping_mul(7) % 140), -1)),
    }
}

impl Device {
    /// Starts one that connects to `addr`.
    #[must_use]
    pub fn start(addr: SocketAddr, who: Who, boot: u64, keeps: Keeps) -> Self {
        let (stop, stopped) = watch::channel(false);
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let from = now_ms() - 3_600_000;
        let node = who.id.clone();
        let worker = Worker {
            addr,
            who,
            boot,
            keeps,
            from,
            next: 0,
            kept: VecDeque::new(),
            ledger: Arc::clone(&ledger),
            stopped,
        };
        Self {
            node,
            from,
            ledger,
            stop,
            task: tokio::spawn(worker.run()),
        }
    }

    /// What it knows.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// Sends nothing new, waits until everything that it keeps has been let go.
    ///
    /// # Errors
    /// When that takes longer than `limit`.
    pub async fn finish(&mut self, limit: Duration) -> Result<()> {
        self.stop.send_replace(true);
        let done = tokio::time::timeout(limit, &mut self.task).await;
        done.with_context(|| {
            let ledger = self.ledger();
            format!(
                "{}: {} sent, {} acknowledged, {} received after {limit:?}",
                self.node,
                ledger.sent.len(),
                ledger.acked.len(),
                ledger.received.len()
            )
        })??;
        Ok(())
    }

    /// Every reading sent, as (node, text name, time) and value.
    #[must_use]
    pub fn points(&self) -> Vec<((String, String, i64), f64)> {
        self.ledger()
            .sent
            .iter()
            .map(|(_, seq)| {
                let name = CHANNELS[*seq as usize % CHANNELS.len()].1;
                let record = record(self.from, *seq);
                let value = record.value.map_or(f64::NAN, Decimal::as_f64);
                ((self.node.clone(), name.to_owned(), record.at), value)
            })
            .collect()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Readings of all devices that receipts have named.
#[must_use]
pub fn received(devices: &[Device]) -> usize {
    devices.iter().map(|d| d.ledger().received.len()).sum()
}

/// Waits until receipts have named so many readings more.
///
/// # Errors
/// When that takes longer than the harness' patience.
pub async fn receive(devices: &[Device], more: usize, what: &str) -> Result<()> {
    let goal = received(devices) + more;
    wait::until_true(what, wait::PATIENCE, || received(devices) >= goal).await
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger
        .lock()
        .expect("nothing panics while it holds the lock")
}

struct Worker {
    addr: SocketAddr,
    who: Who,
    boot: u64,
    keeps: Keeps,
    from: i64,
    next: u32,
    /// First places of the packs that it still has, oldest first.
    kept: VecDeque<u32>,
    ledger: Arc<Mutex<Ledger>>,
    stopped: watch::Receiver<bool>,
}

impl Worker {
    async fn run(mut self) {
        loop {
            match Client::connect(self.addr, &self.who).await {
                Ok(client) => {
                    lock(&self.ledger).connections += 1;
                    if self.talk(client).await.is_ok() {
                        return;
                    }
                }
                // Nobody there, or not yet: that is what the test does to it.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
            if self.keeps == Keeps::Nothing {
                self.kept.clear();
            }
        }
    }

    /// One connection; `Ok` when there is nothing left to do at all.
    async fn talk(&mut self, mut client: Client) -> Result<()> {
        client
            .subscribe(&format!("sen/1/{}/receipt", self.who.id))
            .await?;
        let mut again: VecDeque<u32> = self.kept.clone();
        let mut in_flight: VecDeque<(u16, u32, tokio::time::Instant)> = VecDeque::new();
        loop {
            let stopped = *self.stopped.borrow();
            while in_flight.len() < WINDOW {
                let (first, dup) = if let Some(first) = again.pop_front() {
                    (first, true)
                } else if stopped || self.kept.len() >= OUTBOX {
                    break;
                } else {
                    self.kept.push_back(self.next);
                    self.next += PER_PACK;
                    (self.next - PER_PACK, false)
                };
                let id = self.send(&mut client, first, dup)?;
                in_flight.push_back((id, first, tokio::time::Instant::now()));
            }
            if stopped && self.kept.is_empty() && in_flight.is_empty() {
                return Ok(());
            }
            client.flush().await?;
            let mut stopped_changed = self.stopped.clone();
            let packet = tokio::select! {
                packet = client.next() => packet?,
                // A stop while everything waits for the gateway.
                _ = stopped_changed.changed(), if !stopped => continue,
                () = tokio::time::sleep(IMPATIENCE) => {
                    if in_flight.is_empty() {
                        again = self.kept.clone();
                    }
                    continue;
                }
            };
            self.note(&mut client, &packet, &mut in_flight)?;
        }
    }

    fn send(&self, client: &mut Client, first: u32, dup: bool) -> Result<u16> {
        let places = first..first + PER_PACK;
        let pack = Pack {
            place: Some((self.boot, first)),
            records: places.clone().map(|s| record(self.from, s)).collect(),
        };
        // Half of the packs in either notation.
        let payload = if first.is_multiple_of(2 * PER_PACK) {
            pack.cbor()
        } else {
            pack.json()
        };
        lock(&self.ledger)
            .sent
            .extend(places.map(|s| (self.boot, s)));
        client.queue_publish(&format!("sen/1/{}/pack", self.who.id), payload, dup)
    }

    fn note(
        &mut self,
        client: &mut Client,
        packet: &Packet,
        in_flight: &mut VecDeque<(u16, u32, tokio::time::Instant)>,
    ) -> Result<()> {
        match packet {
            Packet::PubAck(ack) => {
                let at = in_flight.iter().position(|(id, ..)| *id == ack.pkid);
                let at = at.context("PUBACK for nothing")?;
                if let Some((_, first, sent)) = in_flight.remove(at) {
                    let mut ledger = lock(&self.ledger);
                    ledger
                        .acked
                        .extend((first..first + PER_PACK).map(|s| (self.boot, s)));
                    ledger.slowest_puback = ledger.slowest_puback.max(sent.elapsed());
                    drop(ledger);
                    if self.keeps != Keeps::UntilReceipt {
                        self.kept.retain(|f| *f != first);
                    }
                }
            }
            Packet::Publish(publish) => {
                client.acknowledge(packet)?;
                let mut decoder = minicbor::Decoder::new(&publish.payload);
                decoder.array()?;
                let (boot, from, through) = (decoder.u64()?, decoder.u32()?, decoder.u32()?);
                lock(&self.ledger)
                    .received
                    .extend((from..=through).map(|s| (boot, s)));
                if self.keeps == Keeps::UntilReceipt && boot == self.boot {
                    self.kept
                        .retain(|f| !(from <= *f && f + PER_PACK - 1 <= through));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// The test's clock, ms UTC.
#[must_use]
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}
