//! Rules and scales against real data: two summer months of an estuary, every 15 minutes (its source and licence are beside
//! the file).
#![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

use std::path::Path;

use chrono::NaiveDateTime;
use sen_alerts::calendar::Zone;
use sen_alerts::replay::{Summary, rehearse};
use sen_alerts::salinity::{compensated, from_specific_conductance};
use sen_alerts::watch::Said;
use sen_alerts::{Millis, Rule};

const FILE: &str = "../../firmware/sim/data/estuary-water-2012-summer.csv.gz";

/// Rows as time and these columns, where all of them have a number.
fn rows<const N: usize>(columns: [&str; N]) -> Vec<(Millis, [f64; N])> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let file = std::fs::File::open(path).unwrap();
    let mut csv = csv::Reader::from_reader(flate2::read::GzDecoder::new(file));
    let header = csv.headers().unwrap().clone();
    let places = columns.map(|column| header.iter().position(|h| h == column).unwrap());
    let mut rows = Vec::new();
    for record in csv.records() {
        let record = record.unwrap();
        let at = NaiveDateTime::parse_from_str(&record[0], "%Y-%m-%d %H:%M:%S").unwrap();
        let values = places.map(|place| record[place].parse().unwrap_or(f64::NAN));
        if values.iter().all(|value: &f64| value.is_finite()) {
            rows.push((at.and_utc().timestamp_millis(), values));
        }
    }
    assert!(rows.len() > 5_000, "{}", rows.len());
    rows
}

/// The instrument works out salinity by the same scale, from what it then rounds.
#[test]
fn salinity_is_what_a_real_instrument_makes_of_the_same_conductivity() {
    for (at, [conductance, celsius, salinity]) in rows(["spcond", "temp", "sal"]) {
        let ours = compensated(conductance, celsius).unwrap();
        assert!(
            (ours - salinity).abs() < 0.06,
            "{at}: {salinity} is not {ours}"
        );
        let rough = from_specific_conductance(conductance).unwrap();
        assert!(
            (rough / ours - 1.0).abs() < 0.01,
            "{at}: {ours} is not {rough}"
        );
    }
}

fn messages(when: &str) -> Summary {
    let rule: Rule = serde_json::from_str(&format!(
        r#"{{"id":"r","level":"warning","over":"all","channel":"dissolved_oxygen",{when}}}"#
    ))
    .unwrap();
    let readings = rows(["do_mgl"])
        .into_iter()
        .map(|(at, [oxygen])| (at, Said::Value(oxygen)));
    rehearse(&rule, readings, Zone::UTC).summary()
}

#[test]
fn hysteresis_and_duration_spare_messages_on_real_oxygen() {
    let bare = messages(r#""when":{"below":{"value":4}}"#);
    let calm =
        messages(r#""when":{"below":{"value":4,"clears_at":4.5}},"for_s":2700,"clear_for_s":1800"#);
    println!("bare {bare:?}\ncalm {calm:?}");
    assert!(calm.messages > 0 && calm.messages * 2 < bare.messages);
}
