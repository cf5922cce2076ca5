//! A journal whose file was torn, overwritten or flipped: it opens, keeps what is whole, and goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use sen_wire::{Channel, Decimal, Quantity};

use super::farm::{self, AT_ONCE, BOOT, Line, NUMBERED, PLAIN};
use super::rng::Rng;
use crate::journal::image::PAGE;
use crate::journal::{Files, Folder, Journal, Uplink};
use crate::reading::{DAY_MS, HOUR_MS, Measured, Millis, NodeNum, Reading};

/// Damages in an ordinary run of the tests, and in the nightly one.
const DAMAGES: [u64; 2] = [96, 8_000];
const NODES: u32 = 60;

type Sent = BTreeMap<(NodeNum, String, Millis), Reading>;

fn reading(k: i64) -> Reading {
    Reading {
        channel: Some(Channel::first(Quantity::ALL[(k % 5) as usize])),
        at: 20_000 * DAY_MS + k * HOUR_MS / 4,
        what: Measured::Value(Decimal::new(k * 7_919 % 100_003, -2)),
        estimated: false,
    }
}

/// A journal of a few hundred pages: folded days, a log with a reader that lags, a registry. Its write-ahead log is kept.
async fn make(dir: &Path) -> Sent {
    farm::make(dir);
    {
        let c = Files::of(dir).migrated().unwrap();
        for n in 3..=NODES {
            c.execute(
                "INSERT INTO node (id, plot, name, secret) VALUES (?1, 'p', ?2, randomblob(32))",
                (format!("n{n}"), format!("Node {n} by the canal")),
            )
            .unwrap();
        }
    }
    let mut sent = Sent::new();
    let journal = Journal::open(dir).unwrap();
    journal.keep_cursors(&["sink"]).await.unwrap();
    let mut append = async |journal: &Journal, k: i64, n: i64| {
        for (node, place) in [(NUMBERED, Some((BOOT, k as u32))), (PLAIN, None)] {
            let readings: Vec<Reading> = (k..k + n).map(reading).collect();
            for r in &readings {
                let channel = r.channel.unwrap().to_string();
                sent.insert((node, channel, r.at), *r);
            }
            let uplink = Uplink {
                node,
                received: 0,
                place,
                readings,
            };
            journal.append(uplink).await.unwrap();
        }
    };
    for k in 0..150 {
        append(&journal, k * 20, 20).await;
    }
    Folder::new(journal.clone(), std::time::Duration::ZERO)
        .fold_all()
        .await
        .unwrap();
    for k in 150..260 {
        append(&journal, k * 20, 20).await;
    }
    journal.close().await;
    drop(journal);
    // A second run whose file is never closed well: copied as it is.
    let journal = Journal::open(dir).unwrap();
    for k in 260..290 {
        append(&journal, k * 20, 20).await;
    }
    let torn = farm::scratch();
    farm::copy(dir, torn.path());
    journal.close().await;
    drop(journal);
    for entry in fs::read_dir(dir).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    farm::copy(torn.path(), dir);
    let _ = fs::remove_file(dir.join("sen.db-shm"));
    sent
}

/// What was done to the file, and how many pages that is.
struct Done {
    what: String,
    pages: u64,
}

