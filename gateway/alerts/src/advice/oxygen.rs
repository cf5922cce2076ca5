//! Will oxygen be short before dawn? From the evening's forecast of the night's least value ([`super::forecast::Night`]).
//!
//! Short means: the forecast less its own mean error is below the limit. An alarm that comes at 4 in the morning finds the
//! farmer asleep; one evening too many with the aerators ready costs little.

use super::forecast::Forecast;
use super::{Advice, Because, Kind, What};
use crate::condition::Sample;

/// Aerators ready, or nothing to fear. `limit`: mg/L; whiteleg shrimp 4, act below 3.
#[must_use]
pub fn tonight(newest: Option<Sample>, limit: f64, forecast: Option<Forecast>) -> Advice {
    let say = |what, when, because| Advice {
        kind: Kind::NightOxygen,
        what,
        when,
        because,
    };
    let (Some(newest), Some(forecast)) = (newest, forecast) else {
        return say(What::Unknown, None, Because::NoReading);
    };
    if !forecast.shown {
        return say(What::Unknown, None, Because::NoSkill);
    }
    let off_by = forecast.errors.model;
    let what = if forecast.value - off_by < limit {
        What::Aerate
    } else {
        What::Fine
    };
    let because = Because::Oxygen {
        now: newest.value,
        least: forecast.value.max(0.0),
        limit,
        off_by,
    };
    say(what, Some(forecast.target), because)
}

#[cfg(test)]
mod tests {
    use super::super::skill::Errors;
    use super::*;

    fn forecast(value: f64, shown: bool) -> Option<Forecast> {
        let errors = Errors {
            model: 0.5,
            ..Errors::default()
        };
        Some(Forecast {
            target: 1,
            value,
            errors,
            shown,
        })
    }

    const NOW: Option<Sample> = Some(Sample { at: 0, value: 6.0 });

    #[test]
    fn warns_when_the_night_will_take_too_much() {
        assert_eq!(tonight(NOW, 3.0, forecast(3.4, true)).what, What::Aerate);
        assert_eq!(tonight(NOW, 3.0, forecast(3.6, true)).what, What::Fine);
    }

    #[test]
    fn says_nothing_without_skill_or_reading() {
        let without = tonight(NOW, 3.0, forecast(1.0, false));
        assert_eq!(
            (without.what, without.because),
            (What::Unknown, Because::NoSkill)
        );
        assert_eq!(
            tonight(None, 3.0, forecast(1.0, true)).because,
            Because::NoReading
        );
    }
}
