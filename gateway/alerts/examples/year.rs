//! `year WATER_FILE`: a year of real water through judge and engine, with a shrimp farmer's and a rice grower's rules.
//!
//! Three tables: messages a week; alarms whose causing readings were rejected or suspect by the reserve's quality codes; low
//! oxygen that lasted an hour by the codes, and how long after that hour the alarm was raised. One pond has few nights below
//! 3 mg/L, so the last table is made for the limits 3, 4 and 5 mg/L, and for the same series made poorer (`x 0.6`), where
//! nights reach 3 mg/L.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "series/mod.rs"]
mod series;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use clap::Parser;
use sen_alerts::{
    Engine, Millis, Rule,
    calendar::Zone,
    engine::Series as Key,
    engine::{Output, Subject},
    quality::{Belief, Judge, company::Company},
    watch::{Said, State},
};
use sen_wire::{Channel, Quantity};

use self::series::{Row, Series};

#[derive(Parser)]
#[command(about = "A year of water through the rules.")]
struct Args {
    /// CSV, plain or gzip, with a reserve's quality codes.
    file: PathBuf,
    /// Believe every reading: what the judge saves.
    #[arg(long)]
    believe_all: bool,
}

const QUARTER: Millis = 900_000;
const HOUR: Millis = 4 * QUARTER;
const NODE: u32 = 1;

/// Rules as for whiteleg shrimp (oxygen: 4 mg/L, act below 3; 28 to 32 °C; 10 to 25 ‰) and a rice grower's salt front. Where this
/// cooler and saltier bay would be past a limit all year, the limit was moved to where the bay's rare days begin.
fn rules() -> Vec<Rule> {
    let texts = [
        r#"{"id":"shrimp-oxygen","level":"critical","over":"all","channel":"dissolved_oxygen","when":{"below":{"value":3.0,"clears_at":4.0}},"for_s":3600,"clear_for_s":3600}"#,
        r#"{"id":"shrimp-oxygen-low","level":"warning","over":"all","channel":"dissolved_oxygen","when":{"below":{"value":4.0,"clears_at":5.0}},"for_s":3600,"clear_for_s":3600}"#,
        r#"{"id":"shrimp-warm","level":"warning","over":"all","channel":"water_temperature","when":{"above":{"value":32.0,"clears_at":31.0}},"for_s":3600,"clear_for_s":7200}"#,
        r#"{"id":"shrimp-cold","level":"warning","over":"all","channel":"water_temperature","when":{"below":{"value":10.0,"clears_at":12.0}},"for_s":3600,"clear_for_s":7200}"#,
        r#"{"id":"shrimp-ph","level":"warning","over":"all","channel":"ph","when":{"outside":{"low":7.0,"high":9.0,"hysteresis":0.2}},"for_s":3600,"clear_for_s":7200}"#,
        r#"{"id":"shrimp-salinity","level":"warning","over":"all","channel":"salinity","when":{"outside":{"low":10.0,"high":36.0,"hysteresis":1.0}},"for_s":3600,"clear_for_s":21600}"#,
        r#"{"id":"rice-salinity-front","level":"warning","over":"all","channel":"salinity","when":{"rises":{"by":8.0,"within_s":7200}},"for_s":0,"clear_for_s":21600}"#,
        r#"{"id":"flood","level":"warning","over":"all","channel":"water_level","when":{"above":{"value":230.0,"clears_at":200.0}},"for_s":1800,"clear_for_s":7200}"#,
    ];
    texts
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect()
}

/// A message: an alarm raised.
struct Message {
    rule: String,
    raised: Millis,
    since: Millis,
    ended: Millis,
}

struct Run {
    messages: Vec<Message>,
    transitions: usize,
}

