//! Which rules make no sense, and why, before they are switched on.

use sen_wire::{Decimal, Quantity};
use serde::Serialize;

use crate::rule::{Active, Condition, Rule};

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum Problem {
    /// The channel is missing.
    #[error("a rule about values needs a channel")]
    NoChannel,
    /// The unit is not one of this quantity.
    #[error("{channel} is not measured in {unit}: use {canonical}")]
    Unit {
        /// The channel.
        channel: String,
        /// The unit given.
        unit: String,
        /// The canonical unit.
        canonical: String,
    },
    /// A value is no number.
    #[error("{field} is not a number that can be compared")]
    NotANumber {
        /// Which.
        field: &'static str,
    },
    /// No real value meets it.
    #[error("it can never fire: {channel} lies between {least} and {greatest} {unit}")]
    NeverFires {
        /// The channel.
        channel: String,
        /// Least real value.
        least: f64,
        /// Greatest real value.
        greatest: f64,
        /// Their unit.
        unit: String,
    },
    /// Every real value meets it.
    #[error(
        "it always fires: every value of {channel}, between {least} and {greatest} {unit}, meets it"
    )]
    AlwaysFires {
        /// The channel.
        channel: String,
        /// Least real value.
        least: f64,
        /// Greatest real value.
        greatest: f64,
        /// Their unit.
        unit: String,
    },
    /// The alarm would end on the wrong side.
    #[error("clears_at lies on the side of the alarm: it would end and begin with every reading")]
    ClearsOnTheWrongSide,
    /// The alarm could not end.
    #[error("the alarm could never end: no real value is that far inside")]
    NeverEnds,
    /// The limits are crossed.
    #[error("low is not below high")]
    Crossed,
    /// A change or a time of nothing.
    #[error("{field} must be above 0")]
    Zero {
        /// Which.
        field: &'static str,
    },
    /// The rule is never awake.
    #[error("it is never awake: {what}")]
    NeverAwake {
        /// Why.
        what: &'static str,
    },
    /// NPK probes write what they like.
    #[error(
        "{channel} can't be relied upon: probes let it be written by hand; show it, don't alert on it"
    )]
    Unreliable {
        /// The channel.
        channel: String,
    },
}

