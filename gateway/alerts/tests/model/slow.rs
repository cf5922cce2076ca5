//! What the engine should say, in the plainest way: everything that happened is kept, and each answer is found by looking
//! back through all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sen_alerts::calendar::Zone;
use sen_alerts::condition::Sample;
use sen_alerts::engine::{Node, Output, Series, Subject};
use sen_alerts::rule::Condition;
use sen_alerts::watch::{Said, State, Transition, Why};
use sen_alerts::{Millis, Rule};
use sen_wire::Channel;

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;

/// A reading that a rule has judged.
#[derive(Clone, Debug)]
struct Judged {
    at: Millis,
    value: Option<f64>,
    /// Since the reading before.
    gap: Millis,
    /// As it was said, before any clock was set back.
    sample: Option<Sample>,
    bad: bool,
    good: bool,
    awake: bool,
}

#[derive(Debug)]
struct Watch {
    rule: Arc<Rule>,
    /// Every reading, oldest first.
    log: Vec<Judged>,
    /// What lies before can't be compared with: the clock was set back, or the condition was another one.
    comparable_from: usize,
    /// What lies before belongs to something that has ended.
    begins: usize,
    state: State,
    /// For alarms that no reading raised, and for what was raised.
    since: Option<Millis>,
    first: Option<Sample>,
    snooze: Option<Millis>,
}

struct Place {
    site: &'static str,
    patience: Millis,
    heard: Vec<Millis>,
    excused: Millis,
    /// Live readings: which channel, and whether they were believed.
    probes: Vec<(Channel, bool)>,
}

#[derive(Default)]
struct SeriesLog {
    arrivals: Vec<Millis>,
    live: Vec<Millis>,
    /// Time and arrival.
    late: Vec<(Millis, Millis)>,
}

#[derive(Default)]
struct Own {
    down: Option<Millis>,
    state: State,
    since: Option<Millis>,
    snooze: Option<Millis>,
}

type Key = (Node, Option<Channel>, String);

pub(crate) struct Model {
    zone: Zone,
    now: Millis,
    places: BTreeMap<Node, Place>,
    series: BTreeMap<Series, SeriesLog>,
    watches: BTreeMap<Key, Watch>,
    own: BTreeMap<Subject, Own>,
}

impl Model {
    pub(crate) fn new(zone: Zone, now: Millis) -> Self {
        Self {
            zone,
            now,
            places: BTreeMap::new(),
            series: BTreeMap::new(),
            watches: BTreeMap::new(),
            own: BTreeMap::from([
                (Subject::Link, Own::default()),
                (Subject::Store, Own::default()),
            ]),
        }
    }

    pub(crate) fn node(&mut self, node: Node, site: &'static str, patience: Millis) {
        let place = Place {
            site,
            patience,
            heard: vec![self.now],
            excused: self.now,
            probes: Vec::new(),
        };
        self.places.insert(node, place);
    }

    pub(crate) fn current_rules(&self) -> Vec<(Node, Arc<Rule>)> {
        let rule = |((node, ..), watch): (&Key, &Watch)| (*node, watch.rule.clone());
        self.watches.iter().map(rule).collect()
    }

    pub(crate) fn alarms(&self) -> BTreeSet<(Subject, String)> {
        let of_rules = self.watches.iter().map(|(key, w)| (subject(key), w.state));
        let own = self
            .own
            .iter()
            .map(|(subject, o)| (subject.clone(), o.state));
        of_rules
            .chain(own)
            .filter(|(_, state)| is_alarm(*state))
            .map(|(subject, state)| (subject, format!("{state:?}")))
            .collect()
    }

    pub(crate) fn rules(&mut self, rules: &[(Node, Arc<Rule>)], now: Millis) -> Vec<Output> {
        let now = self.clock(now);
        let key = |(node, rule): &(Node, Arc<Rule>)| (*node, rule.channel, rule.id.clone());
        let wanted: BTreeMap<Key, Arc<Rule>> =
            rules.iter().map(|r| (key(r), r.1.clone())).collect();
        let mut out = Vec::new();
        for (key, watch) in &mut self.watches {
            if !wanted.contains_key(key) {
                out.extend(watch.to(State::Normal, now, Why::Rule, key));
            }
        }
        self.watches.retain(|key, _| wanted.contains_key(key));
        for (key, rule) in wanted {
            if let (node, Some(channel), _) = key {
                let log = self.series.entry(Series { node, channel }).or_default();
                if log.arrivals.is_empty() {
                    log.arrivals.push(now);
                }
            }
            self.watches.entry(key).or_insert(Watch {
                rule,
                log: Vec::new(),
                comparable_from: 0,
                begins: 0,
                state: State::Normal,
                since: None,
                first: None,
                snooze: None,
            });
        }
        out
    }

