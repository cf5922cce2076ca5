//! Series with labels, read from a file: what the measuring programs have in common.
//!
//! Two layouts are known, by their columns: `x`, `x_cor`, `x_qual` (raw beside the technicians' corrections and qualifiers;
//! `NULL` for none), and `x`, `f_x` (a reserve's quality codes: `<0>` good, `<1>` suspect, `<-3>` rejected). CSV, plain or
//! gzip; the first column is the time. Columns whose name says no quantity are left out, and named.
#![allow(dead_code)] // Each program uses a part.

use std::{fs::File, io::Read, path::Path};

use anyhow::{Context, ensure};
use chrono::NaiveDateTime;
use sen_alerts::Millis;
use sen_wire::Quantity;

/// What the people who know say of a reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Label {
    /// The corrected value, where there is one.
    pub(crate) corrected: Option<f64>,
    /// Qualified, rejected or suspect.
    pub(crate) flagged: bool,
    /// Rejected outright (reserve's codes), or flagged (river).
    pub(crate) rejected: bool,
}

/// A reading with its label.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) at: Millis,
    /// In the canonical unit; NaN where the file has text that is no number, or a placeholder was scaled.
    pub(crate) value: f64,
    pub(crate) label: Label,
}

/// One column.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) quantity: Quantity,
    pub(crate) rows: Vec<Row>,
    /// Whether the file has labels for it.
    pub(crate) labelled: bool,
}

/// Column name, quantity, factor to the canonical unit.
const COLUMNS: &[(&str, Quantity, f64)] = &[
    ("temp", Quantity::WaterTemperature, 1.0),
    ("cond", Quantity::Conductivity, 1e-3),
    ("spcond", Quantity::Conductivity, 1.0),
    ("sal", Quantity::Salinity, 1.0),
    ("do", Quantity::DissolvedOxygen, 1.0),
    ("do_mgl", Quantity::DissolvedOxygen, 1.0),
    ("do_pct", Quantity::OxygenSaturation, 1.0),
    ("ph", Quantity::Ph, 1.0),
    ("turb", Quantity::Turbidity, 1.0),
    ("stage", Quantity::WaterLevel, 1.0),
    ("depth", Quantity::WaterLevel, 100.0),
];

/// Reads every column that is known.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Series>> {
    let file = File::open(path).with_context(|| format!("{}", path.display()))?;
    let plain: Box<dyn Read> = if path.extension().is_some_and(|e| e == "gz") {
        Box::new(flate2::read::GzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut reader = csv::Reader::from_reader(plain);
    let header = reader.headers()?.clone();
    let find = |name: &str| header.iter().position(|h| h == name);
    let mut columns = Vec::new();
    for (n, name) in header.iter().enumerate().skip(1) {
        if name.ends_with("_cor") || name.ends_with("_qual") || name.starts_with("f_") {
            continue;
        }
        match COLUMNS.iter().find(|(known, ..)| *known == name) {
            Some(&(_, quantity, factor)) => {
                let series = Series {
                    name: name.to_owned(),
                    quantity,
                    rows: Vec::new(),
                    labelled: find(&format!("{name}_cor")).is_some()
                        || find(&format!("f_{name}")).is_some(),
                };
                let at = |text: String| find(&text);
                columns.push((
                    n,
                    factor,
                    at(format!("{name}_cor")),
                    at(format!("{name}_qual")),
                    at(format!("f_{name}")),
                    series,
                ));
            }
            None => eprintln!("column '{name}' says no quantity: left out"),
        }
    }
    ensure!(!columns.is_empty(), "no column is known");
    for record in reader.records() {
        let record = record?;
        let at = time(record.get(0).unwrap_or_default())?;
        for (n, factor, cor, qual, code, series) in &mut columns {
            let text = record.get(*n).unwrap_or_default().trim();
            if is_none(text) {
                continue;
            }
            let raw = text.parse::<f64>().unwrap_or(f64::NAN);
            let value = if raw <= -99.0 && raw.fract() == 0.0 {
                raw // A placeholder has no unit.
            } else {
                raw * *factor
            };
            let field = |n: &Option<usize>| n.and_then(|n| record.get(n)).filter(|t| !is_none(t));
            let code = field(code).unwrap_or("<0>");
            series.rows.push(Row {
                at,
                value,
                label: Label {
                    corrected: field(cor)
                        .and_then(|t| t.parse::<f64>().ok())
                        .map(|c| c * *factor),
                    flagged: field(qual).is_some() || !code.starts_with("<0>"),
                    rejected: field(qual).is_some() || code.starts_with("<-"),
                },
            });
        }
    }
    Ok(columns
        .into_iter()
        .map(|(.., mut series)| {
            // Columns that nobody has corrected or qualified a single reading of have not been looked through.
            let looked_at = |row: &Row| row.label.corrected.is_some() || row.label.flagged;
            series.labelled &= series.rows.iter().any(looked_at);
            series
        })
        .collect())
}

fn is_none(text: &str) -> bool {
    matches!(text, "" | "NULL" | "NA" | "NaN" | "nan")
}

fn time(text: &str) -> anyhow::Result<Millis> {
    let plain = text.trim_end_matches('Z');
    [
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M:%S%.f",
        "%m/%d/%Y %H:%M",
        "%m/%d/%y %H:%M",
    ]
    .iter()
    .find_map(|format| NaiveDateTime::parse_from_str(plain, format).ok())
    .map(|time| time.and_utc().timestamp_millis())
    .with_context(|| format!("'{text}' is no time"))
}

/// Month of a time, 1 to 12.
pub(crate) fn month(at: Millis) -> u32 {
    use chrono::Datelike;
    chrono::DateTime::from_timestamp_millis(at).map_or(0, |t| t.month())
}

/// A time for people.
pub(crate) fn text(at: Millis) -> String {
    chrono::DateTime::from_timestamp_millis(at)
        .map_or_else(String::new, |t| t.format("%Y-%m-%d %H:%M").to_string())
}
