use proptest::prelude::*;

use super::*;

const QUARTER: Millis = 900_000;

/// Walks values through a fresh judge, a quarter of an hour each; what was thought of each in the end.
fn walk(quantity: Quantity, values: &[f64]) -> Vec<Judged> {
    let mut judge = Judge::default();
    let mut said = Vec::new();
    for (n, &value) in values.iter().enumerate() {
        judge.take(quantity, n as Millis * QUARTER, value, &mut said);
    }
    last_word(said)
}

fn last_word(said: Vec<Judged>) -> Vec<Judged> {
    let mut by_time = std::collections::BTreeMap::new();
    for judged in said {
        by_time.insert(judged.at, judged);
    }
    by_time.into_values().collect()
}

/// A tide and a day on it, with a little unrest that never repeats.
fn tide(n: usize) -> f64 {
    let t = n as f64 * 0.25;
    let unrest = ((n * 7919) % 101) as f64 / 101.0 - 0.5;
    20.0 + 6.0 * (t * std::f64::consts::TAU / 12.42).sin() + 0.2 * unrest
}

fn tides(n: usize) -> Vec<f64> {
    (0..n).map(tide).collect()
}

#[test]
fn a_tide_is_believed() {
    let said = walk(Quantity::Salinity, &tides(2000));
    assert_eq!(said.len(), 2000);
    assert!(
        said.iter()
            .all(|j| j.belief == Belief::Believed && !j.marks.any())
    );
}

#[test]
fn one_reading_far_off_is_a_spike_and_the_next_is_believed() {
    let mut values = tides(1000);
    values[900] += 12.0;
    let said = walk(Quantity::Salinity, &values);
    assert!(said[900].marks.spike && said[900].belief == Belief::Rejected);
    assert!(said.iter().filter(|j| j.belief != Belief::Believed).count() == 1);
}

#[test]
fn a_front_that_stays_is_believed_from_its_first_reading() {
    let mut values = tides(1000);
    for value in &mut values[900..] {
        *value += 12.0;
    }
    let said = walk(Quantity::Salinity, &values);
    assert!(
        said.iter().all(|j| j.belief == Belief::Believed),
        "the front was water"
    );
}

#[test]
fn what_waits_is_said_again_in_order_of_time() {
    let mut values = tides(303);
    for value in &mut values[300..] {
        *value += 5.0;
    }
    let mut judge = Judge::default();
    let mut said = Vec::new();
    for (n, &value) in values.iter().enumerate() {
        said.clear();
        judge.take(Quantity::Salinity, n as Millis * QUARTER, value, &mut said);
    }
    let beliefs: Vec<_> = said.iter().map(|j| (j.at / QUARTER, j.belief)).collect();
    assert_eq!(beliefs, [300, 301, 302].map(|n| (n, Belief::Believed)));
}

#[test]
fn a_number_that_repeats_for_longer_than_ever_is_stuck_until_it_moves() {
    let mut values = tides(3000);
    for n in 2000..2200 {
        values[n] = values[1999];
    }
    let said = walk(Quantity::Salinity, &values);
    let stuck: Vec<_> = (0..3000).filter(|&n| said[n].marks.stuck).collect();
    assert!(stuck.contains(&2199) && !stuck.contains(&2200));
    assert!(stuck.len() > 100, "found only {} of 200", stuck.len());
    assert!(stuck.iter().all(|n| (2000..2200).contains(n)));
}

#[test]
fn a_quantity_that_rests_is_not_stuck() {
    let said = walk(Quantity::Rain, &[0.0; 3000]);
    assert!(said.iter().all(|j| j.belief == Belief::Believed));
}

/// The instrument of the estuary on 2012-02-06: oxygen 0.0 out of the blue, and nothing but 0.0.
#[test]
fn a_jump_to_a_number_that_does_not_move_is_never_believed() {
    let mut values: Vec<f64> = tides(1000).iter().map(|v| v / 3.0).collect();
    for value in &mut values[900..940] {
        *value = 0.0;
    }
    let said = walk(Quantity::DissolvedOxygen, &values);
    for (n, judged) in said.iter().enumerate() {
        assert_eq!(
            judged.belief == Belief::Rejected,
            (900..940).contains(&n),
            "{n}"
        );
    }
}

#[test]
fn after_nonsense_a_plausible_number_is_not_believed_at_once() {
    let mut values = tides(1000);
    values[900] = -9999.0;
    values[901] = 324.4;
    values[902] = 1.5;
    values[903] = 2.5;
    let said = walk(Quantity::Salinity, &values);
    assert!(said[900].marks.sentinel && said[901].marks.range);
    assert!(said[902..904].iter().all(|j| j.belief == Belief::Rejected));
    assert!(said[904..].iter().all(|j| j.belief == Belief::Believed));
}

#[test]
fn a_quiet_shift_is_marked_and_believed() {
    let mut values: Vec<f64> = (0..1000)
        .map(|n| 8.0 + ((n * 7919) % 11) as f64 / 100.0)
        .collect();
    for value in &mut values[500..] {
        *value -= 1.0;
    }
    let said = walk(Quantity::Ph, &values);
    let steps: Vec<_> = (0..1000).filter(|&n| said[n].marks.step).collect();
    assert_eq!(steps, [500 + step::SIDE - 1]);
    assert!(said.iter().all(|j| j.belief == Belief::Believed));
}

proptest! {
    /// Whatever comes, and wherever the judge is stored and read back: each reading gets one last word, what is impossible is
    /// never believed, and the state stays small.
    #[test]
    fn survives_a_restart_anywhere(
        values in prop::collection::vec(prop_oneof![-5.0..40.0f64, Just(-9999.0), Just(7.0), Just(324.4), Just(f64::NAN)], 1..80),
        restart in 0..80usize,
    ) {
        let mut once = Judge::default();
        let mut twice = Judge::default();
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for (n, &value) in values.iter().enumerate() {
            if n == restart {
                let stored = serde_json::to_string(&twice).unwrap();
                prop_assert!(stored.len() < 1500, "{} bytes", stored.len());
                twice = serde_json::from_str(&stored).unwrap();
            }
            once.take(Quantity::Salinity, n as Millis * QUARTER, value, &mut a);
            twice.take(Quantity::Salinity, n as Millis * QUARTER, value, &mut b);
        }
        let alike = |j: &Judged| (j.at, j.value.to_bits(), j.marks, j.belief);
        prop_assert!(a.iter().map(alike).eq(b.iter().map(alike)));
        for judged in &a {
            let possible = (0.0..=50.0).contains(&judged.value);
            prop_assert!(possible || judged.belief == Belief::Rejected);
        }
        prop_assert_eq!(last_word(a).len(), values.len());
    }
}