/// Walks all columns through judges and one engine, reading by reading as a node would send them.
fn run(columns: &[Series], rules: &[Rule], believe_all: bool) -> Run {
    let start = columns
        .iter()
        .filter_map(|s| s.rows.first())
        .map(|r| r.at)
        .min()
        .unwrap();
    let mut engine = Engine::new(Zone::UTC, start);
    engine.node(NODE, "estuary", 3 * HOUR, start);
    let key = |q: Quantity| Key {
        node: NODE,
        channel: Channel::first(q),
    };
    let rules: Vec<_> = rules
        .iter()
        .map(|rule| (NODE, Arc::new(rule.clone())))
        .collect();
    engine.rules(&rules, start, &mut Vec::new());
    let mut by_time: BTreeMap<Millis, Vec<(Quantity, f64)>> = BTreeMap::new();
    for column in columns {
        for row in &column.rows {
            by_time
                .entry(row.at)
                .or_default()
                .push((column.quantity, row.value));
        }
    }
    let mut judges: BTreeMap<Quantity, Judge> = BTreeMap::new();
    let mut company = Company::default();
    let (mut judged, mut out) = (Vec::new(), Vec::new());
    let mut run = Run {
        messages: Vec::new(),
        transitions: 0,
    };
    for (&at, readings) in &by_time {
        for &(quantity, value) in readings {
            if believe_all {
                engine.reading(key(quantity), at, Said::Value(value), at, &mut out);
            } else {
                judges
                    .entry(quantity)
                    .or_default()
                    .take(quantity, at, value, &mut judged);
                for mut j in judged.drain(..) {
                    company.take(Channel::first(quantity), &mut j);
                    match j.belief {
                        Belief::Believed => {
                            engine.reading(key(quantity), j.at, Said::Value(j.value), at, &mut out)
                        }
                        Belief::Rejected => {
                            engine.reading(key(quantity), j.at, Said::Unbelieved, at, &mut out)
                        }
                        // It is said again when it is known.
                        Belief::Withheld => {}
                    }
                }
            }
        }
        engine.tick(at, &mut out);
        for output in out.drain(..) {
            let Output::Changed {
                subject: Subject::Rule { rule, .. },
                transition,
            } = output
            else {
                continue;
            };
            run.transitions += 1;
            if transition.to == State::Normal && transition.from.is_alarm() {
                for message in run.messages.iter_mut().filter(|m| *m.rule == *rule) {
                    message.ended = message.ended.min(at);
                }
            }
            if transition.to == State::Firing {
                run.messages.push(Message {
                    rule: rule.to_string(),
                    raised: at,
                    since: transition.since.unwrap_or(at),
                    ended: Millis::MAX,
                });
            }
        }
    }
    run
}

