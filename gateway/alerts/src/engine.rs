//! All watches of a gateway. It is told what happens and when, and says which alarms change.
//!
//! - **Late data never raises a live alarm.** A reading that is not newer than the newest of its series, or older than its
//!   node's patience, judges nothing: it lengthens the series' *offline* stretch. Once no more has come for [`SETTLED`],
//!   one [`Output::Offline`] says which stretch to look through with [`crate::replay::offline`].
//! - **One alarm a cause.** Of the link, of a site, of a node, of its probes: see `engine/silence.rs`. A probe that reports
//!   a fault is judged by rules about faults only.
//! - **Liveness comes from being heard** (any message), not from values that change.
//! - **The gateway's clock may be wrong.** Every call says what time it is; when that goes back, or stood still for longer
//!   than [`STALLED`] (a restart, a clock that was set forward), every node has its full time to be heard again.
//!
//! Nothing here depends on the order of a hash: the same calls give the same outputs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sen_wire::Channel;
use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::calendar::Zone;
use crate::condition::Sample;
use crate::rule::{Condition, Rule, channel as channel_name};
use crate::watch::{Said, State, Transition, Watch};

mod clock;
mod rules;
mod silence;
mod snapshot;

pub use clock::{JITTER, STALLED};
pub use silence::{CROWD, HOLD};
pub use snapshot::{GatewayPart, NodePart, Snapshot};

/// How long after the last late reading a stretch is taken to be complete.
pub const SETTLED: Millis = 600_000;
/// How long a stretch stays open at most, for a node that always sends a part of its readings late.
pub const LONGEST_STRETCH: Millis = 6 * 3_600_000;
/// A reading further ahead of the gateway's clock than this judges nothing: all that follow would be older.
pub const AHEAD: Millis = 300_000;
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A rule on a series, or on a node.
    Rule {
        /// The rule's id.
        rule: String,
        /// The node.
        node: Node,
        /// The channel, unless the rule is about the node.
        #[serde(default, with = "channel_name")]
        channel: Option<Channel>,
    },
    /// Nothing comes from most nodes of a site: its radio, its power, its router, its gateway.
    Site(String),
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

/// An alarm as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// What it is about.
    pub subject: Subject,
    /// Firing, acknowledged or snoozed.
    pub state: State,
    /// Since when it has been bad.
    pub since: Option<Millis>,
    /// The first of the bad readings.
    pub first: Option<Sample>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Late {
    from: Millis,
    to: Millis,
    opened: Millis,
    arrived: Millis,
}

/// In order of the rules' ids.
type Watches = Vec<(Arc<Rule>, Watch)>;

#[derive(Debug, Default)]
struct SeriesState {
    watches: Watches,
    /// Time of the newest live reading.
    newest: Option<Millis>,
    /// When a reading of it arrived last, a late one too.
    heard: Option<Millis>,
    late: Option<Late>,
}

#[derive(Debug)]
struct NodeState {
    site: Arc<str>,
    /// When anything arrived from it last.
    heard: Millis,
    /// Silence is counted from here if it was heard before: nobody could have heard it.
    quiet_from: Millis,
    /// How old a reading may be and still be live.
    patience: Millis,
    /// Its channels that are not believed now.
    faulty: BTreeSet<Channel>,
    watches: Watches,
}

/// All watches.
#[derive(Debug)]
pub struct Engine {
    zone: Zone,
    series: BTreeMap<Series, SeriesState>,
    nodes: BTreeMap<Node, NodeState>,
    gateway: silence::Gateway,
    now: Millis,
}

impl Engine {
    /// An engine that knows nobody.
    #[must_use]
    pub fn new(zone: Zone, now: Millis) -> Self {
        Self {
            zone,
            series: BTreeMap::new(),
            nodes: BTreeMap::new(),
            gateway: silence::Gateway::default(),
            now,
        }
    }

    /// A reading that has been looked at. One of an unknown node is passed over.
    pub fn reading(
        &mut self,
        series: Series,
        at: Millis,
        said: Said,
        now: Millis,
        out: &mut Vec<Output>,
    ) {
        let now = self.clock(now);
        let Some(node) = self.nodes.get_mut(&series.node) else {
            return;
        };
        node.heard = node.heard.max(now);
        let state = self.series.entry(series).or_default();
        state.heard = Some(now);
        let ahead = at.saturating_sub(now) > AHEAD;
        // The very same instant again is a repeat, and no news.
        if ahead || state.newest == Some(at) {
            return;
        }
        let older = state.newest.is_some_and(|newest| at < newest);
        if older || now.saturating_sub(at) > node.patience {
            state.late(at, now);
            return;
        }
        state.newest = Some(at);
        for (rule, watch) in &mut state.watches {
            let transition = watch.reading(rule, at, said, self.zone);
            changed(out, rule, series.node, transition);
        }
        node.probe(series, at, said, self.zone, out);
    }

    /// A node was heard, by whatever message.
    pub fn heard(&mut self, node: Node, now: Millis) {
        let now = self.clock(now);
        if let Some(state) = self.nodes.get_mut(&node) {
            state.heard = state.heard.max(now);
        }
    }

