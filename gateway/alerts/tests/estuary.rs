//! Real water through judge, company and engine: the published months that the simulator replays.
//!
//! February 2012 holds what no one would make up: an instrument that fails for four days with -10 and 50 °C, 324 ‰, -99 m, an
//! oxygen of exactly 0.0 and a pH that stays plausible; then service, and the water again. July and August hold storms, tides
//! and low-oxygen nights.
#![allow(clippy::unwrap_used)] // A test.

use std::{collections::BTreeMap, fs::File, path::Path, sync::Arc};

use sen_alerts::{
    Engine, Millis, Rule,
    calendar::Zone,
    engine::{Output, Series},
    quality::{Belief, Judge, Judged, company::Company},
    watch::{Said, State},
};
use sen_wire::{Channel, Quantity};

const COLUMNS: [(&str, Quantity, f64); 5] = [
    ("temp", Quantity::WaterTemperature, 1.0),
    ("sal", Quantity::Salinity, 1.0),
    ("do_mgl", Quantity::DissolvedOxygen, 1.0),
    ("depth", Quantity::WaterLevel, 100.0),
    ("ph", Quantity::Ph, 1.0),
];

/// A reading in the end, with the reserve's code, and whether the reserve rejects it.
struct Looked {
    judged: Judged,
    rejected: bool,
}

/// Last words by channel and time, and when an oxygen alarm was raised.
fn walk(file: &str) -> (BTreeMap<(&'static str, Millis), Looked>, Vec<Millis>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../firmware/sim/data")
        .join(file);
    let mut reader =
        csv::Reader::from_reader(flate2::read::GzDecoder::new(File::open(path).unwrap()));
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|h| h == name).unwrap();
    let mut judges: BTreeMap<&str, Judge> = BTreeMap::new();
    let mut company = Company::default();
    let rule: Rule = serde_json::from_str(
        r#"{"id":"oxygen","level":"critical","over":"all","channel":"dissolved_oxygen",
            "when":{"below":{"value":3.0,"clears_at":4.0}},"for_s":3600}"#,
    )
    .unwrap();
    let series = |q: Quantity| Series {
        node: 1,
        channel: Channel::first(q),
    };
    let mut engine = Engine::new(Zone::UTC, 0);
    let (mut words, mut raised, mut out) = (BTreeMap::new(), Vec::new(), Vec::new());
    engine.node(1, "estuary", 3 * 3_600_000, 0);
    engine.rules(&[(1, Arc::new(rule))], 0, &mut out);
    for record in reader.records() {
        let record = record.unwrap();
        let at = chrono::NaiveDateTime::parse_from_str(&record[0], "%Y-%m-%d %H:%M:%S").unwrap();
        let at = at.and_utc().timestamp_millis();
        for (name, quantity, factor) in COLUMNS {
            let Ok(value) = record[column(name)].parse::<f64>() else {
                continue;
            };
            let rejected = record[column(&format!("f_{name}"))].starts_with("<-3>");
            let mut said = Vec::new();
            judges
                .entry(name)
                .or_default()
                .take(quantity, at, value * factor, &mut said);
            for mut judged in said {
                company.take(quantity.into(), &mut judged);
                let say = match judged.belief {
                    Belief::Withheld => None,
                    Belief::Believed => Some(Said::Value(judged.value)),
                    Belief::Rejected => Some(Said::Unbelieved),
                };
                if let Some(say) = say {
                    engine.reading(series(quantity), judged.at, say, at, &mut out);
                }
                words
                    .entry((name, judged.at))
                    .and_modify(|looked: &mut Looked| looked.judged = judged)
                    .or_insert(Looked { judged, rejected });
            }
        }
        for output in out.drain(..) {
            if let Output::Changed { transition, .. } = output
                && transition.to == State::Firing
            {
                raised.push(at);
            }
        }
    }
    (words, raised)
}

#[test]
fn an_instrument_that_fails_raises_no_alarm_and_is_hardly_believed() {
    let (words, raised) = walk("estuary-water-2012-february.csv.gz");
    assert!(raised.is_empty(), "oxygen 0.0 was the instrument's");
    let oxygen = |l: &&Looked| l.judged.value == 0.0 && l.rejected;
    let zeros: Vec<&Looked> = words
        .iter()
        .filter(|((name, _), _)| *name == "do_mgl")
        .map(|(_, looked)| looked)
        .filter(oxygen)
        .collect();
    assert!(zeros.len() > 400);
    assert!(zeros.iter().all(|l| l.judged.belief == Belief::Rejected));
    let failed: Vec<&Looked> = words.values().filter(|l| l.rejected).collect();
    let believed = failed
        .iter()
        .filter(|l| l.judged.belief == Belief::Believed)
        .count();
    assert!(
        believed * 10 < failed.len(),
        "believed {believed} of {} readings of a broken instrument",
        failed.len()
    );
}

#[test]
fn water_is_believed_before_the_failure_after_it_and_through_a_summer() {
    for file in [
        "estuary-water-2012-february.csv.gz",
        "estuary-water-2012-summer.csv.gz",
    ] {
        let (words, _) = walk(file);
        let good: Vec<&Looked> = words.values().filter(|l| !l.rejected).collect();
        let doubted = good
            .iter()
            .filter(|l| l.judged.belief == Belief::Rejected)
            .count();
        assert!(
            good.len() > 6000 && doubted * 1000 < good.len(),
            "{file}: {doubted} of {}",
            good.len()
        );
    }
}
