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

/// A server that asks for a pause gets it: nothing comes before it is over but the one line that reads the header.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_that_the_server_asks_for_is_kept() -> Result<()> {
    const ASKED: u64 = 4;
    let fake = FakeInflux::start().await?;
    let sen = Sen::start(&Setup::new(1).influx(Influx::from(&fake))).await?;
    for status in [429, 503] {
        fake.set_mood(Mood::Status(status, Some(ASKED)));
        let before = fake.arrivals().len();
        let mut device = Device::start(
            sen.mqtt(),
            who("node-01"),
            u64::from(status) << 32,
            Keeps::UntilPuback,
        );
        wait::until_true("three requests", wait::PATIENCE, || {
            fake.arrivals().len() >= before + 3
        })
        .await?;
        device.finish(wait::PATIENCE).await?;
        let came = fake.arrivals().split_off(before);
        let gap = came[2].duration_since(came[1]);
        ensure!(
            gap >= Duration::from_secs(ASKED) - Duration::from_millis(50),
            "{status}: asked for {ASKED} s and came again after {gap:?}"
        );
    }
    fake.set_mood(Mood::Good);
    sen.drained(VISIBLE).await
}

/// After an outage the newest readings come first, the backlog beside them, and in the end everything is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newest_readings_go_before_the_backlog() -> Result<()> {
    let fake = FakeInflux::start().await?;
    let mut setup = Setup::new(4).influx(Influx::from(&fake));
    setup
        .influx_extra
        .push_str("batch_points = 200\nbacklog_after = \"2s\"\n");
    let mut sen = Sen::start(&setup).await?;
    fake.set_mood(Mood::Status(503, Some(1)));
    let load = |boot: u64| -> Vec<Device> {
        let nodes = setup.nodes.iter();
        nodes
            .map(|n| Device::start(sen.mqtt(), who(n), boot << 32, Keeps::UntilPuback))
            .collect()
    };
    let mut old = load(1);
    wait::until_true("a backlog", wait::PATIENCE, || acked(&old) > 40_000).await?;
    for device in &mut old {
        device.finish(wait::PATIENCE).await?;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    fake.set_mood(Mood::Slow(Duration::from_millis(20)));
    wait::until("the sink to go ahead", wait::PATIENCE, || async {
        let health = sen.http().json("/api/v1/health").await?;
        Ok((health["sinks"][0]["backlog_readings"].as_u64() > Some(0)).then_some(()))
    })
    .await?;
    let mut new = Device::start(sen.mqtt(), who("node-01"), 2 << 32, Keeps::UntilPuback);
    wait::until_true("new readings", wait::PATIENCE, || {
        new.ledger().acked.len() > 100
    })
    .await?;
    new.finish(wait::PATIENCE).await?;
    let newest = new.points();
    let all: usize = old.iter().map(|d| d.points().len()).sum::<usize>() + newest.len();
    wait::until_true("the newest", wait::PATIENCE, || {
        let stored = fake.stored();
        newest.iter().all(|(key, _)| stored.contains_key(key))
    })
    .await?;
    let there = fake.stored().len();
    ensure!(
        there < all,
        "{there} of {all} were there before the newest: they waited"
    );
    // The gap outlives a crash.
    sen.kill9();
    fake.set_mood(Mood::Good);
    sen.restart().await?;
    sen.drained(VISIBLE).await?;
    assert_eq!(fake.stored().len(), all);
    let metrics = sen.http().text("/metrics").await?;
    ensure!(
        metrics.contains("sen_influx_points_total{part=\"backlog\"}"),
        "{metrics}"
    );
    Ok(())
}

/// What was refused is listed with the server's reason, and goes through once the cause is mended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_sent_again() -> Result<()> {
    let fake = FakeInflux::start().await?;
    let unwanted = |at: i64| at % 97 == 0;
    fake.refuse(move |p| unwanted(p.time).then(|| String::from("outside the retention policy")));
    let sen = Sen::start(&Setup::new(1).influx(Influx::from(&fake))).await?;
    let mut device = Device::start(sen.mqtt(), who("node-01"), 1 << 32, Keeps::UntilPuback);
    wait::until_true("readings", wait::PATIENCE, || {
        device.ledger().acked.len() > 1000
    })
    .await?;
    device.finish(wait::PATIENCE).await?;
    sen.drained(VISIBLE).await?;
    let points = device.points();
    let refused = points.iter().filter(|((.., at), _)| unwanted(*at)).count();
    let list = sen.http().json("/api/v1/dead-letters").await?;
    assert_eq!(list["total"], refused, "{list}");
    let reason = list["letters"][0]["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("outside the retention policy"), "{list}");
    assert_eq!(list["kinds"][0]["total"], refused, "{list}");
    assert_eq!(list["kinds"][0]["reason"], reason);
    // Each says what it holds, as it was sent.
    for letter in list["letters"].as_array().into_iter().flatten() {
        let at = letter["at"].as_i64().unwrap_or_default();
        ensure!(letter["node"] == "node-01" && unwanted(at), "{letter}");
        let reading = &letter["readings"][0];
        let line = letter["line"].as_str().unwrap_or_default();
        let field = format!(
            "{}={}",
            reading["channel"].as_str().unwrap_or_default(),
            reading["value"].as_f64().unwrap_or_default()
        );
        ensure!(line.contains(&field), "{field} is not in {line}");
    }
    let id = list["letters"][0]["id"].as_i64();

    let resend = |body: serde_json::Value| {
        let http = sen.http();
        async move { http.post_json("/api/v1/dead-letters/resend", &body).await }
    };
    // Still refused: nothing is forgotten.
    let said = resend(serde_json::json!({})).await?;
    assert_eq!(said["refused"], refused, "{said}");
    // The server is away: said, and nothing is forgotten.
    fake.set_mood(Mood::Status(500, None));
    let said = resend(serde_json::json!({})).await?;
    assert_eq!(said["left"], refused, "{said}");
    // The cause is mended: one by its number, then the others.
    fake.set_mood(Mood::Good);
    fake.refuse(|_| None);
    let said = resend(serde_json::json!({ "ids": [id, 999_999] })).await?;
    assert_eq!(said["sent"], 1, "{said}");
    let said = resend(serde_json::json!({})).await?;
    assert_eq!(said["sent"], refused - 1, "{said}");
    let list = sen.http().json("/api/v1/dead-letters").await?;
    assert_eq!(list["total"], 0, "{list}");
    assert_eq!(fake.stored().len(), points.len());
    Ok(())
}
