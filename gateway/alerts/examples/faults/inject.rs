//! Known faults in real readings. Sizes are in daily ranges of the series itself (the median over its days of the distance
//! from the 5th to the 95th percentile), so that they mean the same in every river. Drift is there to show that it is not seen.

use std::{collections::BTreeMap, ops::Range};

use sen_alerts::quality::Belief;

use crate::series::Series;
use crate::walk;

#[derive(Clone, Copy)]
enum Fault {
    Spike { ranges: f64, long: usize },
    Stuck { long: usize },
    Placeholder,
    Step { ranges: f64 },
    Drift { ranges: f64, long: usize },
}

const FAULTS: [(&str, Fault); 10] = [
    ("placeholder", Fault::Placeholder),
    (
        "spike 1 reading, 1 range",
        Fault::Spike {
            ranges: 1.0,
            long: 1,
        },
    ),
    (
        "spike 1 reading, 2 ranges",
        Fault::Spike {
            ranges: 2.0,
            long: 1,
        },
    ),
    (
        "spike 1 reading, 4 ranges",
        Fault::Spike {
            ranges: -4.0,
            long: 1,
        },
    ),
    (
        "spike 2 readings, 4 ranges",
        Fault::Spike {
            ranges: 4.0,
            long: 2,
        },
    ),
    ("stuck 12 h", Fault::Stuck { long: 48 }),
    ("stuck 2 days", Fault::Stuck { long: 192 }),
    ("step, 2 ranges", Fault::Step { ranges: 2.0 }),
    ("step, 4 ranges", Fault::Step { ranges: 4.0 }),
    (
        "drift 4 ranges in 4 days",
        Fault::Drift {
            ranges: 4.0,
            long: 384,
        },
    ),
];

#[derive(Clone, Copy, Default)]
struct One {
    events: usize,
    seen: usize,
    points: usize,
    points_seen: usize,
}

/// What was seen of each kind, and what the faults did to their clean surroundings.
#[derive(Default)]
pub(crate) struct Score(BTreeMap<usize, One>);

impl Score {
    pub(crate) fn add(&mut self, other: &Self) {
        for (n, one) in &other.0 {
            let mine = self.0.entry(*n).or_default();
            mine.events += one.events;
            mine.seen += one.seen;
            mine.points += one.points;
            mine.points_seen += one.points_seen;
        }
    }

    pub(crate) fn print(&self, title: &str) {
        println!("\n{title}");
        println!("  fault                         events   seen   recall   points   recall");
        for (n, one) in &self.0 {
            println!(
                "  {:<28} {:>7} {:>6} {:>8} {:>8} {:>8}",
                FAULTS[*n].0,
                one.events,
                one.seen,
                crate::share(one.seen, one.events),
                one.points,
                crate::share(one.points_seen, one.points),
            );
        }
    }
}

/// Every kind by itself, a fault every nine days, into readings that are clean.
pub(crate) fn measure(series: &Series, clean: &[bool], part: Range<usize>) -> Score {
    let mut score = Score::default();
    let Some(range) = daily_range(series, clean) else {
        return score;
    };
    for (n, (_, fault)) in FAULTS.iter().enumerate() {
        let mut spoilt = series.clone();
        let mut places = Vec::new();
        let long = match *fault {
            Fault::Spike { long, .. } | Fault::Stuck { long } | Fault::Drift { long, .. } => long,
            Fault::Placeholder => 1,
            Fault::Step { .. } => 96,
        };
        // 61 is prime to a day: no fault comes always at the same hour.
        let mut at = part.start.max(700) + 61 * (n + 1);
        while at + long + 24 < part.end {
            if clean[at - 8..at + long + 24].iter().all(|c| *c) {
                let before = series.rows[at - 1].value;
                for k in 0..long {
                    let value = &mut spoilt.rows[at + k].value;
                    *value = match *fault {
                        Fault::Spike { ranges, .. } | Fault::Step { ranges } => {
                            *value + ranges * range
                        }
                        Fault::Stuck { .. } => before,
                        Fault::Placeholder => -9999.0,
                        Fault::Drift { ranges, .. } => {
                            *value + ranges * range * k as f64 / long as f64
                        }
                    };
                }
                places.push(at);
            }
            at += 864 + 61;
        }
        let said = walk(&spoilt);
        let one = score.0.entry(n).or_default();
        for at in places {
            let seen = |k: usize| match fault {
                Fault::Step { .. } => said[k].marks.step || said[k].belief != Belief::Believed,
                _ => said[k].belief != Belief::Believed,
            };
            let (points, watched) = match fault {
                Fault::Step { .. } => (1, at..at + 24),
                _ => (long, at..at + long),
            };
            let hits = watched.filter(|&k| seen(k)).count();
            one.events += 1;
            one.seen += usize::from(hits > 0);
            one.points += points;
            one.points_seen += hits.min(points);
        }
    }
    score
}

fn daily_range(series: &Series, clean: &[bool]) -> Option<f64> {
    let mut ranges: Vec<f64> = series
        .rows
        .chunks(96)
        .zip(clean.chunks(96))
        .filter(|(_, clean)| clean.iter().all(|c| *c))
        .map(|(rows, _)| {
            let mut values: Vec<f64> = rows.iter().map(|r| r.value).collect();
            values.sort_by(f64::total_cmp);
            let at = |share: f64| values[((values.len() - 1) as f64 * share) as usize];
            at(0.95) - at(0.05)
        })
        .collect();
    ranges.sort_by(f64::total_cmp);
    ranges.get(ranges.len() / 2).copied()
}
