//! A level that shifted at once and stayed: a probe calibrated, moved or cleaned.
//!
//! It is seen two hours (of quarters) later, when as many readings lie on either side: their medians differ by far more than
//! either side moves, most of it happened between two readings, and the series is afterwards as quiet as it was before. A
//! front or a storm is not quiet afterwards. A gap in the readings changes nothing: service is a gap with a step. The reading that shows it is marked; it is believed, as the ones before.

use std::collections::VecDeque;

use sen_wire::Quantity;
use serde::{Deserialize, Serialize};

use super::limits::limits;

/// Readings on either side.
pub const SIDE: usize = 8;
/// By how many times the movement of a side the medians must differ.
const TIMES: f64 = 6.0;

/// Levels of a series: its last believed readings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Levels {
    recent: VecDeque<f64>,
}

impl Levels {
    /// Takes a believed reading; whether the level shifted [`SIDE`] readings before.
    pub fn take(&mut self, quantity: Quantity, value: f64) -> bool {
        if self.recent.len() == 2 * SIDE {
            self.recent.pop_front();
        }
        self.recent.push_back(value);
        let limits = limits(quantity);
        if self.recent.len() < 2 * SIDE || limits.floor.is_infinite() {
            return false;
        }
        let (before, after) = self.recent.make_contiguous().split_at(SIDE);
        let (Some(&last), Some(&first)) = (before.last(), after.first()) else {
            return false;
        };
        let ((was, moved_before), (is, moved_after)) = (level(before), level(after));
        let shift = is - was;
        let quiet = moved_before.max(limits.floor / 4.0);
        let enough = (limits.floor)
            .max(limits.relative * was.abs())
            .max(TIMES * quiet);
        shift.abs() >= enough && moved_after <= 1.5 * quiet && (first - last) / shift >= 0.7
    }
}

/// Median and range of a side.
fn level(side: &[f64]) -> (f64, f64) {
    let mut sorted: Vec<f64> = side.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |n: usize| sorted.get(n).copied().unwrap_or_default();
    (at(sorted.len() / 2), at(sorted.len() - 1) - at(0))
}
