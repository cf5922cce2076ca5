//! Which rules make no sense, and why, before they are switched on.
//!
//! A rule that can never fire, or always would, is refused with the reason; what is odd but may be meant is a warning. Each
//! [`Problem`] says in words what to do about it.

use chrono::NaiveDate;
use sen_wire::{Channel, Decimal, Quantity};

use crate::place::{Place, Places};
use crate::rule::{Active, Condition, Rule, Season};
use crate::watch::MAX_GAP;

mod problem;
#[cfg(test)]
mod tests;

pub use problem::{Problem, Range};

/// How many characters an id may have.
pub const MAX_ID: usize = 120;
/// How many characters a name may have.
pub const MAX_NAME: usize = 80;

/// A rule that may be switched on.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// With its values in canonical units.
    pub rule: Rule,
    /// What is odd about it.
    pub warnings: Vec<Problem>,
}

impl Rule {
    /// The rule with its values in canonical units, or everything that is wrong with it, whatever it looks over.
    pub fn checked(self) -> Result<Checked, Vec<Problem>> {
        self.check(None)
    }

    /// The same, and whether it makes sense for what there is, on this day of the farm's calendar.
    pub fn checked_in(self, places: &Places, today: NaiveDate) -> Result<Checked, Vec<Problem>> {
        self.check(Some((places, today)))
    }

    fn check(mut self, world: Option<(&Places, NaiveDate)>) -> Result<Checked, Vec<Problem>> {
        let mut problems = Vec::new();
        texts(&self, &mut problems);
        if let Err(problem) = canonical(&mut self) {
            // Values of an unknown unit can't be judged further.
            problems.push(problem);
            return Err(problems);
        }
        values(&self, &mut problems);
        durations(&self, &mut problems);
        awake(&self.active, &mut problems);
        if let Some((places, today)) = world {
            place(&self, places, today, &mut problems);
        }
        if problems.iter().any(|problem| !problem.is_warning()) {
            Err(problems)
        } else {
            Ok(Checked {
                rule: self,
                warnings: problems,
            })
        }
    }
}

fn texts(rule: &Rule, problems: &mut Vec<Problem>) {
    text("id", &rule.id, MAX_ID, problems);
    if let Some(place) = rule.over.id() {
        text("over", place, MAX_ID, problems);
    }
    if let Some(name) = &rule.name {
        text("name", name, MAX_NAME, problems);
    }
    if let Some(name) = rule.active.stage.as_ref().and_then(|s| s.name.as_ref()) {
        text("stage", name, MAX_NAME, problems);
    }
}

fn text(field: &'static str, text: &str, most: usize, problems: &mut Vec<Problem>) {
    if text.trim().is_empty() {
        problems.push(Problem::Empty { field });
    }
    if text.chars().count() > most {
        problems.push(Problem::TooLong { field, most });
    }
    let odd =
        |c: char| c.is_control() || (c.is_whitespace() && field != "name" && field != "stage");
    if text.contains(odd) {
        problems.push(Problem::BadId);
    }
}

fn canonical(rule: &mut Rule) -> Result<(), Problem> {
    let Some(unit) = rule.unit.take() else {
        return Ok(());
    };
    if matches!(rule.when, Condition::Fault | Condition::Silent(_)) {
        return Err(Problem::Unneeded { field: "unit" });
    }
    let Some(channel) = rule.channel else {
        return Err(Problem::NoChannel);
    };
    let quantity = channel.quantity();
    let wrong = || Problem::Unit {
        channel,
        unit: unit.clone(),
        units: units(quantity),
    };
    let value = |v: f64, field: &'static str| {
        let decimal = Decimal::from_f64(v).ok_or(Problem::NotANumber { field })?;
        Ok(quantity.convert(decimal, &unit).ok_or_else(wrong)?.to_f64())
    };
    // A difference has no offset: 1 K is 1 °C.
    let zero = quantity.convert(Decimal::ZERO, &unit).ok_or_else(wrong)?;
    let difference = |v: f64, field: &'static str| Ok(value(v, field)? - zero.to_f64());
    match &mut rule.when {
        Condition::Above(t) | Condition::Below(t) => {
            t.value = value(t.value, "value")?;
            if let Some(clears_at) = &mut t.clears_at {
                *clears_at = value(*clears_at, "clears_at")?;
            }
        }
        Condition::Outside(band) => {
            band.low = value(band.low, "low")?;
            band.high = value(band.high, "high")?;
            band.hysteresis = difference(band.hysteresis, "hysteresis")?;
        }
        Condition::Rises(change) | Condition::Falls(change) => {
            change.by = difference(change.by, "by")?;
        }
        Condition::Swings(swing) => swing.by = difference(swing.by, "by")?,
        Condition::Fault | Condition::Silent(_) => {}
    }
    Ok(())
}