    /// Time passes: snoozes end, stretches of late data are complete, nodes fall silent. To be called at least every
    /// [`STALLED`], better once a second.
    pub fn tick(&mut self, now: Millis, out: &mut Vec<Output>) {
        let now = self.clock(now);
        let zone = self.zone;
        for (&series, state) in &mut self.series {
            state.settle(series, now, out);
            let node_heard = self.nodes.get(&series.node).map(|node| node.heard);
            for (rule, watch) in &mut state.watches {
                let transition = watch.tick(&rule.active, now, zone).or_else(|| {
                    let silence = (node_heard?, state.heard?);
                    silence::channel(rule, watch, silence, now, zone)
                });
                changed(out, rule, series.node, transition);
            }
        }
        self.silence(now, out);
    }

    /// Somebody takes an alarm, or puts it off until `snooze`. False: there is no such alarm, or it is so already.
    pub fn person(
        &mut self,
        subject: &Subject,
        snooze: Option<Millis>,
        now: Millis,
        out: &mut Vec<Output>,
    ) -> bool {
        let now = self.clock(now);
        let Some(watch) = self.find(subject) else {
            return false;
        };
        let transition = match snooze {
            Some(until) => watch.snooze(now, until),
            None => watch.acknowledge(now),
        };
        if let Some(transition) = transition {
            out.push(Output::Changed {
                subject: subject.clone(),
                transition,
            });
        }
        transition.is_some()
    }

    fn find(&mut self, subject: &Subject) -> Option<&mut Watch> {
        let Subject::Rule {
            rule,
            node,
            channel,
        } = subject
        else {
            return self.gateway.find(subject);
        };
        let node = *node;
        let watches = match *channel {
            Some(channel) => &mut self.series.get_mut(&Series { node, channel })?.watches,
            None => &mut self.nodes.get_mut(&node)?.watches,
        };
        let (_, watch) = watches.iter_mut().find(|(found, _)| found.id == *rule)?;
        Some(watch)
    }

    /// The alarms there are.
    pub fn alarms(&self) -> impl Iterator<Item = Alarm> + '_ {
        self.watches()
            .map(|(node, rule, watch)| (subject(rule, node), watch))
            .chain(self.gateway.watches())
            .filter(|(_, watch)| watch.state().is_alarm())
            .map(|(subject, watch)| Alarm {
                subject,
                state: watch.state(),
                since: watch.since(),
                first: watch.first(),
            })
    }

    /// The channels of a node whose newest reading is a fault or not believed.
    pub fn faulty(&self, node: Node) -> impl Iterator<Item = Channel> + '_ {
        self.nodes
            .get(&node)
            .into_iter()
            .flat_map(|node| node.faulty.iter().copied())
    }

    fn watches(&self) -> impl Iterator<Item = (Node, &Arc<Rule>, &Watch)> {
        let by_series = self
            .series
            .iter()
            .map(|(series, state)| (series.node, &state.watches));
        let by_node = self
            .nodes
            .iter()
            .map(|(&node, state)| (node, &state.watches));
        by_series.chain(by_node).flat_map(|(node, watches)| {
            watches.iter().map(move |(rule, watch)| (node, rule, watch))
        })
    }
}

impl SeriesState {
    fn late(&mut self, at: Millis, now: Millis) {
        // Without rules nobody will look through the stretch.
        if self.watches.is_empty() {
            return;
        }
        let stretch = self.late.get_or_insert(Late {
            from: at,
            to: at,
            opened: now,
            arrived: now,
        });
        stretch.from = stretch.from.min(at);
        stretch.to = stretch.to.max(at);
        stretch.arrived = now;
    }

    fn settle(&mut self, series: Series, now: Millis, out: &mut Vec<Output>) {
        let Some(late) = self.late else { return };
        if now.saturating_sub(late.arrived) >= SETTLED
            || now.saturating_sub(late.opened) >= LONGEST_STRETCH
        {
            self.late = None;
            out.push(Output::Offline {
                series,
                from: late.from,
                to: late.to,
            });
        }
    }
}

impl NodeState {
    /// Rules about the faults of any probe: bad while there is one.
    fn probe(&mut self, series: Series, at: Millis, said: Said, zone: Zone, out: &mut Vec<Output>) {
        let said = match said {
            Said::Value(value) if value.is_finite() => {
                self.faulty.remove(&series.channel);
                if self.faulty.is_empty() {
                    said
                } else {
                    Said::Unbelieved
                }
            }
            _ => {
                self.faulty.insert(series.channel);
                Said::Unbelieved
            }
        };
        for (rule, watch) in &mut self.watches {
            if rule.when == Condition::Fault {
                changed(out, rule, series.node, watch.reading(rule, at, said, zone));
            }
        }
    }
}

fn subject(rule: &Rule, node: Node) -> Subject {
    Subject::Rule {
        rule: rule.id.clone(),
        node,
        channel: rule.channel,
    }
}

fn changed(out: &mut Vec<Output>, rule: &Rule, node: Node, transition: Option<Transition>) {
    if let Some(transition) = transition {
        out.push(Output::Changed {
            subject: subject(rule, node),
            transition,
        });
    }
}

#[cfg(test)]
mod tests;