    pub(crate) fn reading(
        &mut self,
        series: Series,
        at: Millis,
        said: Said,
        now: Millis,
    ) -> Vec<Output> {
        let now = self.clock(now);
        let mut out = Vec::new();
        let Some(place) = self.places.get_mut(&series.node) else {
            return out;
        };
        place.heard.push(now);
        let log = self.series.entry(series).or_default();
        log.arrivals.push(now);
        let newest = log.live.iter().max().copied();
        if at > now + 5 * MINUTE || newest == Some(at) {
            return out;
        }
        if newest.is_some_and(|newest| at < newest) || now - at > place.patience {
            let watched = |(node, channel, _): &&Key| {
                *node == series.node && *channel == Some(series.channel)
            };
            if self.watches.keys().any(|key| watched(&key)) {
                log.late.push((at, now));
            }
            return out;
        }
        log.live.push(at);
        let value = match said {
            Said::Value(value) if value.is_finite() => Some(value),
            _ => None,
        };
        place.probes.push((series.channel, value.is_some()));
        // Of each channel the newest counts.
        let newest: BTreeMap<Channel, bool> = place.probes.iter().copied().collect();
        let node_value = value.filter(|_| newest.values().all(|good| *good));
        for (key, watch) in &mut self.watches {
            if key.0 != series.node {
                continue;
            }
            if key.1 == Some(series.channel) {
                out.extend(watch.reading(at, value, self.zone, key));
            } else if key.1.is_none() && watch.rule.when == Condition::Fault {
                out.extend(watch.reading(at, node_value, self.zone, key));
            }
        }
        out
    }

    pub(crate) fn heard(&mut self, node: Node, now: Millis) {
        let now = self.clock(now);
        if let Some(place) = self.places.get_mut(&node) {
            place.heard.push(now);
        }
    }

    pub(crate) fn link(&mut self, up: bool, now: Millis) -> Vec<Output> {
        let now = self.clock(now);
        if up && self.own[&Subject::Link].down.is_some() {
            self.excuse(now, |_| true);
        }
        self.up(Subject::Link, up, now)
    }

    pub(crate) fn store(&mut self, up: bool, now: Millis) -> Vec<Output> {
        let now = self.clock(now);
        self.up(Subject::Store, up, now)
    }

    fn up(&mut self, subject: Subject, up: bool, now: Millis) -> Vec<Output> {
        let own = self.own.get_mut(&subject).unwrap();
        own.down = if up { None } else { own.down.or(Some(now)) };
        own.look(&subject, now).into_iter().collect()
    }

    fn excuse(&mut self, now: Millis, whom: impl Fn(&Place) -> bool) {
        for place in self.places.values_mut().filter(|place| whom(place)) {
            place.excused = now;
        }
    }

    pub(crate) fn person(
        &mut self,
        subject: &Subject,
        until: Option<Millis>,
        now: Millis,
    ) -> Vec<Output> {
        let now = self.clock(now);
        let (state, snooze) = match subject {
            Subject::Rule {
                rule,
                node,
                channel,
            } => match self.watches.get_mut(&(*node, *channel, rule.clone())) {
                Some(watch) => (watch.state, &mut watch.snooze),
                None => return Vec::new(),
            },
            own => match self.own.get_mut(own) {
                Some(own) => (own.state, &mut own.snooze),
                None => return Vec::new(),
            },
        };
        let to = match until {
            Some(until) if is_alarm(state) && until > now => State::Snoozed,
            None if matches!(state, State::Firing | State::Snoozed) => State::Acknowledged,
            _ => return Vec::new(),
        };
        *snooze = until;
        match subject {
            Subject::Rule {
                rule,
                node,
                channel,
            } => {
                let key = (*node, *channel, rule.clone());
                let watch = self.watches.get_mut(&key).unwrap();
                watch.to(to, now, Why::Person, &key).into_iter().collect()
            }
            own => {
                let found = self.own.get_mut(own).unwrap();
                vec![found.to(to, now, Why::Person, own)]
            }
        }
    }

