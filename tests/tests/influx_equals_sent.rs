//! What can be queried from InfluxDB is what was measured: value for value, time for time.

use std::time::Duration;

use anyhow::{Result, ensure};
use sen_tests::device::{Device, Keeps};
use sen_tests::fake_influx::{FakeInflux, Field, Mood};
use sen_tests::influxd::{Influxd, Points, VISIBLE};
use sen_tests::sen::{Influx, Sen, Setup, who};
use sen_tests::victoria::Victoria;
use sen_tests::wait;

const DEVICES: usize = 4;
const READINGS: usize = 8000;

/// Runs devices until they have sent enough, and waits until the sink has caught up.
async fn sent(sen: &Sen, setup: &Setup) -> Result<Points> {
    let mut devices: Vec<Device> = setup
        .nodes
        .iter()
        .map(|n| Device::start(sen.mqtt(), who(n), 1 << 32, Keeps::UntilReceipt))
        .collect();
    let count = |devices: &[Device]| {
        devices
            .iter()
            .map(|d| d.ledger().acked.len())
            .sum::<usize>()
    };
    wait::until_true("enough readings", wait::PATIENCE, || {
        count(&devices) >= READINGS
    })
    .await?;
    for device in &mut devices {
        device.finish(wait::PATIENCE).await?;
    }
    sen.drained(VISIBLE).await?;
    Ok(devices.iter().flat_map(Device::points).collect())
}

fn equal(stored: &Points, sent: &Points) -> Result<()> {
    let missing = sent.iter().find(|(k, v)| stored.get(*k) != Some(*v));
    ensure!(
        missing.is_none(),
        "sent {missing:?}, stored {:?}",
        missing.and_then(|(k, _)| stored.get(k))
    );
    let extra = stored.keys().find(|k| !sent.contains_key(*k));
    ensure!(extra.is_none(), "never sent: {extra:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn influxdb_1() -> Result<()> {
    let influx = Influxd::start().await?;
    let setup = Setup::new(DEVICES).influx(Influx::V1(influx.url().to_owned()));
    let sen = Sen::start(&setup).await?;
    let sent = sent(&sen, &setup).await?;
    equal(&influx.points().await?, &sent)?;
    // The tags that dashboards select by.
    let tags = influx
        .query("SHOW TAG KEYS FROM reading")
        .await?
        .to_string();
    for tag in ["farm", "plot", "node", "coop"] {
        assert!(tags.contains(&format!("\"{tag}\"")), "{tag}: {tags}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn victoria_metrics_through_the_v2_api() -> Result<()> {
    let victoria = Victoria::start().await?;
    let setup = Setup::new(DEVICES).influx(Influx::V2(victoria.url().to_owned()));
    let sen = Sen::start(&setup).await?;
    let sent = sent(&sen, &setup).await?;
    // What has just been written becomes visible with the next flush.
    wait::until("VictoriaMetrics to show everything", VISIBLE, || async {
        equal(&victoria.points().await?, &sent)?;
        Ok(Some(()))
    })
    .await
}

/// InfluxDB 2 that misbehaves in every way it can, then recovers: nothing is lost, nothing stalls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn influxdb_2_in_every_mood() -> Result<()> {
    let fake = FakeInflux::start().await?;
    let setup = Setup::new(DEVICES).influx(Influx::from(&fake));
    let sen = Sen::start(&setup).await?;
    let mut devices: Vec<Device> = setup
        .nodes
        .iter()
        .map(|n| Device::start(sen.mqtt(), who(n), 1 << 32, Keeps::UntilPuback))
        .collect();
    for mood in [
        Mood::Good,
        Mood::Status(503, Some(1)),
        Mood::Status(429, Some(1)),
        Mood::Status(500, None),
        Mood::KeptButFailed,
        Mood::Slow(Duration::from_millis(500)),
        Mood::Status(401, None),
        Mood::Good,
    ] {
        let before = fake.requests();
        fake.set_mood(mood.clone());
        // Retries may back off, but not for ever.
        let what = format!("a request while it is in the mood {mood:?}");
        wait::until_true(&what, wait::PATIENCE, || fake.requests() >= before + 2).await?;
    }
    for device in &mut devices {
        device.finish(wait::PATIENCE).await?;
    }
    sen.drained(VISIBLE).await?;
    let stored: Points = fake
        .stored()
        .into_iter()
        .filter_map(|(key, field)| match field {
            Field::Float(value) => Some((key, value)),
            _ => None,
        })
        .collect();
    equal(&stored, &devices.iter().flat_map(Device::points).collect())
}

/// Points that the server never takes are set aside; the others of their batch arrive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_point_holds_up_no_other() -> Result<()> {
    let fake = FakeInflux::start().await?;
    let unwanted = |at: i64| at % 97 == 0;
    fake.refuse(move |p| unwanted(p.time).then(|| String::from("outside the retention policy")));
    let setup = Setup::new(DEVICES).influx(Influx::from(&fake));
    let sen = Sen::start(&setup).await?;
    let sent: Points = sent(&sen, &setup)
        .await?
        .into_iter()
        .filter(|((_, _, at), _)| !unwanted(*at))
        .collect();
    let stored: Points = fake
        .stored()
        .into_iter()
        .filter_map(|(key, field)| match field {
            Field::Float(value) => Some((key, value)),
            _ => None,
        })
        .collect();
    equal(&stored, &sent)?;
    assert!(fake.answers().contains_key(&422), "{:?}", fake.answers());
    // The operator is told.
    let metrics = sen.http().text("/metrics").await?;
    assert!(metrics.contains("sen_"), "{metrics}");
    Ok(())
}

/// A server with a small limit for bodies: batches are cut until they fit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_large_batches_are_cut() -> Result<()> {
    let fake = FakeInflux::start().await?;
    fake.set_max_body(2000);
    let setup = Setup::new(DEVICES).influx(Influx::from(&fake));
    let sen = Sen::start(&setup).await?;
    let sent = sent(&sen, &setup).await?;
    assert_eq!(fake.stored().len(), sent.len());
    assert!(fake.answers().contains_key(&413), "{:?}", fake.answers());
    Ok(())
}
