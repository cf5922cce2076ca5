//! All watches of a gateway. It is told what happens and when, and says which alarms change.
//!
//! - **Late data never raises a live alarm.** A reading that is older than the newest of its series, or older than its
//!   node's patience, judges nothing: it lengthens the series' *offline* stretch. Once live readings come again, or nothing
//!   has come for [`SETTLED`], one [`Output::Offline`] says which stretch to look through with [`crate::replay`].
//! - **One alarm a cause.** While the link to the broker is down nobody is called silent. When half of the nodes, and at
//!   least [`CROWD`], fall silent, that is one alarm of the site, and the nodes' own are covered by it. A start after an
//!   outage gives every node its full time again.
//! - Liveness comes from being heard (any message), not from values that change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sen_wire::Channel;
use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::calendar::Zone;
use crate::rule::{Condition, Rule};
use crate::watch::{Said, State, Transition, Watch, Why};

/// How long after the last late reading a stretch is taken to be complete.
pub const SETTLED: Millis = 600_000;
/// The least number of silent nodes that is called the site's silence.
pub const CROWD: usize = 3;

/// A node's number.
pub type Node = u32;

/// A series: one channel of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// The node.
    pub node: Node,
    /// Its channel.
    pub channel: Channel,
}

/// What an alarm is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A rule on a series; for a rule about silence, on a node.
    Rule {
        /// The rule's id.
        rule: Arc<str>,
        /// The node.
        node: Node,
        /// The channel, unless the rule is about silence.
        channel: Option<Channel>,
    },
    /// Many nodes fell silent at once: their radio, their power, their router.
    Site,
    /// The gateway does not reach its broker.
    Link,
    /// The database does not take readings.
    Store,
}

/// What the engine says.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// An alarm changed its state.
    Changed {
        /// Which.
        subject: Subject,
        /// How.
        transition: Transition,
    },
    /// Readings of this stretch came late and are all there: look through them for the history, once.
    Offline {
        /// Whose.
        series: Series,
        /// Time of the first late reading.
        from: Millis,
        /// Time of the last late reading.
        to: Millis,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Late {
    from: Millis,
    to: Millis,
    arrived: Millis,
}

#[derive(Debug, Default)]
struct SeriesState {
    watches: Vec<(Arc<Rule>, Watch)>,
    newest: Option<Millis>,
    late: Option<Late>,
}

#[derive(Debug)]
struct NodeState {
    heard: Millis,
    /// How old a reading may be and still be live.
    patience: Millis,
    watches: Vec<(Arc<Rule>, Watch)>,
}

/// Alarms that have no rule and no readings: on or off.
#[derive(Debug, Default)]
struct Plain {
    state: State,
    since: Option<Millis>,
}

/// All watches.
#[derive(Debug)]
pub struct Engine {
    zone: Zone,
    series: HashMap<Series, SeriesState>,
    nodes: BTreeMap<Node, NodeState>,
    plain: BTreeMap<Subject, Plain>,
    link_up: bool,
    last_tick: Millis,
}

/// A watch with its rule and place, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// The rule's id.
    pub rule: String,
    /// The node.
    pub node: Node,
    /// The channel as a stored number; `None` for rules about silence.
    pub channel: Option<u16>,
    /// Its state.
    pub watch: Watch,
}

impl Engine {
    /// An engine without rules.
    #[must_use]
    pub fn new(zone: Zone, now: Millis) -> Self {
        Self {
            zone,
            series: HashMap::new(),
            nodes: BTreeMap::new(),
            plain: BTreeMap::new(),
            link_up: true,
            last_tick: now,
        }
    }

    /// Makes a node known: `patience` is how long its readings may be on the way and still be live, at least its interval
    /// of sending. It counts as heard now: after a start every node has its full time.
    pub fn node(&mut self, node: Node, patience: Millis, now: Millis) {
        self.nodes
            .entry(node)
            .and_modify(|state| state.patience = patience)
            .or_insert(NodeState {
                heard: now,
                patience,
                watches: Vec::new(),
            });
    }

    /// Puts a rule on a series (rules about silence: on its node), with the state it had, if any. A rule of the same id is
    /// replaced and keeps its alarm.
    pub fn watch(&mut self, rule: &Arc<Rule>, series: Series, stored: Option<Watch>, now: Millis) {
        let watches = if matches!(rule.when, Condition::Silent(_)) {
            self.node(series.node, crate::watch::MAX_GAP, now);
            match self.nodes.get_mut(&series.node) {
                Some(state) => &mut state.watches,
                None => return,
            }
        } else {
            &mut self.series.entry(series).or_default().watches
        };
        match watches.iter_mut().find(|(old, _)| old.id == rule.id) {
            Some((old, watch)) => {
                *old = rule.clone();
                if let Some(stored) = stored {
                    *watch = stored;
                }
            }
            None => watches.push((rule.clone(), stored.unwrap_or_default())),
        }
    }