fn harm(dir: &Path, rng: &mut Rng) -> Done {
    let log = rng.one_in(5);
    let path = dir.join(if log { "sen.db-wal" } else { "sen.db" });
    let mut bytes = fs::read(&path).unwrap();
    let len = bytes.len() as u64;
    let pages = len.div_ceil(PAGE as u64);
    let done = match rng.below(10) {
        0 => {
            let keep = rng.below(pages) * PAGE as u64;
            bytes.truncate(keep as usize);
            (format!("cut to {keep} bytes"), pages - keep / PAGE as u64)
        }
        1 => {
            let keep = rng.below(len);
            bytes.truncate(keep as usize);
            (format!("cut to {keep} bytes"), pages - keep / PAGE as u64)
        }
        2..5 => {
            let n = 1 + rng.below(4);
            let mut hit = BTreeSet::new();
            for _ in 0..n {
                let page = rng.below(pages);
                hit.insert(page);
                let zero = rng.one_in(3);
                let from = (page as usize) * PAGE;
                for b in bytes.iter_mut().skip(from).take(PAGE) {
                    *b = if zero { 0 } else { rng.next() as u8 };
                }
            }
            (format!("pages {hit:?} overwritten"), hit.len() as u64)
        }
        5 => {
            // The first pages hold the schema, the roots, the registry.
            let page = rng.below(12.min(pages));
            bytes[page as usize * PAGE..][..PAGE.min(len as usize - page as usize * PAGE)]
                .fill(0xa5);
            (format!("page {page} overwritten"), 1)
        }
        _ => {
            let n = 1 + rng.below(8);
            let mut hit = BTreeSet::new();
            for _ in 0..n {
                // Every second one where the trees' own structure is.
                let at = if rng.one_in(2) {
                    rng.below(pages) * PAGE as u64 + rng.below(16)
                } else {
                    rng.below(len)
                };
                if let Some(b) = bytes.get_mut(at as usize) {
                    *b ^= 1 << rng.below(8);
                }
                hit.insert(at);
            }
            (format!("bits at {hit:?} flipped"), n)
        }
    };
    fs::write(&path, bytes).unwrap();
    Done {
        what: format!("{}: {}", if log { "log" } else { "file" }, done.0),
        pages: done.1,
    }
}

/// Everything that comes out was put in; how many of them came out.
fn genuine(dir: &Path, sent: &Sent) -> usize {
    let mut there = BTreeSet::new();
    for line in farm::lines(dir) {
        let key = key(&line);
        let known = sent
            .get(&key)
            .unwrap_or_else(|| panic!("{line:?} was never sent"));
        assert!(line.is(known), "{line:?} is not {known:?}");
        there.insert(key);
    }
    there.len()
}

fn key(line: &Line) -> (NodeNum, String, Millis) {
    // A node whose row is lost still has its number.
    let node = match line.node.as_str() {
        "numbered" | "removed-1" => NUMBERED,
        "plain" | "removed-2" => PLAIN,
        other => panic!("no such node: {other}"),
    };
    (node, line.channel.clone().unwrap(), line.at)
}

#[test]
fn a_damaged_file_holds_up_no_start_and_gives_back_what_is_whole() {
    let template = farm::scratch();
    let sent = farm::block_on(make(template.path()));
    let whole = genuine(template.path(), &sent);
    assert_eq!(whole, sent.len());
    let pages = fs::metadata(template.path().join("sen.db")).unwrap().len() / PAGE as u64;

    let nightly = std::env::var_os("SEN_NIGHTLY").is_some();
    let count = DAMAGES[usize::from(nightly)];
    let (sum, next) = (Mutex::new(Sum::default()), AtomicU64::new(0));
    std::thread::scope(|threads| {
        for _ in 0..AT_ONCE {
            threads.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count {
                        break;
                    }
                    let one = once(template.path(), seed, &sent);
                    let mut sum = sum.lock().unwrap();
                    sum.readings += one.readings;
                    sum.nodes += one.nodes;
                    sum.hit += one.hit.min(pages);
                    sum.set_aside += one.set_aside;
                }
            });
        }
    });
    let sum = sum.into_inner().unwrap();
    // A damaged page costs what was on it, and now and then a whole channel's day that was rewritten on it.
    let share = sum.readings as f64 / (whole as u64 * count) as f64;
    // One damage in ten cuts the file short, by half of it on average; the rest costs little more than what it hit.
    assert!(share > 0.8, "{share}");
    println!(
        "{count} damages (seeds 0 and on) of {pages} pages, {:.1} pages each: {:.2} % of the readings and {:.2} % of the nodes came out, {} files set aside",
        sum.hit as f64 / count as f64,
        share * 100.0,
        sum.nodes as f64 / (count * u64::from(NODES)) as f64 * 100.0,
        sum.set_aside
    );
}

/// What came out of damaged files.
#[derive(Default)]
struct Sum {
    readings: u64,
    nodes: u64,
    /// Pages that were hit.
    hit: u64,
    set_aside: u64,
}

