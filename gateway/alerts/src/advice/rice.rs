//! Alternate wetting and drying: pump when the tube reads -15 cm, up to +5; from two weeks after transplanting; not around
//! flowering, when +5 cm is held from a week before to a week after (IRRI, overview of AWD, and its guides; the domain's table
//! of thresholds). 15 cm is "safe AWD": the roots still reach the water and the yield does not suffer.

use super::{Advice, Because, Kind, What};
use crate::Millis;
use crate::condition::Sample;

const DAY: f64 = 86_400_000.0;

/// What is held to. All cm relative to the soil's surface.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Awd {
    /// Pump when the tube reads this.
    pub pump_at_cm: f64,
    /// Around flowering hold this.
    pub hold_cm: f64,
}

impl Default for Awd {
    fn default() -> Self {
        Self {
            pump_at_cm: -15.0,
            hold_cm: 5.0,
        }
    }
}

/// Where the crop stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The first two weeks after transplanting.
    JustPlanted,
    /// Tillering to a week before flowering, and from a week after flowering on.
    Drying,
    /// A week before to a week after flowering.
    Flowering,
}

impl Stage {
    /// The stage `days` after transplanting, of a variety that flowers `flowers_on` days after it.
    #[must_use]
    pub fn of(days: u16, flowers_on: u16) -> Self {
        if days < 14 {
            Self::JustPlanted
        } else if days.abs_diff(flowers_on) <= 7 {
            Self::Flowering
        } else {
            Self::Drying
        }
    }
}

/// No fall is told from less than this, and the time to the limit is not told beyond [`FAR_DAYS`].
const LEAST_SPAN: Millis = 12 * 3_600_000;
/// Further ahead rain will have spoken.
const FAR_DAYS: f64 = 14.0;
/// A level older than this says nothing of today.
const OLD: Millis = 24 * 3_600_000;

/// Pump or wait. `levels`: believed levels of the last days, cm, in order of time.
#[must_use]
pub fn water(awd: Awd, stage: Stage, levels: &[Sample], now: Millis) -> Advice {
    let say = |what, when, because| Advice {
        kind: Kind::RiceWater,
        what,
        when,
        because,
    };
    let Some(newest) = levels.last().filter(|s| now.saturating_sub(s.at) <= OLD) else {
        return say(What::Unknown, None, Because::NoReading);
    };
    let level_cm = newest.value;
    match stage {
        Stage::JustPlanted => say(What::Wait, None, Because::JustPlanted { level_cm }),
        Stage::Flowering => {
            let what = if level_cm < awd.hold_cm {
                What::PumpNow
            } else {
                What::Wait
            };
            let hold_cm = awd.hold_cm;
            say(what, None, Because::Flowering { level_cm, hold_cm })
        }
        Stage::Drying => {
            let fall = fall_a_day(levels).filter(|fall| *fall > 0.1);
            let because = Because::Tube {
                level_cm,
                pump_at_cm: awd.pump_at_cm,
                fall_cm_a_day: fall,
            };
            if level_cm <= awd.pump_at_cm {
                return say(What::PumpNow, None, because);
            }
            let days = fall.map(|fall| (level_cm - awd.pump_at_cm) / fall);
            let when = days
                .filter(|days| *days <= FAR_DAYS)
                .map(|days| newest.at.saturating_add((days * DAY).round() as Millis));
            say(What::Wait, when, because)
        }
    }
}

/// How fast the level falls, cm a day: the median slope of pairs (Theil and Sen), since the last time it was filled.
#[must_use]
pub fn fall_a_day(levels: &[Sample]) -> Option<f64> {
    // Filling, by pump or rain, is a rise of 2 cm or more between two readings.
    let since = levels
        .windows(2)
        .rposition(|pair| matches!(pair, [a, b] if b.value - a.value >= 2.0))
        .map_or(0, |n| n + 1);
    let levels = levels.get(since..)?;
    let span = levels.last()?.at.saturating_sub(levels.first()?.at);
    if span < LEAST_SPAN {
        return None;
    }
    // A hundred readings at most: five thousand pairs.
    let every = levels.len().div_ceil(100);
    let few: Vec<&Sample> = levels.iter().step_by(every).collect();
    let mut slopes = Vec::new();
    for (n, a) in few.iter().enumerate() {
        for b in few.iter().skip(n + 1).filter(|b| b.at > a.at) {
            slopes.push((a.value - b.value) / ((b.at - a.at) as f64 / DAY));
        }
    }
    slopes.sort_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3_600_000;

    /// Hourly levels of three days that end at `last`, falling `fall` cm a day.
    fn levels(last: f64, fall: f64) -> Vec<Sample> {
        (0..=72)
            .map(|n| Sample {
                at: n * HOUR,
                value: last + fall * (72 - n) as f64 / 24.0,
            })
            .collect()
    }

    fn advise(stage: Stage, last: f64, fall: f64) -> Advice {
        water(Awd::default(), stage, &levels(last, fall), 72 * HOUR)
    }

    #[test]
    fn pumps_at_minus_fifteen_and_waits_above() {
        assert_eq!(advise(Stage::Drying, -15.0, 2.0).what, What::PumpNow);
        let wait = advise(Stage::Drying, -9.0, 2.0);
        assert_eq!(wait.what, What::Wait);
        // 6 cm at 2 cm a day.
        assert_eq!(wait.when, Some(72 * HOUR + 3 * 24 * HOUR));
    }

    #[test]
    fn at_flowering_the_field_is_kept_under_water() {
        let stage = Stage::of(62, 65);
        assert_eq!(stage, Stage::Flowering);
        assert_eq!(advise(stage, 2.0, 1.0).what, What::PumpNow);
        assert_eq!(advise(stage, 6.0, 1.0).what, What::Wait);
        assert_eq!(Stage::of(73, 65), Stage::Drying);
        assert_eq!(Stage::of(13, 65), Stage::JustPlanted);
    }

    #[test]
    fn a_level_that_rises_gives_no_day() {
        let wait = advise(Stage::Drying, -3.0, -1.0);
        assert_eq!((wait.what, wait.when), (What::Wait, None));
    }

    #[test]
    fn the_fall_is_counted_since_the_field_was_filled() {
        let mut filled = levels(-5.0, 2.0);
        for sample in &mut filled[..40] {
            sample.value = -14.0;
        }
        let fall = fall_a_day(&filled).unwrap();
        assert!((fall - 2.0).abs() < 0.01, "{fall}");
    }

    #[test]
    fn an_old_level_says_nothing() {
        let old = water(
            Awd::default(),
            Stage::Drying,
            &levels(-20.0, 2.0),
            200 * HOUR,
        );
        assert_eq!((old.what, old.because), (What::Unknown, Because::NoReading));
    }
}
