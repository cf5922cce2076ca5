use super::*;

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
/// 2026-01-01 08:00 in Vietnam.
const START: Millis = 1_767_229_200_000;

fn rule(json: &str) -> Rule {
    serde_json::from_str(&format!(
        r#"{{"id":"r","level":"warning","over":"all",{json}}}"#
    ))
    .unwrap()
}

fn low() -> Rule {
    rule(r#""channel":"dissolved_oxygen","when":{"below":{"value":3,"clears_at":4}},"for_s":1800"#)
}

/// Values a quarter of an hour apart.
fn quarters(from: Millis, values: &[f64]) -> Vec<(Millis, Said)> {
    (0..)
        .zip(values)
        .map(|(n, value)| (from + n * 15 * MINUTE, Said::Value(*value)))
        .collect()
}

#[test]
fn says_when_for_how_long_and_with_how_many_messages() {
    let values = [
        5.0, 2.9, 2.5, 2.0, 3.5, 4.0, 2.0, 2.0, 5.0, 2.0, 2.0, 2.0, 1.0,
    ];
    let rehearsal = rehearse(&low(), quarters(START, &values), Zone::VIETNAM);
    let quarter = |n: i64| START + n * 15 * MINUTE;
    let episode = |since, first, raised, ended: Option<i64>| Episode {
        since: quarter(since),
        first: Some(first),
        raised: quarter(raised),
        ended: ended.map(quarter),
        value: Some(2.0),
        at_night: false,
    };
    assert_eq!(
        rehearsal.episodes,
        [episode(1, 2.9, 3, Some(5)), episode(9, 2.0, 11, None)]
    );
    let summary = rehearsal.summary();
    assert_eq!(
        summary,
        Summary {
            messages: 2,
            at_night: 0,
            alarmed: 45 * MINUTE,
            longest: 30 * MINUTE,
            still: 1,
            readings: 13,
        }
    );
    let twice = summary + summary;
    assert_eq!((twice.messages, twice.longest), (4, 30 * MINUTE));
}

#[test]
fn the_night_is_from_22_to_5() {
    let rule = rule(r#""channel":"salinity","when":{"above":{"value":4}}"#);
    let at_night = |hour: i64, minute: i64| {
        let at = START + (hour - 8) * HOUR + minute * MINUTE;
        let readings = [(at, Said::Value(9.0))];
        rehearse(&rule, readings, Zone::VIETNAM).summary().at_night == 1
    };
    assert!(!at_night(21, 59));
    assert!(at_night(22, 0));
    assert!(at_night(28, 59));
    assert!(!at_night(29, 0));
}

#[test]
fn silence_is_rehearsed_from_the_gaps() {
    let silent = rule(r#""when":{"silent":{"after_s":7200}}"#);
    let heard = [0, 1, 2, 6, 7, 30].map(|hour| (START + hour * HOUR, Said::Value(1.0)));
    let episodes = rehearse(&silent, heard, Zone::VIETNAM).episodes;
    let hours: Vec<_> = episodes
        .iter()
        .map(|e| [e.since, e.raised, e.ended.unwrap()].map(|at| (at - START) / HOUR))
        .collect();
    assert_eq!(hours, [[2, 4, 6], [7, 9, 30]]);

    // Awake from 06:00 only: the second is raised at 06:00, which is 22 hours after the start, and asleep from 22:00.
    let by_day = rule(
        r#""when":{"silent":{"after_s":7200}},"active":{"hours":{"from":"06:00","to":"16:00"}}"#,
    );
    let episodes = rehearse(&by_day, heard, Zone::VIETNAM).episodes;
    let hours: Vec<_> = episodes
        .iter()
        .map(|e| [e.raised, e.ended.unwrap()].map(|at| (at - START) / HOUR))
        .collect();
    assert_eq!(hours, [[4, 6], [22, 30]]);
}

#[test]
fn a_late_stretch_has_only_what_was_raised_in_it() {
    let values = [2.0, 2.0, 2.0, 5.0, 2.0, 2.0, 2.0, 5.0, 2.0, 2.0, 2.0];
    let readings = quarters(START, &values);
    let quarter = |n: i64| START + n * 15 * MINUTE;
    // The first had been said live, and the third lies behind the stretch.
    let stretch = (quarter(3), quarter(8));
    let episodes = offline(&low(), stretch, readings.clone(), Zone::VIETNAM);
    let raised: Vec<_> = episodes.iter().map(|e| (e.raised, e.ended)).collect();
    assert_eq!(raised, [(quarter(6), Some(quarter(7)))]);
    // What began before the stretch and was raised in it belongs to it.
    let stretch = (quarter(5), quarter(10));
    let episodes = offline(&low(), stretch, readings, Zone::VIETNAM);
    let since: Vec<_> = episodes.iter().map(|e| e.since).collect();
    assert_eq!(since, [quarter(4), quarter(8)]);
}

#[test]
fn a_stretch_is_read_from_where_it_can_matter() {
    assert_eq!(lead(&low()), HOUR + 30 * MINUTE);
    let falls = rule(r#""channel":"water_temperature","when":{"falls":{"by":3,"within_s":7200}}"#);
    assert_eq!(lead(&falls), 3 * HOUR);
    let swings = rule(r#""channel":"ph","when":{"swings":{"by":0.5}}"#);
    assert_eq!(lead(&swings), 25 * HOUR);
}

#[test]
fn nothing_comes_of_nothing_and_of_what_is_out_of_order() {
    assert_eq!(rehearse(&low(), [], Zone::VIETNAM), Rehearsal::default());
    let mut readings = quarters(START, &[2.0, 2.0, 2.0]);
    readings.reverse();
    let rehearsal = rehearse(&low(), readings, Zone::VIETNAM);
    assert_eq!(rehearsal.episodes, []);
    assert_eq!(rehearsal.until, Some(START + 30 * MINUTE));
}
