//! A backlog: readings that came in while InfluxDB was down, and how fast they reach it once it is back.
//!
//! Measured against a plain loader, which posts the same points to a fresh server of the same kind in the same run: what
//! the server can take when nobody journals, paces or looks after newer readings. Meanwhile a trickle of live readings
//! says what somebody at the page waits for.

use std::cell::RefCell;
use std::io::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use sen_tests::influxd::{DATABASE, Influxd};
use sen_tests::load::{self, Plan};
use sen_tests::mqtt::Client;
use sen_tests::process::rss_of;
use sen_tests::sen::{Influx, Sen, Setup, who};
use tokio::task::JoinHandle;

use crate::Options;
use crate::source::{FIELDS, Nodes, line, name};

/// Points of a request, of the loader's as of Sen's.
const BATCH: usize = 5_000;
/// Live readings a second while the backlog drains.
const LIVE_RATE: u32 = 20;
/// The least that Sen's drain may be of the rate of a loader that, like Sen, has one request under way.
const LEAST_RATIO: f64 = 0.5;
/// What the gateway may take above 1.2 times its idle memory: the batch in hand (its rows, its lines, its compressed form),
/// the page cache of SQLite's connections, the windows of 50 clients that all send at once.
const ALLOWANCE_KIB: u64 = 32 * 1024;
/// How long a drain may take.
const LIMIT: Duration = Duration::from_secs(180);

/// What was measured.
struct Drained {
    /// From the server's start to the first batch that it took: it is asked again at growing pauses.
    noticed: Duration,
    /// From then until the last point could be queried.
    took: Duration,
    live: Vec<Duration>,
    idle_kib: u64,
    intake_kib: u64,
    drain_kib: u64,
}

/// Prints the figures.
///
/// # Errors
/// When Sen is slower than [`LEAST_RATIO`] of the loader, or larger than it may be.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let each = options.backlog.div_ceil(FIELDS).div_ceil(options.clients);
    let points = each * options.clients;
    let source = Nodes::new(each, true);
    let from = source.from;

    let mut loader_rates = Vec::new();
    for connections in [1, 2] {
        let took = loader(options.clients, each, from, connections).await?;
        loader_rates.push(points as f64 / took.as_secs_f64());
    }
    let sen = drain(options, source, points).await?;

    let rate = points as f64 / sen.took.as_secs_f64();
    let ratio = rate / loader_rates[0];
    let mib = |kib: u64| kib as f64 / 1024.0;
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    let most = sen.idle_kib * 12 / 10 + ALLOWANCE_KIB;
    let peak = sen.intake_kib.max(sen.drain_kib);
    println!(
        "backlog of {} readings in {points} points, to InfluxDB 1.6, batches of {BATCH}\n\n\
         | | points/s | readings/s |\n|---|---|---|\n\
         | loader, 1 connection | {:.0} | {:.0} |\n\
         | loader, 2 connections | {:.0} | {:.0} |\n\
         | Sen's drain | {rate:.0} | {:.0} |\n\n\
         Sen / loader: {ratio:.2} with 1 connection, as Sen has (at least {LEAST_RATIO}), {:.2} with 2\n\
         noticed after {:.1} s that the server was back, drained in {:.1} s\n\
         live readings meanwhile, PUBACK to queryable: p50 {:.0} ms, p99 {:.0} ms of {}\n\
         memory: idle {:.1} MB, peak while it came in {:.1} MB, while it drained {:.1} MB; at most {:.1} MB \
         (1.2 x idle + {:.0} MB)\n",
        points * FIELDS,
        loader_rates[0],
        loader_rates[0] * FIELDS as f64,
        loader_rates[1],
        loader_rates[1] * FIELDS as f64,
        rate * FIELDS as f64,
        rate / loader_rates[1],
        sen.noticed.as_secs_f64(),
        sen.took.as_secs_f64(),
        ms(quantile(&sen.live, 0.5)),
        ms(quantile(&sen.live, 0.99)),
        sen.live.len(),
        mib(sen.idle_kib),
        mib(sen.intake_kib),
        mib(sen.drain_kib),
        mib(most),
        mib(ALLOWANCE_KIB),
    );
    ensure!(
        ratio >= LEAST_RATIO,
        "the drain is only {ratio:.2} of the loader's rate"
    );
    ensure!(peak <= most, "{peak} KiB at the peak, {most} KiB allowed");
    Ok(())
}

/// The plain loader: ready lines, gzip, nothing else. From the first request until the last point can be queried.
async fn loader(clients: usize, each: usize, from: i64, connections: usize) -> Result<Duration> {
    let influx = Influxd::start().await?;
    let mut lines = Vec::with_capacity(clients * each);
    for k in 0..each {
        lines.extend((0..clients).map(|client| line(from, client, k)));
    }
    let points = lines.len();
    let batches = Rc::new(RefCell::new(
        lines
            .chunks(BATCH)
            .map(<[String]>::to_vec)
            .collect::<Vec<_>>()
            .into_iter(),
    ));
    drop(lines);
    let url = format!("{}/write?db={DATABASE}&precision=ms", influx.url());
    let http = reqwest::Client::builder().no_proxy().build()?;
    let started = Instant::now();
    let post = async || {
        loop {
            let Some(batch) = batches.borrow_mut().next() else {
                return anyhow::Ok(());
            };
            let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
            for line in &batch {
                writeln!(gz, "{line}")?;
            }
            let request = http
                .post(&url)
                .header("content-encoding", "gzip")
                .body(gz.finish()?);
            request.send().await?.error_for_status()?;
        }
    };
    futures::future::try_join_all((0..connections).map(|_| post())).await?;
    let have = influx.count("air_temperature").await?;
    ensure!(
        have == points as u64,
        "the loader's server has {have} of {points} points"
    );
    Ok(started.elapsed())
}