    pub(crate) fn tick(&mut self, now: Millis) -> Vec<Output> {
        let now = self.clock(now);
        let mut out = Vec::new();
        for (&series, log) in &mut self.series {
            let last = log.late.iter().map(|(_, arrived)| *arrived).max();
            let first = log.late.iter().map(|(_, arrived)| *arrived).min();
            if last.is_some_and(|last| now - last >= 10 * MINUTE)
                || first.is_some_and(|first| now - first >= 6 * HOUR)
            {
                let times = || log.late.iter().map(|(at, _)| *at);
                let (from, to) = (times().min().unwrap(), times().max().unwrap());
                out.push(Output::Offline { series, from, to });
                log.late.clear();
            }
        }
        for subject in [Subject::Link, Subject::Store] {
            out.extend(self.own.get_mut(&subject).unwrap().look(&subject, now));
        }
        let link_down = self.own[&Subject::Link].down.is_some();
        if !link_down {
            for site in ["a", "b"] {
                out.extend(self.site(site, now));
            }
        }
        let keys: Vec<Key> = self.watches.keys().cloned().collect();
        for key in keys {
            out.extend(self.tick_watch(&key, link_down, now));
        }
        out
    }

    fn tick_watch(&mut self, key: &Key, link_down: bool, now: Millis) -> Option<Output> {
        let watch = self.watches.get_mut(key).unwrap();
        let awake = watch.rule.active.holds(now, self.zone);
        if watch.snooze.is_some_and(|until| until <= now) {
            watch.snooze = None;
            if watch.state == State::Snoozed {
                return if awake {
                    watch.to(State::Firing, now, Why::SnoozeOver, key)
                } else {
                    watch.to(State::Normal, now, Why::Asleep, key)
                };
            }
        }
        let Condition::Silent(silence) = &watch.rule.when else {
            let last = watch.newest()?;
            let ends = !awake && now - last > HOUR;
            return ends.then(|| watch.to(State::Normal, now, Why::Asleep, key))?;
        };
        if !awake {
            return watch.to(State::Normal, now, Why::Asleep, key);
        }
        let after = Millis::from(silence.after_s) * 1000;
        let place = &self.places[&key.0];
        let node_heard = *place.heard.iter().max().unwrap();
        let (heard, silent) = match key.1 {
            Some(channel) => {
                let node = key.0;
                let heard = *self.series[&Series { node, channel }]
                    .arrivals
                    .last()
                    .unwrap();
                (heard, node_heard - heard >= after)
            }
            None => {
                let site = Subject::Site(place.site.to_owned());
                let covered =
                    link_down || self.own.get(&site).is_some_and(|own| own.down.is_some());
                let unheard = now - node_heard >= after;
                let excused = covered || now - place.excused < after;
                (node_heard, unheard && (is_alarm(watch.state) || !excused))
            }
        };
        if silent && watch.state == State::Normal {
            watch.since = Some(heard);
            let to = watch.raised(now);
            watch.to(to, now, Why::Silence { heard }, key)
        } else if !silent && watch.state != State::Normal {
            watch.to(State::Normal, now, Why::Heard { at: heard }, key)
        } else {
            None
        }
    }

    fn site(&mut self, site: &str, now: Millis) -> Option<Output> {
        let (mut all, mut half, mut half_unheard, mut whole) = (0, 0, 0, 0);
        for (node, place) in self.places.iter().filter(|(_, place)| place.site == site) {
            let rules: Vec<(&Watch, Millis)> = self
                .watches
                .iter()
                .filter(|(key, _)| key.0 == *node && key.1.is_none())
                .filter_map(|(_, watch)| match &watch.rule.when {
                    Condition::Silent(s) if watch.rule.active.holds(now, self.zone) => {
                        Some((watch, Millis::from(s.after_s) * 1000))
                    }
                    _ => None,
                })
                .collect();
            let Some(after) = rules.iter().map(|(_, after)| *after).min() else {
                continue;
            };
            if rules.iter().any(|(watch, _)| is_alarm(watch.state)) {
                continue;
            }
            let heard = *place.heard.iter().max().unwrap();
            let quiet = now - heard.max(place.excused);
            all += 1;
            half += usize::from(quiet >= after / 2);
            half_unheard += usize::from(now - heard >= after / 2);
            whole += usize::from(quiet >= after);
        }
        let subject = Subject::Site(site.to_owned());
        let own = self.own.entry(subject.clone()).or_default();
        let was = own.down.is_some();
        let count = if was { half_unheard } else { half };
        let down = count >= 3 && count * 2 >= all && (was || whole > 0);
        own.down = if down { own.down.or(Some(now)) } else { None };
        let output = own.look(&subject, now);
        if was && !down {
            self.excuse(now, |place| place.site == site);
        }
        output
    }