/// Hours below a limit by good readings: first reading and the reading that completes the hour. One an event: it ends with
/// the first good reading at or above the limit, or with a gap of more than an hour.
fn low(rows: &[Row], limit: f64) -> Vec<(Millis, Millis)> {
    let mut events = Vec::new();
    let mut since: Option<Millis> = None;
    let (mut last, mut told) = (0, false);
    for row in rows.iter().filter(|r| !r.label.flagged) {
        if row.value >= limit || row.at - last > HOUR {
            (since, told) = (None, false);
        }
        last = row.at;
        if row.value < limit {
            let from = *since.get_or_insert(row.at);
            if !told && row.at - from >= HOUR {
                events.push((from, row.at));
                told = true;
            }
        }
    }
    events
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let columns: Vec<Series> = series::read(&args.file)?
        .into_iter()
        // Conductivity and saturation say the same as salinity and oxygen here.
        .filter(|s| !matches!(s.name.as_str(), "spcond" | "do_pct" | "turb"))
        .collect();
    let rules = rules();
    let run_of = |columns: &[Series], rules: &[Rule]| run(columns, rules, args.believe_all);
    let year = run_of(&columns, &rules);
    let (first, last) = columns
        .iter()
        .fold((Millis::MAX, Millis::MIN), |(a, b), s| {
            (a.min(s.rows[0].at), b.max(s.rows[s.rows.len() - 1].at))
        });
    let weeks = (last - first) as f64 / (7.0 * 86_400_000.0);
    println!(
        "{} .. {}, {weeks:.1} weeks, {} transitions",
        series::text(first),
        series::text(last),
        year.transitions
    );
    println!("\nrule                    messages  a week  by rejected  by suspect");
    let mut sum = [0usize; 3];
    for rule in &rules {
        let quantity = rule.channel.unwrap().quantity();
        let rows = &columns
            .iter()
            .find(|c| c.quantity == quantity)
            .unwrap()
            .rows;
        let mine: Vec<&Message> = year.messages.iter().filter(|m| m.rule == rule.id).collect();
        let caused = |m: &&&Message, bad: fn(&Row) -> bool| {
            let from = rows.partition_point(|r| r.at < m.since);
            let to = rows.partition_point(|r| r.at <= m.raised);
            rows[from..to].iter().any(bad)
        };
        let rejected = mine
            .iter()
            .filter(|m| caused(m, |r| r.label.rejected))
            .count();
        let suspect = mine
            .iter()
            .filter(|m| caused(m, |r| r.label.flagged && !r.label.rejected))
            .count();
        println!(
            "{:<24}{:>8}{:>8.2}{:>13}{:>12}",
            rule.id,
            mine.len(),
            mine.len() as f64 / weeks,
            rejected,
            suspect
        );
        for m in mine.iter().filter(|m| caused(m, |r| r.label.rejected)) {
            println!(
                "    by rejected readings: since {} raised {}",
                series::text(m.since),
                series::text(m.raised)
            );
        }
        for (total, n) in sum.iter_mut().zip([mine.len(), rejected, suspect]) {
            *total += n;
        }
    }
    println!(
        "{:<24}{:>8}{:>8.2}{:>13}{:>12}",
        "all",
        sum[0],
        sum[0] as f64 / weeks,
        sum[1],
        sum[2]
    );

    println!(
        "\nlow oxygen for an hour, by good readings\nseries    below    events  alarm by then  within 15 min  later  never  standing  messages"
    );
    let oxygen = columns
        .iter()
        .find(|c| c.quantity == Quantity::DissolvedOxygen)
        .unwrap();
    let mut goals = (0, 0);
    for (name, factor, limit) in [
        ("as it is", 1.0, 3.0),
        ("as it is", 1.0, 4.0),
        ("as it is", 1.0, 5.0),
        ("x 0.6", 0.6, 3.0),
        ("x 0.45", 0.45, 3.0),
    ] {
        let mut poorer = oxygen.clone();
        for row in &mut poorer.rows {
            row.value *= factor;
        }
        let mut rule = rules[0].clone();
        rule.when = serde_json::from_str(&format!(r#"{{"below":{{"value":{limit}}}}}"#)).unwrap();
        rule.clear_for_s = 0;
        let events = low(&poorer.rows, limit);
        let run = run_of(std::slice::from_ref(&poorer), &[rule]);
        let mut count = [0usize; 5];
        for &(from, complete) in &events {
            // An alarm that belongs to it: its causing readings reach into the event.
            let raised = run
                .messages
                .iter()
                .filter(|m| m.raised >= from && m.since <= complete)
                .map(|m| m.raised)
                .min();
            let standing = run
                .messages
                .iter()
                .any(|m| m.raised < from && from <= m.ended);
            let late = raised.map(|at| at - complete);
            let place = match late {
                _ if standing => 4,
                Some(ms) if ms <= 0 => 0,
                Some(ms) if ms <= QUARTER => 1,
                Some(_) => 2,
                None => 3,
            };
            count[place] += 1;
        }
        goals = (
            goals.0 + count[0] + count[1] + count[4],
            goals.1 + events.len(),
        );
        println!(
            "{name:<9} {limit:>5} {:>9} {:>14} {:>14} {:>6} {:>6} {:>9} {:>9}",
            events.len(),
            count[0],
            count[1],
            count[2],
            count[3],
            count[4],
            run.messages.len()
        );
    }
    println!(
        "alerted within 15 minutes of the hour: {} of {} ({:.2} %)",
        goals.0,
        goals.1,
        100.0 * f64::from(goals.0 as u32) / f64::from(goals.1 as u32)
    );
    Ok(())
}
