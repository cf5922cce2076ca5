//! The journal's disk: what goes when there is no room, and what a full one costs: nothing that was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use sen_tests::device::{Device, Keeps, now_ms};
use sen_tests::fake_influx::{FakeInflux, Mood};
use sen_tests::influxd::VISIBLE;
use sen_tests::mqtt::Client;
use sen_tests::pack::{Decimal, Pack, Record};
use sen_tests::sen::{Influx, Sen, Setup, who};
use sen_tests::small_disk::SmallDisk;
use sen_tests::{promises, wait};
use serde_json::Value;

const DAY: i64 = 24 * 3_600_000;

fn start(sen: &Sen, setup: &Setup, keeps: Keeps) -> Vec<Device> {
    let device = |n: &String| Device::start(sen.mqtt(), who(n), 1 << 32, keeps);
    setup.nodes.iter().map(device).collect()
}

fn acked(devices: &[Device]) -> usize {
    devices.iter().map(|d| d.ledger().acked.len()).sum()
}

fn number(health: &Value, at: &str) -> Result<u64> {
    let found = health.pointer(at).and_then(Value::as_u64);
    found.with_context(|| format!("no {at} in {health}"))
}

fn says(health: &Value, what: &str) -> bool {
    let problems = health["problems"].as_array().into_iter().flatten();
    problems.filter_map(Value::as_str).any(|p| p.contains(what))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_and_freed_again_loses_nothing_and_says_so_everywhere() -> Result<()> {
    let Some(disk) = SmallDisk::mount(64)? else {
        return Ok(());
    };
    let mut setup = Setup::new(3);
    setup.data_dir = Some(disk.path().join("data"));
    let mut sen = Sen::start(&setup).await?;
    let mut devices = start(&sen, &setup, Keeps::UntilReceipt);
    let received =
        |devices: &[Device]| -> usize { devices.iter().map(|d| d.ledger().received.len()).sum() };
    wait::until_true("receipts", wait::PATIENCE, || received(&devices) > 500).await?;
    ensure!(sen.http().json("/api/v1/about").await?["storing"] == true);

    disk.fill()?;
    wait::until("every surface to say it", wait::PATIENCE, || async {
        let health = sen.http().json("/api/v1/health").await?;
        ensure!(health["status"] == "failing", "{health}");
        ensure!(says(&health, "the disk is full"), "{health}");
        ensure!(number(&health, "/disk/full_since")? > 0);
        for path in ["/api/v1/about", "/api/v1/overview"] {
            ensure!(sen.http().json(path).await?["storing"] == false, "{path}");
        }
        ensure!(sen.http().metrics().await?.sum("sen_disk_full", &[]) == 1.0);
        Ok(Some(()))
    })
    .await?;
    // What was stored before is still on its way to the nodes.
    tokio::time::sleep(Duration::from_secs(1)).await;
    // No receipt and no PUBACK from now on, and it can even be started anew.
    let before = (received(&devices), acked(&devices));
    tokio::time::sleep(Duration::from_secs(3)).await;
    ensure!(
        before == (received(&devices), acked(&devices)),
        "{before:?}, then {:?}",
        (received(&devices), acked(&devices))
    );
    let said = sen.process().stderr();
    ensure!(said.matches("the disk is full").count() == 1, "{said}");
    sen.kill9();
    sen.restart().await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    ensure!(
        before == (received(&devices), acked(&devices)),
        "{before:?}, then {:?}",
        (received(&devices), acked(&devices))
    );
    let health = sen.http().json("/api/v1/health").await?;
    ensure!(health["status"] == "failing", "{health}");

    disk.make_room()?;
    wait::until_true("receipts to go on", wait::PATIENCE, || {
        received(&devices) > before.0 + 500
    })
    .await?;
    wait::until("all to be well", wait::PATIENCE, || async {
        let health = sen.http().json("/api/v1/health").await?;
        ensure!(health["status"] == "ok", "{health}");
        ensure!(sen.http().json("/api/v1/about").await?["storing"] == true);
        ensure!(sen.http().metrics().await?.sum("sen_disk_full", &[]) == 0.0);
        Ok(Some(()))
    })
    .await?;
    for device in &mut devices {
        device.finish(wait::PATIENCE).await?;
    }
    let ledger = sen.http().json("/api/v1/nodes").await?;
    for node in ledger.as_array().into_iter().flatten() {
        ensure!(node["missing"] == 0, "{node}");
    }
    let (_, said) = sen.terminate(Duration::from_secs(15))?;
    ensure!(said.contains("there is room again"), "{said}");
    promises::check(&devices, &sen.dump()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_sink_costs_its_own_copy_at_last_and_nothing_else() -> Result<()> {
    let Some(disk) = SmallDisk::mount(64)? else {
        return Ok(());
    };
    let fake = FakeInflux::start().await?;
    let mut setup = Setup::new(4).influx(Influx::from(&fake));
    setup
        .influx_extra
        .push_str("batch_points = 100\nbacklog_after = \"1s\"\n");
    setup.data_dir = Some(disk.path().join("data"));
    // The reserve takes 4 of the 67 MB and the write-ahead log about as much.
    setup.extra =
        "[journal]\nfold_every = \"1s\"\nmax_size = \"4 MB\"\nkeep_free = \"57 MB\"\n".to_owned();
    let mut sen = Sen::start(&setup).await?;
    let mut devices = start(&sen, &setup, Keeps::UntilPuback);
    wait::until_true("readings", wait::PATIENCE, || acked(&devices) > 2_000).await?;
    // A first outage leaves a gap: the newest readings go ahead of it. What is in it waits like all else.
    fake.set_mood(Mood::Hanging);
    let before = acked(&devices);
    wait::until_true("a backlog", wait::PATIENCE, || {
        acked(&devices) > before + 4_000
    })
    .await?;
    fake.set_mood(Mood::Slow(Duration::from_millis(300)));
    wait::until("a gap", wait::PATIENCE, || async {
        let metrics = sen.http().metrics().await?;
        Ok((metrics.sum("sen_influx_backlog_rows", &[]) > 0.0).then_some(()))
    })
    .await?;
    fake.set_mood(Mood::Hanging);
    wait::until("something to be given up", wait::PATIENCE * 3, || async {
        let health = sen.http().json("/api/v1/health").await?;
        let given_up = number(&health, "/disk/cursors/0/given_up/readings")?;
        Ok((given_up > 0).then_some(()))
    })
    .await?;
    let said = sen.process().stderr();
    let warned = said
        .find("% of its room")
        .context("no warning came before")?;
    let gave_up = said
        .find("given up for lack of room")
        .context(said.clone())?;
    ensure!(warned < gave_up, "{said}");
    // Nodes do not notice.
    let before = acked(&devices);
    wait::until_true("PUBACKs to go on", wait::PATIENCE, || {
        acked(&devices) > before + 1_000
    })
    .await?;
    fake.set_mood(Mood::Good);
    for device in &mut devices {
        device.finish(wait::PATIENCE).await?;
    }
    sen.drained(VISIBLE * 4).await?;
    let health = sen.http().json("/api/v1/health").await?;
    ensure!(says(&health, "given up for lack of room"), "{health}");
    let given_up = number(&health, "/disk/cursors/0/given_up/readings")? as usize;
    let sent: BTreeMap<_, _> = devices.iter().flat_map(Device::points).collect();
    let lacks = sent.len() - fake.stored().len();
    // A batch of 100 uplinks, 4 readings each, may have been on its way.
    ensure!(
        lacks <= given_up && given_up - lacks <= 400,
        "InfluxDB lacks {lacks}, {given_up} are said to be given up"
    );
    let metric = sen.http().metrics().await?;
    ensure!(metric.sum("sen_sink_given_up_total", &["influx"]) as usize == given_up);
    sen.terminate(Duration::from_secs(15))?;
    // The journal has every one of them.
    let dump = sen.dump()?;
    let stored: BTreeSet<_> = dump.iter().map(|r| (&r.node, &r.channel, r.at)).collect();
    ensure!(
        dump.len() == sent.len() && stored.len() == sent.len(),
        "{} of {}",
        stored.len(),
        sent.len()
    );
    Ok(())
}

#[tokio::test]
async fn history_older_than_keep_days_goes_and_is_not_called_missing() -> Result<()> {
    let mut setup = Setup::new(1);
    setup.extra = "[journal]\nfold_every = \"1s\"\nkeep_days = 10\n".to_owned();
    let mut sen = Sen::start(&setup).await?;
    let mut client = Client::connect(sen.mqtt(), &who("node-01")).await?;
    let now = now_ms();
    let days: Vec<i64> = (0..20).rev().collect();
    for (seq, back) in days.iter().enumerate() {
        let pack = Pack {
            place: Some((1 << 32, u32::try_from(seq)?)),
            records: vec![Record {
                channel: "ph",
                at: now - back * DAY,
                value: Ok(Decimal(70, -1)),
            }],
        };
        let payload: Bytes = pack.cbor();
        client
            .publish("sen/1/node-01/pack", payload, wait::PATIENCE)
            .await?;
    }
    // The day of ten days ago is not older than ten days.
    let expected: BTreeSet<i64> = (0..=10).map(|back| now - back * DAY).collect();
    wait::until("the old days to go", wait::PATIENCE, || async {
        let health = sen.http().json("/api/v1/health").await?;
        let oldest = number(&health, "/disk/oldest_at")?;
        let first = (now.div_euclid(DAY) - 10) * DAY;
        Ok((oldest == first.unsigned_abs()).then_some(()))
    })
    .await?;
    let node = sen.node("node-01").await?;
    ensure!(node["received"] == 20 && node["missing"] == 0, "{node}");
    sen.terminate(Duration::from_secs(15))?;
    let stored: BTreeSet<i64> = sen.dump()?.iter().map(|r| r.at).collect();
    ensure!(stored == expected, "{stored:?}");
    let asked = ["ledger", "--json", "--days", "25", "--node", "node-01"];
    let ledger = sen.run(&asked)?.success()?;
    let ledger: Value = serde_json::from_str(&ledger.out)?;
    ensure!(
        ledger["received"] == 20 && ledger["missing"] == 0,
        "{ledger}"
    );
    // The farm's days begin seven hours before those that history goes by.
    let boundary = (now.div_euclid(DAY) - 10) * DAY;
    ensure!(ledger["deleted_before"] == boundary, "{ledger}");
    let days = ledger["days"].as_array().context("days")?;
    let today = (now + 7 * 3_600_000).div_euclid(DAY);
    for (day, of) in (today - 24..=today).zip(days) {
        let starts = day * DAY - 7 * 3_600_000;
        let history = match boundary - starts {
            DAY.. => "deleted",
            1.. => "partly_deleted",
            _ => "kept",
        };
        ensure!(of["history"] == history, "{of}: not {history}");
    }
    Ok(())
}