/// Every unit that a quantity is taken in.
fn units(quantity: Quantity) -> Vec<&'static str> {
    let others = quantity.other_units().iter().map(|other| other.unit);
    [quantity.unit()].into_iter().chain(others).collect()
}

fn values(rule: &Rule, problems: &mut Vec<Problem>) {
    if matches!(rule.when, Condition::Fault | Condition::Silent(_)) {
        return;
    }
    let Some(channel) = rule.channel else {
        problems.push(Problem::NoChannel);
        return;
    };
    if is_npk(channel) {
        problems.push(Problem::Unreliable { channel });
    }
    let range = Range::of(channel);
    if let Some(field) = numbers(&rule.when)
        .into_iter()
        .find_map(|(field, value)| (!value.is_finite()).then_some(field))
    {
        problems.push(Problem::NotANumber { field });
        return;
    }
    match &rule.when {
        // Seen from above, "below" is "above" with everything turned round.
        Condition::Above(t) => {
            let ends = (range.least, range.greatest);
            limit(t.value, t.clears_at, ends, range, problems);
        }
        Condition::Below(t) => {
            let ends = (-range.greatest, -range.least);
            limit(-t.value, t.clears_at.map(|c| -c), ends, range, problems);
        }
        Condition::Outside(band) => {
            if band.low >= band.high {
                problems.push(Problem::Crossed);
            } else if band.low <= range.least && band.high >= range.greatest {
                problems.push(Problem::NeverFires { range });
            } else if band.low > range.greatest || band.high < range.least {
                problems.push(Problem::AlwaysFires { range });
            } else if band.hysteresis < 0.0 {
                problems.push(Problem::ClearsOnTheWrongSide);
            } else if band.hysteresis * 2.0 > band.high - band.low {
                problems.push(Problem::BandTooNarrow);
            } else if band.low + band.hysteresis > range.greatest
                || band.high - band.hysteresis < range.least
            {
                problems.push(Problem::NeverEnds { range });
            }
        }
        Condition::Rises(change) | Condition::Falls(change) => by(change.by, range, problems),
        Condition::Swings(swing) => by(swing.by, range, problems),
        Condition::Fault | Condition::Silent(_) => {}
    }
}

/// Soil nutrient registers of cheap probes are written by hand as often as measured.
fn is_npk(channel: Channel) -> bool {
    matches!(
        channel.quantity(),
        Quantity::SoilNitrogen | Quantity::SoilPhosphorus | Quantity::SoilPotassium
    )
}

fn numbers(condition: &Condition) -> Vec<(&'static str, f64)> {
    match condition {
        Condition::Above(t) | Condition::Below(t) => vec![
            ("value", t.value),
            ("clears_at", t.clears_at.unwrap_or_default()),
        ],
        Condition::Outside(band) => vec![
            ("low", band.low),
            ("high", band.high),
            ("hysteresis", band.hysteresis),
        ],
        Condition::Rises(change) | Condition::Falls(change) => vec![("by", change.by)],
        Condition::Swings(swing) => vec![("by", swing.by)],
        Condition::Fault | Condition::Silent(_) => Vec::new(),
    }
}

fn limit(
    value: f64,
    clears_at: Option<f64>,
    (least, greatest): (f64, f64),
    range: Range,
    problems: &mut Vec<Problem>,
) {
    if value >= greatest {
        problems.push(Problem::NeverFires { range });
    } else if value < least {
        problems.push(Problem::AlwaysFires { range });
    }
    match clears_at {
        Some(clears_at) if clears_at > value => problems.push(Problem::ClearsOnTheWrongSide),
        Some(clears_at) if clears_at < least => problems.push(Problem::NeverEnds { range }),
        _ => {}
    }
}

fn by(by: f64, range: Range, problems: &mut Vec<Problem>) {
    if by <= 0.0 {
        problems.push(Problem::Zero { field: "by" });
    } else if by > range.greatest - range.least {
        problems.push(Problem::NeverFires { range });
    }
}

fn durations(rule: &Rule, problems: &mut Vec<Problem>) {
    match &rule.when {
        Condition::Rises(change) | Condition::Falls(change) if change.within_s == 0 => {
            problems.push(Problem::Zero { field: "within_s" });
        }
        Condition::Silent(silence) => {
            if silence.after_s == 0 {
                problems.push(Problem::Zero { field: "after_s" });
            }
            if rule.for_s > 0 {
                problems.push(Problem::Unneeded { field: "for_s" });
            }
            if rule.clear_for_s > 0 {
                problems.push(Problem::Unneeded {
                    field: "clear_for_s",
                });
            }
        }
        _ => {}
    }
    if let Some(hours) = &rule.active.hours {
        let (for_s, hours_s) = (rule.for_s, hours.seconds());
        if hours_s > 0 && for_s >= hours_s {
            problems.push(Problem::LongerThanHours { for_s, hours_s });
        }
    }
}

