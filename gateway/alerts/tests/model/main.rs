//! The engine against a slow model of what it should say: random rules, readings, gaps, late data, restarts, clocks that
//! jump, people who acknowledge and snooze.
//!
//! `SEN_CASES=20000 cargo test -p sen-alerts --test model` for the long form; `SEN_NIGHTLY` has one too.

mod events;
mod slow;

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use sen_alerts::calendar::Zone;
use sen_alerts::engine::{Engine, Node, Output, Series, Snapshot, Subject};
use sen_alerts::replay::rehearse;
use sen_alerts::watch::State;
use sen_alerts::{Millis, Rule};

use events::{Event, NODES, START};
use slow::Model;

const ZONE: Zone = Zone::VIETNAM;

fn cases() -> u32 {
    match std::env::var("SEN_CASES") {
        Ok(cases) => cases.parse().expect("SEN_CASES is a number"),
        Err(_) if std::env::var_os("SEN_NIGHTLY").is_some() => 20_000,
        Err(_) => 500,
    }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::with_cases(cases())
    }
}

/// Both, told the same.
struct Pair {
    engine: Engine,
    model: Model,
    rules: Vec<(Node, Arc<Rule>)>,
    now: Millis,
    subjects: BTreeSet<Subject>,
}

impl Pair {
    fn new(rules: Vec<(Node, Arc<Rule>)>) -> Self {
        let mut pair = Self {
            engine: Engine::new(ZONE, START),
            model: Model::new(ZONE, START),
            rules,
            now: START,
            subjects: BTreeSet::new(),
        };
        for (node, site, patience) in NODES {
            pair.engine.node(node, site, patience, START);
            pair.model.node(node, site, patience);
        }
        pair.engine.rules(&pair.rules, START, &mut Vec::new());
        pair.model.rules(&pair.rules, START);
        pair
    }

    fn apply(&mut self, event: &Event) -> Result<(), TestCaseError> {
        let (mut said, mut expected) = (Vec::new(), Vec::new());
        match *event {
            Event::Passes(by) => self.now += by,
            Event::Reading {
                node,
                channel,
                age,
                said: value,
            } => {
                let series = Series { node, channel };
                let at = self.now - age;
                self.engine.reading(series, at, value, self.now, &mut said);
                expected = self.model.reading(series, at, value, self.now);
            }
            Event::Heard(node) => {
                self.engine.heard(node, self.now);
                self.model.heard(node, self.now);
            }
            Event::Tick => {
                self.engine.tick(self.now, &mut said);
                expected = self.model.tick(self.now);
            }
            Event::Quiet(ticks) => {
                for _ in 0..ticks {
                    self.apply(&Event::Passes(300_000))?;
                    self.apply(&Event::Tick)?;
                }
            }
            Event::Link(up) => {
                self.engine.link(up, self.now, &mut said);
                expected = self.model.link(up, self.now);
            }
            Event::Store(up) => {
                self.engine.store(up, self.now, &mut said);
                expected = self.model.store(up, self.now);
            }
            Event::Person { which, snooze } => {
                let count = self.subjects.len();
                if let Some(subject) = self.subjects.iter().nth(which.index(count.max(1))) {
                    let until = snooze.map(|snooze| self.now + snooze);
                    let done = self.engine.person(subject, until, self.now, &mut said);
                    expected = self.model.person(subject, until, self.now);
                    prop_assert_eq!(done, !expected.is_empty());
                }
            }
            Event::Rules(mask) => {
                let rules: Vec<_> = (0..)
                    .zip(&self.rules)
                    .filter(|(n, _)| mask >> (n % 16) & 1 == 1)
                    .map(|(_, rule)| rule.clone())
                    .collect();
                self.engine.rules(&rules, self.now, &mut said);
                expected = self.model.rules(&rules, self.now);
            }
            Event::Restart => self.restart()?,
        }
        for output in &said {
            if let Output::Changed { subject, .. } = output {
                self.subjects.insert(subject.clone());
            }
        }
        let sorted = |outputs: &[Output]| {
            let mut lines: Vec<_> = outputs.iter().map(|o| format!("{o:?}")).collect();
            lines.sort();
            lines
        };
        prop_assert_eq!(sorted(&said), sorted(&expected), "after {:?}", event);
        let alarms: BTreeSet<_> = self
            .engine
            .alarms()
            .map(|alarm| (alarm.subject, format!("{:?}", alarm.state)))
            .collect();
        prop_assert_eq!(alarms, self.model.alarms());
        Ok(())
    }

    /// The engine dies; another one takes up what was stored, through JSON.
    fn restart(&mut self) -> Result<(), TestCaseError> {
        let snapshot = self.engine.snapshot();
        let stored = serde_json::to_string(&snapshot).unwrap();
        let read: Snapshot = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(&snapshot, &read);
        let rules = self.model.current_rules();
        let mut engine = Engine::new(ZONE, self.now);
        for (node, site, patience) in NODES {
            engine.node(node, site, patience, self.now);
        }
        engine.rules(&rules, self.now, &mut Vec::new());
        let mut said = Vec::new();
        engine.restore(read, &mut said);
        prop_assert!(
            said.is_empty(),
            "a restart alone changes nothing: {:?}",
            said
        );
        prop_assert_eq!(engine.snapshot(), snapshot);
        self.engine = engine;
        Ok(())
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_engine_says_what_the_model_says(
        rules in events::rules(),
        events in prop::collection::vec(events::event(), 1..120),
    ) {
        let mut pair = Pair::new(rules);
        for event in &events {
            pair.apply(event)?;
        }
    }

    /// A rehearsal is a prophecy: with the same readings, all on time, the engine raises and ends the same alarms.
    #[test]
    fn a_rehearsal_is_what_the_engine_would_have_done(
        rule in events::channel_rule(),
        steps in prop::collection::vec((1i64..5_000, events::said()), 1..120),
    ) {
        let series = Series { node: 1, channel: rule.channel.unwrap() };
        let rule = Arc::new(rule);
        let mut readings = Vec::new();
        let mut at = START;
        for (seconds, said) in steps {
            at += seconds * 1000;
            readings.push((at, said));
        }
        let mut engine = Engine::new(ZONE, START);
        engine.node(1, "a", 60_000, START);
        let mut out = Vec::new();
        engine.rules(&[(1, rule.clone())], START, &mut out);
        for &(at, said) in &readings {
            engine.reading(series, at, said, at, &mut out);
        }
        let (mut raised, mut ended) = (Vec::new(), Vec::new());
        for output in out {
            let Output::Changed { transition, .. } = output else { unreachable!("nothing is late") };
            if transition.to == State::Firing {
                raised.push((transition.at, transition.since.unwrap()));
            }
            if transition.resolves() {
                ended.push(transition.at);
            }
        }
        let rehearsal = rehearse(&rule, readings, ZONE);
        let episodes = || rehearsal.episodes.iter();
        prop_assert_eq!(raised, episodes().map(|e| (e.raised, e.since)).collect::<Vec<_>>());
        prop_assert_eq!(ended, episodes().filter_map(|e| e.ended).collect::<Vec<_>>());
    }
}