    fn clock(&mut self, now: Millis) -> Millis {
        let passed = now - self.now;
        if passed <= 0 && passed >= -2_000 {
            return self.now;
        }
        self.now = now;
        if passed < 0 {
            let back = |time: &mut Millis| *time += passed;
            for log in self.series.values_mut() {
                if log.live.iter().max().is_some_and(|newest| *newest > now) {
                    log.live.clear();
                }
                log.arrivals.iter_mut().for_each(back);
                log.late.iter_mut().for_each(|(_, arrived)| back(arrived));
            }
            for place in self.places.values_mut() {
                place.heard.iter_mut().for_each(back);
            }
            for own in self.own.values_mut() {
                own.down.iter_mut().for_each(back);
                own.snooze.iter_mut().for_each(back);
                own.since = own.since.map(|since| since.min(now));
            }
            for watch in self.watches.values_mut() {
                watch.snooze.iter_mut().for_each(back);
                watch.since = watch.since.map(|since| since.min(now));
                if watch.newest().is_some_and(|newest| newest > now) {
                    watch.comparable_from = watch.log.len();
                }
                for judged in &mut watch.log {
                    judged.at = judged.at.min(now);
                }
            }
        }
        if passed < 0 || passed > 10 * MINUTE {
            self.excuse(now, |_| true);
        }
        now
    }
}

impl Watch {
    /// The newest reading that the next one is compared with.
    fn newest(&self) -> Option<Millis> {
        let comparable = self.log.get(self.comparable_from..)?;
        comparable.last().map(|judged| judged.at)
    }

    fn reading(&mut self, at: Millis, value: Option<f64>, zone: Zone, key: &Key) -> Option<Output> {
        let faults = self.rule.when == Condition::Fault;
        let newest = self.newest();
        if newest.is_some_and(|newest| at < newest || at == newest && !faults) {
            return None;
        }
        if matches!(self.rule.when, Condition::Silent(_)) || value.is_none() && !faults {
            return None;
        }
        let (bad, good) = self.verdict(at, value, zone);
        let awake = self.rule.active.holds(at, zone);
        let sample = value.map(|value| Sample { at, value });
        let gap = newest.map_or(0, |newest| at - newest);
        self.log.push(Judged {
            at,
            value,
            gap,
            sample,
            bad,
            good,
            awake,
        });
        let why = match sample {
            Some(sample) => Why::Value(sample),
            None => Why::Fault { at },
        };
        if !awake {
            return self.to(State::Normal, at, Why::Asleep, key);
        }
        if is_alarm(self.state) {
            let first = self.run(|judged| judged.good, self.rule.clear_for_s)?;
            let long = at - self.log[first].at >= Millis::from(self.rule.clear_for_s) * 1000;
            return long.then(|| self.to(State::Normal, at, why, key))?;
        }
        let Some(first) = self.run(|judged| judged.bad, self.rule.for_s) else {
            return self.to(State::Normal, at, why, key);
        };
        self.since = Some(self.log[first].at);
        self.first = self.log[first].sample;
        if at - self.log[first].at >= Millis::from(self.rule.for_s) * 1000 {
            let to = self.raised(at);
            self.to(to, at, why, key)
        } else if self.state == State::Normal {
            self.to(State::Pending, at, why, key)
        } else {
            None
        }
    }

