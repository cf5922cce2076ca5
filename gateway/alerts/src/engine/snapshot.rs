//! All that an engine has to remember, as data: stored now and then, and given back after a start.

use std::collections::BTreeMap;

use sen_wire::Channel;
use serde::{Deserialize, Serialize};

use super::silence::Gateway;
use super::{Engine, Late, Node, Output, Series, Subject};
use crate::Millis;
use crate::rule::channel as channel_name;
use crate::watch::{Watch, Why};

/// The whole state of an engine. Nodes and rules are not in it: they come from where they are kept.
///
/// An engine that is given the same nodes and rules and then [`Engine::restore`]s it goes on as if nothing had happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    now: Millis,
    nodes: Vec<NodeLine>,
    series: Vec<SeriesLine>,
    watches: Vec<WatchLine>,
    gateway: Gateway,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct NodeLine {
    node: Node,
    heard: Millis,
    quiet_from: Millis,
    /// Channels as stored numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    faulty: Vec<u16>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SeriesLine {
    node: Node,
    channel: u16,
    newest: Option<Millis>,
    heard: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    late: Option<Late>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct WatchLine {
    rule: String,
    node: Node,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "channel_name"
    )]
    channel: Option<Channel>,
    watch: Watch,
}

impl Engine {
    /// What has to outlive a restart.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let nodes = self.nodes.iter().map(|(&node, state)| NodeLine {
            node,
            heard: state.heard,
            quiet_from: state.quiet_from,
            faulty: state
                .faulty
                .iter()
                .map(|channel| channel.to_u16())
                .collect(),
        });
        let series = self.series.iter().map(|(series, state)| SeriesLine {
            node: series.node,
            channel: series.channel.to_u16(),
            newest: state.newest,
            heard: state.heard,
            late: state.late,
        });
        let watches = self
            .watches()
            .filter(|(_, _, watch)| **watch != Watch::default())
            .map(|(node, rule, watch)| WatchLine {
                rule: rule.id.clone(),
                node,
                channel: rule.channel,
                watch: watch.clone(),
            });
        Snapshot {
            now: self.now,
            nodes: nodes.collect(),
            series: series.collect(),
            watches: watches.collect(),
            gateway: self.gateway.clone(),
        }
    }

    /// Takes up what was stored, once nodes and rules are set. What belongs to nodes or rules that are gone ends. The time
    /// since the snapshot is one in which nobody was watched; the next call says how long it was.
    pub fn restore(&mut self, snapshot: Snapshot, out: &mut Vec<Output>) {
        self.now = snapshot.now;
        for line in snapshot.nodes {
            if let Some(state) = self.nodes.get_mut(&line.node) {
                state.heard = line.heard;
                state.quiet_from = line.quiet_from;
                state.faulty = line
                    .faulty
                    .into_iter()
                    .filter_map(Channel::from_u16)
                    .collect();
            }
        }
        for line in snapshot.series {
            let node = line.node;
            if let Some(channel) = Channel::from_u16(line.channel)
                && self.nodes.contains_key(&node)
            {
                let state = self.series.entry(Series { node, channel }).or_default();
                state.newest = line.newest;
                state.heard = line.heard.or(state.heard);
                state.late = line.late;
            }
        }
        self.gateway = snapshot.gateway;
        for mut line in snapshot.watches {
            let subject = Subject::Rule {
                rule: line.rule,
                node: line.node,
                channel: line.channel,
            };
            if let Some(watch) = self.find(&subject) {
                *watch = line.watch;
            } else if let Some(transition) = line.watch.end(snapshot.now, Why::Rule) {
                out.push(Output::Changed {
                    subject,
                    transition,
                });
            }
        }
    }
}

/// The part of a snapshot that is about one node. Small, and changed only when the node was heard or a person acted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodePart {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<NodeLine>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    series: Vec<SeriesLine>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    watches: Vec<WatchLine>,
}

/// The part of a snapshot that is about the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GatewayPart {
    now: Millis,
    gateway: Gateway,
}

impl Snapshot {
    /// In parts that can be stored apart: most are as they were when the next snapshot is taken.
    #[must_use]
    pub fn split(self) -> (GatewayPart, BTreeMap<Node, NodePart>) {
        let mut parts: BTreeMap<Node, NodePart> = BTreeMap::new();
        for line in self.nodes {
            let node = line.node;
            parts.entry(node).or_default().node = Some(line);
        }
        for line in self.series {
            parts.entry(line.node).or_default().series.push(line);
        }
        for line in self.watches {
            parts.entry(line.node).or_default().watches.push(line);
        }
        let gateway = GatewayPart {
            now: self.now,
            gateway: self.gateway,
        };
        (gateway, parts)
    }

    /// The whole of its parts.
    #[must_use]
    pub fn join(gateway: GatewayPart, parts: impl IntoIterator<Item = NodePart>) -> Self {
        let mut whole = Self {
            now: gateway.now,
            nodes: Vec::new(),
            series: Vec::new(),
            watches: Vec::new(),
            gateway: gateway.gateway,
        };
        for part in parts {
            whole.nodes.extend(part.node);
            whole.series.extend(part.series);
            whole.watches.extend(part.watches);
        }
        whole
    }
}
