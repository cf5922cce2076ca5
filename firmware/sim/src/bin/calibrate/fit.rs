//! What can be had with weeks of reference values: least squares over a few shapes, and a robust line.

use crate::series::{Row, median};

/// What the value is linear in.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    Line,
    Square,
    Cube,
    Log,
    Reciprocal,
    /// Raw and its square, each with a factor of its own.
    Parabola,
}

impl Shape {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Square => "square",
            Self::Cube => "cube",
            Self::Log => "logarithm",
            Self::Reciprocal => "reciprocal",
            Self::Parabola => "parabola",
        }
    }

    /// Of a raw value; of a parabola, the part that two points can do something with.
    pub(crate) fn of(self, raw: f64) -> f64 {
        let raw = raw / SCALE;
        match self {
            Self::Line | Self::Parabola => raw,
            Self::Square => raw.powi(2),
            Self::Cube => raw.powi(3),
            Self::Log => raw.ln(),
            Self::Reciprocal => raw.recip(),
        }
    }
}

/// Brings counts and millivolts near to 1, so that powers of them do not spoil the fit.
const SCALE: f64 = 1_000.0;
/// Temperatures are taken from here.
const USUAL_CELSIUS: f64 = 25.0;
/// One, the shape, the square of a parabola, the temperature.
const TERMS: usize = 4;

/// A fit.
pub(crate) struct Model {
    shape: Shape,
    factors: [f64; TERMS],
}

impl Model {
    pub(crate) fn at(&self, raw: f64, celsius: f64) -> f64 {
        let terms = terms(self.shape, raw, celsius);
        self.factors
            .iter()
            .zip(terms)
            .map(|(factor, term)| factor * term)
            .sum()
    }
}

fn terms(shape: Shape, raw: f64, celsius: f64) -> [f64; TERMS] {
    let x = shape.of(raw);
    [1.0, x, x * x, celsius - USUAL_CELSIUS]
}

/// `None`: the rows do not determine it.
pub(crate) fn least_squares(weeks: &[&[Row]], shape: Shape, temperature: bool) -> Option<Model> {
    let used = [true, true, matches!(shape, Shape::Parabola), temperature];
    let mut table = [[0.0; TERMS + 1]; TERMS];
    for row in weeks.iter().copied().flatten() {
        let terms = terms(shape, row.median, row.celsius);
        for (place, line) in table.iter_mut().enumerate() {
            for (cell, term) in line.iter_mut().zip(terms) {
                *cell += terms[place] * term;
            }
            line[TERMS] += terms[place] * row.reference;
        }
    }
    // A term that is left out has the factor 0.
    for (place, _) in used.iter().enumerate().filter(|(_, used)| !**used) {
        for line in &mut table {
            line[place] = 0.0;
        }
        table[place] = [0.0; TERMS + 1];
        table[place][place] = 1.0;
    }
    let factors = solved(table)?;
    Some(Model { shape, factors })
}

/// Gauss-Jordan with pivots.
fn solved(mut table: [[f64; TERMS + 1]; TERMS]) -> Option<[f64; TERMS]> {
    for place in 0..TERMS {
        let pivot = (place..TERMS)
            .max_by(|a, b| table[*a][place].abs().total_cmp(&table[*b][place].abs()))?;
        table.swap(place, pivot);
        let line = table[place];
        if line[place].abs() < 1e-9 {
            return None;
        }
        for (other, target) in table.iter_mut().enumerate() {
            if other != place {
                let factor = target[place] / line[place];
                for (cell, by) in target.iter_mut().zip(line) {
                    *cell -= factor * by;
                }
            }
        }
    }
    let mut factors = [0.0; TERMS];
    for (place, factor) in factors.iter_mut().enumerate() {
        *factor = table[place][TERMS] / table[place][place];
    }
    Some(factors)
}

/// The median of slopes between rows that lie half a series apart, and the median offset.
pub(crate) fn theil_sen(weeks: &[&[Row]]) -> Option<(f64, f64)> {
    let mut rows: Vec<&Row> = weeks.iter().copied().flatten().collect();
    rows.sort_by(|a, b| a.median.total_cmp(&b.median));
    let half = rows.len() / 2;
    let mut slopes: Vec<f64> = rows
        .iter()
        .zip(rows.get(half..)?)
        .filter(|(a, b)| a.median < b.median)
        .map(|(a, b)| (b.reference - a.reference) / (b.median - a.median))
        .collect();
    if slopes.is_empty() {
        return None;
    }
    let slope = median(&mut slopes);
    let mut offsets: Vec<f64> = rows
        .iter()
        .map(|row| row.reference - slope * row.median)
        .collect();
    Some((median(&mut offsets), slope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_the_rows_were_made_of() {
        let rows: Vec<Row> = (0..200)
            .map(|at| {
                let raw = 500.0 + f64::from(at);
                let celsius = 20.0 + f64::from(at * 7 % 13);
                let x = raw / SCALE;
                Row {
                    minute: 0,
                    raw,
                    median: raw,
                    reference: 30.0 + 4.0 * x - 20.0 * x * x + 0.1 * (celsius - 25.0),
                    celsius,
                }
            })
            .collect();
        let model = least_squares(&[&rows], Shape::Parabola, true).expect("determined");
        for (factor, wanted) in model.factors.iter().zip([30.0, 4.0, -20.0, 0.1]) {
            assert!((factor - wanted).abs() < 1e-6, "{:?}", model.factors);
        }
        assert!((model.at(550.0, 30.0) - (30.0 + 2.2 - 6.05 + 0.5)).abs() < 1e-6);
        let line: Vec<Row> = rows
            .iter()
            .map(|row| Row {
                // Every tenth is junk.
                reference: if row.raw % 10.0 == 0.0 {
                    99.0
                } else {
                    50.0 - 0.05 * row.raw
                },
                ..*row
            })
            .collect();
        let (offset, slope) = theil_sen(&[&line]).expect("determined");
        assert!(
            (slope + 0.05).abs() < 1e-6 && (offset - 50.0).abs() < 1e-6,
            "{offset} {slope}"
        );
        assert!(least_squares(&[&rows[..1]], Shape::Line, false).is_none());
    }
}