    /// Takes a rule away everywhere; its alarms end.
    pub fn remove(&mut self, rule: &str, now: Millis, out: &mut Vec<Output>) {
        for (&series, state) in &mut self.series {
            state.watches.retain_mut(|(old, watch)| {
                let gone = old.id == rule;
                if gone {
                    let ended = watch.end(now, Why::Asleep);
                    changed(out, old, series.node, Some(series.channel), ended);
                }
                !gone
            });
        }
        for (&node, state) in &mut self.nodes {
            state.watches.retain_mut(|(old, watch)| {
                let gone = old.id == rule;
                if gone {
                    changed(out, old, node, None, watch.end(now, Why::Asleep));
                }
                !gone
            });
        }
    }

    /// A reading that has been looked at.
    pub fn reading(
        &mut self,
        series: Series,
        at: Millis,
        said: Said,
        now: Millis,
        out: &mut Vec<Output>,
    ) {
        let patience = match self.nodes.get_mut(&series.node) {
            Some(node) => {
                node.heard = node.heard.max(now);
                node.patience
            }
            None => crate::watch::MAX_GAP,
        };
        let Some(state) = self.series.get_mut(&series) else {
            return;
        };
        let late =
            state.newest.is_some_and(|newest| at <= newest) || now.saturating_sub(at) > patience;
        if late {
            // The very same instant again is a repeat, and no news.
            if state.newest != Some(at) {
                let stretch = state.late.get_or_insert(Late {
                    from: at,
                    to: at,
                    arrived: now,
                });
                stretch.from = stretch.from.min(at);
                stretch.to = stretch.to.max(at);
                stretch.arrived = now;
            }
            return;
        }
        state.newest = Some(at);
        state.close(series, out);
        for (rule, watch) in &mut state.watches {
            let transition = watch.reading(rule, at, said, self.zone);
            changed(out, rule, series.node, Some(series.channel), transition);
        }
    }

    /// A node was heard, by whatever message.
    pub fn heard(&mut self, node: Node, now: Millis) {
        if let Some(state) = self.nodes.get_mut(&node) {
            state.heard = now;
        }
    }

    /// The gateway's link to its broker came or went.
    pub fn link(&mut self, up: bool, now: Millis, out: &mut Vec<Output>) {
        if up && !self.link_up {
            // Nobody could be heard meanwhile.
            for state in self.nodes.values_mut() {
                state.heard = now;
            }
        }
        self.link_up = up;
        self.plain(Subject::Link, !up, now, out);
    }

    /// The database takes readings, or does not.
    pub fn store(&mut self, up: bool, now: Millis, out: &mut Vec<Output>) {
        self.plain(Subject::Store, !up, now, out);
    }

    /// Time passes: snoozes end, stretches of late data are complete, nodes fall silent.
    pub fn tick(&mut self, now: Millis, out: &mut Vec<Output>) {
        if now < self.last_tick {
            // The clock was set back: what was heard in its future was heard now.
            for state in self.nodes.values_mut() {
                state.heard = state.heard.min(now);
            }
        }
        self.last_tick = now;
        for (&series, state) in &mut self.series {
            if state
                .late
                .is_some_and(|late| (now - late.arrived).abs() >= SETTLED)
            {
                state.close(series, out);
            }
            for (rule, watch) in &mut state.watches {
                changed(
                    out,
                    rule,
                    series.node,
                    Some(series.channel),
                    watch.tick(now),
                );
            }
        }
        self.silence(now, out);
    }

    fn silence(&mut self, now: Millis, out: &mut Vec<Output>) {
        let watched = || {
            self.nodes
                .values()
                .filter(|state| !state.watches.is_empty())
        };
        let silent = watched().filter(|state| state.is_silent(now)).count();
        let crowd = silent >= CROWD && silent * 2 >= watched().count();
        let site = self.link_up && crowd;
        self.plain(Subject::Site, site, now, out);
        let covered = site || !self.link_up;
        for (&node, state) in &mut self.nodes {
            for (rule, watch) in &mut state.watches {
                let transition = watch.tick(now).or_else(|| {
                    if covered && now > state.heard {
                        watch.end(now, Why::Covered)
                    } else {
                        watch.silence(rule, state.heard, now, self.zone)
                    }
                });
                changed(out, rule, node, None, transition);
            }
        }
    }

