//! What a technician brings home: one visit when it is dry, one when it is wet, each some settled hours long.

use crate::series::{Row, median, quantile};

/// Which quantile of the reference is dry, and which wet. Not the ends: a calibration is right at its points, so they belong
/// where the field mostly is and where it gets to after each watering. The driest hour ever pulls the rest askew.
pub(crate) const DRY: f64 = 0.2;
pub(crate) const WET: f64 = 0.95;

/// Length of a visit, minutes.
const VISIT: i64 = 6 * 60;
/// From one possible visit to the next.
const STEP: usize = 8;
/// Rows that a visit has at least.
const LEAST_ROWS: usize = 8;
/// Of all possible visits this part is settled: the reference moved least.
const SETTLED: f64 = 0.7;

/// Medians of one visit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    pub(crate) raw: f64,
    pub(crate) reference: f64,
}

/// Pairs of a dry and a wet visit, nearest to the quantiles first.
pub(crate) fn visits(weeks: &[&[Row]], pairs: usize) -> Vec<(Visit, Visit)> {
    let mut all: Vec<f64> = weeks
        .iter()
        .copied()
        .flatten()
        .map(|row| row.reference)
        .collect();
    let (dry, wet) = (quantile(&mut all, DRY), quantile(&mut all, WET));
    let mut possible: Vec<(f64, Visit)> = Vec::new();
    for week in weeks {
        for from in (0..week.len()).step_by(STEP) {
            let end = week[from..]
                .iter()
                .position(|row| row.minute >= week[from].minute + VISIT);
            // The rest of the week is no whole visit.
            let Some(rows) = end.map(|end| &week[from..from + end]) else {
                break;
            };
            if rows.len() < LEAST_ROWS {
                continue;
            }
            let mut raw: Vec<f64> = rows.iter().map(|row| row.raw).collect();
            let mut reference: Vec<f64> = rows.iter().map(|row| row.reference).collect();
            let visit = Visit {
                raw: median(&mut raw),
                reference: median(&mut reference),
            };
            // Sorted by now. A single junk value of the reference does not unsettle a visit.
            let moved = quantile(&mut reference, 0.95) - quantile(&mut reference, 0.05);
            possible.push((moved, visit));
        }
    }
    let mut moves: Vec<f64> = possible.iter().map(|(moved, _)| *moved).collect();
    let most = quantile(&mut moves, SETTLED);
    let settled: Vec<Visit> = possible
        .into_iter()
        .filter(|(moved, _)| *moved <= most)
        .map(|(_, visit)| visit)
        .collect();
    let nearest = |wanted: f64| {
        let mut visits = settled.clone();
        let off = |visit: &Visit| (visit.reference - wanted).abs();
        visits.sort_by(|a, b| off(a).total_cmp(&off(b)));
        visits
    };
    let pairs = nearest(dry).into_iter().zip(nearest(wet)).take(pairs);
    pairs.collect()
}
