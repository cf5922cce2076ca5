use super::*;
use crate::watch::Why;

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;
/// 2026-01-01 08:00 in Vietnam.
const START: Millis = 1_767_229_200_000;
const PATIENCE: Millis = 20 * MINUTE;

/// An engine, the time, and what was said since it was asked last.
struct World {
    engine: Engine,
    now: Millis,
    out: Vec<Output>,
}

impl World {
    fn new() -> Self {
        Self {
            engine: Engine::new(Zone::VIETNAM, START),
            now: START,
            out: Vec::new(),
        }
    }

    fn nodes(mut self, nodes: std::ops::RangeInclusive<Node>, site: &str) -> Self {
        for node in nodes {
            self.engine.node(node, site, PATIENCE, self.now);
        }
        self
    }

    /// Every rule on every node.
    fn rules(mut self, rules: &[&str]) -> Self {
        self.set_rules(rules);
        self
    }

    fn set_rules(&mut self, rules: &[&str]) {
        let rules: Vec<Arc<Rule>> = rules.iter().map(|json| Arc::new(rule(json))).collect();
        let nodes: Vec<Node> = self.engine.nodes.keys().copied().collect();
        let spread: Vec<_> = nodes
            .into_iter()
            .flat_map(|node| rules.iter().map(move |rule| (node, rule.clone())))
            .collect();
        self.engine.rules(&spread, self.now, &mut self.out);
    }

    /// Time passes, with a tick a minute.
    fn pass(&mut self, time: Millis) {
        let until = self.now + time;
        while self.now < until {
            self.now = until.min(self.now + MINUTE);
            self.engine.tick(self.now, &mut self.out);
        }
    }

    /// Time passes, in which these nodes say something every ten minutes.
    fn pass_heard(&mut self, time: Millis, nodes: &[Node]) {
        for _ in 0..time / (10 * MINUTE) {
            for node in nodes {
                self.engine.heard(*node, self.now);
            }
            self.pass(10 * MINUTE);
        }
    }

    fn says(&mut self, node: Node, channel: &str, value: f64) {
        self.says_at(node, channel, self.now, Said::Value(value));
    }

    fn says_at(&mut self, node: Node, channel: &str, at: Millis, said: Said) {
        let channel = channel.parse().unwrap();
        self.engine
            .reading(Series { node, channel }, at, said, self.now, &mut self.out);
    }

    /// What was said since the last call: `salt@1 normal>firing`.
    fn heard(&mut self) -> Vec<String> {
        self.out.drain(..).map(|output| line(&output)).collect()
    }

    fn person(&mut self, subject: &Subject, snooze: Option<Millis>) -> bool {
        let until = snooze.map(|time| self.now + time);
        self.engine.person(subject, until, self.now, &mut self.out)
    }
}

