//! Figures, and how they are taken.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use sen_tests::influxd::Influxd;
use sen_tests::load::{self, Outcome, Plan};
use sen_tests::process::cpu_of;

use crate::Options;
use crate::source::Nodes;

/// What one system did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    pub(crate) system: &'static str,
    /// Messages a second until the last PUBACK.
    pub(crate) acked_per_s: Option<f64>,
    /// Messages a second until the last point could be counted in InfluxDB.
    pub(crate) stored_per_s: Option<f64>,
    /// Acknowledged and not in InfluxDB half a minute after the last change.
    pub(crate) lost: Option<u64>,
    /// PUBACK latency at the steady rate: median and 99 %.
    pub(crate) latency: Option<(Duration, Duration)>,
    /// CPU time a message of the burst, of the system without its store.
    pub(crate) cpu_us: Option<f64>,
    /// CPU time a message of its broker, where that is another program (and not in `cpu_us`).
    pub(crate) broker_cpu_us: Option<f64>,
    /// CPU time a message of the generator itself.
    pub(crate) generator_cpu_us: Option<f64>,
    /// Share of a core at the steady rate.
    pub(crate) steady_core: Option<f64>,
    /// KiB before the load.
    pub(crate) idle_kib: Option<u64>,
    /// KiB at the peak.
    pub(crate) peak_kib: Option<u64>,
    /// Commits of the burst, and their mean and 99 % latency.
    pub(crate) commits: Option<(f64, Duration, Duration)>,
}

/// The burst, with the generator's and the systems' CPU time.
pub(crate) struct Burst {
    pub(crate) outcome: Outcome,
    pub(crate) started: Instant,
    before: Vec<Duration>,
    pids: Vec<u32>,
}

impl Burst {
    /// Runs it against `plan.addr`.
    pub(crate) async fn run(plan: Plan, source: Nodes, pids: &[u32]) -> Result<Self> {
        let before = pids.iter().map(|p| cpu_of(*p)).collect::<Result<_>>()?;
        let outcome = load::run(plan, Arc::new(source)).await?;
        Ok(Self {
            // Connecting and writing payloads came before.
            started: Instant::now() - outcome.elapsed,
            outcome,
            before,
            pids: pids.to_vec(),
        })
    }

    /// CPU time that process `i` has used since the start, in us a message.
    pub(crate) fn cpu_us(&self, i: usize) -> Result<f64> {
        let used = cpu_of(self.pids[i])?.saturating_sub(self.before[i]);
        Ok(used.as_secs_f64() * 1e6 / self.outcome.acked as f64)
    }

    /// Fills in what the burst itself says.
    pub(crate) fn fill(&self, figures: &mut Figures) {
        figures.acked_per_s = Some(self.outcome.rate());
        figures.generator_cpu_us =
            Some(self.outcome.cpu.as_secs_f64() * 1e6 / self.outcome.acked as f64);
    }

