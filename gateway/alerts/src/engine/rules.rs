//! Which nodes there are and which rules are on them.

use std::collections::BTreeSet;
use std::sync::Arc;

use sen_wire::Channel;

use super::{Engine, Node, NodeState, Output, Series, Watches, changed};
use crate::Millis;
use crate::rule::Rule;
use crate::watch::{Watch, Why};

impl Engine {
    /// Makes a node known, or changes what is known of it. `site` is what it shares power, radio or router with: its
    /// farm, or the gateway that it hangs on. `patience` is how long its readings may be on the way and still be live, at
    /// least its interval of sending. A new one counts as heard now.
    pub fn node(&mut self, node: Node, site: &str, patience: Millis, now: Millis) {
        let now = self.clock(now);
        let state = self.nodes.entry(node).or_insert_with(|| NodeState {
            site: site.into(),
            heard: now,
            quiet_from: now,
            patience,
            faulty: BTreeSet::new(),
            watches: Vec::new(),
        });
        state.patience = patience;
        if *state.site != *site {
            state.site = site.into();
        }
    }

    /// Takes a node away with all its alarms.
    pub fn remove_node(&mut self, node: Node, now: Millis, out: &mut Vec<Output>) {
        let now = self.clock(now);
        self.keep(|of, _| of != node, now, out);
        self.series.retain(|series, _| series.node != node);
        self.nodes.remove(&node);
    }

    /// Sets the rules: each on the nodes that it looks over (see [`crate::place`]). A rule that was there before keeps its
    /// alarms, also if its threshold is another one now; what is no longer here ends. Rules on unknown nodes are passed
    /// over.
    pub fn rules(&mut self, rules: &[(Node, Arc<Rule>)], now: Millis, out: &mut Vec<Output>) {
        let now = self.clock(now);
        let wanted: BTreeSet<(Node, &str, Option<Channel>)> = rules
            .iter()
            .map(|(node, rule)| (*node, rule.id.as_str(), rule.channel))
            .collect();
        self.keep(
            |node, rule| wanted.contains(&(node, rule.id.as_str(), rule.channel)),
            now,
            out,
        );
        for (node, rule) in rules {
            self.watch(*node, rule, now, out);
        }
    }

    fn watch(&mut self, node: Node, rule: &Arc<Rule>, now: Millis, out: &mut Vec<Output>) {
        let Some(state) = self.nodes.get_mut(&node) else {
            return;
        };
        let watches = match rule.channel {
            Some(channel) => {
                let series = self.series.entry(Series { node, channel }).or_default();
                series.heard.get_or_insert(now);
                &mut series.watches
            }
            None => &mut state.watches,
        };
        match watches.binary_search_by(|(old, _)| old.id.cmp(&rule.id)) {
            Ok(found) => {
                let Some((old, watch)) = watches.get_mut(found) else {
                    return;
                };
                if old.when != rule.when {
                    changed(out, rule, node, watch.condition_changed(now));
                }
                *old = rule.clone();
            }
            Err(place) => watches.insert(place, (rule.clone(), Watch::default())),
        }
    }

    /// A channel of a node is no longer measured: its alarms end, and its fault is none any more.
    pub fn remove_channel(&mut self, series: Series, now: Millis, out: &mut Vec<Output>) {
        let now = self.clock(now);
        if let Some(mut state) = self.series.remove(&series) {
            for (rule, watch) in &mut state.watches {
                changed(out, rule, series.node, watch.end(now, Why::Rule));
            }
        }
        if let Some(node) = self.nodes.get_mut(&series.node) {
            node.faulty.remove(&series.channel);
        }
    }

    /// The rules on a series: those to look through an [`Output::Offline`] stretch with.
    pub fn rules_on(&self, series: Series) -> impl Iterator<Item = &Arc<Rule>> {
        let state = self.series.get(&series);
        state
            .into_iter()
            .flat_map(|state| state.watches.iter().map(|(rule, _)| rule))
    }

    /// Ends every watch that is not to be kept.
    fn keep(&mut self, kept: impl Fn(Node, &Rule) -> bool, now: Millis, out: &mut Vec<Output>) {
        self.each_watches(|node, watches| {
            watches.retain_mut(|(rule, watch)| {
                let kept = kept(node, rule);
                if !kept {
                    changed(out, rule, node, watch.end(now, Why::Rule));
                }
                kept
            });
        });
    }

    pub(super) fn each_watches(&mut self, mut f: impl FnMut(Node, &mut Watches)) {
        for (series, state) in &mut self.series {
            f(series.node, &mut state.watches);
        }
        for (&node, state) in &mut self.nodes {
            f(node, &mut state.watches);
        }
    }
}
