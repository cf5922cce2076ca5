//! What arrived and what is missing: API and command line say, number for number, what the test knows.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use sen_tests::device::now_ms;
use sen_tests::mqtt::Client;
use sen_tests::pack::{Decimal, Pack, Record};
use sen_tests::process::{Finished, Program};
use sen_tests::sen::{Sen, Setup, binary, who};
use sen_tests::wait;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(10);
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// Later than this after it was taken is late.
const LATE: i64 = 60 * MINUTE;
const BOOT: u64 = (7 << 32) | 1;
const NEXT_BOOT: u64 = BOOT + 1;

/// Days since 1970 on the farm's clock.
fn day(at: i64) -> i64 {
    (at + 7 * 60 * MINUTE).div_euclid(DAY)
}

/// Noon of that day.
fn noon(day: i64) -> i64 {
    day * DAY + 5 * 60 * MINUTE
}

/// `2026-11-24`, by the civil calendar of Howard Hinnant's `civil_from_days`.
fn date(day: i64) -> String {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (d, m) = (
        doy - (153 * mp + 2) / 5 + 1,
        if mp < 10 { mp + 3 } else { mp - 9 },
    );
    format!("{:04}-{m:02}-{d:02}", yoe + era * 400 + i64::from(m <= 2))
}

/// What must have arrived from one node.
#[derive(Default)]
struct Known {
    /// By boot and place: when it was taken, whether it was late, whether its record was refused.
    places: BTreeMap<(u64, u32), (i64, bool, bool)>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Numbers {
    received: u64,
    missing: u64,
    late: u64,
    refused: u64,
}

/// boot, first place, last place, after, before
type Hole = (u64, u32, u32, i64, i64);

impl Known {
    fn take(&mut self, pack: &Pack, now: i64) {
        let (boot, first) = pack.place.expect("numbered");
        for (place, r) in (first..).zip(&pack.records) {
            let refused = r.channel == "zz";
            // A refused record belongs to its arrival.
            let at = if refused { now } else { r.at };
            let known = (at, now - at > LATE, refused);
            self.places.entry((boot, place)).or_insert(known);
        }
    }

    /// Ascending; a hole at the low end of a boot begins at the last reading of the boot before.
    fn holes(&self) -> Vec<Hole> {
        let mut holes = Vec::new();
        let mut before: Option<(u64, u32, i64)> = None;
        for (&(boot, place), &(at, ..)) in &self.places {
            let expected = match before {
                Some((b, p, _)) if b == boot => p + 1,
                _ => 0,
            };
            if place > expected {
                let after = before.map_or(at, |b| b.2);
                holes.push((boot, expected, place - 1, after, at));
            }
            before = Some((boot, place, at));
        }
        holes
    }

    fn days(&self) -> BTreeMap<i64, Numbers> {
        let mut days: BTreeMap<i64, Numbers> = BTreeMap::new();
        for &(at, late, refused) in self.places.values() {
            let n = days.entry(day(at)).or_default();
            n.received += 1;
            n.late += u64::from(late);
            n.refused += u64::from(refused);
        }
        for (_, lo, hi, after, before) in self.holes() {
            let parts = i64::from(hi - lo) + 2;
            for k in 1..parts {
                let at = (after * parts + (before - after) * k).div_euclid(parts);
                days.entry(day(at)).or_default().missing += 1;
            }
        }
        days
    }