async fn drain(options: &Options, source: Nodes, points: usize) -> Result<Drained> {
    let mut influx = Influxd::start().await?;
    influx.stop()?;
    let mut setup = Setup::new(options.clients + 1).influx(Influx::V1(influx.url().to_owned()));
    // As it is shipped, but for this: what waits counts as backlog at once, as it does after a minute of outage.
    setup.influx_extra = "backlog_after = \"1s\"\n".to_owned();
    let mut sen = Sen::start(&setup).await?;
    let memory = Memory::watch(sen.process().pid());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle_kib = sen.process().rss_kib()?.0;
    memory.forget();
    let plan = Plan {
        addr: sen.mqtt(),
        clients: options.clients,
        messages: points,
        window: options.window,
        rate: None,
    };
    load::run(plan, Arc::new(source)).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let intake_kib = memory.forget();

    influx.restart().await?;
    let back = Instant::now();
    let live = Live::start(&sen, options.clients).await?;
    let (mut first, mut visible, mut done) = (None, Vec::new(), None);
    while done.is_none() {
        ensure!(
            back.elapsed() < LIMIT,
            "not drained within {LIMIT:?}: {}",
            sen.lag().await?
        );
        let before = Instant::now();
        let seen = influx.count("battery_voltage").await?;
        visible.resize(usize::try_from(seen)?.max(visible.len()), Instant::now());
        let taken = sen
            .http()
            .metrics()
            .await?
            .sum("sen_influx_points_total", &[]);
        if taken == 0.0 {
            // The first batch is on its way at the latest.
            first = Some(before);
        } else if taken >= points as f64 && influx.count("air_temperature").await? >= points as u64
        {
            done = Some(Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (first, done) = (
        first.context("drained at once")?,
        done.context("not drained")?,
    );
    let acknowledged = live.stop();
    // Before `first` it is the outage that they waited for.
    let live = acknowledged
        .iter()
        .zip(&visible)
        .filter(|(acked, _)| **acked > first);
    Ok(Drained {
        noticed: first - back,
        took: done - first,
        live: live
            .map(|(acked, seen)| seen.saturating_duration_since(*acked))
            .collect(),
        idle_kib,
        intake_kib,
        drain_kib: memory.forget(),
    })
}

/// A node that sends a reading at a time, [`LIVE_RATE`] a second: the only one with a battery.
struct Live {
    acknowledged: Rc<RefCell<Vec<Instant>>>,
    task: JoinHandle<()>,
}

impl Live {
    async fn start(sen: &Sen, number: usize) -> Result<Self> {
        let node = name(number);
        let mut client = Client::connect(sen.mqtt(), &who(&node)).await?;
        let acknowledged = Rc::new(RefCell::new(Vec::new()));
        let acks = acknowledged.clone();
        let task = tokio::task::spawn_local(async move {
            let topic = format!("sen/1/{node}/pack");
            let mut tick = tokio::time::interval(Duration::from_secs(1) / LIVE_RATE);
            loop {
                tick.tick().await;
                let now = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                let pack = format!(
                    "[{{\"bt\":{}.{:03},\"n\":\"bv\",\"v\":3.71}}]",
                    now.as_secs(),
                    now.subsec_millis()
                );
                if let Err(e) = client
                    .publish(&topic, pack.into(), Duration::from_secs(10))
                    .await
                {
                    eprintln!("the live node has stopped: {e:#}");
                    return;
                }
                acks.borrow_mut().push(Instant::now());
            }
        });
        Ok(Self { acknowledged, task })
    }

    /// When each reading was acknowledged.
    fn stop(self) -> Vec<Instant> {
        self.task.abort();
        self.acknowledged.take()
    }
}

/// The most memory that a process has, looked at all the time.
struct Memory {
    most: Rc<RefCell<u64>>,
    task: JoinHandle<()>,
}

impl Memory {
    fn watch(pid: u32) -> Self {
        let most = Rc::new(RefCell::new(0));
        let seen = most.clone();
        let task = tokio::task::spawn_local(async move {
            while let Ok((now, _)) = rss_of(pid) {
                let most = (*seen.borrow()).max(now);
                seen.replace(most);
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        });
        Self { most, task }
    }

    /// The most since the last call, in KiB of `VmRSS`.
    fn forget(&self) -> u64 {
        self.most.replace(0)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn quantile(all: &[Duration], q: f64) -> Duration {
    let mut sorted = all.to_vec();
    sorted.sort_unstable();
    let i = (sorted.len().saturating_sub(1) as f64 * q).round() as usize;
    sorted.get(i).copied().unwrap_or_default()
}
