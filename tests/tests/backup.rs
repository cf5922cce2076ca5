//! A backup of a running gateway, restored: the same ledger, every reading as it was sent, and the devices go on.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use sen_tests::device::{Device, Keeps, PER_PACK, Place, now_ms};
use sen_tests::fake_influx::FakeInflux;
use sen_tests::load::{self, Plan, Source};
use sen_tests::mqtt::Who;
use sen_tests::pack::{Decimal, Pack, Record};
use sen_tests::process::{Finished, Program, TestDir};
use sen_tests::sen::{Influx, Sen, Setup, binary, who};
use sen_tests::{promises, wait};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(15);

/// Runs a `sen` command to its end.
fn sen(dir: &Path, args: &[&str]) -> Result<Finished> {
    Program::new("sen-command", binary()?)
        .args(args)
        .run(dir, wait::PATIENCE)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// It ends with that code and one line that says so.
fn fails(finished: &Finished, code: i32, says: &str) -> Result<()> {
    let lines: Vec<&str> = finished.err.lines().filter(|l| l.contains(says)).collect();
    ensure!(
        finished.status.code() == Some(code) && lines.len() == 1 && finished.out.is_empty(),
        "expected {code} and a line with `{says}`, got {}:\n{}{}",
        finished.status,
        finished.out,
        finished.err
    );
    Ok(())
}

/// `sen ledger --json` without the time at which it was asked.
fn ledger(dir: &Path, data: &Path) -> Result<Value> {
    let finished = sen(dir, &["ledger", "--json", "--data", &text(data)])?;
    // 3: readings are missing.
    ensure!(
        matches!(finished.status.code(), Some(0 | 3)),
        "{}",
        finished.err
    );
    let mut ledger: Value = serde_json::from_str(&finished.out)?;
    ledger
        .as_object_mut()
        .context("no object")?
        .remove("now")
        .context("no time")?;
    Ok(ledger)
}

fn start(gateway: &Sen, setup: &Setup) -> Vec<Device> {
    let start = |(i, node): (usize, &String)| {
        let boot = ((i as u64 + 1) << 32) | 1;
        Device::start(gateway.mqtt(), who(node), boot, Keeps::UntilReceipt)
    };
    setup.nodes.iter().enumerate().map(start).collect()
}

fn received(devices: &[Device]) -> usize {
    devices.iter().map(|d| d.ledger().received.len()).sum()
}

async fn more(devices: &[Device], readings: usize) -> Result<()> {
    let goal = received(devices) + readings;
    let what = format!("{goal} readings with a receipt");
    wait::until_true(&what, wait::PATIENCE, || received(devices) >= goal).await
}

/// Unfinished files in a folder.
fn parts(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut parts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().contains(".part") {
            parts.push(path);
        }
    }
    Ok(parts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_restores_to_the_same_ledger_and_devices_go_on() -> Result<()> {
    let influx = FakeInflux::start().await?;
    let setup = Setup::new(6).influx(Influx::from(&influx));
    let mut gateway = Sen::start(&setup).await?;
    let mut devices = start(&gateway, &setup);
    more(&devices, 6_000).await?;

    let promised: Vec<BTreeSet<Place>> = devices
        .iter()
        .map(|d| d.ledger().received.clone())
        .collect();
    let backup = gateway.dir().join("farm.senbackup");
    let done = gateway.run(&["backup", &text(&backup)])?.success()?;
    ensure!(
        done.out.lines().count() == 1 && done.out.contains(" readings, 6 nodes, "),
        "{}",
        done.out
    );
    assert_eq!(fs::metadata(&backup)?.permissions().mode() & 0o777, 0o600);
    assert_eq!(parts(gateway.dir())?, Vec::<PathBuf>::new());
    more(&devices, 6_000).await?;
    gateway.terminate(LIMIT)?;

    // Lost: the data directory. Restored: another one.
    let restored = gateway.dir().join("restored");
    let args = ["restore", &text(&backup), "--data", &text(&restored)];
    sen(gateway.dir(), &args)?.success()?;
    let bare = gateway.dir().join("bare");
    fs::create_dir(&bare)?;
    fs::copy(&backup, bare.join("sen.db"))?;
    let account = ledger(gateway.dir(), &restored)?;
    assert_eq!(ledger(gateway.dir(), &bare)?, account);
    let config = fs::read_to_string(gateway.config())?;
    let old = text(&gateway.dir().join("data"));
    fs::write(gateway.config(), config.replace(&old, &text(&restored)))?;

    let journal = gateway.dump()?;
    let stored = promises::as_sent(&devices, &journal)?;
    for (device, promised) in devices.iter().zip(&promised) {
        let lost = |p: &&Place| !stored.contains_key(&(device.node.as_str(), **p));
        assert_eq!(promised.iter().find(lost), None, "{}", device.node);
        let said = account["nodes"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|n| n["node"] == device.node.as_str())
            .context("not in the ledger")?;
        let there = stored.keys().filter(|(n, _)| *n == device.node).count();
        assert_eq!(said["received"], there, "{said}");
    }
    let total: usize = devices.iter().map(|d| d.ledger().sent.len()).sum();
    ensure!(journal.len() < total, "nothing came after the backup");

    // They go on: what they still have arrives once; what they had let go of is missing, and the ledger knows.
    let let_go: Vec<BTreeSet<Place>> = devices
        .iter()
        .map(|d| d.ledger().received.clone())
        .collect();
    gateway.restart().await?;
    more(&devices, 3_000).await?;
    for device in &mut devices {
        device.finish(wait::PATIENCE).await?;
    }
    gateway.drained(wait::PATIENCE).await?;
    for device in &devices {
        let node = gateway.node(&device.node).await?;
        let (received, missing) = (node["received"].as_u64(), node["missing"].as_u64());
        let sent = device.ledger().sent.len() as u64;
        assert_eq!(received.zip(missing).map(|(r, m)| r + m), Some(sent));
    }
    gateway.terminate(LIMIT)?;
    let journal = gateway.dump()?;
    let stored = promises::as_sent(&devices, &journal)?;
    let points: BTreeSet<_> = influx.stored().into_keys().collect();
    let mut gone = 0;
    for (device, let_go) in devices.iter().zip(&let_go) {
        // In the order of the places, both.
        let sent = device.ledger().sent.clone();
        for (place, (point, _)) in sent.iter().zip(device.points()) {
            let there = stored.contains_key(&(device.node.as_str(), *place));
            assert!(there || let_go.contains(place), "{} {place:?}", device.node);
            assert!(
                !there || points.contains(&point),
                "not in InfluxDB: {point:?}"
            );
            gone += usize::from(!there);
        }
    }
    assert!(gone > 0, "the restored journal lacks nothing");
    // The sink had gone further than the backup and has sent a part again, which changes nothing.
    assert!(
        points.len() > stored.len(),
        "InfluxDB holds no more than the file"
    );
    let sent: usize = devices.iter().map(|d| d.ledger().sent.len()).sum();
    assert!(
        points.len() <= sent,
        "something is there that was never sent"
    );
    assert!(influx.points().len() > points.len(), "nothing sent again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_killed_or_finds_no_room_leaves_nothing_broken() -> Result<()> {
    let setup = Setup::new(6);
    let gateway = Sen::start(&setup).await?;
    let devices = start(&gateway, &setup);
    more(&devices, 40_000).await?;
    let folder = gateway.dir().join("backups");
    fs::create_dir(&folder)?;
    let target = folder.join("farm.senbackup");
    let (mut cut, mut whole) = (0, 0);
    let mut wait = Duration::from_millis(1);
    while cut < 5 || whole < 1 {
        let mut run = Program::new("sen-backup", binary()?)
            .args([
                "backup",
                &text(&target),
                "--config",
                &text(gateway.config()),
            ])
            .start(gateway.dir())?;
        tokio::time::sleep(wait).await;
        run.kill9();
        if target.exists() {
            let data = TestDir::new()?;
            let args = ["restore", &text(&target), "--data", &text(data.path())];
            sen(gateway.dir(), &args)?.success()?;
            fs::remove_file(&target)?;
            whole += 1;
            wait = Duration::from_millis(1);
        }
        let left = parts(&folder)?;
        cut += usize::from(!left.is_empty());
        for part in left {
            fs::remove_file(part)?;
        }
        wait += Duration::from_millis(2);
        ensure!(wait < LIMIT, "{cut} were cut, {whole} got through");
    }

    let small = TestDir::new()?;
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
        .arg(small.path())
        .status()?;
    if mounted.success() {
        let target = small.path().join("farm.senbackup");
        let full = gateway.run(&["backup", &text(&target)]);
        let left = fs::read_dir(small.path())?.count();
        Command::new("umount").arg(small.path()).status()?;
        fails(&full?, 1, "no room for the backup")?;
        assert_eq!(left, 0);
    } else {
        eprintln!("SKIPPED, can't mount");
    }
    gateway.run(&["backup", &text(&target)])?.success()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_is_killed_loses_no_journal_and_can_be_run_again() -> Result<()> {
    let setup = Setup::new(6);
    let mut gateway = Sen::start(&setup).await?;
    let devices = start(&gateway, &setup);
    more(&devices, 20_000).await?;
    let dir = gateway.dir().to_path_buf();
    let backup = dir.join("farm.senbackup");
    gateway.run(&["backup", &text(&backup)])?.success()?;
    more(&devices, 1_000).await?;
    gateway.terminate(LIMIT)?;
    let data = dir.join("data");
    let old = ledger(&dir, &data)?;
    let kept = dir.join("kept");
    fs::create_dir(&kept)?;
    fs::copy(data.join("sen.db"), kept.join("sen.db"))?;

    let args = ["restore", &text(&backup), "--force", "--data", &text(&data)];
    sen(&dir, &args)?.success()?;
    let new = ledger(&dir, &data)?;
    assert_ne!(old, new);
    let (mut before, mut after) = (0, 0);
    let mut wait = Duration::from_millis(1);
    while before < 5 || after < 1 {
        fs::remove_dir_all(&data)?;
        fs::create_dir(&data)?;
        fs::copy(kept.join("sen.db"), data.join("sen.db"))?;
        let mut run = Program::new("sen-restore", binary()?)
            .args(args)
            .start(&dir)?;
        tokio::time::sleep(wait).await;
        run.kill9();
        let aside = fs::read_dir(&data)?
            .filter_map(|e| Some(e.ok()?.path()))
            .find(|p| text(p).contains(".before-restore-") && !text(p).ends_with("-wal"));
        if let Some(aside) = aside {
            let check = TestDir::new()?;
            fs::copy(aside, check.path().join("sen.db"))?;
            ensure!(ledger(&dir, check.path())? == old, "what was moved aside");
        }
        if !data.join("sen.db").exists() || ledger(&dir, &data)? == new {
            after += 1;
            wait = Duration::from_millis(1);
        } else {
            ensure!(ledger(&dir, &data)? == old, "neither the old nor the new");
            before += usize::from(!parts(&data)?.is_empty());
        }
        sen(&dir, &args)?.success()?;
        ensure!(ledger(&dir, &data)? == new, "run again");
        assert_eq!(parts(&data)?, Vec::<PathBuf>::new());
        wait += Duration::from_millis(3);
        ensure!(wait < LIMIT, "{before} were cut, {after} got through");
    }
    Ok(())
}

/// Makes it one of a later version, which brings a table of its own: without one the number would be a damaged one.
fn stamp(path: &Path, version: u8) -> Result<()> {
    let c = rusqlite::Connection::open(path)?;
    c.execute_batch("CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT")?;
    Ok(c.pragma_update(None, "user_version", version)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_is_refused_in_one_line_and_changes_nothing() -> Result<()> {
    let setup = Setup::new(2);
    let mut gateway = Sen::start(&setup).await?;
    let mut devices = start(&gateway, &setup);
    more(&devices, 2_000).await?;
    for device in &mut devices {
        device.finish(wait::PATIENCE).await?;
    }
    let dir = gateway.dir().to_path_buf();
    let data = dir.join("data");
    let good = dir.join("good");
    gateway.run(&["backup", &text(&good)])?.success()?;
    let bytes = fs::read(&good)?;

    // Backup.
    let absent = ["backup", "x", "--data", &text(&dir.join("nowhere"))];
    fails(&sen(&dir, &absent)?, 2, "no journal at")?;
    fails(&gateway.run(&["backup", &text(&good)])?, 2, "exists; ")?;
    assert_eq!(fs::read(&good)?, bytes);
    gateway
        .run(&["backup", &text(&good), "--force"])?
        .success()?;
    let own = text(&data.join("sen.db"));
    fails(
        &gateway.run(&["backup", &own, "--force"])?,
        2,
        "belongs to the journal",
    )?;
    fails(&gateway.run(&["backup", &text(&dir)])?, 2, "name a file")?;
    let lost = text(&dir.join("no/such/folder/b"));
    fails(&gateway.run(&["backup", &lost])?, 1, "can't be written")?;

    // Restore beside a running gateway, and over what is there.
    fails(
        &gateway.run(&["restore", &text(&good), "--force"])?,
        1,
        "in use by another running gateway",
    )?;
    gateway.terminate(LIMIT)?;
    let before = ledger(&dir, &data)?;
    fails(&gateway.run(&["restore", &text(&good)])?, 2, "not empty")?;

    // Files that are no backup.
    let bad = dir.join("bad");
    let refused = |says: &str| -> Result<()> {
        fails(&gateway.run(&["restore", &text(&bad), "--force"])?, 2, says)?;
        ensure!(parts(&data)?.is_empty(), "something is left");
        ensure!(ledger(&dir, &data)? == before, "it changed the journal");
        Ok(())
    };
    refused("no file")?;
    fs::write(&bad, "no database")?;
    refused("is not a journal of Sen")?;
    fs::remove_file(&bad)?;
    rusqlite::Connection::open(&bad)?.execute_batch("CREATE TABLE song (name TEXT)")?;
    refused("is not a journal of Sen")?;
    fs::write(&bad, &bytes)?;
    stamp(&bad, 99)?;
    refused("has schema version 99")?;
    fs::write(&bad, &bytes[..bytes.len() / 2])?;
    refused("is damaged")?;
    let mut holed = bytes.clone();
    let middle = holed.len() / 2 / 4096 * 4096;
    holed[middle..middle + 4096].fill(0x55);
    fs::write(&bad, holed)?;
    refused("is damaged")?;
    fs::write(&bad, &bytes)?;
    fs::write(dir.join("bad-wal"), "part of it")?;
    refused("journal in use")?;

    // What was there is moved aside, and is whole.
    let done = gateway
        .run(&["restore", &text(&good), "--force"])?
        .success()?;
    let aside = done
        .out
        .lines()
        .find_map(|l| l.strip_prefix("the journal that was there is "))
        .context("not said where the old one is")?;
    let old = dir.join("old");
    fs::create_dir(&old)?;
    fs::copy(aside, old.join("sen.db"))?;
    assert_eq!(ledger(&dir, &old)?, before);
    assert_eq!(ledger(&dir, &data)?, before);

    // A gateway does not start on a newer journal.
    stamp(&data.join("sen.db"), 99)?;
    let process = gateway.spawn()?;
    let status = process.wait_exit(LIMIT)?;
    let said = process.stderr();
    ensure!(
        status.code() == Some(1) && said.contains("run the version that wrote it, or a newer one"),
        "{status}: {said}"
    );
    Ok(())
}

/// One pack of four readings a message.
struct Packs(Vec<String>, i64);

impl Source for Packs {
    fn who(&self, client: usize) -> Who {
        who(&self.0[client])
    }

    fn topic(&self, client: usize) -> String {
        format!("sen/1/{}/pack", self.0[client])
    }

    fn payload(&self, _client: usize, k: usize) -> Bytes {
        let first = k as u32 * PER_PACK;
        let record = |i| Record {
            channel: "sal",
            at: self.1 + i64::from(first + i),
            value: Ok(Decimal(i64::from(i), -1)),
        };
        Pack {
            place: Some((1 << 32 | 1, first)),
            records: (0..PER_PACK).map(record).collect(),
        }
        .cbor()
    }
}

/// A measurement: how long PUBACKs take at 1 000 messages a second while a journal of 274 MB is copied.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn what_a_backup_costs() -> Result<()> {
    let setup = Setup::new(50);
    for how in ["nothing", "sen backup", "VACUUM INTO"] {
        let mut gateway = Sen::prepare(&setup)?;
        let db = gateway.dir().join("data/sen.db");
        rusqlite::Connection::open(&db)?.execute_batch(
            "WITH RECURSIVE k(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM k WHERE i < 66666)
             INSERT INTO set_aside (at, body) SELECT 0, randomblob(3000) FROM k",
        )?;
        gateway.restart().await?;
        let target = gateway.dir().join("copy");
        let plan = Plan {
            addr: gateway.mqtt(),
            clients: 50,
            messages: 15_000,
            window: 50,
            rate: Some(1_000.0),
        };
        let source = Arc::new(Packs(setup.nodes.clone(), now_ms() - 3_600_000));
        let load = tokio::spawn(load::run(plan, source));
        tokio::time::sleep(Duration::from_secs(5)).await;
        let started = Instant::now();
        match how {
            "sen backup" => {
                eprintln!(
                    "{}",
                    gateway.run(&["backup", &text(&target)])?.success()?.out
                );
            }
            "VACUUM INTO" => {
                let (db, target) = (db.clone(), text(&target));
                tokio::task::spawn_blocking(move || -> Result<()> {
                    rusqlite::Connection::open(db)?.execute("VACUUM INTO ?1", [&target])?;
                    Ok(fs::File::open(target)?.sync_all()?)
                })
                .await??;
            }
            _ => {}
        }
        let took = started.elapsed();
        let wal = fs::metadata(db.with_extension("db-wal"))?.len();
        let size = fs::metadata(&target).map_or(0, |m| m.len());
        let done = load.await??;
        eprintln!(
            "{how}: {took:.1?}, {size} bytes, -wal {wal} bytes; PUBACK p50 {:.1?} p99 {:.1?} longest {:.1?}",
            done.latency(0.5),
            done.latency(0.99),
            done.latency(1.0)
        );
    }
    Ok(())
}
