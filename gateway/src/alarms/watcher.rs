//! The engine with all that it needs: what is believed of each series, which rules apply where, what has been said and is
//! not on disk yet. Knows no file and no clock: rows, times and people's acts are passed in.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use sen_alerts::engine::{Alarm, Engine, Output, Series, Subject};
use sen_alerts::quality::company::Company;
use sen_alerts::quality::{Belief, Judge, Judged};
use sen_alerts::watch::Said;
use sen_alerts::{Rule, calendar::Zone};
use sen_wire::Channel;

use super::book::{Doubt, Event, GATEWAY, Remembered, State, Step, What};
use super::places::{patience, places, site};
use super::rules::Kept;
use crate::journal::cursor::Row;
use crate::reading::{Measured, Millis, NodeNum};
use crate::registry::Registry;

/// The farms' clock.
pub(super) const ZONE: Zone = Zone::VIETNAM;

/// A stretch that came late, to be looked through.
#[derive(Debug, Clone)]
pub(super) struct Late {
    pub(super) series: Series,
    pub(super) from: Millis,
    pub(super) to: Millis,
    pub(super) rules: Vec<Arc<Rule>>,
}

#[derive(Debug)]
pub(super) struct Watcher {
    engine: Engine,
    judges: HashMap<Series, Judge>,
    company: HashMap<NodeNum, Company>,
    known: Arc<Registry>,
    rules: Vec<Kept>,
    measured: BTreeMap<NodeNum, Vec<Channel>>,
    spread: Vec<(NodeNum, Arc<Rule>)>,
    /// The latest moment that it was told of by a row or a tick.
    now: Millis,
    said: Vec<Event>,
    late: Vec<Late>,
    doubts: Vec<Doubt>,
    /// What is on disk of each part, as a hash of it.
    stored: HashMap<NodeNum, u64>,
    /// What [`Watcher::step`] gave out and is not on disk for certain.
    given: Vec<(NodeNum, Option<u64>)>,
}

impl Watcher {
    /// Takes up what was remembered.
    pub(super) fn new(
        known: Arc<Registry>,
        rules: Vec<Kept>,
        measured: BTreeMap<NodeNum, Vec<Channel>>,
        state: State,
        now: Millis,
    ) -> Self {
        let mut watcher = Self {
            engine: Engine::new(ZONE, now),
            judges: HashMap::new(),
            company: state.company,
            known,
            rules,
            measured,
            spread: Vec::new(),
            now,
            said: Vec::new(),
            late: Vec::new(),
            doubts: Vec::new(),
            stored: HashMap::new(),
            given: Vec::new(),
        };
        for ((node, channel), judge) in state.judges {
            if let Some(channel) = Channel::from_u16(channel) {
                watcher.judges.insert(Series { node, channel }, judge);
            }
        }
        watcher.settle(now);
        if let Some(snapshot) = state.snapshot {
            let mut out = Vec::new();
            watcher.engine.restore(snapshot, &mut out);
            watcher.say(out, None);
        }
        watcher
    }

    /// Another registry, or other rules.
    pub(super) fn know(&mut self, known: Arc<Registry>, rules: Vec<Kept>, now: Millis) {
        let mut out = Vec::new();
        for node in &self.known.nodes {
            if known.node_num(node.num).is_none() {
                self.engine.remove_node(node.num, now, &mut out);
                self.judges.retain(|series, _| series.node != node.num);
                self.company.remove(&node.num);
                self.measured.remove(&node.num);
            }
        }
        (self.known, self.rules) = (known, rules);
        self.say(out, None);
        self.settle(now);
    }

    /// Puts every rule where it belongs.
    fn settle(&mut self, now: Millis) {
        for node in &self.known.nodes {
            let site = site(&self.known, node);
            self.engine.node(node.num, site, patience(node), now);
        }
        let awake: Vec<Rule> = self
            .rules
            .iter()
            .filter(|kept| kept.awake)
            .filter_map(|kept| kept.rule.clone())
            .collect();
        self.spread = places(&self.known, &self.measured).spread(&awake);
        let mut out = Vec::new();
        self.engine.rules(&self.spread, now, &mut out);
        self.say(out, None);
    }

    /// The readings of an uplink.
    pub(super) fn row(&mut self, row: &Row) {
        if self.known.node_num(row.node).is_none() {
            return;
        }
        // A row that was read late has its own time; it does not set the clock back.
        let now = self.now.max(row.received);
        self.now = now;
        let mut out = Vec::new();
        self.engine.heard(row.node, now);
        for reading in &row.readings {
            let Some(channel) = reading.channel else {
                continue;
            };
            self.meet(row.node, channel, now);
            let series = Series {
                node: row.node,
                channel,
            };
            match reading.what {
                Measured::Refused => {}
                Measured::Fault(_) => {
                    self.engine
                        .reading(series, reading.at, Said::Unbelieved, now, &mut out);
                }
                Measured::Value(value) => {
                    for judged in self.judge(series, reading.at, value.to_f64()) {
                        let said = match judged.belief {
                            Belief::Believed => Said::Value(judged.value),
                            Belief::Rejected => Said::Unbelieved,
                            // It is said again once it is known.
                            Belief::Withheld => continue,
                        };
                        self.engine.reading(series, judged.at, said, now, &mut out);
                    }
                }
            }
        }
        self.say(out, None);
    }

