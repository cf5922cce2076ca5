//! The loop around [`Node`], over what a board has: a link, probes and a timer. Owns no task and needs no executor.

use core::{
    future::Future,
    pin::{Pin, pin},
};

use embassy_futures::select::{Either, select};
use sen_wire::{
    Channel,
    limits::{MAX_CONFIG_BYTES, MAX_PACK_BYTES},
    topic::Kind,
};

use crate::{
    node::{Node, Vitals},
    outbox::Storage,
    sample::Samples,
    settings::Settings,
};

/// An MQTT connection. Topics are [`sen_wire::Topic`]s of the node.
#[allow(
    async_fn_in_trait,
    reason = "used through generics only: no caller needs to name Send"
)]
pub trait Link {
    /// What can go wrong; any error ends the connection.
    type Error;

    /// Brings the connection up and subscribes to receipt and config, with QoS 1.
    async fn connect(&mut self) -> Result<(), Self::Error>;

    /// Publishes with QoS 1. May return once the message is handed over: the outbox waits for the receipt, not for PUBACK.
    async fn publish(&mut self, kind: Kind, payload: &[u8]) -> Result<(), Self::Error>;

    /// Waits for the next receipt or config, written to the front of `buffer`; longer payloads are left out. Must be safe
    /// to cancel: what was not returned is returned next time.
    async fn receive(&mut self, buffer: &mut [u8]) -> Result<(Kind, usize), Self::Error>;

    /// Says goodbye and takes the link down until the next connect, radio and all. Called when the node goes to rest.
    async fn disconnect(&mut self) {}

    /// Received signal strength, dBm.
    fn rssi_dbm(&self) -> Option<i16> {
        None
    }
}

/// The board's probes.
#[allow(
    async_fn_in_trait,
    reason = "used through generics only: no caller needs to name Send"
)]
pub trait Probes {
    /// Measures the wanted channels (none named: all) once each. A probe that fails reports a fault.
    async fn sample(&mut self, wanted: &[Channel], samples: &mut Samples);

    /// The uptime at which to sample next, given the schedule's and how much is pending. A board leaves this alone; one
    /// that replays a log goes by the log.
    fn sample_at(&mut self, scheduled: u64, _pending: u32) -> u64 {
        scheduled
    }

    /// Battery, millivolts.
    fn battery_mv(&mut self) -> Option<u16> {
        None
    }
}

/// The board's clock.
#[allow(
    async_fn_in_trait,
    reason = "used through generics only: no caller needs to name Send"
)]
pub trait Timer {
    /// Milliseconds since the start; never goes back.
    fn uptime_ms(&self) -> u64;

    /// Waits until that uptime.
    async fn sleep_until(&mut self, uptime_ms: u64);
}

/// How long connecting or publishing may take: TCP alone would wait for many minutes on a dead link.
const LINK_TIMEOUT_MS: u64 = 30_000;

/// How long saying goodbye may take.
const GOODBYE_MS: u64 = 2_000;

/// Runs the node for ever: samples on schedule, whatever the link does, and keeps the session going. Drop the future to
/// stop it, at any await.
pub async fn run<S: Storage, C: Settings>(
    node: &mut Node<S, C>,
    link: &mut impl Link,
    probes: &mut impl Probes,
    timer: &mut impl Timer,
) -> ! {
    let mut up = [0; MAX_PACK_BYTES];
    let mut down = [0; MAX_CONFIG_BYTES];
    loop {
        // A sample may bring the next connect forward.
        while let Some(at) = node.connect_at().filter(|at| *at > timer.uptime_ms()) {
            let down = pin!(core::future::pending::<()>());
            step(down, at, node, probes, timer).await;
        }
        let deadline = timer.uptime_ms() + LINK_TIMEOUT_MS;
        if let Some(Ok(())) = wait(link.connect(), deadline, node, probes, timer).await {
            node.connected(timer.uptime_ms());
            if converse(&mut up, &mut down, node, link, probes, timer).await == End::Rest {
                let deadline = timer.uptime_ms() + GOODBYE_MS;
                wait(link.disconnect(), deadline, node, probes, timer).await;
                node.rested(timer.uptime_ms());
                continue;
            }
        }
        node.disconnected(timer.uptime_ms());
    }
}

/// Why a conversation ended.
#[derive(PartialEq, Eq)]
enum End {
    /// The link failed.
    Failed,
    /// There is nothing to do for now.
    Rest,
}

/// Publishes and receives until the link fails or the node has leave to rest.
async fn converse<S: Storage, C: Settings>(
    up: &mut [u8],
    down: &mut [u8],
    node: &mut Node<S, C>,
    link: &mut impl Link,
    probes: &mut impl Probes,
    timer: &mut impl Timer,
) -> End {
    loop {
        let vitals = Vitals {
            battery_mv: probes.battery_mv(),
            rssi_dbm: link.rssi_dbm(),
        };
        while let Some((kind, length)) = node.poll(timer.uptime_ms(), vitals, up).await {
            let deadline = timer.uptime_ms() + LINK_TIMEOUT_MS;
            let published = wait(
                link.publish(kind, &up[..length]),
                deadline,
                node,
                probes,
                timer,
            )
            .await;
            if !matches!(published, Some(Ok(()))) {
                return End::Failed;
            }
        }
        let rest_at = node.rest_at().unwrap_or(u64::MAX);
        if rest_at <= timer.uptime_ms() {
            return End::Rest;
        }
        // Cancelled when a sample was taken: it may be due to go at once.
        let event = {
            let received = pin!(link.receive(down));
            let deadline = node.wake_at().min(rest_at);
            step(received, deadline, node, probes, timer).await
        };
        match event {
            Event::Done(Ok((kind, length))) => {
                node.receive(timer.uptime_ms(), kind, &down[..length]).await
            }
            Event::Done(Err(_)) => return End::Failed,
            Event::Sampled | Event::Late => {}
        }
    }
}

enum Event<T> {
    Done(T),
    Sampled,
    Late,
}

/// Waits for `work` until `deadline` and takes the samples that fall due meanwhile. `None`: it took too long.
async fn wait<S: Storage, C: Settings, F: Future>(
    work: F,
    deadline: u64,
    node: &mut Node<S, C>,
    probes: &mut impl Probes,
    timer: &mut impl Timer,
) -> Option<F::Output> {
    let mut work = pin!(work);
    loop {
        match step(work.as_mut(), deadline, node, probes, timer).await {
            Event::Done(output) => return Some(output),
            Event::Sampled => {}
            Event::Late => return None,
        }
    }
}

/// Waits for `work`, the deadline or the next sample, and takes that sample.
async fn step<S: Storage, C: Settings, F: Future>(
    work: Pin<&mut F>,
    deadline: u64,
    node: &mut Node<S, C>,
    probes: &mut impl Probes,
    timer: &mut impl Timer,
) -> Event<F::Output> {
    let now = timer.uptime_ms();
    let sample_at = probes.sample_at(node.sample_at(now), node.storage().pending());
    // What is due goes before what is ready: a busy link must not keep the probes waiting.
    if sample_at > now {
        match select(work, timer.sleep_until(deadline.min(sample_at))).await {
            Either::First(output) => return Event::Done(output),
            Either::Second(()) if deadline < sample_at => return Event::Late,
            Either::Second(()) => {}
        }
    }
    let mut samples = Samples::default();
    let now = timer.uptime_ms();
    probes.sample(&node.config().channels, &mut samples).await;
    node.record(now, &samples).await;
    Event::Sampled
}