fn rule(json: &str) -> Rule {
    serde_json::from_str(&format!(r#"{{"level":"warning","over":"all",{json}}}"#)).unwrap()
}

fn line(output: &Output) -> String {
    match output {
        Output::Changed {
            subject,
            transition,
        } => {
            let who = match subject {
                Subject::Rule { rule, node, .. } => format!("{rule}@{node}"),
                Subject::Site(site) => format!("site {site}"),
                Subject::Link => "link".into(),
                Subject::Store => "store".into(),
            };
            let how = format!("{:?}>{:?}", transition.from, transition.to);
            format!("{who} {}", how.to_lowercase())
        }
        Output::Offline { series, from, to } => format!(
            "offline {}@{} {}..{}",
            series.channel,
            series.node,
            (from - START) / MINUTE,
            (to - START) / MINUTE
        ),
    }
}

fn alarm(rule: &str, node: Node, channel: Option<&str>) -> Subject {
    Subject::Rule {
        rule: rule.into(),
        node,
        channel: channel.map(|channel| channel.parse().unwrap()),
    }
}

const SALT: &str = r#""id":"salt","channel":"salinity","when":{"above":{"value":4}}"#;
const SILENT: &str = r#""id":"silent","when":{"silent":{"after_s":7200}}"#;
const PROBE: &str = r#""id":"probe","when":"fault""#;

// --- late data

#[test]
fn late_data_raises_nothing_and_its_stretch_is_told_once() {
    let mut w = World::new().nodes(1..=1, "a").rules(&[SALT]);
    w.says(1, "salinity", 1.0);
    w.pass(3 * HOUR);
    // Back again: the backlog, oldest first, with live readings in between.
    for minutes in [10, 20, 60] {
        w.says_at(1, "salinity", START + minutes * MINUTE, Said::Value(9.0));
        w.pass(2 * MINUTE);
        w.says(1, "salinity", 1.0);
    }
    w.says_at(1, "salinity", START + 90 * MINUTE, Said::Value(9.0));
    assert_eq!(w.heard(), [""; 0]);
    w.pass(SETTLED - MINUTE);
    assert_eq!(w.heard(), [""; 0]);
    w.pass(MINUTE);
    assert_eq!(w.heard(), ["offline salinity@1 10..90"]);
    w.pass(HOUR);
    assert_eq!(w.heard(), [""; 0]);
}

#[test]
fn a_reading_of_a_series_that_was_never_live_is_late_by_its_age() {
    let mut w = World::new().nodes(1..=1, "a").rules(&[SALT]);
    w.says_at(1, "salinity", START - PATIENCE - 1, Said::Value(9.0));
    assert_eq!(w.heard(), [""; 0]);
    w.says_at(1, "salinity", START - PATIENCE, Said::Value(9.0));
    assert_eq!(w.heard(), ["salt@1 normal>firing"]);
}

#[test]
fn a_node_that_is_always_late_gets_its_history_too() {
    let mut w = World::new().nodes(1..=1, "a").rules(&[SALT]);
    w.says(1, "salinity", 1.0);
    for _ in 0..73 {
        w.pass(5 * MINUTE);
        w.says(1, "salinity", 1.0);
        w.says_at(1, "salinity", w.now - MINUTE, Said::Value(9.0));
    }
    assert_eq!(w.heard(), ["offline salinity@1 4..359"]);
}

#[test]
fn repeats_and_readings_from_the_future_judge_nothing() {
    let mut w = World::new().nodes(1..=1, "a").rules(&[SALT]);
    w.says(1, "salinity", 1.0);
    w.says(1, "salinity", 9.0);
    w.says_at(1, "salinity", START + AHEAD + 1, Said::Value(9.0));
    w.pass(HOUR);
    w.says(7, "salinity", 9.0);
    assert_eq!(w.heard(), [""; 0]);
    w.says(1, "salinity", 9.0);
    assert_eq!(w.heard(), ["salt@1 normal>firing"]);
}

// --- one alarm a cause: the probe

#[test]
fn a_probe_of_many_channels_that_fails_is_one_alarm() {
    let mut w = World::new().nodes(1..=1, "a").rules(&[PROBE, SALT]);
    let channels = [
        "soil_moisture",
        "soil_temperature",
        "soil_conductivity",
        "salinity",
    ];
    for channel in channels {
        w.says_at(1, channel, w.now, Said::Unbelieved);
    }
    assert_eq!(w.heard(), ["probe@1 normal>firing"]);
    assert_eq!(w.engine.faulty(1).count(), 4);
    w.pass(15 * MINUTE);
    for channel in &channels[..3] {
        w.says(1, channel, 3.0);
    }
    assert_eq!(w.heard(), [""; 0]);
    w.says(1, "salinity", 3.0);
    assert_eq!(w.heard(), ["probe@1 firing>normal"]);
}

#[test]
fn a_fault_neither_raises_nor_ends_an_alarm_about_values() {
    let mut w = World::new().nodes(1..=1, "a").rules(&[SALT]);
    w.says_at(1, "salinity", w.now, Said::Unbelieved);
    w.pass(MINUTE);
    w.says_at(1, "salinity", w.now, Said::Value(f64::NAN));
    w.pass(MINUTE);
    w.says(1, "salinity", 9.0);
    assert_eq!(w.heard(), ["salt@1 normal>firing"]);
    w.pass(MINUTE);
    w.says_at(1, "salinity", w.now, Said::Unbelieved);
    assert_eq!(w.heard(), [""; 0]);
    assert_eq!(w.engine.alarms().count(), 1);
}

// --- the node, the channel

#[test]
fn a_silent_node_is_one_alarm_until_it_is_heard() {
    let mut w = World::new().nodes(1..=4, "a").rules(&[SILENT]);
    w.pass_heard(2 * HOUR - 10 * MINUTE, &[2, 3, 4]);
    assert_eq!(w.heard(), [""; 0]);
    w.pass_heard(5 * HOUR, &[2, 3, 4]);
    assert_eq!(w.heard(), ["silent@1 normal>firing"]);
    w.engine.heard(1, w.now);
    w.pass(MINUTE);
    assert_eq!(w.heard(), ["silent@1 firing>normal"]);
}

#[test]
fn a_reading_is_being_heard_even_if_it_is_late() {
    let mut w = World::new().nodes(1..=1, "a").rules(&[SILENT]);
    w.pass(119 * MINUTE);
    w.says_at(1, "salinity", START, Said::Value(1.0));
    w.pass(HOUR);
    assert_eq!(w.heard(), [""; 0]);
}

#[test]
fn a_channel_is_silent_only_while_its_node_is_not() {
    let rain = r#""id":"rain","channel":"rain","when":{"silent":{"after_s":7200}}"#;
    let mut w = World::new().nodes(1..=1, "a").rules(&[rain, SILENT]);
    w.says(1, "rain", 0.0);
    w.pass(5 * HOUR);
    assert_eq!(w.heard(), ["silent@1 normal>firing"]);
    // The node is back, and says everything.
    w.says(1, "rain", 0.0);
    w.pass(MINUTE);
    assert_eq!(w.heard(), ["silent@1 firing>normal"]);
    w.pass_heard(3 * HOUR, &[1]);
    assert_eq!(w.heard(), ["rain@1 normal>firing"]);
    w.says_at(1, "rain", w.now, Said::Unbelieved);
    w.pass(MINUTE);
    assert_eq!(w.heard(), ["rain@1 firing>normal"]);
}

// --- the site

#[test]
fn a_gateway_that_falls_silent_is_one_alarm_and_not_forty() {
    let mut w = World::new()
        .nodes(1..=40, "hoa")
        .nodes(41..=1000, "sen")
        .rules(&[SILENT]);
    let others: Vec<Node> = (41..=1000).collect();
    // Each sends every 15 minutes at a time of its own; then the power goes.
    for node in 1..=40 {
        w.engine.heard(node, w.now);
        w.pass(22_000);
    }
    let dark = w.now - 22_000;
    w.pass_heard(10 * HOUR, &others);
    assert_eq!(w.heard(), ["site hoa normal>firing"]);
    let since = w.engine.alarms().next().and_then(|alarm| alarm.since);
    assert_eq!(since, Some(dark), "since the last of them was heard");
    assert!(w.person(&Subject::Site("hoa".into()), None));
    assert_eq!(w.heard(), ["site hoa firing>acknowledged"]);

    // Power is back: they return one after another within half an hour, and number 7 does not.
    for node in (1..=40).filter(|node| *node != 7) {
        w.engine.heard(node, w.now);
        w.pass(45_000);
    }
    assert_eq!(w.heard(), ["site hoa acknowledged>normal"]);
    let all: Vec<Node> = (1..=1000).filter(|node| *node != 7).collect();
    w.pass_heard(3 * HOUR, &all);
    assert_eq!(w.heard(), ["silent@7 normal>firing"]);
}

#[test]
fn few_nodes_are_no_crowd() {
    let mut w = World::new().nodes(1..=2, "a").rules(&[SILENT]);
    w.pass(3 * HOUR);
    assert_eq!(
        w.heard(),
        ["silent@1 normal>firing", "silent@2 normal>firing"]
    );
}

#[test]
fn a_node_that_is_reported_already_is_no_part_of_a_crowd() {
    let mut w = World::new().nodes(1..=4, "a").rules(&[SILENT]);
    w.pass_heard(3 * HOUR, &[2, 3, 4]);
    assert_eq!(w.heard(), ["silent@1 normal>firing"]);
    assert!(w.person(&alarm("silent", 1, None), None));
    w.pass(3 * HOUR);
    assert_eq!(
        w.heard(),
        ["silent@1 firing>acknowledged", "site a normal>firing"]
    );
    w.pass_heard(3 * HOUR, &[2, 3, 4]);
    assert_eq!(w.heard(), ["site a firing>normal"]);
    let states: Vec<State> = w.engine.alarms().map(|alarm| alarm.state).collect();
    assert_eq!(states, [State::Acknowledged]);
}

#[test]
fn a_site_is_not_called_silent_when_no_rule_is_awake() {
    let day = r#""id":"silent","when":{"silent":{"after_s":7200}},"active":{"hours":{"from":"06:00","to":"22:00"}}"#;
    let mut w = World::new().nodes(1..=5, "a").rules(&[day]);
    // Until 21:50, then silence until 06:00.
    w.pass_heard(13 * HOUR + 50 * MINUTE, &[1, 2, 3, 4, 5]);
    w.pass(8 * HOUR);
    assert_eq!(w.heard(), [""; 0]);
    w.pass(30 * MINUTE);
    assert_eq!(w.heard(), ["site a normal>firing"]);
    w.pass(16 * HOUR);
    assert_eq!(w.heard(), ["site a firing>normal"]);
}

// --- the link, the database

#[test]
fn nobody_is_silent_while_the_link_is_down() {
    let mut w = World::new().nodes(1..=2, "a").rules(&[SILENT]);
    w.pass(HOUR);
    w.engine.link(false, w.now, &mut w.out);
    w.pass(5 * HOUR);
    assert_eq!(w.heard(), ["link normal>firing"]);
    w.engine.link(true, w.now, &mut w.out);
    assert_eq!(w.heard(), ["link firing>normal"]);
    // Everybody has the full time again.
    w.pass(2 * HOUR - MINUTE);
    assert_eq!(w.heard(), [""; 0]);
    w.pass(MINUTE);
    assert_eq!(
        w.heard(),
        ["silent@1 normal>firing", "silent@2 normal>firing"]
    );
}

#[test]
fn a_link_that_comes_back_at_once_is_no_alarm() {
    let mut w = World::new().nodes(1..=1, "a");
    w.engine.link(false, w.now, &mut w.out);
    w.pass(HOLD - 1);
    w.engine.link(true, w.now, &mut w.out);
    w.pass(HOUR);
    assert_eq!(w.heard(), [""; 0]);
}

#[test]
fn what_was_reported_before_the_link_went_stays_as_it_was() {
    let mut w = World::new().nodes(1..=1, "a").rules(&[SILENT]);
    w.pass(3 * HOUR);
    assert!(w.person(&alarm("silent", 1, None), None));
    w.heard();
    for up in [false, true, false, true] {
        w.engine.link(up, w.now, &mut w.out);
        w.pass(HOUR);
    }
    let links = ["link normal>firing", "link firing>normal"];
    assert_eq!(w.heard(), [links, links].concat());
}

#[test]
fn a_database_that_is_away_is_one_alarm_and_covers_nothing() {
    let mut w = World::new().nodes(1..=1, "a").rules(&[SALT]);
    w.engine.store(false, w.now, &mut w.out);
    w.pass(HOUR);
    w.says(1, "salinity", 9.0);
    assert_eq!(w.heard(), ["store normal>firing", "salt@1 normal>firing"]);
    assert!(w.person(&Subject::Store, Some(HOUR)));
    w.pass(2 * HOUR);
    w.engine.store(true, w.now, &mut w.out);
    assert_eq!(
        w.heard(),
        [
            "store firing>snoozed",
            "store snoozed>firing",
            "store firing>normal"
        ]
    );
}

// --- clocks

#[test]
fn after_a_pause_of_the_gateway_every_node_has_its_full_time() {
    let mut w = World::new().nodes(1..=1, "a").rules(&[SILENT]);
    w.pass(HOUR);
    w.now += DAY;
    w.pass(2 * HOUR);
    assert_eq!(w.heard(), [""; 0]);
    w.pass(MINUTE);
    assert_eq!(w.heard(), ["silent@1 normal>firing"]);
}

#[test]
fn a_clock_that_was_a_year_ahead_costs_no_alarm() {
    let mut w = World::new().nodes(1..=1, "a").rules(&[SALT]);
    w.now += 365 * DAY;
    w.says(1, "salinity", 9.0);
    assert!(w.person(&alarm("salt", 1, Some("salinity")), Some(2 * HOUR)));
    w.pass(MINUTE);
    w.heard();
    // It is put right. What was measured in the future does not stand in the way, and the snooze ends in time.
    w.now -= 365 * DAY;
    w.pass(MINUTE);
    w.says(1, "salinity", 1.0);
    assert_eq!(w.heard(), ["salt@1 snoozed>normal"]);
    w.pass(3 * HOUR);
    w.says(1, "salinity", 9.0);
    assert_eq!(w.heard(), ["salt@1 normal>firing"]);
}

#[test]
fn a_silence_is_as_long_as_it_was_when_the_clock_is_set_back() {
    let mut w = World::new().nodes(1..=1, "a").rules(&[SILENT]);
    w.pass(3 * HOUR);
    assert_eq!(w.heard(), ["silent@1 normal>firing"]);
    w.now -= 2 * HOUR;
    w.pass(5 * HOUR);
    assert_eq!(w.heard(), [""; 0]);
    w.engine.heard(1, w.now);
    w.pass(MINUTE);
    assert_eq!(w.heard(), ["silent@1 firing>normal"]);
}

#[test]
fn no_instant_is_too_far() {
    let mut w = World::new().nodes(1..=3, "a").rules(&[SALT, SILENT, PROBE]);
    for now in [0, i64::MAX, i64::MIN, START, i64::MIN, i64::MAX] {
        for at in [i64::MIN, now, i64::MAX] {
            w.now = now;
            w.says_at(1, "salinity", at, Said::Value(9.0));
            w.engine.tick(now, &mut w.out);
        }
    }
}

// --- people

#[test]
fn a_snooze_outlives_an_alarm_that_comes_and_goes() {
    let mut w = World::new().nodes(1..=1, "a").rules(&[SALT]);
    w.says(1, "salinity", 9.0);
    assert!(w.person(&alarm("salt", 1, Some("salinity")), Some(HOUR)));
    for value in [1.0, 9.0, 1.0, 9.0] {
        w.pass(5 * MINUTE);
        w.says(1, "salinity", value);
    }
    assert_eq!(
        w.heard(),
        [
            "salt@1 normal>firing",
            "salt@1 firing>snoozed",
            "salt@1 snoozed>normal",
            "salt@1 normal>snoozed",
            "salt@1 snoozed>normal",
            "salt@1 normal>snoozed",
        ]
    );
    w.pass(HOUR);
    assert_eq!(w.heard(), ["salt@1 snoozed>firing"]);
    // It was for that hour only.
    w.says(1, "salinity", 1.0);
    w.pass(MINUTE);
    w.says(1, "salinity", 9.0);
    assert_eq!(w.heard(), ["salt@1 firing>normal", "salt@1 normal>firing"]);
}

#[test]
fn who_acknowledges_takes_a_snooze_back() {
    let mut w = World::new().nodes(1..=1, "a").rules(&[SALT]);
    let salt = alarm("salt", 1, Some("salinity"));
    assert!(!w.person(&salt, None), "there is no alarm");
    w.says(1, "salinity", 9.0);
    assert!(!w.person(&salt, Some(0)), "a snooze of nothing");
    assert!(w.person(&salt, Some(HOUR)));
    assert!(w.person(&salt, None));
    assert!(!w.person(&salt, None), "it is taken");
    assert!(!w.person(&alarm("salt", 2, Some("salinity")), None));
    assert!(!w.person(&Subject::Site("b".into()), None));
    w.pass(2 * HOUR);
    assert_eq!(
        w.heard(),
        [
            "salt@1 normal>firing",
            "salt@1 firing>snoozed",
            "salt@1 snoozed>acknowledged"
        ]
    );
}

// --- what is told, and what happens to rules

#[test]
fn an_alarm_tells_the_first_bad_reading_and_the_one_that_raised_it() {
    let slow = r#""id":"salt","channel":"salinity","when":{"above":{"value":4}},"for_s":1800"#;
    let mut w = World::new().nodes(1..=1, "a").rules(&[slow]);
    for value in [4.5, 5.0, 6.0] {
        w.says(1, "salinity", value);
        w.pass(15 * MINUTE);
    }
    let Some(Output::Changed { transition, .. }) = w.out.last() else {
        panic!("{:?}", w.out)
    };
    let sample = |minutes: i64, value| Sample {
        at: START + minutes * MINUTE,
        value,
    };
    assert_eq!(
        *transition,
        Transition {
            at: START + 30 * MINUTE,
            from: State::Pending,
            to: State::Firing,
            why: Why::Value(sample(30, 6.0)),
            since: Some(START),
            first: Some(sample(0, 4.5)),
        }
    );
    let alarms: Vec<Alarm> = w.engine.alarms().collect();
    assert_eq!(alarms[0].first, Some(sample(0, 4.5)));
}

#[test]
fn two_rules_on_a_series_are_two_alarms() {
    let high = r#""id":"very","channel":"salinity","when":{"above":{"value":8}}"#;
    let mut w = World::new().nodes(1..=1, "a").rules(&[SALT, high]);
    w.says(1, "salinity", 6.0);
    w.pass(MINUTE);
    w.says(1, "salinity", 9.0);
    assert_eq!(w.heard(), ["salt@1 normal>firing", "very@1 normal>firing"]);
}

#[test]
fn a_rule_that_is_changed_keeps_its_alarm_and_one_that_is_gone_ends_it() {
    let mut w = World::new().nodes(1..=1, "a").rules(&[SALT]);
    w.says(1, "salinity", 6.0);
    assert_eq!(w.heard(), ["salt@1 normal>firing"]);
    let changed = r#""id":"salt","channel":"salinity","when":{"above":{"value":5}}"#;
    w.set_rules(&[changed, SILENT]);
    assert_eq!(w.heard(), [""; 0]);
    w.set_rules(&[SILENT]);
    assert_eq!(w.heard(), ["salt@1 firing>normal"]);
}

#[test]
fn what_led_up_to_another_condition_counts_no_longer() {
    let of = |value: u8| {
        format!(
            r#""id":"salt","channel":"salinity","when":{{"above":{{"value":{value}}}}},"for_s":1800"#
        )
    };
    let mut w = World::new().nodes(1..=1, "a").rules(&[&of(2)]);
    w.says(1, "salinity", 6.0);
    w.pass(20 * MINUTE);
    w.set_rules(&[&of(4)]);
    w.says(1, "salinity", 6.0);
    w.pass(20 * MINUTE);
    w.says(1, "salinity", 6.0);
    assert_eq!(
        w.heard(),
        [
            "salt@1 normal>pending",
            "salt@1 pending>normal",
            "salt@1 normal>pending"
        ]
    );
}

#[test]
fn a_node_that_is_taken_away_ends_what_it_had() {
    let mut w = World::new().nodes(1..=2, "a").rules(&[SALT, SILENT]);
    w.says(1, "salinity", 6.0);
    w.heard();
    w.engine.remove_node(1, w.now, &mut w.out);
    assert_eq!(w.heard(), ["salt@1 firing>normal"]);
    w.says(1, "salinity", 6.0);
    w.pass_heard(3 * HOUR, &[2]);
    assert_eq!(w.heard(), [""; 0]);
}

#[test]
fn a_channel_that_is_taken_away_takes_its_fault_along() {
    let mut w = World::new().nodes(1..=1, "a").rules(&[PROBE, SALT]);
    w.says(1, "salinity", 6.0);
    w.says_at(1, "ph", w.now, Said::Unbelieved);
    assert_eq!(w.heard(), ["salt@1 normal>firing", "probe@1 normal>firing"]);
    for (name, ends) in [("salinity", "salt@1 firing>normal"), ("ph", "")] {
        let series = Series {
            node: 1,
            channel: name.parse().unwrap(),
        };
        let before = w.engine.rules_on(series).count();
        assert_eq!(before, usize::from(!ends.is_empty()));
        w.engine.remove_channel(series, w.now, &mut w.out);
        assert_eq!(w.heard().concat(), ends);
    }
    assert_eq!(w.engine.faulty(1).count(), 0);
    w.pass(MINUTE);
    w.says(1, "soil_moisture", 20.0);
    assert_eq!(w.heard(), ["probe@1 firing>normal"]);
}

/// What an engine of this version stores. If this fails, the form has changed: give new fields a default.
#[test]
fn a_stored_snapshot_can_be_read() {
    let stored = r#"{"now":1767232800000,
        "nodes":[{"node":1,"heard":1767229200000,"quiet_from":1767229200000,"faulty":[305]}],
        "series":[{"node":1,"channel":241,"newest":1767229200000,"heard":1767229200000,
            "late":{"from":1767229260000,"to":1767229320000,"opened":1767232800000,"arrived":1767232800000}}],
        "watches":[{"rule":"salt","node":1,"channel":"salinity","watch":{"state":"snoozed","since":1767229200000,
            "first":{"at":1767229200000,"value":6.0},"last":1767229200000,"snoozed_until":1767236400000,"memory":{}}}],
        "gateway":{"link":{"down_since":null,"watch":{"state":"normal","memory":{}}},
            "store":{"down_since":null,"watch":{"state":"normal","memory":{}}},"sites":{}}}"#;
    let mut w = World::new().nodes(1..=1, "a").rules(&[SALT]);
    let snapshot: Snapshot = serde_json::from_str(stored).unwrap();
    w.engine.restore(snapshot.clone(), &mut w.out);
    assert_eq!(w.engine.snapshot(), snapshot);
    w.now += HOUR;
    w.pass(HOUR);
    assert_eq!(
        w.heard(),
        ["offline salinity@1 1..2", "salt@1 snoozed>firing"]
    );
}

#[test]
fn a_restart_ends_the_alarms_of_rules_that_were_deleted_meanwhile() {
    let mut w = World::new().nodes(1..=1, "a").rules(&[SALT, PROBE]);
    w.says(1, "salinity", 6.0);
    w.says_at(1, "ph", w.now, Said::Unbelieved);
    w.heard();
    let snapshot = w.engine.snapshot();
    let mut w = World::new().nodes(1..=1, "a").rules(&[PROBE]);
    w.engine.restore(snapshot, &mut w.out);
    assert_eq!(w.heard(), ["salt@1 firing>normal"]);
    w.pass(MINUTE);
    w.says(1, "ph", 7.0);
    assert_eq!(w.heard(), ["probe@1 firing>normal"]);
}

#[test]
fn an_alarm_whose_readings_stop_ends_with_its_hours() {
    let day = r#""id":"salt","channel":"salinity","when":{"above":{"value":4}},"active":{"hours":{"from":"06:00","to":"09:00"}}"#;
    let mut w = World::new().nodes(1..=1, "a").rules(&[day]);
    w.says(1, "salinity", 6.0);
    w.pass(HOUR);
    assert_eq!(w.heard(), ["salt@1 normal>firing"]);
    w.pass(MINUTE);
    assert_eq!(w.heard(), ["salt@1 firing>normal"]);
}