    fn judge(&mut self, series: Series, at: Millis, value: f64) -> Vec<Judged> {
        let mut judged = Vec::new();
        self.judges.entry(series).or_default().take(
            series.channel.quantity(),
            at,
            value,
            &mut judged,
        );
        let company = self.company.entry(series.node).or_default();
        for judged in &mut judged {
            company.take(series.channel, judged);
        }
        let doubt = |judged| Doubt::of(series.node, series.channel, judged);
        self.doubts.extend(judged.iter().filter_map(doubt));
        judged
    }

    /// A channel that was not there before gets its rules.
    fn meet(&mut self, node: NodeNum, channel: Channel, now: Millis) {
        let channels = self.measured.entry(node).or_default();
        if !channels.contains(&channel) {
            channels.push(channel);
            self.settle(now);
        }
    }

    /// Time passes, and all rows up to now have been seen.
    pub(super) fn tick(&mut self, now: Millis) {
        self.now = now;
        let mut out = Vec::new();
        self.engine.tick(now, &mut out);
        self.say(out, None);
    }

    /// Whether the broker is reached, and whether the database takes readings.
    pub(super) fn outside(&mut self, link: bool, store: bool, now: Millis) {
        let mut out = Vec::new();
        self.engine.link(link, now, &mut out);
        self.engine.store(store, now, &mut out);
        self.say(out, None);
    }

    /// Somebody acts on an alarm; false if there is no such alarm.
    pub(super) fn act(
        &mut self,
        subject: &Subject,
        snooze: Option<Millis>,
        who: &str,
        now: Millis,
    ) -> bool {
        let mut out = Vec::new();
        let done = self.engine.person(subject, snooze, now, &mut out);
        self.say(out, Some(who));
        done
    }

    fn say(&mut self, out: Vec<Output>, who: Option<&str>) {
        for output in out {
            match output {
                Output::Changed {
                    subject,
                    transition,
                } => self.said.push(Event {
                    at: transition.at,
                    noted_at: self.now,
                    rule_version: self.version(&subject),
                    subject,
                    what: What::Changed {
                        transition,
                        who: who.map(str::to_owned),
                    },
                }),
                Output::Offline { series, from, to } => {
                    let rules = self
                        .spread
                        .iter()
                        .filter(|(node, rule)| {
                            *node == series.node && rule.channel == Some(series.channel)
                        })
                        .map(|(_, rule)| rule.clone())
                        .collect();
                    self.late.push(Late {
                        series,
                        from,
                        to,
                        rules,
                    });
                }
            }
        }
    }

    /// The version in force of the rule that an alarm is about.
    pub(super) fn version(&self, subject: &Subject) -> Option<u32> {
        let Subject::Rule { rule, .. } = subject else {
            return None;
        };
        self.rules
            .iter()
            .find(|kept| kept.id == *rule)
            .map(|kept| kept.version)
    }

    /// Stretches to look through. They are the caller's from now on.
    pub(super) fn take_late(&mut self) -> Vec<Late> {
        std::mem::take(&mut self.late)
    }

    /// Gives a stretch back that could not be looked through.
    pub(super) fn put_back(&mut self, late: Late) {
        self.late.push(late);
    }

    /// What was found in a stretch.
    pub(super) fn found(&mut self, events: Vec<Event>) {
        self.said.extend(events);
    }

    /// Whether something was said that people wait for.
    pub(super) fn has_said(&self) -> bool {
        !self.said.is_empty() || !self.late.is_empty()
    }

    /// How many doubtful readings are not on disk.
    pub(super) fn doubts(&self) -> usize {
        self.doubts.len()
    }

    /// All that is new since the last step on disk. Given again until [`Watcher::stored`] says that it is there.
    pub(super) fn step(&mut self) -> Step {
        let (gateway, nodes) = self.engine.snapshot().split();
        let mut remembered: BTreeMap<NodeNum, Remembered> = nodes
            .into_iter()
            .map(|(node, engine)| {
                let part = Remembered {
                    engine,
                    ..Remembered::default()
                };
                (node, part)
            })
            .collect();
        for (series, judge) in &self.judges {
            let part = remembered.entry(series.node).or_default();
            part.judges.insert(series.channel.to_u16(), judge.clone());
        }
        for (node, company) in &self.company {
            remembered.entry(*node).or_default().company = company.clone();
        }
        let mut bodies: BTreeMap<NodeNum, String> = remembered
            .iter()
            .filter_map(|(node, part)| Some((*node, serde_json::to_string(part).ok()?)))
            .collect();
        bodies.extend(
            serde_json::to_string(&gateway)
                .ok()
                .map(|body| (GATEWAY, body)),
        );
        let gone: Vec<NodeNum> = self
            .stored
            .keys()
            .filter(|node| !bodies.contains_key(node))
            .copied()
            .collect();
        self.given.clear();
        let mut parts = Vec::new();
        for (node, body) in bodies {
            let hash = hash(&body);
            if self.stored.get(&node) != Some(&hash) {
                self.given.push((node, Some(hash)));
                parts.push((node, Some(body)));
            }
        }
        for node in gone {
            self.given.push((node, None));
            parts.push((node, None));
        }
        Step {
            events: self.said.clone(),
            doubts: self.doubts.clone(),
            parts,
        }
    }

    /// The last step is on disk.
    pub(super) fn stored(&mut self, step: &Step) {
        self.said.drain(..step.events.len().min(self.said.len()));
        self.doubts
            .drain(..step.doubts.len().min(self.doubts.len()));
        for (node, hash) in self.given.drain(..) {
            match hash {
                Some(hash) => self.stored.insert(node, hash),
                None => self.stored.remove(&node),
            };
        }
    }

    /// The alarms there are.
    pub(super) fn alarms(&self) -> Vec<Alarm> {
        self.engine.alarms().collect()
    }
}

fn hash(body: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}
