//! How far a reading may lie beyond the readings around it.
//!
//! The *excursion* of a reading is how far it lies beyond both its neighbours, 0 if it lies between them: exactly what a
//! spike is made of, and what a front or a tide has none of, however steep. The series' own high quantile of excursions says
//! what is usual here; a reading further off than [`TIMES`] that is far. The quantile is followed by stochastic approximation
//! (Robbins and Monro 1951; for quantiles: Tierney 1983), which needs one number and which no single outlier can pull.

use std::collections::VecDeque;

use sen_wire::Quantity;
use serde::{Deserialize, Serialize};

use super::limits::limits;

/// The quantile of excursions that counts as usual.
pub const USUAL: f64 = 0.99;
/// How many times the usual is far.
pub const TIMES: f64 = 5.0;
/// Readings before the series is asked: two days of quarters.
const WARM: u32 = 192;
/// Last believed values: their median stands for the level.
const RECENT: usize = 5;

/// A far reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Far {
    /// What is far here.
    pub limit: f64,
    /// Far by several times that.
    pub very: bool,
}

/// Excursions of a series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Excursions {
    recent: VecDeque<f64>,
    usual: f64,
    learned: u32,
}

impl Excursions {
    /// Whether a reading lies far from those before: from the last one and from their median, so that neither a front nor the
    /// way back from one is called far.
    #[must_use]
    pub fn far(&self, quantity: Quantity, value: f64) -> Option<Far> {
        let &last = self.recent.back()?;
        let median = self.median()?;
        let limit = self.limit_at(quantity, median);
        let off = (value - last).abs().min((value - median).abs());
        (off > limit).then_some(Far {
            limit,
            very: off > 2.0 * limit,
        })
    }

    /// What is far here and now.
    #[must_use]
    pub fn limit(&self, quantity: Quantity) -> f64 {
        self.limit_at(quantity, self.median().unwrap_or_default())
    }

    fn limit_at(&self, quantity: Quantity, level: f64) -> f64 {
        let limits = limits(quantity);
        let floor = limits.floor.max(limits.relative * level.abs());
        let own = TIMES * self.usual;
        if self.learned < WARM {
            floor.max(own).max(limits.unknown)
        } else {
            floor.max(own)
        }
    }

    /// Takes a believed value.
    pub fn learn(&mut self, quantity: Quantity, value: f64) {
        if let [.., before, middle] = *self.recent.make_contiguous() {
            let (a, b) = (middle - before, middle - value);
            let excursion = if a * b > 0.0 {
                a.abs().min(b.abs())
            } else {
                0.0
            };
            self.follow(quantity, excursion);
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(value);
    }

    /// Takes a value that turned out to be a spike: it is no level, but it tells how unquiet the series is.
    pub fn rejected(&mut self, quantity: Quantity, value: f64) {
        if let Some(last) = self.last() {
            self.follow(quantity, (value - last).abs());
        }
    }

    /// The newest believed value.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        self.recent.back().copied()
    }

    fn follow(&mut self, quantity: Quantity, excursion: f64) {
        self.learned = self.learned.saturating_add(1);
        // The step: a share of the estimate itself, so that it follows any scale; never less than a share of the floor.
        let floor = limits(quantity).floor;
        let least = if floor.is_finite() { floor / 50.0 } else { 1.0 };
        let step = 0.25 * self.usual.max(least) * if self.learned < WARM { 2.0 } else { 1.0 };
        if excursion > self.usual {
            self.usual = (self.usual + step * USUAL).min(excursion);
        } else {
            self.usual = (self.usual - step * (1.0 - USUAL)).max(0.0);
        }
    }

    /// The level has changed: its median begins anew.
    pub fn moved(&mut self) {
        self.recent.clear();
    }

    /// Readings stopped for a while.
    pub fn interrupted(&mut self) {
        self.recent.clear();
    }

    fn median(&self) -> Option<f64> {
        let mut sorted: Vec<f64> = self.recent.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }
}