fn awake(active: &Active, problems: &mut Vec<Problem>) {
    if active.hours.is_some_and(|hours| hours.seconds() == 0) {
        problems.push(Problem::NoHours);
    }
    if active.season.is_some_and(|season| season.to < season.from) {
        problems.push(Problem::SeasonReversed);
    }
    let Some(stage) = &active.stage else { return };
    if stage.to_day < stage.from_day {
        problems.push(Problem::StageReversed);
        return;
    }
    match stage.days() {
        Some((from, to)) => {
            let apart = |season: Season| to < season.from || season.to < from;
            if active.season.is_some_and(apart) {
                problems.push(Problem::StageOutsideSeason);
            }
        }
        None if stage.sown.is_some() => problems.push(Problem::StageBeyondCalendar),
        None => {}
    }
}

fn place(rule: &Rule, places: &Places, today: NaiveDate, problems: &mut Vec<Problem>) {
    if rule.active.season.is_some_and(|season| season.to < today) {
        problems.push(Problem::SeasonPast);
    }
    let over = rule.over.clone();
    match places.is_there(&over) {
        None => return problems.push(Problem::UnknownPlace { over }),
        Some(false) => return problems.push(Problem::DeletedPlace { over }),
        Some(true) => {}
    }
    let mut nodes: Vec<&Place> = places.nodes_of(&rule.over).collect();
    if nodes.is_empty() {
        return problems.push(Problem::NoNodes { over });
    }
    if let Some(channel) = rule.channel {
        let had = nodes.iter().any(|n| n.channels.contains_key(&channel));
        nodes.retain(|n| n.channels.get(&channel) == Some(&true));
        if nodes.is_empty() {
            return problems.push(if had {
                Problem::DeletedChannel { channel }
            } else {
                Problem::NotMeasured { channel }
            });
        }
    }
    stages(rule, places, &nodes, today, problems);
    for node in nodes {
        let before = problems.len();
        interval(rule, node, problems);
        // One example will do.
        if problems.len() > before {
            break;
        }
    }
}

fn stages(
    rule: &Rule,
    places: &Places,
    nodes: &[&Place],
    today: NaiveDate,
    problems: &mut Vec<Problem>,
) {
    if rule.active.stage.is_none() {
        return;
    }
    let mut to_come = false;
    for node in nodes {
        let sown = places.plots.get(&node.plot).and_then(|plot| plot.sown);
        let dated = rule.clone().on(sown);
        match dated.active.stage.and_then(|stage| stage.days()) {
            Some((_, last)) => to_come |= last >= today,
            None => {
                return problems.push(Problem::NoSowingDate {
                    plot: node.plot.clone(),
                });
            }
        }
    }
    if !to_come {
        problems.push(Problem::StagePast);
    }
}

fn interval(rule: &Rule, place: &Place, problems: &mut Vec<Problem>) {
    let Some(interval_s) = place.interval_s else {
        return;
    };
    let node = || place.id.clone();
    match &rule.when {
        Condition::Silent(silence) if silence.after_s <= interval_s => {
            problems.push(Problem::ShorterThanInterval {
                field: "after_s",
                node: node(),
                interval_s,
            });
        }
        Condition::Silent(silence) if silence.after_s < interval_s.saturating_mul(2) => {
            problems.push(Problem::OneLostMessage {
                node: node(),
                interval_s,
            });
        }
        Condition::Rises(change) | Condition::Falls(change) if change.within_s < interval_s => {
            problems.push(Problem::ShorterThanInterval {
                field: "within_s",
                node: node(),
                interval_s,
            });
        }
        _ => {}
    }
    let millis = |seconds: u32| i64::from(seconds) * 1000;
    for (field, seconds) in [("for_s", rule.for_s), ("clear_for_s", rule.clear_for_s)] {
        if seconds > 0 && millis(interval_s) > MAX_GAP.max(millis(seconds)) {
            problems.push(Problem::TooSeldom {
                field,
                node: node(),
                interval_s,
            });
        } else if seconds > 0 && seconds < interval_s {
            problems.push(Problem::ShorterThanInterval {
                field,
                node: node(),
                interval_s,
            });
        }
    }
}
