//! `calibrate FILE`: how well a soil probe does with each kind of calibration, measured on weeks that it was not made from.
//!
//! The file is a CSV (or CSV.gz) with a column of raw values beside one of reference values. Rows without either are left
//! out. Two-point calibrations are made and applied by the node's own code; the fitted ones are there to show what more
//! could be had with a reference probe on site for weeks.
#![forbid(unsafe_code)]

mod fit;
mod points;
mod series;

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Parser;
use sen_node::calibration::apply;
use sen_wire::{Calibration, Channel, Curve, Decimal, Quantity};

use self::{
    fit::Shape,
    points::{DRY, Visit, WET, visits},
    series::{Columns, Row, Series},
};

#[derive(Parser)]
#[command(about = "Measures calibrations of a soil probe on weeks that were held out.")]
struct Args {
    /// CSV, plain or gzip.
    file: PathBuf,
    /// Column of the time, as 2025-01-31 23:45:00.
    #[arg(long, default_value = "timestamp_local")]
    time: String,
    /// Column of the raw value.
    #[arg(long, default_value = "adc_counts")]
    raw: String,
    /// Column of the reference, in per cent.
    #[arg(long, default_value = "reference_vwc_pct")]
    reference: String,
    /// Column of the temperature, in degrees Celsius.
    #[arg(long, default_value = "board_temperature_c")]
    temperature: String,
}

/// How many pairs of visits a two-point calibration is made from, each by itself: one pair may be lucky.
const PAIRS: usize = 5;

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let columns = Columns {
        time: &args.time,
        raw: &args.raw,
        reference: &args.reference,
        temperature: &args.temperature,
    };
    let series = Series::read(&args.file, &columns)
        .with_context(|| format!("can't read {}", args.file.display()))?;
    let weeks = series.weeks();
    ensure!(
        weeks.len() >= 4,
        "{} weeks are too few to hold one out",
        weeks.len()
    );
    println!(
        "{} rows in {} weeks; {} rows left out: no number, or none that can be\n",
        series.rows().len(),
        weeks.len(),
        series.left_out()
    );

    let each_week: Vec<Fold> = (0..weeks.len())
        .map(|out| split(&weeks, |week| week == out))
        .collect();
    let half = weeks.len() / 2;
    let halves = [
        split(&weeks, |week| week >= half),
        split(&weeks, |week| week < half),
    ];

    println!(
        "RMSE in % of volume | each week held out | worst week | half from the other half | single readings: each week"
    );
    println!("--- | --- | --- | --- | ---");
    for method in Method::ALL {
        let scored = [
            (&each_week[..], true),
            (&halves[..], true),
            (&each_week[..], false),
        ]
        .into_iter()
        .map(|(folds, smooth)| method.errors(folds, smooth))
        .collect::<anyhow::Result<Vec<_>>>();
        // Points that a node would refuse are a result too.
        let scored = match scored.as_deref() {
            Ok([by_week, by_half, single]) => [by_week, by_half, single],
            Ok(_) => continue,
            Err(error) => {
                println!("{} | {error:#} | | |", method.name());
                continue;
            }
        };
        let [by_week, by_half, single] = scored;
        println!(
            "{} | {:.3} | {:.3} | {:.3} | {:.3}",
            method.name(),
            rms(by_week.iter().flatten()),
            by_week.iter().map(rms).fold(0.0, f64::max),
            rms(by_half.iter().flatten()),
            rms(single.iter().flatten()),
        );
    }
    println!(
        "\nReadings are medians of three (the last column: as recorded). Two points: medians of 6 settled hours each, where the\n\
         reference stood at its {DRY} and {WET} quantile; {PAIRS} such pairs, each scored."
    );
    Ok(())
}

/// Rows to calibrate with, and rows to score.
struct Fold<'a> {
    train: Vec<&'a [Row]>,
    test: Vec<&'a [Row]>,
}

fn split<'a>(weeks: &[&'a [Row]], out: impl Fn(usize) -> bool) -> Fold<'a> {
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (place, week) in weeks.iter().enumerate() {
        if out(place) { &mut test } else { &mut train }.push(*week);
    }
    Fold { train, test }
}

#[derive(Clone, Copy)]
enum Method {
    TwoPoints(Curve),
    /// Two points on a shape that the node does not have.
    TwoPointsOn(Shape),
    Fitted(Shape, bool),
    Robust,
}

