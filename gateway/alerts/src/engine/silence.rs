//! Who is not heard, and whose fault that is: one alarm a cause.
//!
//! - While the **link** to the broker is down nobody is called silent, and the link itself is an alarm after [`HOLD`]. The
//!   same goes for the **database**, which covers nothing.
//! - A **site** is silent once one of its nodes has used up its time while half of them, and [`CROWD`] at least, have used
//!   up half of theirs. So the first node that would be called silent tells of the power cut, and none is called silent by
//!   itself, as long as their time is at least twice their interval of sending.
//! - A **node** is silent by itself otherwise.
//! - A **channel** is silent when its node was heard for that long after the channel was last among what it said. A silent
//!   node has no silent channels.
//!
//! A cause covers what comes after it. What had been raised before stays as it is, acknowledged or not, until the node is
//! heard, and a node that is reported already does not count for its site. When a cause ends, every node has its full time
//! again: what then stays silent has a reason of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Engine, NodeState, Output, Subject, changed};
use crate::Millis;
use crate::calendar::Zone;
use crate::rule::{Condition, Rule};
use crate::watch::{Transition, Watch, Why};

/// The least number of silent nodes that is called the site's silence.
pub const CROWD: usize = 3;
/// How long link or database must be away to be an alarm.
pub const HOLD: Millis = 60_000;

/// What the gateway sees itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Gateway {
    link: Own,
    store: Own,
    sites: BTreeMap<String, Own>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Own {
    down_since: Option<Millis>,
    watch: Watch,
}

#[derive(Debug, Default)]
struct Tally {
    watched: usize,
    /// Not heard for half of their time, all things considered.
    missing: usize,
    /// Not heard for half of their time.
    unheard: usize,
    /// One has used up its time.
    over: bool,
}

impl Engine {
    /// The gateway's link to its broker came or went.
    pub fn link(&mut self, up: bool, now: Millis, out: &mut Vec<Output>) {
        let now = self.clock(now);
        if up && self.gateway.link.down_since.is_some() {
            // Nobody could be heard meanwhile.
            for node in self.nodes.values_mut() {
                node.quiet_from = now;
            }
        }
        self.gateway.link.is(up, now);
        self.gateway.link.judge(&Subject::Link, now, out);
    }

    /// The database takes readings, or does not.
    pub fn store(&mut self, up: bool, now: Millis, out: &mut Vec<Output>) {
        let now = self.clock(now);
        self.gateway.store.is(up, now);
        self.gateway.store.judge(&Subject::Store, now, out);
    }

    pub(super) fn silence(&mut self, now: Millis, out: &mut Vec<Output>) {
        self.gateway.link.judge(&Subject::Link, now, out);
        self.gateway.store.judge(&Subject::Store, now, out);
        let link_down = self.gateway.link.down_since.is_some();
        if !link_down {
            self.sites(now, out);
        }
        for (&node, state) in &mut self.nodes {
            let covered = link_down || self.gateway.is_site_down(&state.site);
            let (heard, counted_from) = (state.heard, state.heard.max(state.quiet_from));
            for (rule, watch) in &mut state.watches {
                let transition = watch.tick(&rule.active, now, self.zone).or_else(|| {
                    let after = silence_after(rule)?;
                    if !rule.active.holds(now, self.zone) {
                        return watch.end(now, Why::Asleep);
                    }
                    let quiet = |since: Millis| now.saturating_sub(since) >= after;
                    let bad = if watch.state().is_alarm() {
                        quiet(heard)
                    } else {
                        !covered && quiet(counted_from)
                    };
                    set(watch, bad, heard, now)
                });
                changed(out, rule, node, transition);
            }
        }
    }

    fn sites(&mut self, now: Millis, out: &mut Vec<Output>) {
        let mut tallies: BTreeMap<Arc<str>, Tally> = BTreeMap::new();
        for node in self.nodes.values() {
            if let Some(after) = node.counts(now, self.zone) {
                let tally = match tallies.get_mut(&node.site) {
                    Some(tally) => tally,
                    None => tallies.entry(node.site.clone()).or_default(),
                };
                tally.add(node, after, now);
            }
        }
        for site in tallies.keys() {
            if !self.gateway.sites.contains_key(&**site) {
                self.gateway.sites.insert(site.to_string(), Own::default());
            }
        }
        self.gateway.sites.retain(|site, own| {
            let tally = tallies.get(site.as_str());
            let was_down = own.down_since.is_some();
            let down = tally.is_some_and(|tally| {
                if was_down {
                    tally.most(tally.unheard)
                } else {
                    tally.over && tally.most(tally.missing)
                }
            });
            own.is(!down, now);
            let subject = Subject::Site(site.clone());
            own.judge(&subject, now, out);
            if was_down && !down {
                for node in self.nodes.values_mut() {
                    if *node.site == **site {
                        node.quiet_from = now;
                    }
                }
            }
            // Nothing is to be remembered of a site without nodes, or one that is well.
            tally.is_some() || own.watch != Watch::default()
        });
    }
}

