//! A journal whose file or log was torn, overwritten or flipped: the gateway starts, says what is lost, and goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sen_tests::device::now_ms;
use sen_tests::mqtt::Client;
use sen_tests::pack::{Decimal, Pack, Record};
use sen_tests::sen::{Sen, Setup, who};
use sen_tests::wait;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(15);
const NODE: &str = "node-01";
/// Folded, in the file.
const OLD: u64 = (7 << 32) | 1;
/// In the write-ahead log, when the gateway is killed.
const NEW: u64 = OLD + 1;
const PER_PACK: u32 = 20;
const OLD_PACKS: u32 = 60;
const NEW_PACKS: u32 = 40;
const FILE: &str = "sen.db";
const LOG: &str = "sen.db-wal";
const WITHOUT_LOG: &str = "sen.db without its log";
const PAGE: usize = 4_096;

/// What was sent, by its time.
#[derive(Debug, Clone)]
struct Sent {
    from: i64,
    values: BTreeMap<i64, f64>,
}

impl Sent {
    async fn pack(&mut self, sen: &Sen, boot: u64, seq: u32) -> Result<()> {
        let record = |place: u32| {
            let boots = i64::try_from(boot - OLD).expect("two boots");
            Record {
                channel: "sal",
                at: self.from + boots * 3_600_000 + i64::from(place) * 1_000,
                value: Ok(Decimal(i64::from(place * 37 % 1_000), -1)),
            }
        };
        let records: Vec<Record> = (seq..seq + PER_PACK).map(record).collect();
        for r in &records {
            self.values
                .insert(r.at, r.value.map_or(0.0, Decimal::as_f64));
        }
        let place = Some((boot, seq));
        let mut client = Client::connect(sen.mqtt(), &who(NODE)).await?;
        let body = Pack { place, records }.json();
        client
            .publish(&format!("sen/1/{NODE}/pack"), body, LIMIT)
            .await
    }

    /// Whatever comes out was put in; answers which places of the boot that is not folded are there, and how many readings.
    fn genuine(&self, sen: &Sen) -> Result<(BTreeSet<u32>, usize)> {
        let (mut places, mut times) = (BTreeSet::new(), BTreeSet::new());
        for r in sen.dump()? {
            ensure!(
                self.values.get(&r.at).copied() == r.value && r.value.is_some(),
                "{r:?} was never sent"
            );
            ensure!(times.insert(r.at), "{r:?} is there twice");
            places.extend(r.seq.filter(|_| r.boot == Some(NEW)));
        }
        Ok((places, times.len()))
    }
}

/// At which byte a table begins.
type Roots<'a> = &'a dyn Fn(&str) -> usize;

