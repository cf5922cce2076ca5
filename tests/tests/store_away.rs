//! InfluxDB is away, hangs or is slow: devices and the page do not notice, and nothing is lost.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sen_tests::device::{Device, Keeps};
use sen_tests::fake_influx::{FakeInflux, Mood};
use sen_tests::influxd::VISIBLE;
use sen_tests::proxy::{Fault, Proxy};
use sen_tests::sen::{Influx, Sen, Setup, who};
use sen_tests::wait;

/// What a person takes for "at once", with room for a busy test machine.
const PROMPT: Duration = Duration::from_secs(2);

fn acked(devices: &[Device]) -> usize {
    devices.iter().map(|d| d.ledger().acked.len()).sum()
}

/// Some seconds of load in which the API and PUBACKs have to stay prompt.
async fn prompt(sen: &Sen, devices: &[Device], while_: &str) -> Result<()> {
    let mut slowest = Duration::ZERO;
    let goal = acked(devices) + 4000;
    let started = Instant::now();
    while acked(devices) < goal {
        ensure!(
            started.elapsed() < wait::PATIENCE,
            "no PUBACKs while {while_}"
        );
        for path in ["/api/v1/overview", "/api/v1/health", "/metrics"] {
            let asked = Instant::now();
            sen.http().text(path).await?;
            slowest = slowest.max(asked.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(slowest < PROMPT, "the API took {slowest:?} while {while_}");
    let puback = devices.iter().map(|d| d.ledger().slowest_puback).max();
    let puback = puback.unwrap_or_default();
    ensure!(puback < PROMPT, "a PUBACK took {puback:?} while {while_}");
    eprintln!("{while_}: API at most {slowest:?}, PUBACK at most {puback:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_and_page_do_not_notice_and_everything_arrives() -> Result<()> {
    let fake = FakeInflux::start().await?;
    let proxy = Proxy::start(fake.addr()).await?;
    let setup = Setup::new(6).influx(Influx::V2(format!("http://{}", proxy.addr())));
    let sen = Sen::start(&setup).await?;
    let mut devices: Vec<Device> = setup
        .nodes
        .iter()
        .map(|n| Device::start(sen.mqtt(), who(n), 1 << 32, Keeps::UntilPuback))
        .collect();
    prompt(&sen, &devices, "all is well").await?;
    for (fault, while_) in [
        (Fault::Reset, "InfluxDB resets connections"),
        (Fault::BlackHole, "InfluxDB is behind a black hole"),
    ] {
        proxy.set(fault);
        prompt(&sen, &devices, while_).await?;
        wait::until("the lag to grow", wait::PATIENCE, || async {
            Ok((sen.lag().await? > 0).then_some(()))
        })
        .await?;
        // The operator sees it.
        wait::until("a problem in /health", wait::PATIENCE, || async {
            let health = sen.http().json("/api/v1/health").await?;
            ensure!(health["status"] != "ok", "{health}");
            Ok(Some(()))
        })
        .await?;
    }
    proxy.set(Fault::CutAfter(3000));
    prompt(&sen, &devices, "requests are cut").await?;
    proxy.set(Fault::Split(500));
    fake.set_mood(Mood::Slow(Duration::from_millis(300)));
    prompt(&sen, &devices, "InfluxDB is slow").await?;
    fake.set_mood(Mood::Good);
    proxy.set(Fault::None);
    for device in &mut devices {
        device.finish(wait::PATIENCE).await?;
    }
    sen.drained(VISIBLE).await?;
    let sent: usize = devices.iter().map(|d| d.points().len()).sum();
    assert_eq!(fake.stored().len(), sent);
    wait::until("/health to be ok again", wait::PATIENCE, || async {
        let health = sen.http().json("/api/v1/health").await?;
        ensure!(health["status"] == "ok", "{health}");
        Ok(Some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_drains_what_it_can_and_says_what_is_left() -> Result<()> {
    let fake = FakeInflux::start().await?;
    let setup = Setup::new(4).influx(Influx::from(&fake));
    let mut sen = Sen::start(&setup).await?;
    let mut devices: Vec<Device> = setup
        .nodes
        .iter()
        .map(|n| Device::start(sen.mqtt(), who(n), 1 << 32, Keeps::UntilPuback))
        .collect();
    wait::until_true("readings", wait::PATIENCE, || acked(&devices) > 2000).await?;
    fake.set_mood(Mood::Hanging);
    wait::until_true("more readings", wait::PATIENCE, || acked(&devices) > 4000).await?;
    for device in &mut devices {
        device.finish(wait::PATIENCE).await?;
    }
    let left = sen.lag().await?;
    assert!(left > 0);
    // drain = 3s in the tests' configuration.
    let (took, said) = sen.terminate(Duration::from_secs(20))?;
    assert!(took < Duration::from_secs(9), "a stop took {took:?}");
    assert!(
        said.lines()
            .any(|l| l.to_lowercase().contains("influx") && l.contains(&left.to_string())),
        "{left} readings are left and it says:\n{said}"
    );

    // The next start goes on where this one ended.
    fake.set_mood(Mood::Good);
    sen.restart().await?;
    sen.drained(VISIBLE).await?;
    let sent: usize = devices.iter().map(|d| d.points().len()).sum();
    assert_eq!(fake.stored().len(), sent);

    // And with a healthy InfluxDB nothing is left behind by a stop.
    let mut device = Device::start(sen.mqtt(), who("node-01"), 2 << 32, Keeps::UntilPuback);
    wait::until_true("readings", wait::PATIENCE, || {
        device.ledger().acked.len() > 1000
    })
    .await?;
    device.finish(wait::PATIENCE).await?;
    sen.terminate(Duration::from_secs(20))?;
    let new = fake.stored().len() - sent;
    assert!(
        new >= device.ledger().acked.len() - 4,
        "{new} of the last readings were written"
    );
    Ok(())
}