impl Tally {
    fn add(&mut self, node: &NodeState, after: Millis, now: Millis) {
        let quiet = now.saturating_sub(node.heard.max(node.quiet_from));
        self.watched += 1;
        self.missing += usize::from(quiet >= after / 2);
        self.unheard += usize::from(now.saturating_sub(node.heard) >= after / 2);
        self.over |= quiet >= after;
    }

    fn most(&self, nodes: usize) -> bool {
        nodes >= CROWD && nodes * 2 >= self.watched
    }
}

impl NodeState {
    /// The least silence that a rule is awake for; `None` if there is none, or the node is reported already.
    fn counts(&self, now: Millis, zone: Zone) -> Option<Millis> {
        let mut least = None;
        for (rule, watch) in &self.watches {
            if let Some(after) = silence_after(rule)
                && rule.active.holds(now, zone)
            {
                if watch.state().is_alarm() {
                    return None;
                }
                least = Some(least.map_or(after, |least: Millis| least.min(after)));
            }
        }
        least
    }
}

impl Gateway {
    fn is_site_down(&self, site: &str) -> bool {
        self.sites
            .get(site)
            .is_some_and(|own| own.down_since.is_some())
    }

    pub(super) fn find(&mut self, subject: &Subject) -> Option<&mut Watch> {
        match subject {
            Subject::Link => Some(&mut self.link.watch),
            Subject::Store => Some(&mut self.store.watch),
            Subject::Site(site) => self.sites.get_mut(site).map(|own| &mut own.watch),
            Subject::Rule { .. } => None,
        }
    }

    pub(super) fn watches(&self) -> impl Iterator<Item = (Subject, &Watch)> {
        let sites = self
            .sites
            .iter()
            .map(|(site, own)| (Subject::Site(site.clone()), &own.watch));
        [
            (Subject::Link, &self.link.watch),
            (Subject::Store, &self.store.watch),
        ]
        .into_iter()
        .chain(sites)
    }

    pub(super) fn clock_set_back(&mut self, by: Millis, now: Millis) {
        for own in [&mut self.link, &mut self.store]
            .into_iter()
            .chain(self.sites.values_mut())
        {
            own.down_since = own.down_since.map(|since| since.saturating_sub(by));
            own.watch.clock_set_back(by, now);
        }
    }
}

impl Own {
    fn is(&mut self, up: bool, now: Millis) {
        if up {
            self.down_since = None;
        } else {
            self.down_since.get_or_insert(now);
        }
    }

    fn judge(&mut self, subject: &Subject, now: Millis, out: &mut Vec<Output>) {
        // A site has been away for long before it is known to be.
        let hold = if matches!(subject, Subject::Site(_)) {
            0
        } else {
            HOLD
        };
        let bad = self
            .down_since
            .filter(|since| now.saturating_sub(*since) >= hold);
        let always = crate::rule::Active::default();
        let transition = self
            .watch
            .set(bad, now, Why::Gateway)
            .or_else(|| self.watch.tick(&always, now, Zone::UTC));
        if let Some(transition) = transition {
            out.push(Output::Changed {
                subject: subject.clone(),
                transition,
            });
        }
    }
}

/// For a rule about the silence of a channel: when its node was heard last, and when the channel was.
pub(super) fn channel(
    rule: &Rule,
    watch: &mut Watch,
    (node_heard, heard): (Millis, Millis),
    now: Millis,
    zone: Zone,
) -> Option<Transition> {
    let after = silence_after(rule)?;
    if !rule.active.holds(now, zone) {
        return watch.end(now, Why::Asleep);
    }
    let bad = node_heard.saturating_sub(heard) >= after;
    set(watch, bad, heard, now)
}

fn set(watch: &mut Watch, bad: bool, heard: Millis, now: Millis) -> Option<Transition> {
    if bad {
        watch.set(Some(heard), now, Why::Silence { heard })
    } else {
        watch.set(None, now, Why::Heard { at: heard })
    }
}

fn silence_after(rule: &Rule) -> Option<Millis> {
    match &rule.when {
        Condition::Silent(silence) => Some(i64::from(silence.after_s).saturating_mul(1000)),
        _ => None,
    }
}
