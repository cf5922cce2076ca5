//! Some hours ahead, and the least value of a night, from a channel's own last weeks.
//!
//! Both are least squares on a rolling window, fitted anew once a day ([`super::fit`]); neither is shown unless it has earned
//! it ([`super::skill`]).
//!
//! - [`Ahead`]: the change from now to `hours` ahead, from the value now, its change over the last hour, the change one lunar
//!   day before (25 h), the difference to a lunar day before, and the four great tides at the target's time (M2 12.4206 h, S2
//!   12 h, K1 23.9345 h, O1 25.8193 h; Doodson's periods).
//! - [`Night`]: the fall from the evening to the least value before dawn, from the evening's value, its change over the last
//!   hours and the falls of the nights before. Oxygen falls as the pond breathes and is led back towards saturation from the
//!   air: to first order that is linear in just these.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::fit::ridge;
use super::skill::{Errors, Said, Skill};
use crate::Millis;
use crate::calendar::Zone;

const HOUR: Millis = 3_600_000;
const DAY: Millis = 24 * HOUR;
/// Hours of history that are kept.
const KEPT: i64 = 24 * 35;
/// Hours that are fitted, and how many of them must be there.
const FITTED: i64 = 24 * 28;
const LEAST_ROWS: usize = 24 * 7;
/// A lunar day, to the hour.
const LUNAR: i64 = 25;
/// Periods of the great tides, hours.
const TIDES: [f64; 4] = [12.4206, 12.0, 23.9345, 25.8193];
const RIDGE: f64 = 3e-2;

/// A forecast.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// For when.
    pub target: Millis,
    /// The value.
    pub value: f64,
    /// Its last mean absolute errors, beside the baselines'.
    pub errors: Errors,
    /// Whether it has earned to be shown.
    pub shown: bool,
}

/// The newest believed value of each hour.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Hourly {
    values: BTreeMap<i64, f64>,
}

impl Hourly {
    /// Takes a value; the hour that is complete by it, if one is.
    fn take(&mut self, at: Millis, value: f64) -> Option<i64> {
        let hour = at.div_euclid(HOUR);
        let complete = self.values.last_key_value().map(|(last, _)| *last);
        if complete.is_some_and(|last| hour < last) {
            return None;
        }
        self.values.insert(hour, value);
        while self
            .values
            .first_key_value()
            .is_some_and(|(first, _)| hour - first > KEPT)
        {
            self.values.pop_first();
        }
        complete.filter(|last| hour > *last)
    }

    fn at(&self, hour: i64) -> Option<f64> {
        self.values.get(&hour).copied()
    }
}

/// A value some hours ahead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ahead {
    hours: i64,
    hourly: Hourly,
    fitted: Option<(i64, Vec<f64>)>,
    open: VecDeque<Said>,
    skill: Skill,
}

impl Ahead {
    /// A forecast of so many hours ahead, 1 to 12; more is taken as 12. A day ahead nothing here was better than "as yesterday"
    /// for salinity and temperature, in the months that the models were chosen on and in those held out.
    #[must_use]
    pub fn new(hours: u8) -> Self {
        Self {
            hours: i64::from(hours.clamp(1, 12)),
            hourly: Hourly::default(),
            fitted: None,
            open: VecDeque::new(),
            // A week of hours at least, a fortnight at most.
            skill: Skill::new(14 * DAY, 24 * 7),
        }
    }

    /// Takes a believed value, in order of time. Returns the forecasts that it settled, with the truth.
    pub fn take(&mut self, at: Millis, value: f64) -> Vec<(Said, f64)> {
        let Some(hour) = self.hourly.take(at, value) else {
            return Vec::new();
        };
        let mut settled = Vec::new();
        while let Some(said) = self.open.front().copied() {
            let target = said.target.div_euclid(HOUR);
            if target > hour {
                break;
            }
            self.open.pop_front();
            if let Some(truth) = self.hourly.at(target) {
                self.skill.settle(said, truth);
                settled.push((said, truth));
            }
        }
        if self
            .fitted
            .as_ref()
            .is_none_or(|(when, _)| hour - when >= 24)
        {
            self.fit(hour);
        }
        if let Some(said) = self.say(hour) {
            self.open.push_back(said);
        }
        settled
    }

    /// The newest forecast, made at the newest complete hour.
    #[must_use]
    pub fn forecast(&self) -> Option<Forecast> {
        let said = self.open.back()?;
        Some(Forecast {
            target: said.target,
            value: said.model,
            errors: self.skill.errors(),
            shown: self.skill.earned(),
        })
    }

