//! The registry and what nodes measure, as rules see it.

use std::collections::BTreeMap;

use sen_alerts::place::{Farm, Place, Places, Plot};
use sen_wire::Channel;
use sen_wire::config::NodeConfig;

use crate::reading::{Millis, NodeNum};
use crate::registry::{Node, Registry};

/// How late the readings of a node may be whose rhythm nobody knows, and still be live.
const UNKNOWN_RHYTHM: Millis = 3_600_000;
/// What a slow link takes beside a node's rhythm.
const SLACK: Millis = 600_000;

/// Places of a registry, with what each node measures.
pub(super) fn places(known: &Registry, measured: &BTreeMap<NodeNum, Vec<Channel>>) -> Places {
    let farms = known.farms.iter().map(|farm| {
        let place = Farm {
            groups: farm.groups.iter().cloned().collect(),
            deleted: false,
        };
        (farm.id.clone(), place)
    });
    let plots = known.plots.iter().map(|plot| {
        let place = Plot {
            farm: plot.farm.clone(),
            sown: plot.sown,
            deleted: false,
        };
        (plot.id.clone(), place)
    });
    let nodes = known.nodes.iter().map(|node| Place {
        node: node.num,
        id: node.id.clone(),
        plot: node.plot.clone(),
        channels: measured
            .get(&node.num)
            .into_iter()
            .flatten()
            .map(|channel| (*channel, true))
            .collect(),
        interval_s: config(node).map(|config| config.sample_every_s),
        deleted: node.revoked.is_some(),
    });
    Places {
        farms: farms.collect(),
        plots: plots.collect(),
        nodes: nodes.collect(),
    }
}

/// How long the readings of a node may be on their way and still be live: it sends them together, and one may wait for the
/// next two before it is believed.
pub(super) fn patience(node: &Node) -> Millis {
    config(node).map_or(UNKNOWN_RHYTHM, |config| {
        let seconds = i64::from(config.send_every_s) + 3 * i64::from(config.sample_every_s);
        seconds * 1000 + SLACK
    })
}

/// What it shares power, radio and router with: its farm.
pub(super) fn site<'r>(known: &'r Registry, node: &Node) -> &'r str {
    known.plot(&node.plot).map_or("", |plot| plot.farm.as_str())
}

fn config(node: &Node) -> Option<NodeConfig> {
    NodeConfig::decode(&node.config.as_ref()?.body).ok()
}
