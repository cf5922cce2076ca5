//! What may happen to an engine.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;
use sen_alerts::engine::Node;
use sen_alerts::rule::Condition;
use sen_alerts::watch::Said;
use sen_alerts::{Millis, Rule};
use sen_wire::Channel;
use serde_json::json;

/// 2026-01-01 20:00 in Vietnam: night and midnight are near.
pub(crate) const START: Millis = 1_767_272_400_000;

/// Node, site, patience.
pub(crate) const NODES: [(Node, &str, Millis); 5] = [
    (1, "a", 1_200_000),
    (2, "a", 1_200_000),
    (3, "a", 1_200_000),
    (4, "a", 3_600_000),
    (5, "b", 1_200_000),
];

const CHANNELS: [&str; 2] = ["salinity", "ph"];

#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Only the clock moves; back, too.
    Passes(Millis),
    Reading {
        node: Node,
        channel: Channel,
        age: Millis,
        said: Said,
    },
    Heard(Node),
    Tick,
    /// So many ticks five minutes apart.
    Quiet(u8),
    Link(bool),
    Store(bool),
    Person {
        which: Index,
        snooze: Option<Millis>,
    },
    /// Only the rules whose bit is set.
    Rules(u16),
    Restart,
}

pub(crate) fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        12 => (0u8..=10).prop_map(|half| Said::Value(f64::from(half) / 2.0)),
        2 => Just(Said::Unbelieved),
        1 => Just(Said::Value(f64::NAN)),
    ]
}

fn channel() -> impl Strategy<Value = Channel> {
    prop_oneof![3 => Just(CHANNELS[0]), 1 => Just(CHANNELS[1])]
        .prop_map(|name| name.parse().unwrap())
}

fn node() -> impl Strategy<Value = Node> {
    prop_oneof![4 => Just(1), 1 => 1..=6u32]
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    // Whole minutes meet durations to the millisecond, odd times don't.
    let passes = prop_oneof![
        12 => (1..=9i64).prop_map(|minutes| minutes * 60_000),
        3 => (1..=6i64).prop_map(|quarters| quarters * 900_000),
        4 => 1_000..540_000i64,
        3 => 540_000..10_800_000i64,
        1 => -2_500..0i64,
        1 => -7_200_000..-1_000i64,
    ];
    let age = prop_oneof![
        10 => Just(0i64),
        2 => 0..60_000i64,
        2 => 0..1_300_000i64,
        2 => 0..10_800_000i64,
        1 => -400_000..0i64,
    ];
    let reading =
        (node(), channel(), age, said()).prop_map(|(node, channel, age, said)| Event::Reading {
            node,
            channel,
            age,
            said,
        });
    let snooze = prop::option::of(-60_000..7_200_000i64);
    prop_oneof![
        16 => passes.prop_map(Event::Passes),
        20 => reading,
        3 => node().prop_map(Event::Heard),
        8 => Just(Event::Tick),
        3 => (1u8..16).prop_map(Event::Quiet),
        1 => prop::bool::weighted(0.6).prop_map(Event::Link),
        1 => prop::bool::weighted(0.6).prop_map(Event::Store),
        4 => (any::<Index>(), snooze).prop_map(|(which, snooze)| Event::Person { which, snooze }),
        1 => prop_oneof![Just(u16::MAX), any::<u16>()].prop_map(Event::Rules),
        1 => Just(Event::Restart),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let half = || (1u8..10).prop_map(|half| f64::from(half) / 2.0);
    let window = || prop_oneof![Just(600u32), Just(3_600), Just(7_200)];
    prop_oneof![
        (half(), prop::option::of(0u8..3)).prop_map(|(value, back)| json!({"above": {
            "value": value, "clears_at": back.map(|back| value - f64::from(back) / 2.0)}})),
        (half(), prop::option::of(0u8..3)).prop_map(|(value, back)| json!({"below": {
            "value": value, "clears_at": back.map(|back| value + f64::from(back) / 2.0)}})),
        (half(), 0u8..3).prop_map(|(low, back)| json!({"outside": {
            "low": low, "high": low + 2.0, "hysteresis": f64::from(back) / 2.0}})),
        (half(), window()).prop_map(|(by, s)| json!({"rises": {"by": by, "within_s": s}})),
        (half(), window()).prop_map(|(by, s)| json!({"falls": {"by": by, "within_s": s}})),
        half().prop_map(|by| json!({"swings": {"by": by}})),
        Just(json!("fault")),
    ]
    .prop_map(|condition| serde_json::from_value(condition).unwrap())
}

fn active() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        4 => Just(json!({})),
        1 => Just(json!({"hours": {"from": "21:00", "to": "01:30"}})),
        1 => Just(json!({"season": {"from": "2026-01-02", "to": "2026-01-02"}})),
        1 => Just(json!({"stage": {"from_day": 0, "to_day": 0, "sown": "2026-01-01"}})),
        1 => Just(json!({"stage": {"from_day": 0, "to_day": 9}})),
    ]
}

pub(crate) fn channel_rule() -> impl Strategy<Value = Rule> {
    let seconds =
        || prop_oneof![3 => Just(0u32), 1 => Just(600), 1 => Just(2_700), 1 => Just(5_400)];
    (condition(), channel(), seconds(), seconds(), active()).prop_map(
        |(when, channel, for_s, clear_for_s, active)| {
            let rule = json!({
                "id": "r", "level": "warning", "over": "all", "channel": channel.to_string(), "when": when,
                "for_s": for_s, "clear_for_s": clear_for_s, "active": active,
            });
            serde_json::from_value(rule).unwrap()
        },
    )
}

fn silence(channel: Option<&str>, after_s: u32, active: &serde_json::Value) -> Rule {
    serde_json::from_value(json!({
        "id": format!("silent-{after_s}"), "level": "warning", "over": "all", "channel": channel,
        "when": {"silent": {"after_s": after_s}}, "active": active,
    }))
    .unwrap()
}

fn probe() -> Rule {
    serde_json::from_value(
        json!({"id": "probe", "level": "warning", "over": "all", "when": "fault", "for_s": 600}),
    )
    .unwrap()
}

/// One to four rules on values of node 1, sometimes of node 2, and rules about silence and faults on all.
pub(crate) fn rules() -> impl Strategy<Value = Vec<(Node, Arc<Rule>)>> {
    let of_values = prop::collection::vec((channel_rule(), 1..=2u32), 1..5);
    let silent = || prop::option::of((prop_oneof![Just(1_800u32), Just(3_600)], active()));
    (of_values, silent(), silent(), any::<bool>()).prop_map(|(values, nodes, channels, faults)| {
        let mut rules = Vec::new();
        for (n, (mut rule, node)) in values.into_iter().enumerate() {
            rule.id = format!("r{n}");
            rules.push((node, Arc::new(rule)));
        }
        if let Some((after_s, active)) = nodes {
            let rule = Arc::new(silence(None, after_s, &active));
            rules.extend((1..=5).map(|node| (node, rule.clone())));
        }
        if let Some((after_s, active)) = channels {
            rules.push((1, Arc::new(silence(Some("ph"), after_s, &active))));
        }
        if faults {
            let rule = Arc::new(probe());
            rules.extend((1..=2).map(|node| (node, rule.clone())));
        }
        rules
    })
}
