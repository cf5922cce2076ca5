//! Sen: its own broker, every PUBACK after the journal's fsync, to InfluxDB.

use std::time::Duration;

use anyhow::Result;
use sen_tests::http::{Http, Metrics};
use sen_tests::influxd::Influxd;
use sen_tests::process::{Program, TestDir};
use sen_tests::sen::{Influx, Sen, Setup, binary, ready};

use crate::Options;
use crate::measure::{Burst, Figures, plan, steady};
use crate::source::Nodes;

pub(crate) async fn burst(options: &Options) -> Result<Figures> {
    let influx = Influxd::start().await?;
    let mut setup = Setup::new(options.clients).influx(Influx::V1(influx.url().to_owned()));
    // As it is shipped, not as the tests hurry it.
    setup.influx_extra = String::new();
    let mut sen = Sen::start(&setup).await?;
    let mut figures = Figures {
        system: "sen",
        idle_kib: Some(sen.process().rss_kib()?.0),
        ..Figures::default()
    };
    let pid = sen.process().pid();
    let each = options.messages / options.clients;
    let source = Nodes::new(each, true);
    let from = source.from;
    let before = sen.http().metrics().await?;
    let burst = Burst::run(plan(options, sen.mqtt()), source, &[pid]).await?;
    burst.fill(&mut figures);
    burst.stored(&influx, &mut figures).await?;
    figures.cpu_us = Some(burst.cpu_us(0)?);
    figures.commits = commits(&before, &sen.http().metrics().await?);
    let mut source = Nodes::new(each, true);
    // Goes on where the burst ended: repeated readings would be dropped as duplicates.
    source.from = from;
    steady(options, sen.mqtt(), source, &[pid], &mut figures).await?;
    figures.peak_kib = Some(sen.process().rss_kib()?.1);
    Ok(figures)
}

/// `sen demo` with twelve nodes, half a minute after its start.
pub(crate) async fn idle() -> Result<Figures> {
    let dir = TestDir::new()?;
    let mut demo = Program::new("demo", binary()?)
        .args(["demo", "--nodes", "12"])
        .args(["--web", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"])
        .arg("--data-dir")
        .arg(dir.path().join("data"))
        .start(dir.path())?;
    let bound = ready(&mut demo).await?;
    if let Some(web) = bound.web {
        Http::new(format!("http://{web}"))
            .json("/api/v1/overview")
            .await?;
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    let cpu = demo.cpu()?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let (now, peak) = demo.rss_kib()?;
    Ok(Figures {
        system: "sen demo, 12 nodes, idle",
        steady_core: Some((demo.cpu()? - cpu).as_secs_f64() / 10.0),
        idle_kib: Some(now),
        peak_kib: Some(peak),
        ..Figures::default()
    })
}

/// Commits between two looks at the metrics: how many, mean and 99 % latency.
fn commits(before: &Metrics, after: &Metrics) -> Option<(f64, Duration, Duration)> {
    const NAME: &str = "sen_journal_commit_seconds";
    let grown = |name: &str, labels: &[&str]| after.sum(name, labels) - before.sum(name, labels);
    let count = grown(&format!("{NAME}_count"), &[]);
    let sum = grown(&format!("{NAME}_sum"), &[]);
    if count <= 0.0 {
        return None;
    }
    // The smallest bucket that holds 99 % of them.
    let bucket = format!("{NAME}_bucket");
    let mut bounds: Vec<(f64, f64)> = after
        .iter()
        .filter(|(key, _)| key.starts_with(&bucket))
        .filter_map(|(key, _)| {
            let bound = key.split("le=\"").nth(1)?.split('"').next()?;
            Some((
                bound.parse().ok()?,
                grown(&bucket, &[&format!("le=\"{bound}\"")]),
            ))
        })
        .collect();
    bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let p99 = bounds
        .iter()
        .find(|(_, n)| *n >= 0.99 * count)
        .map_or(0.0, |(bound, _)| *bound);
    Some((
        count,
        Duration::from_secs_f64(sum / count),
        Duration::try_from_secs_f64(p99).unwrap_or_default(),
    ))
}
