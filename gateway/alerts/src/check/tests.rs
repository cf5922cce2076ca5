use std::collections::BTreeMap;

use super::*;
use crate::place::{Farm, Plot};
use crate::rule::Over;
use crate::text::Lang;

fn rule(rest: &str) -> Rule {
    serde_json::from_str(&format!(
        r#"{{"id":"r","level":"warning","over":{{"plot":"ao"}},{rest}}}"#
    ))
    .unwrap()
}

fn salinity(rest: &str) -> Rule {
    rule(&format!(r#""channel":"salinity",{rest}"#))
}

/// The one problem for which it is refused.
fn refused(rule: Rule) -> Problem {
    let mut problems = rule.checked().unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    let problem = problems.remove(0);
    assert!(!problem.is_warning());
    problem
}

fn range(channel: &str) -> Range {
    Range::of(channel.parse().unwrap())
}

#[test]
fn sensible_rules_pass_as_they_are() {
    for when in [
        r#""when":{"above":{"value":4,"clears_at":3.5}},"for_s":600"#,
        r#""when":{"below":{"value":4,"clears_at":4}}"#,
        r#""when":{"outside":{"low":10,"high":25,"hysteresis":1}}"#,
        r#""when":{"rises":{"by":2,"within_s":3600}}"#,
        r#""when":{"swings":{"by":2}}"#,
        r#""when":"fault","for_s":600"#,
        r#""when":{"silent":{"after_s":7200}}"#,
    ] {
        let checked = salinity(when).checked().unwrap();
        assert_eq!(checked.rule, salinity(when));
        assert_eq!(checked.warnings, []);
    }
    assert!(rule(r#""when":"fault""#).checked().is_ok());
    assert!(
        rule(r#""when":{"silent":{"after_s":60}}"#)
            .checked()
            .is_ok()
    );
}

#[test]
fn values_need_a_channel() {
    assert_eq!(
        refused(rule(r#""when":{"above":{"value":4}}"#)),
        Problem::NoChannel
    );
    let unit = rule(r#""unit":"g/L","when":{"above":{"value":4}}"#);
    assert_eq!(refused(unit), Problem::NoChannel);
}

#[test]
fn what_can_never_fire_or_always_would_is_refused() {
    let range = range("salinity");
    for when in [
        r#"{"above":{"value":50}}"#,
        r#"{"below":{"value":0}}"#,
        r#"{"outside":{"low":0,"high":50}}"#,
        r#"{"rises":{"by":51,"within_s":60}}"#,
        r#"{"falls":{"by":51,"within_s":60}}"#,
        r#"{"swings":{"by":51}}"#,
    ] {
        let rule = salinity(&format!(r#""when":{when}"#));
        assert_eq!(refused(rule), Problem::NeverFires { range }, "{when}");
    }
    for when in [
        r#"{"above":{"value":-0.1}}"#,
        r#"{"below":{"value":50.1}}"#,
        r#"{"outside":{"low":51,"high":60}}"#,
        r#"{"outside":{"low":-2,"high":-1}}"#,
    ] {
        let rule = salinity(&format!(r#""when":{when}"#));
        assert_eq!(refused(rule), Problem::AlwaysFires { range }, "{when}");
    }
}

#[test]
fn an_alarm_must_be_able_to_end() {
    let range = range("salinity");
    for (when, problem) in [
        (
            r#"{"above":{"value":4,"clears_at":4.1}}"#,
            Problem::ClearsOnTheWrongSide,
        ),
        (
            r#"{"below":{"value":4,"clears_at":3.9}}"#,
            Problem::ClearsOnTheWrongSide,
        ),
        (
            r#"{"outside":{"low":1,"high":2,"hysteresis":-0.1}}"#,
            Problem::ClearsOnTheWrongSide,
        ),
        (
            r#"{"above":{"value":4,"clears_at":-1}}"#,
            Problem::NeverEnds { range },
        ),
        (
            r#"{"below":{"value":4,"clears_at":50.5}}"#,
            Problem::NeverEnds { range },
        ),
        (
            r#"{"outside":{"low":49,"high":60,"hysteresis":5}}"#,
            Problem::NeverEnds { range },
        ),
        (
            r#"{"outside":{"low":1,"high":2,"hysteresis":0.6}}"#,
            Problem::BandTooNarrow,
        ),
    ] {
        let rule = salinity(&format!(r#""when":{when}"#));
        assert_eq!(refused(rule), problem, "{when}");
    }
}

#[test]
fn limits_in_the_wrong_order_and_nothings() {
    for (when, problem) in [
        (r#""when":{"outside":{"low":2,"high":2}}"#, Problem::Crossed),
        (
            r#""when":{"rises":{"by":0,"within_s":60}}"#,
            Problem::Zero { field: "by" },
        ),
        (
            r#""when":{"falls":{"by":1,"within_s":0}}"#,
            Problem::Zero { field: "within_s" },
        ),
        (
            r#""when":{"swings":{"by":-1}}"#,
            Problem::Zero { field: "by" },
        ),
        (
            r#""when":{"silent":{"after_s":0}}"#,
            Problem::Zero { field: "after_s" },
        ),
        (
            r#""when":{"silent":{"after_s":9}},"for_s":1"#,
            Problem::Unneeded { field: "for_s" },
        ),
        (
            r#""when":{"silent":{"after_s":9}},"clear_for_s":1"#,
            Problem::Unneeded {
                field: "clear_for_s",
            },
        ),
        (
            r#""unit":"g/L","when":"fault""#,
            Problem::Unneeded { field: "unit" },
        ),
    ] {
        assert_eq!(refused(salinity(when)), problem, "{when}");
    }
}

#[test]
fn numbers_must_be_numbers() {
    let mut rule = salinity(r#""when":{"above":{"value":4}}"#);
    for value in [f64::NAN, f64::INFINITY] {
        rule.when = Condition::Above(crate::rule::Threshold {
            value,
            clears_at: None,
        });
        assert_eq!(
            refused(rule.clone()),
            Problem::NotANumber { field: "value" }
        );
        rule.unit = Some("g/L".into());
        assert_eq!(
            refused(rule.clone()),
            Problem::NotANumber { field: "value" }
        );
        rule.unit = None;
    }
}

#[test]
fn units_are_converted_or_refused_with_those_that_would_do() {
    let checked = |channel: &str, unit: &str, when: &str| {
        let text = format!(r#""channel":"{channel}","unit":"{unit}","when":{when}"#);
        rule(&text).checked().map(|checked| checked.rule)
    };
    let same = |channel: &str, when: &str| rule(&format!(r#""channel":"{channel}","when":{when}"#));
    assert_eq!(
        checked(
            "conductivity",
            "uS/cm",
            r#"{"above":{"value":1900,"clears_at":1700}}"#
        ),
        Ok(same(
            "conductivity",
            r#"{"above":{"value":1.9,"clears_at":1.7}}"#
        ))
    );
    // Kelvins: limits have an offset, differences have none.
    assert_eq!(
        checked(
            "air_temperature",
            "K",
            r#"{"outside":{"low":293.15,"high":303.15,"hysteresis":2}}"#
        ),
        Ok(same(
            "air_temperature",
            r#"{"outside":{"low":20,"high":30,"hysteresis":2}}"#
        ))
    );
    assert_eq!(
        checked("water_level", "m", r#"{"rises":{"by":0.2,"within_s":60}}"#),
        Ok(same("water_level", r#"{"rises":{"by":20,"within_s":60}}"#))
    );
    let problem = refused(rule(
        r#""channel":"ph","unit":"mg/L","when":{"above":{"value":8}}"#,
    ));
    let units = vec!["[pH]", "pH"];
    let channel = "ph".parse().unwrap();
    assert_eq!(
        problem,
        Problem::Unit {
            channel,
            unit: "mg/L".into(),
            units
        }
    );
    assert_eq!(
        problem.to_string(),
        "pH is not measured in mg/L: choose one of [pH], pH."
    );
}

#[test]
fn a_rule_must_be_awake_at_some_time_for_long_enough() {
    for (active, problem) in [
        (
            r#"{"hours":{"from":"06:00","to":"06:00"}}"#,
            Problem::NoHours,
        ),
        (
            r#"{"season":{"from":"2026-02-02","to":"2026-02-01"}}"#,
            Problem::SeasonReversed,
        ),
        (
            r#"{"stage":{"from_day":9,"to_day":8}}"#,
            Problem::StageReversed,
        ),
        (
            r#"{"stage":{"from_day":9,"to_day":10,"sown":"+262142-12-31"}}"#,
            Problem::StageBeyondCalendar,
        ),
        (
            r#"{"stage":{"from_day":0,"to_day":9,"sown":"2026-01-01"},"season":{"from":"2026-02-01","to":"2026-03-01"}}"#,
            Problem::StageOutsideSeason,
        ),
        (
            r#"{"hours":{"from":"23:00","to":"01:00"}}"#,
            Problem::LongerThanHours {
                for_s: 7_200,
                hours_s: 7_200,
            },
        ),
    ] {
        let text = format!(r#""when":{{"above":{{"value":4}}}},"for_s":7200,"active":{active}"#);
        assert_eq!(refused(salinity(&text)), problem, "{active}");
    }
}

#[test]
fn npk_is_shown_and_not_alerted_on() {
    let channel: Channel = "soil_nitrogen".parse().unwrap();
    let text = r#""channel":"soil_nitrogen","when":{"above":{"value":100}}"#;
    assert_eq!(refused(rule(text)), Problem::Unreliable { channel });
    assert!(
        rule(r#""channel":"soil_nitrogen","when":"fault""#)
            .checked()
            .is_ok()
    );
}

#[test]
fn texts_have_bounds() {
    let with = |change: &dyn Fn(&mut Rule)| {
        let mut rule = salinity(r#""when":{"above":{"value":4}}"#);
        change(&mut rule);
        rule.checked().map_err(|mut problems| problems.remove(0))
    };
    let long = |n: usize| "ă".repeat(n);
    assert!(with(&|r| (r.id, r.name) = (long(MAX_ID), Some(long(MAX_NAME)))).is_ok());
    let too_long = |field, most| Err(Problem::TooLong { field, most });
    assert_eq!(with(&|r| r.id = long(MAX_ID + 1)), too_long("id", MAX_ID));
    assert_eq!(
        with(&|r| r.name = Some(long(MAX_NAME + 1))),
        too_long("name", MAX_NAME)
    );
    assert_eq!(
        with(&|r| r.over = Over::Farm(long(MAX_ID + 1))),
        too_long("over", MAX_ID)
    );
    assert_eq!(with(&|r| r.id.clear()), Err(Problem::Empty { field: "id" }));
    assert_eq!(
        with(&|r| r.name = Some(" ".into())),
        Err(Problem::Empty { field: "name" })
    );
    assert_eq!(with(&|r| r.id = "a b".into()), Err(Problem::BadId));
    assert_eq!(with(&|r| r.name = Some("a\nb".into())), Err(Problem::BadId));
}

fn places() -> Places {
    let farm = ("hoa".to_owned(), Farm::default());
    let plot = |id: &str, sown: Option<&str>| {
        let plot = Plot {
            farm: "hoa".into(),
            sown: sown.map(|day| day.parse().unwrap()),
            deleted: false,
        };
        (id.to_owned(), plot)
    };
    let channels: BTreeMap<Channel, bool> = [
        ("salinity".parse().unwrap(), true),
        ("ph".parse().unwrap(), false),
    ]
    .into();
    Places {
        farms: [farm].into(),
        plots: [plot("ao", Some("2026-01-01")), plot("trống", None)].into(),
        nodes: vec![Place {
            node: 1,
            id: "n1".into(),
            plot: "ao".into(),
            channels,
            interval_s: Some(900),
            deleted: false,
        }],
    }
}

fn today() -> NaiveDate {
    "2026-01-10".parse().unwrap()
}

fn in_places(rule: Rule, places: &Places) -> (bool, Vec<Problem>) {
    match rule.checked_in(places, today()) {
        Ok(checked) => (true, checked.warnings),
        Err(problems) => (false, problems),
    }
}

#[test]
fn places_and_channels_that_are_not_there() {
    let above = || salinity(r#""when":{"above":{"value":4}}"#);
    let mut places = places();
    assert_eq!(in_places(above(), &places), (true, vec![]));

    let mut elsewhere = above();
    elsewhere.over = Over::Plot("biển".into());
    let over = elsewhere.over.clone();
    assert_eq!(
        in_places(elsewhere, &places),
        (false, vec![Problem::UnknownPlace { over }])
    );

    let mut empty = above();
    empty.over = Over::Plot("trống".into());
    let over = empty.over.clone();
    assert_eq!(
        in_places(empty, &places),
        (true, vec![Problem::NoNodes { over }])
    );

    let channel: Channel = "ph".parse().unwrap();
    let ph = || rule(r#""channel":"ph","when":{"above":{"value":8}}"#);
    assert_eq!(
        in_places(ph(), &places),
        (false, vec![Problem::DeletedChannel { channel }])
    );
    places.nodes[0].channels.remove(&channel);
    assert_eq!(
        in_places(ph(), &places),
        (true, vec![Problem::NotMeasured { channel }])
    );

    places.plots.get_mut("ao").unwrap().deleted = true;
    let over = Over::Plot("ao".into());
    assert_eq!(
        in_places(above(), &places),
        (false, vec![Problem::DeletedPlace { over }])
    );
}

#[test]
fn seasons_and_stages_that_are_over() {
    let places = places();
    let with = |active: &str| {
        let text = format!(r#""when":{{"above":{{"value":4}}}},"active":{active}"#);
        in_places(salinity(&text), &places)
    };
    assert_eq!(
        with(r#"{"season":{"from":"2025-01-01","to":"2026-01-09"}}"#),
        (false, vec![Problem::SeasonPast])
    );
    assert_eq!(
        with(r#"{"season":{"from":"2025-01-01","to":"2026-01-10"}}"#),
        (true, vec![])
    );
    assert_eq!(
        with(r#"{"stage":{"from_day":0,"to_day":9}}"#),
        (true, vec![])
    );
    assert_eq!(
        with(r#"{"stage":{"from_day":0,"to_day":8}}"#),
        (true, vec![Problem::StagePast])
    );
    let mut unsown = places.clone();
    unsown.plots.get_mut("ao").unwrap().sown = None;
    let text = r#""when":{"above":{"value":4}},"active":{"stage":{"from_day":0,"to_day":9}}"#;
    let plot = "ao".to_owned();
    assert_eq!(
        in_places(salinity(text), &unsown),
        (true, vec![Problem::NoSowingDate { plot }])
    );
}

#[test]
fn durations_are_held_against_the_interval() {
    let mut places = places();
    let mut with = |interval_s: u32, rest: &str| {
        places.nodes[0].interval_s = Some(interval_s);
        in_places(salinity(rest), &places)
    };
    let node = || "n1".to_owned();
    let shorter = |field, interval_s| Problem::ShorterThanInterval {
        field,
        node: node(),
        interval_s,
    };
    let silent = |after_s: u32| format!(r#""when":{{"silent":{{"after_s":{after_s}}}}}"#);
    assert_eq!(
        with(900, &silent(900)),
        (false, vec![shorter("after_s", 900)])
    );
    let one_lost = Problem::OneLostMessage {
        node: node(),
        interval_s: 900,
    };
    assert_eq!(with(900, &silent(1_799)), (true, vec![one_lost]));
    assert_eq!(with(900, &silent(1_800)), (true, vec![]));

    let rises = r#""when":{"rises":{"by":1,"within_s":899}}"#;
    assert_eq!(with(900, rises), (false, vec![shorter("within_s", 900)]));

    let held = |for_s: u32| format!(r#""when":{{"above":{{"value":4}}}},"for_s":{for_s}"#);
    assert_eq!(with(900, &held(600)), (true, vec![shorter("for_s", 900)]));
    assert_eq!(with(900, &held(900)), (true, vec![]));
    let too_seldom = Problem::TooSeldom {
        field: "for_s",
        node: node(),
        interval_s: 7_200,
    };
    assert_eq!(with(7_200, &held(3_600)), (false, vec![too_seldom]));
    assert_eq!(with(7_200, &held(7_200)), (true, vec![]));
}

#[test]
fn a_rule_that_sends_nobody_to_sleep_is_told_so_in_both_languages() {
    let problem = refused(salinity(r#""when":{"above":{"value":50}}"#));
    assert_eq!(
        problem.say(Lang::Vi),
        "Cảnh báo này không bao giờ xảy ra: độ mặn chỉ nằm trong khoảng 0 ‰ đến 50 ‰. Hãy chọn ngưỡng trong khoảng này."
    );
    assert_eq!(
        problem.to_string(),
        "It can never fire: salinity lies between 0 ‰ and 50 ‰. Choose a limit within."
    );
    assert_eq!(
        serde_json::to_value(&problem).unwrap(),
        serde_json::json!({"problem":"never_fires","channel":"salinity","least":0.0,"greatest":50.0})
    );
}

/// Every problem says what to do: after a colon or in a second sentence. And no place of a template stays empty.
#[test]
fn every_problem_says_what_to_do() {
    let channel: Channel = "salinity".parse().unwrap();
    let range = Range::of(channel);
    let over = || Over::Plot("ao".into());
    let (node, interval_s, field) = (String::from("n1"), 900, "for_s");
    for problem in [
        Problem::NoChannel,
        Problem::Unit {
            channel,
            unit: "m".into(),
            units: vec!["g/L"],
        },
        Problem::NotANumber { field },
        Problem::NeverFires { range },
        Problem::AlwaysFires { range },
        Problem::ClearsOnTheWrongSide,
        Problem::NeverEnds { range },
        Problem::BandTooNarrow,
        Problem::Crossed,
        Problem::Zero { field },
        Problem::Unneeded { field },
        Problem::NoHours,
        Problem::LongerThanHours {
            for_s: 1,
            hours_s: 2,
        },
        Problem::SeasonReversed,
        Problem::SeasonPast,
        Problem::StageReversed,
        Problem::StageBeyondCalendar,
        Problem::StageOutsideSeason,
        Problem::StagePast,
        Problem::NoSowingDate { plot: "ao".into() },
        Problem::Unreliable { channel },
        Problem::UnknownPlace { over: over() },
        Problem::DeletedPlace { over: over() },
        Problem::NoNodes { over: over() },
        Problem::NotMeasured { channel },
        Problem::DeletedChannel { channel },
        Problem::ShorterThanInterval {
            field,
            node: node.clone(),
            interval_s,
        },
        Problem::OneLostMessage {
            node: node.clone(),
            interval_s,
        },
        Problem::TooSeldom {
            field,
            node,
            interval_s,
        },
        Problem::TooLong { field, most: 3 },
        Problem::Empty { field },
        Problem::BadId,
    ] {
        for lang in Lang::ALL {
            let said = problem.say(lang);
            let sentences = said.split(". ").count() + said.matches(": ").count();
            assert!(sentences >= 2 && said.ends_with('.'), "{said}");
            assert!(!said.contains("  ") && !said.contains(['{', '}']), "{said}");
        }
    }
}