    /// Whether a value is a reason for alarm, and whether it is one to end it.
    fn verdict(&self, at: Millis, value: Option<f64>, zone: Zone) -> (bool, bool) {
        let Some(value) = value else {
            return (true, false);
        };
        let before = self.log.get(self.comparable_from..).unwrap_or_default();
        let within = |seconds: u32| {
            let oldest = at - Millis::from(seconds) * 1000;
            before
                .iter()
                .filter(move |old| old.at >= oldest)
                .filter_map(|old| old.value)
        };
        let either = |bad: bool| (bad, !bad);
        match &self.rule.when {
            Condition::Above(t) => {
                let bad = value > t.value;
                (bad, !bad && value <= t.clears_at.unwrap_or(t.value))
            }
            Condition::Below(t) => {
                let bad = value < t.value;
                (bad, !bad && value >= t.clears_at.unwrap_or(t.value))
            }
            Condition::Outside(b) => {
                let bad = value < b.low || value > b.high;
                (
                    bad,
                    !bad && value >= b.low + b.hysteresis && value <= b.high - b.hysteresis,
                )
            }
            Condition::Rises(c) => either(within(c.within_s).any(|old| value - old >= c.by)),
            Condition::Falls(c) => either(within(c.within_s).any(|old| old - value >= c.by)),
            Condition::Swings(s) => {
                let today = before.iter().filter(|old| zone.day(old.at) == zone.day(at));
                let values: Vec<f64> = today.filter_map(|old| old.value).chain([value]).collect();
                let greatest = values.iter().copied().fold(f64::MIN, f64::max);
                let least = values.iter().copied().fold(f64::MAX, f64::min);
                either(greatest - least >= s.by)
            }
            Condition::Fault | Condition::Silent(_) => (false, true),
        }
    }

    /// The first of the unbroken row of such readings that ends with the newest.
    fn run(&self, such: impl Fn(&Judged) -> bool, seconds: u32) -> Option<usize> {
        let widest = HOUR.max(Millis::from(seconds) * 1000);
        let mut first = None;
        for n in (self.begins..self.log.len()).rev() {
            let judged = &self.log[n];
            if !such(judged) || !judged.awake {
                break;
            }
            first = Some(n);
            if judged.gap > widest {
                break;
            }
        }
        first
    }

    fn raised(&self, at: Millis) -> State {
        if self.snooze.is_some_and(|until| at < until) {
            State::Snoozed
        } else {
            State::Firing
        }
    }

    fn to(&mut self, to: State, at: Millis, why: Why, key: &Key) -> Option<Output> {
        let (from, since, first) = (self.state, self.since, self.first);
        if to == State::Normal {
            self.since = None;
            self.first = None;
            self.begins = self.log.len();
        }
        if from == State::Normal && to == State::Normal {
            return None;
        }
        self.state = to;
        Some(Output::Changed {
            subject: subject(key),
            transition: Transition {
                at,
                from,
                to,
                why,
                since,
                first,
            },
        })
    }
}

impl Own {
    fn look(&mut self, subject: &Subject, now: Millis) -> Option<Output> {
        let hold = if matches!(subject, Subject::Site(_)) {
            0
        } else {
            MINUTE
        };
        let bad = self.down.filter(|down| now - down >= hold);
        if let Some(down) = bad
            && self.state == State::Normal
        {
            self.since = Some(down);
            let snoozed = self.snooze.is_some_and(|until| now < until);
            let to = if snoozed {
                State::Snoozed
            } else {
                State::Firing
            };
            return Some(self.to(to, now, Why::Gateway, subject));
        }
        if bad.is_none() && self.state != State::Normal {
            return Some(self.to(State::Normal, now, Why::Gateway, subject));
        }
        if self.snooze.is_some_and(|until| until <= now) {
            self.snooze = None;
            if self.state == State::Snoozed {
                return Some(self.to(State::Firing, now, Why::SnoozeOver, subject));
            }
        }
        None
    }

    fn to(&mut self, to: State, at: Millis, why: Why, subject: &Subject) -> Output {
        let transition = Transition {
            at,
            from: self.state,
            to,
            why,
            since: self.since,
            first: None,
        };
        self.state = to;
        if to == State::Normal {
            self.since = None;
        }
        Output::Changed {
            subject: subject.clone(),
            transition,
        }
    }
}

fn is_alarm(state: State) -> bool {
    matches!(state, State::Firing | State::Acknowledged | State::Snoozed)
}

fn subject((node, channel, rule): &Key) -> Subject {
    Subject::Rule {
        rule: rule.clone(),
        node: *node,
        channel: *channel,
    }
}