/// A place in the file or its log, and what becomes of it.
struct Harm {
    what: &'static str,
    /// [`FILE`], [`LOG`], or the file after its log is lost.
    file: &'static str,
    does: fn(&mut Vec<u8>, Roots<'_>),
    /// Whether it can be told from a power cut. A log that ends early can't: the ledger alone shows what it cost.
    reported: bool,
    /// The nodes are unknown then, until somebody says again which there are.
    registry_lost: bool,
    /// The least share of the readings that comes out.
    keeps: f64,
}

fn pages(bytes: &[u8]) -> usize {
    bytes.len() / PAGE
}

fn fill(bytes: &mut [u8], page: usize, with: u8) {
    for b in bytes.iter_mut().skip(page * PAGE).take(PAGE) {
        *b = with;
    }
}

/// In the log: 32 bytes, then frames of 24 bytes and a page.
fn frame(n: usize) -> usize {
    32 + n * (24 + PAGE)
}

const HARMS: [Harm; 9] = [
    Harm {
        what: "bits flipped in the heads of registry and ledger",
        file: FILE,
        does: |bytes, root| {
            for table in ["farm", "plot", "arrived", "day_account", "cursor", "mark"] {
                bytes[root(table) + 3] ^= 0x40;
            }
        },
        reported: true,
        registry_lost: false,
        keeps: 0.9,
    },
    Harm {
        what: "first page overwritten, of which the log has a newer one",
        file: FILE,
        does: |bytes, _| fill(bytes, 0, 0xa5),
        reported: false,
        registry_lost: false,
        keeps: 1.0,
    },
    Harm {
        what: "first page overwritten",
        file: WITHOUT_LOG,
        does: |bytes, _| fill(bytes, 0, 0xa5),
        reported: true,
        registry_lost: false,
        keeps: 0.6,
    },
    Harm {
        what: "schema version flipped",
        file: WITHOUT_LOG,
        does: |bytes, _| bytes[63] ^= 0x20,
        reported: true,
        registry_lost: false,
        keeps: 0.6,
    },
    Harm {
        what: "every page of the second half empty",
        file: FILE,
        does: |bytes, _| (pages(bytes) / 2..pages(bytes)).for_each(|page| fill(bytes, page, 0)),
        reported: true,
        registry_lost: false,
        keeps: 0.3,
    },
    Harm {
        what: "cut in the middle of a page",
        file: FILE,
        does: |bytes, _| bytes.truncate(pages(bytes) / 2 * PAGE + 1_000),
        reported: true,
        registry_lost: false,
        keeps: 0.3,
    },
    Harm {
        what: "nothing left of it but the log",
        file: FILE,
        does: |bytes, _| bytes.clear(),
        reported: true,
        registry_lost: true,
        keeps: 0.2,
    },
    Harm {
        what: "a bit of the log flipped",
        file: LOG,
        does: |bytes, _| bytes[frame(20) + 24 + 2_000] ^= 4,
        reported: true,
        registry_lost: false,
        keeps: 0.9,
    },
    Harm {
        what: "the log torn",
        file: LOG,
        does: |bytes, _| bytes.truncate(bytes.len() * 2 / 3),
        reported: false,
        registry_lost: false,
        keeps: 0.6,
    },
];

fn copy(from: &Path, to: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// At which byte each table begins.
fn roots(data: &Path) -> Result<BTreeMap<String, usize>> {
    let c = rusqlite::Connection::open(data.join("sen.db"))?;
    let mut select =
        c.prepare("SELECT name, (rootpage - 1) * ?1 FROM sqlite_schema WHERE type = 'table'")?;
    let rows = select.query_map([PAGE as i64], |r| {
        Ok((r.get(0)?, r.get::<_, u32>(1)? as usize))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A folded boot in the file, then one that is still in the log when the gateway is killed.
async fn journal(sen: &mut Sen) -> Result<Sent> {
    let mut sent = Sent {
        from: now_ms() - 3 * 3_600_000,
        values: BTreeMap::new(),
    };
    for i in 0..OLD_PACKS {
        sent.pack(sen, OLD, i * PER_PACK).await?;
    }
    sen.folded().await?;
    sen.stop_folding()?;
    sen.restart().await?;
    for i in 0..NEW_PACKS {
        sent.pack(sen, NEW, i * PER_PACK).await?;
    }
    sen.kill9();
    Ok(sent)
}

/// With the registry applied again; the nodes have new numbers.
async fn starts_anew(sen: &mut Sen, mut sent: Sent) -> Result<()> {
    let registry = sen.dir().join("registry.toml").display().to_string();
    sen.run(&["registry", "apply", &registry])?.success()?;
    sen.restart().await?;
    let next = NEW_PACKS * PER_PACK;
    sent.pack(sen, NEW, next).await?;
    let (there, _) = sent.genuine(sen)?;
    ensure!(
        (next..next + PER_PACK).all(|place| there.contains(&place)),
        "{there:?}"
    );
    sen.kill9();
    Ok(())
}

/// The places of the newer boot that `sen ledger` and the API say are missing.
async fn missing(sen: &Sen) -> Result<BTreeSet<u32>> {
    let finished = sen.run(&["ledger", "--json", "--node", NODE])?;
    let said: Value = serde_json::from_str(&finished.out).context(finished.err)?;
    let api = sen.http().json(&format!("/api/v1/ledger/{NODE}")).await?;
    let ranges = |v: &Value| v.get("missing_ranges").cloned().context("no ranges");
    let ranges_said = ranges(&said)?;
    ensure!(ranges_said == ranges(&api)?, "{said}\n{api}");
    let mut all = BTreeSet::new();
    for range in ranges_said.as_array().context("no list")? {
        let number = |key: &str| range[key].as_u64().and_then(|n| u32::try_from(n).ok());
        if range["boot"].as_u64() == Some(NEW) {
            let (from, through) = number("from").zip(number("through")).context("no range")?;
            all.extend(from..=through);
        }
    }
    Ok(all)
}

/// Everything that tells of the damage; answers the files that were set aside.
async fn damage(sen: &Sen) -> Result<Vec<String>> {
    let health = sen.http().json("/api/v1/health").await?;
    let overview = sen.http().json("/api/v1/overview").await?;
    let said = health.pointer("/journal/damage").context("no damage")?;
    ensure!(overview.get("damage") == Some(said), "{overview}");
    let said = said.as_array().context("no list")?;
    let metrics = sen.http().text("/metrics").await?;
    let gauge = format!("sen_journal_damaged_files {}", said.len());
    ensure!(metrics.contains(&gauge), "not `{gauge}`: {metrics}");
    let told = sen
        .run(&["ledger"])?
        .err
        .matches("the journal was damaged")
        .count();
    ensure!(told == said.len(), "told {told} times: {health}");
    ensure!(
        health["status"] == if said.is_empty() { "ok" } else { "degraded" },
        "{health}"
    );
    let name = |d: &Value| d["file"].as_str().map(str::to_owned).context("no file");
    said.iter().map(name).collect()
}

async fn goes_on(sen: &mut Sen, mut sent: Sent, harm: &Harm) -> Result<()> {
    sen.restart().await?;
    let data = sen.dir().join("data");
    let (there, readings) = sent.genuine(sen)?;
    let share = readings as f64 / sent.values.len() as f64;
    println!(
        "{}: {:.1} % of {} readings",
        harm.what,
        share * 100.0,
        sent.values.len()
    );
    ensure!(share >= harm.keeps, "{share}");
    let aside = damage(sen).await?;
    ensure!(
        aside.len() == usize::from(harm.reported),
        "set aside: {aside:?}"
    );
    for name in &aside {
        let kept = data.join(name).exists() || data.join(format!("{name}-wal")).exists();
        ensure!(kept, "{name} is not there");
        ensure!(
            sen.process().stderr().contains(name.as_str()),
            "the log does not name {name}"
        );
    }

    if harm.registry_lost {
        return starts_anew(sen, sent).await;
    }
    // It takes readings, and then it is known which of the boot are missing: those that are not there, and no others.
    let next = NEW_PACKS * PER_PACK;
    sent.pack(sen, NEW, next).await?;
    let (now_there, _) = sent.genuine(sen)?;
    let expected: BTreeSet<u32> = there.iter().copied().chain(next..next + PER_PACK).collect();
    ensure!(
        now_there == expected,
        "what came after the damage is not there"
    );
    let lost: BTreeSet<u32> = (0..next).filter(|place| !there.contains(place)).collect();
    ensure!(
        missing(sen).await? == lost,
        "lost {lost:?}, ledger {:?}",
        missing(sen).await?
    );
    // What the node still holds fills the hole.
    if let Some(first) = lost.first() {
        sent.pack(sen, NEW, first / PER_PACK * PER_PACK).await?;
        ensure!(
            !missing(sen).await?.contains(first),
            "{first} is still missing"
        );
    }

    // Said after the next start too, until somebody has seen to the file.
    sen.terminate(wait::PATIENCE)?;
    sen.restart().await?;
    ensure!(damage(sen).await? == aside, "said once only");
    for name in &aside {
        for suffix in ["", "-wal"] {
            let _ = fs::remove_file(data.join(format!("{name}{suffix}")));
        }
    }
    sen.restart().await?;
    ensure!(damage(sen).await?.is_empty(), "the file is gone");
    sen.kill9();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_journal_starts_says_what_is_lost_and_goes_on() -> Result<()> {
    let mut setup = Setup::new(2);
    "[journal]\nfold_every = \"1s\"\n".clone_into(&mut setup.extra);
    let mut sen = Sen::start(&setup).await?;
    let sent = journal(&mut sen).await?;
    let (data, saved) = (sen.dir().join("data"), sen.dir().join("saved"));
    copy(&data, &saved)?;
    let roots = roots(&data)?;
    let root = |table: &str| roots[table];
    for harm in &HARMS {
        copy(&saved, &data)?;
        let path = data.join(if harm.file == LOG { LOG } else { FILE });
        if harm.file == WITHOUT_LOG {
            fs::remove_file(data.join(LOG))?;
        }
        let mut bytes = fs::read(&path)?;
        ensure!(pages(&bytes) > 22, "{}: {} bytes", harm.file, bytes.len());
        (harm.does)(&mut bytes, &root);
        fs::write(&path, bytes)?;
        let _ = fs::remove_file(data.join("sen.db-shm"));
        goes_on(&mut sen, sent.clone(), harm)
            .await
            .with_context(|| format!("{}: {}", harm.file, harm.what))?;
    }
    Ok(())
}

/// What a newer version wrote may mean something else: nothing reads it, and it is left alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_of_a_newer_schema_is_refused_by_every_command() -> Result<()> {
    let mut sen = Sen::prepare(&Setup::new(1))?;
    let path = sen.dir().join("data/sen.db");
    let c = rusqlite::Connection::open(&path)?;
    let known: i64 = c.query_row("PRAGMA user_version", [], |r| r.get(0))?;
    c.execute_batch("CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT")?;
    c.pragma_update(None, "user_version", known + 1)?;
    c.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    drop(c);
    let before = fs::read(&path)?;
    for command in [
        &["ledger"][..],
        &["ledger", "--node", NODE],
        &["journal", "dump"],
    ] {
        let finished = sen.run(command)?;
        let says = format!("schema version {}", known + 1);
        ensure!(
            finished.status.code() == Some(2)
                && finished.out.is_empty()
                && finished.err.lines().count() == 1
                && finished.err.contains(&says),
            "{command:?}: {}\n{}{}",
            finished.status,
            finished.out,
            finished.err
        );
    }
    let status = sen.spawn()?.wait_exit(LIMIT)?;
    ensure!(!status.success(), "it started");
    ensure!(fs::read(&path)? == before, "it was changed");
    Ok(())
}