    /// Waits until InfluxDB has a point for every message: fills in the rate and what is missing.
    pub(crate) async fn stored(&self, influx: &Influxd, figures: &mut Figures) -> Result<()> {
        let want = self.outcome.acked as u64;
        let mut last = (0, Instant::now());
        loop {
            let have = influx.count("air_temperature").await?;
            if have >= want {
                let seconds = self.started.elapsed().as_secs_f64();
                figures.stored_per_s = Some(want as f64 / seconds);
                figures.lost = Some(0);
                return Ok(());
            }
            if have != last.0 {
                last = (have, Instant::now());
            }
            if last.1.elapsed() > Duration::from_secs(30) {
                figures.lost = Some(want - have);
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The plan of the burst.
pub(crate) fn plan(options: &Options, addr: std::net::SocketAddr) -> Plan {
    Plan {
        addr,
        clients: options.clients,
        messages: options.messages,
        window: options.window,
        rate: None,
    }
}

/// The steady part: latency, and the share of a core that these processes take together.
pub(crate) async fn steady(
    options: &Options,
    addr: std::net::SocketAddr,
    mut source: Nodes,
    pids: &[u32],
    figures: &mut Figures,
) -> Result<()> {
    if options.steady == 0 {
        return Ok(());
    }
    let cpu = |pids: &[u32]| -> Result<Duration> { pids.iter().map(|p| cpu_of(*p)).sum() };
    source.skip = options.messages / options.clients;
    let messages = options.rate * options.steady / options.clients * options.clients;
    let plan = Plan {
        messages,
        rate: Some(options.rate as f64),
        ..plan(options, addr)
    };
    let before = cpu(pids)?;
    let outcome = load::run(plan, Arc::new(source)).await?;
    if outcome.rate() < 0.9 * options.rate as f64 {
        bail!("only {:.0} messages a second", outcome.rate());
    }
    // Writing what it has buffered belongs to the price.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let used = cpu(pids)?.saturating_sub(before);
    figures.steady_core = Some(used.as_secs_f64() / outcome.elapsed.as_secs_f64());
    figures.latency = Some((outcome.latency(0.5), outcome.latency(0.99)));
    Ok(())
}

/// All rows as a Markdown table.
pub(crate) fn table(options: &Options, rows: &[Figures]) -> String {
    let mut text = format!(
        "{} clients, QoS 1, {} messages of 6 fields, window {}; steady part {} msg/s\n\n\
         | system | acked/s | in InfluxDB/s | lost | PUBACK p50/p99 ms | CPU us/msg | broker CPU us/msg | \
         generator CPU us/msg | core at steady rate | idle/peak MB | commits, mean/p99 ms |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
        options.clients, options.messages, options.window, options.rate
    );
    let number = |v: Option<f64>, places: usize| v.map_or("-".into(), |v| format!("{v:.places$}"));
    let ms = |d: Duration| format!("{:.1}", d.as_secs_f64() * 1e3);
    let mib = |v: Option<u64>| v.map_or("-".into(), |v| format!("{:.1}", v as f64 / 1024.0));
    for row in rows {
        let latency = row
            .latency
            .map_or("-".into(), |(a, b)| format!("{} / {}", ms(a), ms(b)));
        let commits = row.commits.map_or("-".into(), |(n, a, b)| {
            format!("{n:.0}, {} / {}", ms(a), ms(b))
        });
        // Writing to a String never fails.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {latency} | {} | {} | {} | {} | {} / {} | {commits} |",
            row.system,
            number(row.acked_per_s, 0),
            number(row.stored_per_s, 0),
            row.lost.map_or("-".into(), |v| v.to_string()),
            number(row.cpu_us, 1),
            number(row.broker_cpu_us, 1),
            number(row.generator_cpu_us, 1),
            row.steady_core
                .map_or("-".into(), |v| format!("{:.1} %", v * 100.0)),
            mib(row.idle_kib),
            mib(row.peak_kib),
        );
    }
    ratios(&mut text, rows);
    text
}

fn ratios(text: &mut String, rows: &[Figures]) {
    let find = |name: &str| rows.iter().find(|r| r.system == name);
    let (Some(sen), Some(red)) = (find("sen"), find("node-red")) else {
        return;
    };
    if let (Some(a), Some(b)) = (sen.stored_per_s, red.stored_per_s) {
        let _ = writeln!(text, "\nSen / Node-RED, into InfluxDB: {:.1}", a / b);
    }
    if let (Some(a), Some(b)) = (sen.cpu_us, red.cpu_us) {
        let _ = writeln!(text, "Node-RED / Sen, CPU a message: {:.1}", b / a);
    }
    if let (Some(sen), Some(alone)) = (
        sen.acked_per_s,
        find("mosquitto").and_then(|r| r.acked_per_s),
    ) {
        let _ = writeln!(
            text,
            "Sen (on disk) / Mosquitto (in memory), acknowledged: {:.2}",
            sen / alone
        );
    }
}
