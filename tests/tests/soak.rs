//! All faults at once, for as long as `SEN_SOAK_MINUTES` says: half an hour in the nightly run, half a minute otherwise.
//!
//! Nodes replay recordings round after round, each round a boot of its own, over links that are cut at random; meanwhile
//! the gateway is killed four times a minute, its log is folded every 20 seconds, and the store is gone and hangs. At the end
//! every reading of every round is compared with its source.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sen_tests::dice::Dice;
use sen_tests::herd::{Herd, Replayed};
use sen_tests::influxd::Influxd;
use sen_tests::rough::{RoughLinks, Roughness};
use sen_tests::sen::{Influx, Sen, Setup};
use sen_tests::storm::{self, Blow, Store, Storm};
use sen_tests::{audit, wait};

const NODES: usize = 60;
/// Readings of a node and round, at least.
const EACH: usize = 400;

fn length() -> Duration {
    let minutes = match std::env::var("SEN_SOAK_MINUTES") {
        Ok(text) => text.parse().expect("SEN_SOAK_MINUTES is a number"),
        Err(_) if std::env::var_os("SEN_NIGHTLY").is_some() => 30.0,
        Err(_) => 0.5,
    };
    Duration::from_secs_f64(60.0 * minutes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn nothing_is_lost_doubled_or_changed_however_long_it_goes_on() -> Result<()> {
    let length = length();
    let minutes = length.as_secs_f64() / 60.0;
    let mut dice = Dice::from_env();
    let influx = Influxd::start().await?;
    let mut setup = Setup::new(NODES).influx(Influx::V1(influx.url().to_owned()));
    setup.extra = "[journal]\nfold_every = \"20s\"\n".to_owned();
    let sen = Sen::start(&setup).await?;
    let broker = sen.mqtt();
    let kills = (4.0 * minutes).ceil() as usize;
    let spells = (minutes / 3.0).ceil() as u32;
    let plan = storm::plan(&mut dice, kills, 0, spells);
    let store = Store::Influx(Box::new(influx));
    let mut storm = Storm::new(sen, store, None, Duration::from_secs(5));

    let started = Instant::now();
    let share = || Ok(started.elapsed().as_secs_f64() / length.as_secs_f64());
    let send = send(broker, &dice, &setup.nodes, started, length);
    let (storm_ended, sent) = tokio::join!(storm.rage(&plan, share, length), send);
    storm_ended?;
    let Sent {
        rounds,
        cuts,
        nodes,
    } = sent?;
    storm.sen.drained(10 * wait::PATIENCE).await?;
    let readings: usize = nodes.iter().map(|n| n.readings.len()).sum();
    eprintln!(
        "{:.1} minutes, {NODES} nodes, {rounds} rounds, {readings} readings; {} kill -9 of the gateway, {cuts} cuts of links; \
         store gone for {:.1?}, hung for {:.1?}",
        started.elapsed().as_secs_f64() / 60.0,
        storm.count(Blow::KillGateway),
        storm.gone,
        storm.hung,
    );
    let (now, peak) = storm.sen.process().rss_kib()?;
    eprintln!("gateway: {now} KiB resident, {peak} KiB at the peak since its last start");
    storm.sen.terminate(wait::PATIENCE)?;
    audit::gateway(&nodes, &storm.sen)?;
    let Store::Influx(influx) = &storm.store else {
        unreachable!("started above");
    };
    audit::influx(&nodes, influx).await?.clean("InfluxDB")
}

#[derive(Default)]
struct Sent {
    rounds: u64,
    cuts: usize,
    nodes: Vec<Replayed>,
}

/// Replays round after round until the time is over.
async fn send(
    broker: SocketAddr,
    dice: &Dice,
    ids: &[String],
    started: Instant,
    length: Duration,
) -> Result<Sent> {
    let mut sent = Sent::default();
    while started.elapsed() < length {
        // Two cuts a node and round: a node that is cut off again and again waits a minute between its attempts.
        let rough = Roughness {
            cuts: 2,
            delay: Duration::from_millis(60),
        };
        let links = RoughLinks::start(broker, dice.of("links", sent.rounds), rough).await?;
        let herd = Herd::start(links.addr(), ids, EACH)?;
        wait::until("receipts for a round", 10 * wait::PATIENCE, || async {
            ensure!(herd.done(), "{:?}", herd.laggards());
            Ok(Some(()))
        })
        .await?;
        sent.nodes.extend(herd.stop().await.context("a round")?);
        sent.cuts += links.cuts();
        sent.rounds += 1;
    }
    Ok(sent)
}
