//! A rule that asks for an hour loses no minute of it to a reading that had to wait for its belief, nor to a restart.
#![allow(clippy::unwrap_used)] // A test.

use sen_alerts::{
    Millis, Rule,
    calendar::Zone,
    quality::{Belief, Judge},
    watch::{Said, State, Watch},
};
use sen_wire::Quantity;

const QUARTER: Millis = 900_000;

fn rule() -> Rule {
    serde_json::from_str(
        r#"{"id":"oxygen","level":"critical","over":"all","channel":"dissolved_oxygen",
            "when":{"below":{"value":3.0,"clears_at":4.0}},"for_s":3600}"#,
    )
    .unwrap()
}

/// Four days of 7 mg/L and a little, then what comes; when the alarm was raised, in quarters after.
fn raised(then: &[f64], restart: Option<usize>) -> Option<i64> {
    let (mut judge, mut watch, rule) = (Judge::default(), Watch::default(), rule());
    let calm = (0..400).map(|n| 7.0 + f64::from((n * 7919) % 101) / 500.0);
    let mut said = Vec::new();
    for (n, value) in calm.chain(then.iter().copied()).enumerate() {
        if restart.is_some_and(|at| n == 400 + at) {
            judge = serde_json::from_str(&serde_json::to_string(&judge).unwrap()).unwrap();
            watch = serde_json::from_str(&serde_json::to_string(&watch).unwrap()).unwrap();
        }
        judge.take(
            Quantity::DissolvedOxygen,
            n as Millis * QUARTER,
            value,
            &mut said,
        );
        for judged in said.drain(..) {
            let said = match judged.belief {
                Belief::Believed => Said::Value(judged.value),
                Belief::Rejected => Said::Unbelieved,
                Belief::Withheld => continue,
            };
            let transition = watch.reading(&rule, judged.at, said, Zone::UTC);
            if transition.is_some_and(|t| t.to == State::Firing) {
                return Some(n as i64 - 400);
            }
        }
    }
    None
}

#[test]
fn oxygen_that_falls_at_once_and_stays_is_told_when_its_hour_is_complete() {
    // Far enough at once to be taken for a spike at first.
    let night = [2.1, 2.3, 2.0, 2.2, 1.9, 2.0, 2.1];
    assert_eq!(raised(&night, None), Some(4));
    for restart in 0..5 {
        assert_eq!(
            raised(&night, Some(restart)),
            Some(4),
            "restart at {restart}"
        );
    }
}

#[test]
fn a_spike_in_the_hour_neither_ends_nor_delays_it_beyond_a_reading() {
    assert_eq!(raised(&[2.1, 2.3, 9.9, 2.2, 1.9, 2.0], None), Some(4));
    assert_eq!(raised(&[2.1, 2.3, 2.2, 2.0, 9.9, 2.1, 2.2], None), Some(5));
}

#[test]
fn one_reading_of_no_oxygen_is_no_alarm() {
    let mut night = vec![7.1; 12];
    for (n, value) in night.iter_mut().enumerate() {
        *value += n as f64 / 50.0;
    }
    night[2] = 0.0;
    assert_eq!(raised(&night, None), None);
    assert_eq!(
        raised(&[0.0; 40], None),
        None,
        "a probe that reads exactly 0.0 out of the blue"
    );
}