    fn say(&self, hour: i64) -> Option<Said> {
        let (_, coefficients) = self.fitted.as_ref()?;
        let now = self.hourly.at(hour)?;
        let row = self.row(hour)?;
        let change: f64 = row.iter().zip(coefficients).map(|(x, c)| x * c).sum();
        Some(Said {
            target: (hour + self.hours) * HOUR,
            model: now + change,
            now,
            yesterday: self.hourly.at(hour + self.hours - 24)?,
        })
    }

    fn row(&self, hour: i64) -> Option<Vec<f64>> {
        let value = |h: i64| self.hourly.at(h);
        let now = value(hour)?;
        let moon_ago = value(hour - LUNAR)?;
        let mut row = vec![
            1.0,
            now,
            now - value(hour - 1)?,
            value(hour + self.hours - LUNAR)? - moon_ago,
            now - moon_ago,
        ];
        for period in TIDES {
            let turn = (hour + self.hours) as f64 / period * std::f64::consts::TAU;
            row.extend([turn.cos(), turn.sin()]);
        }
        Some(row)
    }

    fn fit(&mut self, hour: i64) {
        let (mut rows, mut y) = (Vec::new(), Vec::new());
        for then in hour - FITTED..=hour - self.hours {
            let known = self.hourly.at(then).zip(self.hourly.at(then + self.hours));
            if let (Some((from, to)), Some(row)) = (known, self.row(then)) {
                rows.push(row);
                y.push(to - from);
            }
        }
        if rows.len() < LEAST_ROWS {
            return;
        }
        if let Some(coefficients) = ridge(&rows, &y, RIDGE) {
            self.fitted = Some((hour, coefficients));
        }
    }
}

/// Local hours of a night: the forecast is made at the first and is for the least value up to the second.
pub const EVENING: i64 = 20;
/// See [`EVENING`].
pub const DAWN: i64 = 7;
const NIGHTS: usize = 42;
const LEAST_NIGHTS: usize = 10;
/// Few nights, five columns: drawn towards the mean fall.
const NIGHT_RIDGE: f64 = 0.1;

/// One night.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Past {
    row: Vec<f64>,
    fall: f64,
    least: f64,
}

/// The least value before dawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Night {
    /// How far the farm's clock is ahead of UTC.
    ahead_of_utc: Millis,
    hourly: Hourly,
    nights: VecDeque<Past>,
    /// Tonight: when it ends, what is known of the evening, what was said, the least value so far and of how many hours.
    tonight: Option<(Vec<f64>, f64, Option<Said>)>,
    ends: Millis,
    least: f64,
    heard: u32,
    skill: Skill,
}

impl Night {
    /// For a farm on this clock.
    #[must_use]
    pub fn new(zone: Zone) -> Self {
        Self {
            ahead_of_utc: zone.local(0).and_utc().timestamp_millis(),
            hourly: Hourly::default(),
            nights: VecDeque::new(),
            tonight: None,
            ends: Millis::MIN,
            least: f64::INFINITY,
            heard: 0,
            // Nights are few: four weeks of them, ten at least.
            skill: Skill::new(28 * DAY, LEAST_NIGHTS),
        }
    }

    /// Takes a believed value, in order of time. Returns the forecast that it settled, with the truth.
    pub fn take(&mut self, at: Millis, value: f64) -> Option<(Said, f64)> {
        let complete = self.hourly.take(at, value);
        let settled = if at >= self.ends { self.dawn() } else { None };
        if self.tonight.is_some() {
            self.least = self.least.min(value);
        }
        if let Some(hour) = complete {
            if self.tonight.is_some() {
                self.heard += 1;
            }
            let local = (hour * HOUR + self.ahead_of_utc)
                .div_euclid(HOUR)
                .rem_euclid(24);
            if local == EVENING - 1 {
                self.evening(hour, value);
            }
        }
        settled
    }

    /// Tonight's forecast.
    #[must_use]
    pub fn forecast(&self) -> Option<Forecast> {
        let said = self.tonight.as_ref()?.2?;
        Some(Forecast {
            target: said.target,
            value: said.model,
            errors: self.skill.errors(),
            shown: self.skill.earned(),
        })
    }

    fn evening(&mut self, hour: i64, newest: f64) {
        let Some(row) = self.row(hour) else { return };
        let Some(now) = self.hourly.at(hour) else {
            return;
        };
        let target = (hour + 1 + 24 - EVENING + DAWN) * HOUR;
        let said = self
            .fall(&row)
            .zip(self.nights.back())
            .map(|(fall, last)| Said {
                target,
                model: now - fall.max(0.0),
                now,
                yesterday: last.least,
            });
        self.ends = target;
        self.least = now.min(newest);
        self.heard = 0;
        self.tonight = Some((row, now, said));
    }

