//! Everything goes wrong at once, and nothing is lost, doubled or changed: simulated nodes that run the real node code send
//! the shipped recordings over links that are cut at random, while the gateway is killed, the broker restarts, and the store
//! is gone for a third of the work and hangs for a tenth of it.
//!
//! `SEN_SEED` repeats the random choices; the moments of a kill depend on progress, not on the clock.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sen_tests::dice::Dice;
use sen_tests::herd::Herd;
use sen_tests::influxd::Influxd;
use sen_tests::mosquitto::{Access, Mosquitto, Persistence};
use sen_tests::rough::{RoughLinks, Roughness};
use sen_tests::sen::{Influx, Sen, Setup, password};
use sen_tests::storm::{self, Blow, Store, Storm};
use sen_tests::victoria::Victoria;
use sen_tests::{audit, wait};

#[derive(Debug, Clone, Copy)]
struct Size {
    nodes: usize,
    /// Readings of a node, at least.
    each: usize,
    kills: usize,
    /// Restarts of Mosquitto.
    broker: usize,
    /// Cuts of each node's link.
    cuts: usize,
}

fn nightly() -> bool {
    std::env::var_os("SEN_NIGHTLY").is_some()
}

async fn chaos(size: Size, mut store: Store, mosquitto: Option<Mosquitto>) -> Result<()> {
    let started = Instant::now();
    let mut dice = Dice::from_env();
    let mut setup = Setup::new(size.nodes);
    setup = match &mut store {
        Store::Influx(influx) => setup.influx(Influx::V1(influx.url().to_owned())),
        Store::Victoria(victoria) => setup.influx(Influx::V2(victoria.url().to_owned())),
    };
    if let Some(mosquitto) = &mosquitto {
        setup = setup.external(mosquitto.addr());
    }
    let sen = Sen::start(&setup).await?;
    let broker = mosquitto
        .as_ref()
        .map_or_else(|| sen.mqtt(), Mosquitto::addr);
    let rough = Roughness {
        cuts: size.cuts,
        delay: Duration::from_millis(40),
    };
    let links = RoughLinks::start(broker, dice.of("links", 0), rough).await?;
    let plan = storm::plan(&mut dice, size.kills, size.broker, 1);
    eprintln!("{plan:.3?}");
    // A third of the time too, and longer than the sink's own time-out.
    let least = Duration::from_secs(if nightly() { 45 } else { 5 });
    let mut storm = Storm::new(sen, store, mosquitto, least);
    let herd = Herd::start(links.addr(), &setup.nodes, size.each)?;
    let readings = herd.readings();
    ensure!(readings >= (size.nodes * size.each) as u64);
    let sent = Instant::now();
    storm
        .rage(
            &plan,
            || Ok(herd.receipted() as f64 / readings as f64),
            4 * wait::PATIENCE,
        )
        .await
        .with_context(|| format!("{:?}", herd.laggards()))?;
    wait::until("receipts for everything", 10 * wait::PATIENCE, || async {
        ensure!(herd.done(), "{:?}", herd.laggards());
        Ok(Some(()))
    })
    .await?;
    let sent = sent.elapsed();
    // The sink waits up to half a minute after a failure.
    storm.sen.drained(10 * wait::PATIENCE).await?;
    let whole = started.elapsed();
    let nodes = herd.stop().await?;
    for node in &setup.nodes {
        ensure!(links.cuts_of(node) > 0, "{node}'s link was never cut");
    }
    eprintln!(
        "{} nodes, {readings} readings receipted in {sent:.1?}, {whole:.1?} until all was in the store; {} kill -9 of the \
         gateway, {} of Mosquitto, {} restarts of it; {} cuts of links; store gone for {:.1?}, hung for {:.1?}; 0 dropped",
        size.nodes,
        storm.count(Blow::KillGateway),
        storm.count(Blow::KillBroker),
        storm.count(Blow::RestartBroker),
        links.cuts(),
        storm.gone,
        storm.hung,
    );
    ensure!(
        !nightly() || storm.gone * 3 >= whole,
        "the store was gone for {:.1?} of {whole:.1?} only",
        storm.gone
    );
    let lag = storm.sen.lag().await?;
    ensure!(lag == 0, "{lag} left");
    storm.sen.terminate(wait::PATIENCE)?;
    audit::gateway(&nodes, &storm.sen)?;
    match &storm.store {
        Store::Influx(influx) => audit::influx(&nodes, influx).await?.clean("InfluxDB"),
        Store::Victoria(victoria) => audit::victoria(&nodes, victoria)
            .await?
            .clean("VictoriaMetrics"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn embedded_broker_and_influxdb() -> Result<()> {
    let size = if nightly() {
        Size {
            nodes: 1_000,
            each: 1_000,
            kills: 20,
            broker: 0,
            cuts: 3,
        }
    } else {
        Size {
            nodes: 200,
            each: 500,
            kills: 6,
            broker: 0,
            cuts: 2,
        }
    };
    let influx = Influxd::start().await?;
    chaos(size, Store::Influx(Box::new(influx)), None).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn embedded_broker_and_victoria_metrics() -> Result<()> {
    let size = if nightly() {
        Size {
            nodes: 300,
            each: 1_000,
            kills: 10,
            broker: 0,
            cuts: 3,
        }
    } else {
        Size {
            nodes: 60,
            each: 500,
            kills: 3,
            broker: 0,
            cuts: 1,
        }
    };
    let victoria = Victoria::start().await?;
    chaos(size, Store::Victoria(Box::new(victoria)), None).await
}

/// Mosquitto as it comes: it drops what its queue has no room for and forgets everything when it is killed. The nodes keep
/// their readings until the receipt.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn mosquitto_with_its_defaults() -> Result<()> {
    let size = if nightly() {
        Size {
            nodes: 300,
            each: 1_000,
            kills: 10,
            broker: 10,
            cuts: 3,
        }
    } else {
        Size {
            nodes: 60,
            each: 500,
            kills: 2,
            broker: 2,
            cuts: 1,
        }
    };
    let nodes = Setup::new(size.nodes).nodes;
    let logins = nodes.into_iter().map(|n| {
        let password = password(&n);
        (n, password)
    });
    let access = Access::Nodes(logins.collect());
    let mosquitto = Mosquitto::start(&access, Persistence::Defaults).await?;
    let influx = Influxd::start().await?;
    chaos(size, Store::Influx(Box::new(influx)), Some(mosquitto)).await
}