fn once(template: &Path, seed: u64, sent: &Sent) -> Sum {
    let dir = farm::scratch();
    farm::copy(template, dir.path());
    let done = harm(dir.path(), &mut Rng::new(seed));
    let say = Say(seed, &done);
    let sum = farm::block_on(async {
        let (journal, readings) = goes_on(dir.path(), sent).await;
        let nodes = journal
            .read(|c| Ok(c.query_row("SELECT count(*) FROM node", [], |r| r.get::<_, u32>(0))?));
        let nodes = u64::from(nodes.await.unwrap());
        let set_aside = u64::from(!journal.damage().is_empty());
        journal.close().await;
        Sum {
            readings: readings as u64,
            nodes,
            hit: done.pages,
            set_aside,
        }
    });
    drop(say);
    sum
}

/// SQLite alone would forget every commit behind the flipped bit, and say nothing.
#[test]
fn a_flipped_bit_in_the_log_does_not_cost_the_commits_behind_it() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let template = farm::scratch();
    let sent = runtime.block_on(make(template.path()));
    let log = fs::read(template.path().join("sen.db-wal")).unwrap();
    let frames = (log.len() - 32) / (24 + PAGE);
    assert!(frames > 20, "{frames}");
    for frame in [1, frames / 4, frames / 2] {
        let dir = farm::scratch();
        farm::copy(template.path(), dir.path());
        let mut log = log.clone();
        log[32 + frame * (24 + PAGE) + 24 + 2_000] ^= 4;
        fs::write(dir.path().join("sen.db-wal"), log).unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let damage = journal.damage();
        assert_eq!(damage.len(), 1, "not reported");
        assert!(damage[0].file.exists());
        let there = genuine(dir.path(), &sent);
        // The page of that frame, at most; mostly a later frame has it again.
        assert!(
            there as f64 > sent.len() as f64 * 0.97,
            "{there} of {}",
            sent.len()
        );
        runtime.block_on(journal.close());
    }
}

/// Opens, reads, appends, folds: as a gateway does.
async fn goes_on(dir: &Path, sent: &Sent) -> (Journal, usize) {
    let journal = Journal::open(dir).expect("the start is not held up");
    journal
        .insist(async || journal.keep_cursors(&["sink"]).await)
        .await
        .unwrap();
    let mut sent = sent.clone();
    let mut append = async |journal: &Journal, node, place, k| {
        let r = reading(k);
        sent.insert((node, r.channel.unwrap().to_string(), r.at), r);
        let uplink = || Uplink {
            node,
            received: 0,
            place,
            readings: vec![r],
        };
        // The one that comes upon the damage is refused, and sent again.
        if journal.append(uplink()).await.is_err() {
            journal.append(uplink()).await.expect("mended");
        }
    };
    append(&journal, NUMBERED, Some((BOOT + 1, 0)), 1_000_000).await;
    append(&journal, PLAIN, None, 1_000_001).await;
    let folder = Folder::new(journal.clone(), std::time::Duration::ZERO);
    if folder.fold_all().await.is_err() {
        journal.check().await;
        folder.fold_all().await.expect("mended");
    }
    for node in [NUMBERED, PLAIN] {
        for quantity in &Quantity::ALL[..5] {
            let channel = Channel::first(*quantity);
            let read = async || journal.points(node, channel, 0, Millis::MAX).await;
            journal.insist(read).await.expect("mended");
        }
    }
    journal.check().await;
    farm::same_books(&journal, dir).await;
    let came_out = genuine(dir, &sent);
    let lines = farm::lines(dir);
    for (node, k) in [("numbered", 1_000_000), ("plain", 1_000_001)] {
        let of = |l: &&Line| l.node == node || l.node.starts_with("removed-");
        assert!(
            lines.iter().filter(of).any(|l| l.is(&reading(k))),
            "what came after the damage is not there"
        );
    }
    (journal, came_out)
}

struct Say<'a>(u64, &'a Done);

impl Drop for Say<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}: {}", self.0, self.1.what);
        }
    }
}