    /// What the evening says: its value, the changes over one and three hours, the least of the last night.
    fn row(&self, hour: i64) -> Option<Vec<f64>> {
        let now = self.hourly.at(hour)?;
        let last = self.nights.back();
        Some(vec![
            1.0,
            now,
            now - self.hourly.at(hour - 1)?,
            now - self.hourly.at(hour - 3)?,
            last.map_or(now, |night| night.least),
            last.map_or(0.0, |night| night.fall),
        ])
    }

    fn fall(&self, row: &[f64]) -> Option<f64> {
        if self.nights.len() < LEAST_NIGHTS {
            return None;
        }
        // Centred, so that the ridge draws towards the mean fall and not towards none.
        let count = self.nights.len() as f64;
        let mean = |column: usize| {
            let of = |night: &Past| night.row.get(column).copied().unwrap_or_default();
            self.nights.iter().map(of).sum::<f64>() / count
        };
        let means: Vec<f64> = (0..row.len()).map(mean).collect();
        let centred = |row: &[f64]| -> Vec<f64> {
            let rest = row.iter().zip(&means).skip(1).map(|(x, m)| x - m);
            std::iter::once(1.0).chain(rest).collect()
        };
        let rows: Vec<Vec<f64>> = self
            .nights
            .iter()
            .map(|night| centred(&night.row))
            .collect();
        let falls: Vec<f64> = self.nights.iter().map(|night| night.fall).collect();
        let coefficients = ridge(&rows, &falls, NIGHT_RIDGE)?;
        Some(
            centred(row)
                .iter()
                .zip(&coefficients)
                .map(|(x, c)| x * c)
                .sum(),
        )
    }

    fn dawn(&mut self) -> Option<(Said, f64)> {
        let (row, evening, said) = self.tonight.take()?;
        // Of a night that was half heard the least value is not known.
        if self.heard < 8 {
            return None;
        }
        let least = self.least;
        if self.nights.len() == NIGHTS {
            self.nights.pop_front();
        }
        self.nights.push_back(Past {
            row,
            fall: evening - least,
            least,
        });
        let said = said?;
        self.skill.settle(said, least);
        Some((said, least))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spring and neap on M2 and S2, and a little unrest.
    fn tide(hour: i64) -> f64 {
        let turn = |period: f64| (hour as f64 / period * std::f64::consts::TAU).sin();
        let unrest = ((hour * 7919) % 101) as f64 / 101.0 - 0.5;
        20.0 + 5.0 * turn(12.4206) + 2.0 * turn(12.0) + 0.3 * unrest
    }

    #[test]
    fn a_tide_is_forecast_and_earns_it() {
        let mut ahead = Ahead::new(6);
        let mut worst: f64 = 0.0;
        for hour in 0..24 * 60 {
            for (said, truth) in ahead.take(hour * HOUR, tide(hour)) {
                if hour > 24 * 40 {
                    worst = worst.max((said.model - truth).abs());
                }
            }
        }
        assert!(worst < 1.5, "off by {worst}");
        let forecast = ahead.forecast().unwrap();
        assert!(forecast.shown && forecast.errors.now > 3.0, "{forecast:?}");
    }

    #[test]
    fn chance_is_not_forecast_and_not_shown() {
        // A walk of chance: nothing beats "as now".
        let (mut ahead, mut value, mut state) = (Ahead::new(3), 20.0, 1_u64);
        for hour in 0..24 * 60 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            value += (state >> 40) as f64 / (1_u64 << 24) as f64 - 0.5;
            ahead.take(hour * HOUR, value);
        }
        let forecast = ahead.forecast().unwrap();
        assert!(!forecast.shown, "{forecast:?}");
    }

    #[test]
    fn a_pond_that_falls_by_its_evening_value_is_forecast() {
        let mut night = Night::new(Zone::UTC);
        let mut last = None;
        for hour in 0..24 * 60_i64 {
            let day = hour.div_euclid(24);
            // Each evening another height; the night takes six tenths of what is above 2.
            let height = 7.0 + ((day * 37) % 11) as f64 / 5.0;
            let value = match hour.rem_euclid(24) {
                h @ 0..=6 => {
                    let before = 7.0 + (((day - 1) * 37) % 11) as f64 / 5.0;
                    before - (before - 2.0) * 0.6 * (h + 4) as f64 / 10.0
                }
                h @ 20.. => height - (height - 2.0) * 0.6 * (h - 20) as f64 / 10.0,
                _ => height,
            };
            if let Some((said, truth)) = night.take(hour * HOUR, value) {
                last = Some((said.model - truth).abs());
            }
            if hour.rem_euclid(24) == 22 && day == 50 {
                assert!(night.forecast().unwrap().shown);
            }
        }
        assert!(last.unwrap() < 0.3, "off by {last:?}");
    }
}
