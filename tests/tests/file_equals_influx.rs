//! From a recording to a query: the simulated fleet (the nodes' own code) replays whole files, and
//! what InfluxDB gives back equals the files, value for value and time for time.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sen_sim::{Fleet, FleetConfig, NodeSpec, Pace, Password, Source};
use sen_tests::influxd::{Influxd, Points, VISIBLE};
use sen_tests::sen::{Influx, Sen, Setup, password};
use sen_tests::victoria::Victoria;
use sen_tests::wait;
use sen_wire::Value;

/// Replays these recordings; what has to come out.
async fn replay(sen: &Sen, setup: &Setup, sources: &[Source]) -> Result<Points> {
    let nodes = setup.nodes.iter().zip(sources).map(|(id, source)| {
        Ok(NodeSpec {
            id: id
                .parse()
                .map_err(|_| anyhow::anyhow!("{id} is no node id"))?,
            password: Password(password(id)),
            source: *source,
            start_offset: Duration::ZERO,
        })
    });
    let fleet = Fleet::start(&FleetConfig {
        broker: sen.mqtt().to_string(),
        nodes: nodes.collect::<Result<_>>()?,
        pace: Pace::WHOLE,
    })?;
    tokio::time::timeout(2 * wait::PATIENCE, fleet.finished())
        .await
        .with_context(|| format!("{:?}", fleet.stats()))?;
    let mut expected = Points::new();
    let (mut readings, mut faults) = (0_u64, 0);
    for id in &setup.nodes {
        let (series, mapping) = fleet.replay(id).context("a node that is not there")?;
        for row in series.rows() {
            for (channel, value) in row.values {
                readings += 1;
                let Value::Number(number) = value else {
                    faults += 1;
                    continue;
                };
                let at = mapping.stamp(row.source_ms);
                // Through the decimal's text: what any reader of the file gets.
                let value: f64 = number.to_string().parse()?;
                expected.insert((id.clone(), channel.to_string(), at), value);
            }
        }
    }
    let stats = fleet.stop().await;
    ensure!(stats.iter().all(|s| s.dropped == 0), "{stats:?}");
    ensure!(
        stats.iter().map(|s| s.receipted).sum::<u64>() == readings,
        "{readings}: {stats:?}"
    );
    ensure!(expected.len() > 10_000, "only {} values", expected.len());
    for id in &setup.nodes {
        let node = sen.node(id).await?;
        ensure!(node["missing"] == 0, "{node}");
    }
    eprintln!("{readings} readings, {faults} of them faults");
    sen.drained(VISIBLE).await?;
    Ok(expected)
}

fn equal(stored: &Points, expected: &Points) -> Result<()> {
    ensure!(
        stored.len() == expected.len(),
        "{} values in the files, {} stored",
        expected.len(),
        stored.len()
    );
    for (key, value) in expected {
        let found = stored.get(key);
        ensure!(
            found == Some(value),
            "{key:?}: {value} in the file, {found:?} stored"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn influxdb_1() -> Result<()> {
    let influx = Influxd::start().await?;
    let setup = Setup::new(Source::ALL.len()).influx(Influx::V1(influx.url().to_owned()));
    let sen = Sen::start(&setup).await?;
    let expected = replay(&sen, &setup, &Source::ALL).await?;
    equal(&influx.points().await?, &expected)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victoria_metrics_through_the_v2_api() -> Result<()> {
    let victoria = Victoria::start().await?;
    let setup = Setup::new(2).influx(Influx::V2(victoria.url().to_owned()));
    let sen = Sen::start(&setup).await?;
    let sources = [Source::EstuaryWaterFailing, Source::EstuaryWeather];
    let expected = replay(&sen, &setup, &sources).await?;
    wait::until("VictoriaMetrics to show everything", VISIBLE, || async {
        // A fault is a text field there, which it turns into 0 under a name of its own.
        let mut stored = victoria.points().await?;
        stored.retain(|(_, field, _), _| {
            !field.ends_with("_fault") && !field.ends_with("_estimated")
        });
        equal(&stored, &expected)?;
        Ok(Some(()))
    })
    .await
}
