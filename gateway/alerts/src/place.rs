//! Where rules apply: which nodes a rule looks over, and which day their plot was sown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDate;
use sen_wire::Channel;

use crate::engine::Node;
use crate::rule::{Over, Rule};

/// What there is, as far as rules need to know. What was deleted stays in it, marked: a rule about it is told so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places {
    /// Farms by id.
    pub farms: BTreeMap<String, Farm>,
    /// Plots by id.
    pub plots: BTreeMap<String, Plot>,
    /// Every node.
    pub nodes: Vec<Place>,
}

/// A farm.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Farm {
    /// The groups that it belongs to: a cooperative, a canal.
    pub groups: BTreeSet<String>,
    /// It was deleted.
    pub deleted: bool,
}

/// A plot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plot {
    /// Its farm's id.
    pub farm: String,
    /// The day that its crop was sown, or its pond stocked.
    pub sown: Option<NaiveDate>,
    /// It was deleted.
    pub deleted: bool,
}

/// A node and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Its number.
    pub node: Node,
    /// Its id.
    pub id: String,
    /// Its plot's id.
    pub plot: String,
    /// What it measures; `false`: no longer.
    pub channels: BTreeMap<Channel, bool>,
    /// How often it sends, in seconds; `None`: nobody knows.
    pub interval_s: Option<u32>,
    /// It was deleted.
    pub deleted: bool,
}

impl Places {
    /// Whether something of that name is there: `None` unknown, `Some(false)` deleted.
    #[must_use]
    pub fn is_there(&self, over: &Over) -> Option<bool> {
        match over {
            Over::Node(id) => {
                let mut there = self.nodes.iter().filter(|n| n.id == *id);
                let first = !there.next()?.deleted;
                Some(first || there.any(|n| !n.deleted))
            }
            Over::Plot(id) => self.plots.get(id).map(|plot| !plot.deleted),
            Over::Farm(id) => self.farms.get(id).map(|farm| !farm.deleted),
            Over::Group(id) => {
                let mut of = self.farms.values().filter(|f| f.groups.contains(id));
                let first = !of.next()?.deleted;
                Some(first || of.any(|farm| !farm.deleted))
            }
            Over::All => Some(true),
        }
    }

    /// The nodes that lie there and have not been deleted.
    pub fn nodes_of<'a>(&'a self, over: &'a Over) -> impl Iterator<Item = &'a Place> {
        self.nodes.iter().filter(move |place| {
            let plot = self.plots.get(&place.plot);
            let farm = plot.and_then(|plot| self.farms.get(&plot.farm));
            let there = !place.deleted
                && !plot.is_some_and(|plot| plot.deleted)
                && !farm.is_some_and(|farm| farm.deleted);
            there
                && match over {
                    Over::Node(id) => place.id == *id,
                    Over::Plot(id) => place.plot == *id,
                    Over::Farm(id) => plot.is_some_and(|plot| plot.farm == *id),
                    Over::Group(id) => farm.is_some_and(|farm| farm.groups.contains(id)),
                    Over::All => true,
                }
        })
    }

    /// What [`crate::Engine::rules`] takes: each rule on each node that it looks over and that measures its channel, with
    /// its stage dated by the node's plot.
    #[must_use]
    pub fn spread(&self, rules: &[Rule]) -> Vec<(Node, Arc<Rule>)> {
        let mut spread = Vec::new();
        for rule in rules {
            // One copy for each day of sowing, mostly one altogether.
            let mut dated: BTreeMap<Option<NaiveDate>, Arc<Rule>> = BTreeMap::new();
            for place in self.nodes_of(&rule.over) {
                let measured = |channel| place.channels.get(&channel) == Some(&true);
                if !rule.channel.is_none_or(measured) {
                    continue;
                }
                let sown = self.plots.get(&place.plot).and_then(|plot| plot.sown);
                let on = dated
                    .entry(sown)
                    .or_insert_with(|| Arc::new(rule.clone().on(sown)));
                spread.push((place.node, on.clone()));
            }
        }
        spread
    }
}