    fn total(&self) -> Numbers {
        let mut sum = Numbers::default();
        for n in self.days().values() {
            sum.received += n.received;
            sum.missing += n.missing;
            sum.late += n.late;
            sum.refused += n.refused;
        }
        sum
    }
}

fn pack(boot: u64, first: u32, from: i64, step: i64, channels: &[&'static str]) -> Pack {
    let record = |(i, &channel): (usize, &&'static str)| Record {
        channel,
        at: from + step * i as i64,
        value: Ok(Decimal(70 + i as i64, -1)),
    };
    Pack {
        place: Some((boot, first)),
        records: channels.iter().enumerate().map(record).collect(),
    }
}

async fn send(sen: &Sen, node: &str, kind: &str, payload: Bytes) -> Result<()> {
    let mut client = Client::connect(sen.mqtt(), &who(node)).await?;
    client
        .publish(&format!("sen/1/{node}/{kind}"), payload, LIMIT)
        .await
}

/// Sends it, and notes it once acknowledged.
async fn give(sen: &Sen, node: &str, known: &mut Known, pack: &Pack) -> Result<()> {
    send(sen, node, "pack", pack.cbor()).await?;
    known.take(pack, now_ms());
    Ok(())
}

fn numbers(of: &Value) -> Numbers {
    let n = |key: &str| {
        of[key]
            .as_u64()
            .unwrap_or_else(|| panic!("no {key} in {of}"))
    };
    Numbers {
        received: n("received"),
        missing: n("missing"),
        late: n("late"),
        refused: n("refused"),
    }
}

/// The document says what is known, on each of its days.
fn check_days(account: &Value, known: &Known) {
    let listed = account["days"].as_array().expect("days");
    assert_eq!(listed.len(), 14);
    let mut expected: BTreeMap<String, Numbers> = known
        .days()
        .into_iter()
        .map(|(d, n)| (date(d), n))
        .collect();
    let mut missing = 0;
    for of in listed {
        let found = numbers(of);
        let text = of["day"].as_str().expect("day");
        let right = expected.remove(text).unwrap_or_default();
        assert_eq!(found, right, "{text}");
        assert_eq!(of["expected"], json!(found.received + found.missing));
        assert_eq!(of["unnumbered"], json!(0));
        let percent = (right.received * 1_000)
            .checked_div(right.received + right.missing)
            .map(|tenths| tenths as f64 / 10.0);
        assert_eq!(of["percent"], json!(percent));
        missing += found.missing;
    }
    assert!(expected.is_empty(), "not listed: {expected:?}");
    assert_eq!(account["window_missing"], json!(missing));
    assert_eq!(numbers(account), known.total());
    assert_eq!(account["undated"], json!({"received": 0, "missing": 0}));
}

fn check_ranges(account: &Value, known: &Known, most: usize) {
    let mut holes = known.holes();
    holes.sort_by_key(|h| std::cmp::Reverse((h.4, h.0, h.1)));
    let expected: Vec<Value> = holes
        .iter()
        .take(most)
        .map(|&(boot, from, through, after, before)| {
            json!({"boot": boot, "from": from, "through": through, "count": through - from + 1,
                "after": after, "before": before})
        })
        .collect();
    assert_eq!(account["missing_ranges"], json!(expected));
    let left_off = holes.len().saturating_sub(most);
    assert_eq!(account["missing_ranges_left_off"], json!(left_off));
}

fn without_now(mut document: Value) -> Value {
    document.as_object_mut().expect("an object").remove("now");
    document
}

fn cells(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn percent(of: Numbers) -> String {
    match (of.received * 1_000).checked_div(of.received + of.missing) {
        Some(tenths) => format!("{}.{}", tenths / 10, tenths % 10),
        None => "-".to_owned(),
    }
}

/// The text says the same numbers.
fn check_text(text: &str, known: &Known) -> Result<()> {
    let n = known.total();
    let sums = format!(
        "received {}, missing {} (of which the node says it dropped 5), late {}, refused {}",
        n.received, n.missing, n.late, n.refused
    );
    assert_eq!(text.lines().nth(1), Some(sums.as_str()));
    for (d, n) in known.days() {
        let line = text
            .lines()
            .find(|l| l.starts_with(&date(d)))
            .with_context(|| format!("{} is not in {text}", date(d)))?;
        let expected = [
            date(d),
            n.received.to_string(),
            n.missing.to_string(),
            (n.received + n.missing).to_string(),
            percent(n),
            n.late.to_string(),
            n.refused.to_string(),
            "0".to_owned(),
            "kept".to_owned(),
        ];
        assert_eq!(cells(line), expected);
    }
    for (boot, from, through, ..) in known.holes() {
        let start = [boot.to_string(), from.to_string(), through.to_string()];
        let found = text
            .lines()
            .any(|l| cells(l).get(..3).is_some_and(|c| c == start));
        assert!(found, "{start:?} is not in {text}");
    }
    Ok(())
}

fn json_of(finished: &Finished) -> Result<Value> {
    serde_json::from_str(&finished.out).with_context(|| format!("not JSON: {}", finished.out))
}

/// API, command line in JSON and in text: all say what is known.
async fn check(sen: &Sen, known: &Known, whole: &Known) -> Result<()> {
    let one = sen.http().json("/api/v1/ledger/node-01").await?;
    check_days(&one, known);
    check_ranges(&one, known, 100);
    let all = sen.http().json("/api/v1/ledger").await?;
    let node = |i: usize| &all["nodes"][i];
    check_days(node(0), known);
    check_ranges(node(0), known, 3);
    check_days(node(1), whole);
    assert_eq!(whole.total().missing, 0);

    let of_one = sen.run(&["ledger", "--node", "node-01", "--json"])?;
    assert_eq!(of_one.status.code(), Some(3), "{}", of_one.err);
    assert_eq!(without_now(json_of(&of_one)?), without_now(one));
    let of_all = sen.run(&["ledger", "--json"])?;
    assert_eq!(of_all.status.code(), Some(3), "{}", of_all.err);
    assert_eq!(without_now(json_of(&of_all)?), without_now(all));
    check_text(&sen.run(&["ledger", "--node", "node-01"])?.out, known)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_and_command_line_say_exactly_what_is_missing() -> Result<()> {
    let mut sen = Sen::start(&Setup::new(4)).await?;
    let (mut known, mut whole) = (Known::default(), Known::default());
    let today = day(now_ms());
    let four = ["ph", "sal", "wt", "do"];
    let early = pack(BOOT, 0, noon(today - 4), MINUTE, &four);
    let later = pack(BOOT, 16, noon(today - 1), MINUTE, &four);
    give(&sen, "node-01", &mut known, &early).await?;
    // Skips 4 to 15, over three midnights.
    give(&sen, "node-01", &mut known, &later).await?;
    give(&sen, "node-01", &mut known, &early).await?;
    let overlapping = pack(BOOT, 18, noon(today - 1) + 2 * MINUTE, MINUTE, &four);
    give(&sen, "node-01", &mut known, &overlapping).await?;
    let first = pack(BOOT, 0, now_ms() - MINUTE, 1_000, &four);
    give(&sen, "node-02", &mut whole, &first).await?;

    sen.kill9();
    sen.restart().await?;

    give(&sen, "node-01", &mut known, &later).await?;
    give(&sen, "node-02", &mut whole, &first).await?;
    // Part of the hole comes after all, a refused record keeps its place, and a new place comes in time.
    let filling = pack(BOOT, 8, noon(today - 3), MINUTE, &["ph", "sal"]);
    give(&sen, "node-01", &mut known, &filling).await?;
    let odd = pack(BOOT, 22, now_ms() - 5 * MINUTE, MINUTE, &["ph", "zz", "wt"]);
    give(&sen, "node-01", &mut known, &odd).await?;
    // The next boot lacks its first three places, and a few in between.
    let booted = pack(NEXT_BOOT, 3, now_ms() - MINUTE, 1_000, &four);
    give(&sen, "node-01", &mut known, &booted).await?;
    let again = pack(NEXT_BOOT, 9, now_ms() - MINUTE / 2, 1_000, &four);
    give(&sen, "node-01", &mut known, &again).await?;
    // {2: boot, 7: dropped}
    let mut hello = minicbor::Encoder::new(Vec::new());
    hello.map(2)?.u8(2)?.u64(NEXT_BOOT)?.u8(7)?.u32(5)?;
    send(&sen, "node-01", "hello", hello.into_writer().into()).await?;
    // A device without numbers: a repeat can't be told from a reading.
    let record = format!("[{{\"n\":\"ph\",\"t\":{},\"v\":7}}]", now_ms() / 1_000);
    for _ in 0..2 {
        send(&sen, "node-03", "pack", record.clone().into()).await?;
    }
    assert_eq!(known.total().missing, 4 + 6 + 3 + 2, "{:?}", known.holes());

    // From memory and from the log; from the tables alone, after a stop; and from both again.
    check(&sen, &known, &whole).await?;
    sen.kill9();
    sen.restart().await?;
    check(&sen, &known, &whole).await?;
    sen.terminate(Duration::from_secs(15))?;
    check_text(&sen.run(&["ledger", "--node", "node-01"])?.out, &known)?;
    sen.restart().await?;
    check(&sen, &known, &whole).await?;
    // Late ones: the start of the first hole. (A new place that is older than the one before it would be a clock put back.)
    let late = pack(BOOT, 4, noon(today - 4) + 10 * MINUTE, MINUTE, &four);
    give(&sen, "node-01", &mut known, &late).await?;
    check(&sen, &known, &whole).await?;

    let all = sen.http().json("/api/v1/ledger").await?;
    assert_eq!(all["nodes"][0]["dropped"], 5);
    assert_eq!(all["nodes"][0]["missing_dropped"], 5);
    assert_eq!(all["nodes"][0]["dropped_unseen"], 0);
    assert_eq!(all["nodes"][2]["unnumbered"], 2);
    assert_eq!(all["nodes"][2]["percent"], Value::Null);
    assert_eq!(all["nodes"][3]["received"], 0);
    let boots = sen.http().json("/api/v1/ledger/node-01").await?["boots"].clone();
    assert_eq!(boots[0]["boot"], json!(NEXT_BOOT));
    assert_eq!(
        (&boots[0]["through"], &boots[0]["missing"]),
        (&json!(12), &json!(5))
    );
    assert_eq!(
        (&boots[1]["received"], &boots[1]["missing"]),
        (&json!(19), &json!(6))
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_questions_get_a_clear_answer() -> Result<()> {
    let sen = Sen::start(&Setup::new(1)).await?;
    let cases = [
        ("ledger?days=0", 400, "days must be between 1 and 31"),
        ("ledger?days=x", 400, "days"),
        ("ledger?dais=3", 400, "dais"),
        ("ledger/node-99", 404, "no such node"),
        ("ledger/%ff", 400, "UTF-8"),
        ("ledger/node-01?from=yesterday", 400, "such as 2026-11-24"),
        ("ledger/node-01?to=2026-02-30", 400, "such as 2026-11-24"),
        ("ledger/node-01?from=2026-11-24&to=2026-11-23", 400, "after"),
        (
            "ledger/node-01?from=2000-01-01&to=2026-11-23",
            400,
            "at most 400 days",
        ),
    ];
    for (path, status, says) in cases {
        let answer = sen.http().get(&format!("/api/v1/{path}")).await?;
        assert_eq!(answer.status().as_u16(), status, "{path}");
        let body: Value = answer.json().await?;
        let message = body["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(says), "{path}: {body}");
    }
    let run = |args: &[&str]| {
        Program::new("sen-ledger", binary()?)
            .arg("ledger")
            .args(args)
            .run(sen.dir(), wait::PATIENCE)
    };
    let data = sen.dir().join("data").display().to_string();
    let fine = run(&["--data", &data])?;
    assert_eq!(fine.status.code(), Some(0), "{}", fine.err);
    for args in [
        &["--data", "/nowhere"][..],
        &["--data", &data, "--node", "node-99"],
        &["--data", &data, "--days", "0"],
        &["--data", &data, "--config", "sen.toml"],
        &[],
    ] {
        let refused = run(args)?;
        assert_eq!(refused.status.code(), Some(2), "{args:?}: {}", refused.err);
        assert!(!refused.err.is_empty(), "{args:?}");
    }
    Ok(())
}