impl Rule {
    /// The rule with its values in canonical units, or everything that is wrong with it.
    pub fn checked(mut self) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        if let Err(problem) = self.canonical() {
            return Err(vec![problem]);
        }
        self.values(&mut problems);
        awake(&self.active, &mut problems);
        if problems.is_empty() {
            Ok(self)
        } else {
            Err(problems)
        }
    }

    fn canonical(&mut self) -> Result<(), Problem> {
        let Some(unit) = self.unit.take() else {
            return Ok(());
        };
        let Some(channel) = self.channel else {
            return Err(Problem::NoChannel);
        };
        let quantity = channel.quantity();
        let wrong = || Problem::Unit {
            channel: channel.to_string(),
            unit: unit.clone(),
            canonical: quantity.unit().to_owned(),
        };
        let value = |v: f64, field: &'static str| {
            let decimal: Decimal = v
                .to_string()
                .parse()
                .map_err(|_| Problem::NotANumber { field })?;
            Ok(quantity.convert(decimal, &unit).ok_or_else(wrong)?.to_f64())
        };
        // A difference has no offset: 1 K is 1 °C.
        let zero = value(0.0, "value")?;
        let difference = |v: f64, field: &'static str| Ok(value(v, field)? - zero);
        match &mut self.when {
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

    fn values(&self, problems: &mut Vec<Problem>) {
        if let Condition::Silent(silence) = &self.when {
            if silence.after_s == 0 {
                problems.push(Problem::Zero { field: "after_s" });
            }
            return;
        }
        let Some(channel) = self.channel else {
            problems.push(Problem::NoChannel);
            return;
        };
        let quantity = channel.quantity();
        if matches!(
            quantity,
            Quantity::SoilNitrogen | Quantity::SoilPhosphorus | Quantity::SoilPotassium
        ) && self.when != Condition::Fault
        {
            problems.push(Problem::Unreliable {
                channel: channel.to_string(),
            });
        }
        let (least, greatest) = quantity.plausible();
        let range = Range {
            channel: channel.to_string(),
            least,
            greatest,
            unit: quantity.unit().to_owned(),
        };
        match &self.when {
            Condition::Above(t) => {
                finite(
                    &[("value", Some(t.value)), ("clears_at", t.clears_at)],
                    problems,
                );
                if t.value >= greatest {
                    problems.push(range.never());
                } else if t.value < least {
                    problems.push(range.always());
                }
                match t.clears_at {
                    Some(c) if c > t.value => problems.push(Problem::ClearsOnTheWrongSide),
                    Some(c) if c < least => problems.push(Problem::NeverEnds),
                    _ => {}
                }
            }
            Condition::Below(t) => {
                finite(
                    &[("value", Some(t.value)), ("clears_at", t.clears_at)],
                    problems,
                );
                if t.value <= least {
                    problems.push(range.never());
                } else if t.value > greatest {
                    problems.push(range.always());
                }
                match t.clears_at {
                    Some(c) if c < t.value => problems.push(Problem::ClearsOnTheWrongSide),
                    Some(c) if c > greatest => problems.push(Problem::NeverEnds),
                    _ => {}
                }
            }
            Condition::Outside(band) => {
                let fields = [
                    ("low", Some(band.low)),
                    ("high", Some(band.high)),
                    ("hysteresis", Some(band.hysteresis)),
                ];
                finite(&fields, problems);
                if band.low >= band.high {
                    problems.push(Problem::Crossed);
                } else if band.low <= least && band.high >= greatest {
                    problems.push(range.never());
                } else if band.low > greatest || band.high < least {
                    problems.push(range.always());
                } else if band.hysteresis * 2.0 > band.high - band.low {
                    problems.push(Problem::NeverEnds);
                } else if band.hysteresis < 0.0 {
                    problems.push(Problem::ClearsOnTheWrongSide);
                }
            }
            Condition::Rises(change) | Condition::Falls(change) => {
                if change.within_s == 0 {
                    problems.push(Problem::Zero { field: "within_s" });
                }
                by(change.by, &range, problems);
            }
            Condition::Swings(swing) => by(swing.by, &range, problems),
            Condition::Fault | Condition::Silent(_) => {}
        }
    }
}

struct Range {
    channel: String,
    least: f64,
    greatest: f64,
    unit: String,
}

impl Range {
    fn never(&self) -> Problem {
        Problem::NeverFires {
            channel: self.channel.clone(),
            least: self.least,
            greatest: self.greatest,
            unit: self.unit.clone(),
        }
    }

    fn always(&self) -> Problem {
        Problem::AlwaysFires {
            channel: self.channel.clone(),
            least: self.least,
            greatest: self.greatest,
            unit: self.unit.clone(),
        }
    }
}

fn finite(fields: &[(&'static str, Option<f64>)], problems: &mut Vec<Problem>) {
    for &(field, value) in fields {
        if value.is_some_and(|value| !value.is_finite()) {
            problems.push(Problem::NotANumber { field });
        }
    }
}

fn by(by: f64, range: &Range, problems: &mut Vec<Problem>) {
    finite(&[("by", Some(by))], problems);
    if by <= 0.0 {
        problems.push(Problem::Zero { field: "by" });
    } else if by > range.greatest - range.least {
        problems.push(range.never());
    }
}

fn awake(active: &Active, problems: &mut Vec<Problem>) {
    if active.hours.is_some_and(|hours| hours.from == hours.to) {
        problems.push(Problem::NeverAwake {
            what: "its hours end where they begin; leave them out for the whole day",
        });
    }
    if active.season.is_some_and(|season| season.to < season.from) {
        problems.push(Problem::NeverAwake {
            what: "its season ends before it begins",
        });
    }
    match active.stage.as_ref().map(|stage| (stage, stage.days())) {
        Some((stage, _)) if stage.to_day < stage.from_day => problems.push(Problem::NeverAwake {
            what: "its stage ends before it begins",
        }),
        Some((_, None)) => problems.push(Problem::NeverAwake {
            what: "its sowing date is beyond the calendar",
        }),
        Some((_, Some((from, to)))) => {
            let apart = |season: crate::rule::Season| season.to < from || to < season.from;
            if active.season.is_some_and(apart) {
                problems.push(Problem::NeverAwake {
                    what: "its stage lies outside its season",
                });
            }
        }
        None => {}
    }
}