impl Rule {
    /// The rule on a plot that was sown on that day. A stage that names a day itself keeps it; one that gets none is never
    /// awake.
    #[must_use]
    pub fn on(mut self, sown: Option<NaiveDate>) -> Self {
        if let Some(stage) = &mut self.active.stage {
            stage.sown = stage.sown.or(sown);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(node: Node, plot: &str, channels: &[(&str, bool)]) -> Place {
        Place {
            node,
            id: format!("n{node}"),
            plot: plot.to_owned(),
            channels: channels
                .iter()
                .map(|(channel, there)| (channel.parse().unwrap(), *there))
                .collect(),
            interval_s: None,
            deleted: false,
        }
    }

    fn places() -> Places {
        let farm = |group: &str| Farm {
            groups: [group.to_owned()].into(),
            deleted: false,
        };
        let plot = |farm: &str, sown: Option<&str>| Plot {
            farm: farm.to_owned(),
            sown: sown.map(|day| day.parse().unwrap()),
            deleted: false,
        };
        Places {
            farms: [
                ("hoa".to_owned(), farm("htx")),
                ("sen".to_owned(), farm("htx")),
            ]
            .into(),
            plots: [
                ("ao".to_owned(), plot("hoa", None)),
                ("ruong".to_owned(), plot("hoa", Some("2026-01-01"))),
                ("vuon".to_owned(), plot("sen", Some("2026-02-01"))),
            ]
            .into(),
            nodes: vec![
                place(1, "ao", &[("salinity", true)]),
                place(2, "ruong", &[("salinity", true), ("water_level", false)]),
                place(3, "vuon", &[("salinity", true), ("water_level", true)]),
                place(4, "nowhere", &[]),
            ],
        }
    }

    fn rule(over: &str, channel: &str) -> Rule {
        serde_json::from_str(&format!(
            r#"{{"id":"r","level":"info","over":{over},"channel":"{channel}","when":{{"above":{{"value":1}}}},
                "active":{{"stage":{{"from_day":10,"to_day":20}}}}}}"#
        ))
        .unwrap()
    }

    fn nodes(places: &Places, over: &str, channel: &str) -> Vec<Node> {
        let spread = places.spread(&[rule(over, channel)]);
        spread.into_iter().map(|(node, _)| node).collect()
    }

    #[test]
    fn a_rule_reaches_what_measures_its_channel_where_it_looks() {
        let mut places = places();
        assert_eq!(nodes(&places, r#"{"node":"n2"}"#, "salinity"), [2]);
        assert_eq!(nodes(&places, r#"{"plot":"ao"}"#, "salinity"), [1]);
        assert_eq!(nodes(&places, r#"{"farm":"hoa"}"#, "salinity"), [1, 2]);
        assert_eq!(nodes(&places, r#"{"group":"htx"}"#, "salinity"), [1, 2, 3]);
        assert_eq!(nodes(&places, r#""all""#, "water_level"), [3]);
        places.plots.get_mut("ruong").unwrap().deleted = true;
        assert_eq!(nodes(&places, r#""all""#, "salinity"), [1, 3]);
        places.farms.get_mut("hoa").unwrap().deleted = true;
        assert_eq!(nodes(&places, r#""all""#, "salinity"), [3]);
    }

    #[test]
    fn the_plots_sowing_dates_the_stage_unless_the_rule_does() {
        let sown = |rule: &Rule| rule.active.stage.as_ref().unwrap().sown;
        let spread = places().spread(&[rule(r#""all""#, "salinity")]);
        let dates: Vec<_> = spread.iter().map(|(_, rule)| sown(rule)).collect();
        let day = |text: &str| Some(text.parse().unwrap());
        assert_eq!(dates, [None, day("2026-01-01"), day("2026-02-01")]);
        let own = rule(r#""all""#, "salinity").on(day("2025-05-05"));
        assert_eq!(sown(&own.on(day("2026-01-01"))), day("2025-05-05"));
    }

    #[test]
    fn what_is_deleted_is_known_to_be() {
        let mut places = places();
        places.nodes[0].deleted = true;
        let is = |over: Over| places.is_there(&over);
        assert_eq!(is(Over::Node("n1".into())), Some(false));
        assert_eq!(is(Over::Node("n2".into())), Some(true));
        assert_eq!(is(Over::Plot("ruong".into())), Some(true));
        assert_eq!(is(Over::Plot("biển".into())), None);
        assert_eq!(is(Over::Group("htx".into())), Some(true));
        assert_eq!(is(Over::Group("kênh".into())), None);
    }
}