impl Method {
    const ALL: [Self; 12] = [
        Self::TwoPoints(Curve::Capacitive),
        Self::TwoPoints(Curve::Linear),
        Self::TwoPointsOn(Shape::Square),
        Self::TwoPointsOn(Shape::Log),
        Self::TwoPointsOn(Shape::Reciprocal),
        Self::Fitted(Shape::Line, false),
        Self::Robust,
        Self::Fitted(Shape::Cube, false),
        Self::Fitted(Shape::Parabola, false),
        Self::Fitted(Shape::Line, true),
        Self::Fitted(Shape::Cube, true),
        Self::Fitted(Shape::Parabola, true),
    ];

    fn name(self) -> String {
        match self {
            Self::TwoPoints(Curve::Capacitive) => {
                "two points, cube (`capacitive`, the default)".into()
            }
            Self::TwoPoints(curve) => format!("two points, straight (`{}`)", curve.name()),
            Self::TwoPointsOn(shape) => format!("two points, {}", shape.name()),
            Self::Fitted(shape, false) => format!("least squares, {}", shape.name()),
            Self::Fitted(shape, true) => {
                format!("least squares, {}, with temperature", shape.name())
            }
            Self::Robust => "median slopes (Theil-Sen), line".into(),
        }
    }

    /// The errors of each fold. `smooth`: of medians of three readings.
    fn errors(self, folds: &[Fold<'_>], smooth: bool) -> anyhow::Result<Vec<Vec<f64>>> {
        folds
            .iter()
            .map(|fold| self.errors_of(fold, smooth))
            .collect()
    }

    fn errors_of(self, fold: &Fold<'_>, smooth: bool) -> anyhow::Result<Vec<f64>> {
        let mut errors = Vec::new();
        let mut score = |model: &dyn Fn(f64, f64) -> Option<f64>| {
            for row in fold.test.iter().copied().flatten() {
                let raw = if smooth { row.median } else { row.raw };
                // What the node would send as a fault is no value, and no error either; there is hardly any.
                errors.extend(model(raw, row.celsius).map(|value| value - row.reference));
            }
        };
        match self {
            Self::TwoPoints(curve) => {
                for (dry, wet) in visits(&fold.train, PAIRS) {
                    let calibration = calibration(curve, [dry, wet])?;
                    score(&|raw, _| {
                        let raw = Decimal::from_f64(raw)?;
                        apply(&calibration, raw, None).ok().map(Decimal::to_f64)
                    });
                }
            }
            Self::TwoPointsOn(shape) => {
                for (dry, wet) in visits(&fold.train, PAIRS) {
                    let (x, y) = (shape.of(dry.raw), shape.of(wet.raw));
                    let slope = (wet.reference - dry.reference) / (y - x);
                    score(&|raw, _| {
                        Some((dry.reference + slope * (shape.of(raw) - x)).clamp(0.0, 100.0))
                    });
                }
            }
            Self::Fitted(shape, temperature) => {
                let model = fit::least_squares(&fold.train, shape, temperature)
                    .context("the rows do not determine the fit")?;
                score(&|raw, celsius| Some(model.at(raw, celsius)));
            }
            Self::Robust => {
                let (offset, slope) =
                    fit::theil_sen(&fold.train).context("the rows do not determine the fit")?;
                score(&|raw, _| Some(offset + slope * raw));
            }
        }
        ensure!(!errors.is_empty(), "{}: nothing to score", self.name());
        Ok(errors)
    }
}

fn calibration(curve: Curve, visits: [Visit; 2]) -> anyhow::Result<Calibration> {
    let tenths = |value: f64| Decimal::new((value * 10.0).round() as i64, -1);
    let point = |visit: Visit| sen_wire::calibration::Point {
        raw: tenths(visit.raw),
        value: tenths(visit.reference),
        temperature: None,
    };
    let calibration = Calibration {
        channel: Channel::first(Quantity::SoilMoisture),
        curve,
        version: 1,
        at_ms: 0,
        points: visits.map(point).into_iter().collect(),
    };
    calibration
        .check()
        .map_err(|reason| anyhow::anyhow!("{}: {reason}", curve.name()))?;
    Ok(calibration)
}

fn rms<'a>(errors: impl IntoIterator<Item = &'a f64>) -> f64 {
    let (count, sum) = errors.into_iter().fold((0u32, 0.0), |(count, sum), error| {
        (count + 1, sum + error * error)
    });
    (sum / f64::from(count.max(1))).sqrt()
}
