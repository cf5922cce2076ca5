//! What the labels say, as kinds of faults.

use sen_alerts::quality::{limits::limits, placeholder::is_placeholder};

use crate::series::Series;

/// Kinds of labelled faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The raw value is a placeholder, whatever the labels say.
    Sentinel,
    /// The raw value is outside its quantity's plausible range, whatever the labels say.
    Range,
    /// A labelled run of at most three readings.
    Spike,
    /// A labelled run of at least eight readings with nothing but one raw value, or two.
    Stuck,
    /// Any other labelled run: the raw values move, and are wrong all the same.
    Stretch,
    /// Raw and corrected differ by an amount that changes slowly: drift, fouling, a datum. Not counted as faulty readings.
    Drift,
    /// The difference between raw and corrected changes at once and stays changed: the level of the raw series shifted.
    Step,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Sentinel,
        Self::Range,
        Self::Spike,
        Self::Stuck,
        Self::Stretch,
        Self::Drift,
        Self::Step,
    ];
}

/// A run of readings with the same label, `from..to`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) kind: Kind,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// Every labelled event of a series, steps and drifts included.
///
/// A reading is labelled faulty if it is qualified (river) or rejected (reserve; one that is only suspect is neither faulty nor
/// good); or deleted (no corrected value between the first and the last corrected
/// reading); or corrected by an amount that differs from the correction around it (median over a day on either side) by more
/// than the quantity's floor. Runs of faulty readings at most an hour (four readings) apart are one event.
pub(crate) fn events(series: &Series) -> Vec<Event> {
    let rows = &series.rows;
    let (low, high) = series.quantity.plausible();
    let mut events = Vec::new();
    let impossible: Vec<Option<Kind>> = rows
        .iter()
        .map(|row| {
            if is_placeholder(series.quantity, row.value) {
                Some(Kind::Sentinel)
            } else if !(low..=high).contains(&row.value) {
                Some(Kind::Range)
            } else {
                None
            }
        })
        .collect();
    for kind in [Kind::Sentinel, Kind::Range] {
        runs(
            &impossible,
            |k| *k == Some(kind),
            0,
            |from, to| {
                events.push(Event { kind, from, to });
            },
        );
    }
    let corrections: Vec<Option<f64>> = rows
        .iter()
        .zip(&impossible)
        .map(|(row, bad)| match (bad, row.label.corrected) {
            (None, Some(corrected)) => Some(row.value - corrected),
            _ => None,
        })
        .collect();
    let around = around(&corrections);
    let first = rows.iter().position(|r| r.label.corrected.is_some());
    let last = rows.iter().rposition(|r| r.label.corrected.is_some());
    let floor = finite_floor(series);
    let faulty: Vec<bool> = (0..rows.len())
        .map(|n| {
            let deleted = rows[n].label.corrected.is_none()
                && first.is_some_and(|f| f <= n)
                && last.is_some_and(|l| n <= l);
            let off = match (corrections[n], around[n]) {
                (Some(c), Some(usual)) => (c - usual).abs() > floor,
                _ => false,
            };
            impossible[n].is_none() && (rows[n].label.rejected || deleted || off)
        })
        .collect();
    runs(
        &faulty,
        |f| *f,
        4,
        |from, to| {
            let values: std::collections::BTreeSet<u64> =
                rows[from..to].iter().map(|r| r.value.to_bits()).collect();
            let kind = match to - from {
                ..=3 => Kind::Spike,
                8.. if values.len() <= 2 => Kind::Stuck,
                _ => Kind::Stretch,
            };
            events.push(Event { kind, from, to });
        },
    );
    let drifting: Vec<bool> = (0..rows.len())
        .map(|n| !faulty[n] && corrections[n].is_some_and(|c| c.abs() > floor / 4.0))
        .collect();
    runs(
        &drifting,
        |d| *d,
        4,
        |from, to| {
            events.push(Event {
                kind: Kind::Drift,
                from,
                to,
            });
        },
    );
    for n in 1..rows.len() {
        if let (Some(a), Some(b)) = (around_before(&around, n), around[n])
            && (a - b).abs() > floor
            && corrections[n - 1]
                .zip(corrections[n])
                .is_some_and(|(x, y)| (x - y).abs() > floor)
        {
            events.push(Event {
                kind: Kind::Step,
                from: n,
                to: n + 1,
            });
        }
    }
    events
}

fn around_before(around: &[Option<f64>], n: usize) -> Option<f64> {
    around.get(n.checked_sub(96)?).copied().flatten()
}

/// Which readings are labelled faulty, and in which event.
pub(crate) fn faulty(events: &[Event], len: usize) -> Vec<Option<usize>> {
    let mut by_reading = vec![None; len];
    for (n, event) in events.iter().enumerate() {
        if !matches!(event.kind, Kind::Drift | Kind::Step) {
            for slot in &mut by_reading[event.from..event.to] {
                *slot = Some(n);
            }
        }
    }
    by_reading
}

fn finite_floor(series: &Series) -> f64 {
    let l = limits(series.quantity);
    if l.floor.is_finite() { l.floor } else { 1.0 }
}

/// Median correction over a day on either side.
fn around(corrections: &[Option<f64>]) -> Vec<Option<f64>> {
    (0..corrections.len())
        .map(|n| {
            let window = &corrections[n.saturating_sub(96)..(n + 97).min(corrections.len())];
            let mut known: Vec<f64> = window.iter().flatten().copied().collect();
            known.sort_by(f64::total_cmp);
            known.get(known.len() / 2).copied()
        })
        .collect()
}

/// Runs of items that are so, joined over gaps of at most `join`.
pub(crate) fn runs<T>(
    items: &[T],
    so: impl Fn(&T) -> bool,
    join: usize,
    mut found: impl FnMut(usize, usize),
) {
    let mut open: Option<(usize, usize)> = None;
    for (n, item) in items.iter().enumerate() {
        if !so(item) {
            continue;
        }
        open = match open {
            Some((from, to)) if n - to <= join => Some((from, n + 1)),
            Some((from, to)) => {
                found(from, to);
                Some((n, n + 1))
            }
            None => Some((n, n + 1)),
        };
    }
    if let Some((from, to)) = open {
        found(from, to);
    }
}
