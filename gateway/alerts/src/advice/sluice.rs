//! May river water be let in? Shut above the crop's limit; below it open until the forecast passes the limit.
//!
//! The limit is the crop's (the domain's table: rice 1.9 dS/m, about 1 ‰; durian 0.5 to 0.64 g/L). The forecasts are
//! [`super::forecast::Ahead`] of several horizons; those that have not earned it are left out, and their own error is taken as
//! a margin: the sluice is shut early rather than late.

use super::forecast::Forecast;
use super::{Advice, Because, Kind, What};
use crate::Millis;
use crate::condition::Sample;

/// A salinity older than this says nothing of now: the tide has gone on.
const OLD: Millis = 3_600_000;

/// Shut, or open until when. `forecasts` in order of their targets.
#[must_use]
pub fn sluice(newest: Option<Sample>, limit: f64, forecasts: &[Forecast], now: Millis) -> Advice {
    let say = |what, when, because| Advice {
        kind: Kind::Sluice,
        what,
        when,
        because,
    };
    let Some(newest) = newest.filter(|s| now.saturating_sub(s.at) <= OLD) else {
        return say(What::Unknown, None, Because::NoReading);
    };
    let because = Because::Salt {
        salinity: newest.value,
        limit,
    };
    let ahead = || forecasts.iter().filter(|f| f.shown && f.target > now);
    let salty = |f: &&Forecast| f.value + f.errors.model >= limit;
    if newest.value >= limit {
        let fresh = ahead().find(|f| !salty(f)).map(|f| f.target);
        return say(What::KeepShut, fresh, because);
    }
    // The last target that is still fresh before the first salty one; if that is the very first, shut by its half.
    let mut until = None;
    let mut before = newest.at;
    for forecast in ahead() {
        if salty(&forecast) {
            until = Some(if before == newest.at {
                before + (forecast.target - before) / 2
            } else {
                before
            });
            break;
        }
        before = forecast.target;
    }
    match until {
        Some(until) if until <= now => say(What::KeepShut, None, because),
        _ => say(What::Open, until, because),
    }
}

#[cfg(test)]
mod tests {
    use super::super::skill::Errors;
    use super::*;

    const HOUR: Millis = 3_600_000;

    fn ahead(hours: i64, value: f64, shown: bool) -> Forecast {
        Forecast {
            target: hours * HOUR,
            value,
            errors: Errors {
                model: 0.2,
                ..Errors::default()
            },
            shown,
        }
    }

    fn now(value: f64) -> Option<Sample> {
        Some(Sample { at: 0, value })
    }

    #[test]
    fn salty_water_is_kept_out() {
        let advice = sluice(
            now(1.4),
            1.0,
            &[ahead(3, 1.2, true), ahead(6, 0.5, true)],
            0,
        );
        assert_eq!((advice.what, advice.when), (What::KeepShut, Some(6 * HOUR)));
    }

    #[test]
    fn fresh_water_is_let_in_until_the_tide_brings_salt() {
        let tide = [ahead(3, 0.4, true), ahead(6, 0.9, true)];
        let advice = sluice(now(0.3), 1.0, &tide, 0);
        // 0.9 and the usual error of 0.2 pass the limit: open as long as the forecast before.
        assert_eq!((advice.what, advice.when), (What::Open, Some(3 * HOUR)));
    }

    #[test]
    fn a_forecast_that_has_not_earned_it_is_not_listened_to() {
        let advice = sluice(now(0.3), 1.0, &[ahead(3, 2.0, false)], 0);
        assert_eq!((advice.what, advice.when), (What::Open, None));
    }

    #[test]
    fn an_old_reading_says_nothing_of_the_tide() {
        assert_eq!(sluice(now(0.3), 1.0, &[], 2 * HOUR).what, What::Unknown);
        assert_eq!(sluice(None, 1.0, &[], 0).what, What::Unknown);
    }
}