    /// Somebody takes an alarm, or puts it off until `snooze`. False: there is no such alarm, or it is so already.
    pub fn person(
        &mut self,
        subject: &Subject,
        snooze: Option<Millis>,
        now: Millis,
        out: &mut Vec<Output>,
    ) -> bool {
        let Subject::Rule {
            rule,
            node,
            channel,
        } = subject
        else {
            return self.person_plain(subject, now, out);
        };
        let watches = match channel {
            Some(channel) => {
                let series = Series {
                    node: *node,
                    channel: *channel,
                };
                self.series.get_mut(&series).map(|state| &mut state.watches)
            }
            None => self.nodes.get_mut(node).map(|state| &mut state.watches),
        };
        let Some((found, watch)) =
            watches.and_then(|watches| watches.iter_mut().find(|(found, _)| found.id == **rule))
        else {
            return false;
        };
        let transition = match snooze {
            Some(until) => watch.snooze(now, until),
            None => watch.acknowledge(now),
        };
        changed(out, found, *node, *channel, transition);
        transition.is_some()
    }

    fn person_plain(&mut self, subject: &Subject, now: Millis, out: &mut Vec<Output>) -> bool {
        match self.plain.get_mut(subject) {
            Some(plain) if plain.state == State::Firing => {
                let transition = plain.enter(State::Acknowledged, now);
                out.push(Output::Changed {
                    subject: subject.clone(),
                    transition,
                });
                true
            }
            _ => false,
        }
    }

    fn plain(&mut self, subject: Subject, bad: bool, now: Millis, out: &mut Vec<Output>) {
        let plain = self.plain.entry(subject.clone()).or_default();
        let to = match (plain.state, bad) {
            (State::Normal, true) => State::Firing,
            (State::Normal, false) | (_, true) => return,
            (_, false) => State::Normal,
        };
        let transition = plain.enter(to, now);
        out.push(Output::Changed {
            subject,
            transition,
        });
    }

    /// Every watch that is not as a new one would be, for the store.
    pub fn stored(&self) -> impl Iterator<Item = Stored> + '_ {
        let by_series = self.series.iter().flat_map(|(series, state)| {
            let at = |(rule, watch): &(Arc<Rule>, Watch)| {
                stored(rule, series.node, Some(series.channel.to_u16()), watch)
            };
            state.watches.iter().map(at)
        });
        let by_node = self.nodes.iter().flat_map(|(node, state)| {
            let at = |(rule, watch): &(Arc<Rule>, Watch)| stored(rule, *node, None, watch);
            state.watches.iter().map(at)
        });
        by_series
            .chain(by_node)
            .filter(|stored| stored.watch != Watch::default())
    }

    /// The alarms there are.
    pub fn alarms(&self) -> impl Iterator<Item = (Subject, State, Option<Millis>)> + '_ {
        let by_series = self.series.iter().flat_map(|(series, state)| {
            let at = |(rule, watch): &(Arc<Rule>, Watch)| {
                let subject = subject(rule, series.node, Some(series.channel));
                (subject, watch.state(), watch.bad_since())
            };
            state.watches.iter().map(at)
        });
        let by_node = self.nodes.iter().flat_map(|(node, state)| {
            let at = |(rule, watch): &(Arc<Rule>, Watch)| {
                (subject(rule, *node, None), watch.state(), watch.bad_since())
            };
            state.watches.iter().map(at)
        });
        let plain = self
            .plain
            .iter()
            .map(|(subject, plain)| (subject.clone(), plain.state, plain.since));
        by_series
            .chain(by_node)
            .chain(plain)
            .filter(|(_, state, _)| state.is_alarm())
    }
}

impl SeriesState {
    fn close(&mut self, series: Series, out: &mut Vec<Output>) {
        if let Some(Late { from, to, .. }) = self.late.take() {
            out.push(Output::Offline { series, from, to });
        }
    }
}

impl NodeState {
    fn is_silent(&self, now: Millis) -> bool {
        self.watches.iter().any(|(rule, _)| match &rule.when {
            Condition::Silent(silence) => {
                now.saturating_sub(self.heard) >= i64::from(silence.after_s) * 1000
            }
            _ => false,
        })
    }
}

impl Plain {
    fn enter(&mut self, to: State, now: Millis) -> Transition {
        let since = self.since.get_or_insert(now);
        let transition = Transition {
            at: now,
            from: self.state,
            to,
            why: Why::Silence { heard: *since },
            since: Some(*since),
        };
        if to == State::Normal {
            self.since = None;
        }
        self.state = to;
        transition
    }
}

fn subject(rule: &Rule, node: Node, channel: Option<Channel>) -> Subject {
    Subject::Rule {
        rule: rule.id.as_str().into(),
        node,
        channel,
    }
}

fn stored(rule: &Rule, node: Node, channel: Option<u16>, watch: &Watch) -> Stored {
    Stored {
        rule: rule.id.clone(),
        node,
        channel,
        watch: watch.clone(),
    }
}

fn changed(
    out: &mut Vec<Output>,
    rule: &Rule,
    node: Node,
    channel: Option<Channel>,
    transition: Option<Transition>,
) {
    if let Some(transition) = transition {
        out.push(Output::Changed {
            subject: subject(rule, node, channel),
            transition,
        });
    }
}
