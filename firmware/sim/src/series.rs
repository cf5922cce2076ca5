//! A recording in memory: four bytes a cell, so that a fleet of nodes shares a few hundred kilobytes.
//!
//! A file's faults are replayed as they are: sentinels, zeros for missing and flat lines are values, for the instrument gave
//! them. An empty cell is no reading. `NaN` is a reading without a value, hence a fault.

use std::io::Read;

use sen_wire::{Channel, Decimal, Fault, Value};

use crate::source::Column;

/// Marks in the cells; no measurement comes near them.
const EMPTY: i32 = i32::MIN;
const NAN: i32 = i32::MIN + 1;

/// Why a recording can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// Not the gzip or the CSV that it should be.
    #[error("can't read the recording")]
    Csv(#[from] csv::Error),
    /// A column is not there.
    #[error("the recording has no column {0:?}")]
    NoColumn(&'static str),
    /// A cell is no number.
    #[error("{cell:?} at {time} in {column:?} is no number that fits")]
    Cell {
        /// The row's time.
        time: String,
        /// The column's header.
        column: &'static str,
        /// What stands there.
        cell: String,
    },
    /// No row has a reading in it.
    #[error("the recording is empty")]
    Empty,
}

/// A recording: rows by rising time, a few channels each.
#[derive(Debug)]
pub struct Series {
    start_ms: i64,
    /// Seconds since the start.
    times: Vec<u32>,
    columns: Vec<Cells>,
}

#[derive(Debug)]
struct Cells {
    channel: Channel,
    exponent: i8,
    mantissas: Vec<i32>,
}

/// One row: its time on the recording's own clock, taken for UTC, and what was measured then.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Milliseconds.
    pub source_ms: i64,
    /// Every cell that is not empty.
    pub values: Vec<(Channel, Value)>,
}

impl Series {
    /// Reads it as it comes, so that the text is never in memory as a whole.
    pub(crate) fn read(csv: impl Read, columns: &[Column]) -> Result<Self, SeriesError> {
        // Rows of other loggers and the footer have other lengths in some files.
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(csv);
        let headers = reader.headers()?.clone();
        let mut places = Vec::new();
        for column in columns {
            let place = headers.iter().position(|header| header == column.header);
            places.push(place.ok_or(SeriesError::NoColumn(column.header))?);
        }

        let mut times = Vec::new();
        let mut cells = vec![Vec::new(); columns.len()];
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record)? {
            let time = record.get(0).unwrap_or_default();
            let Some(seconds) = parse_time(time) else {
                continue;
            };
            let row = || {
                places
                    .iter()
                    .map(|place| record.get(*place).unwrap_or_default().trim())
            };
            if row().all(str::is_empty) {
                continue;
            }
            times.push(seconds);
            for ((text, column), cells) in row().zip(columns).zip(&mut cells) {
                let cell = match text {
                    "" => Cell::Empty,
                    _ if text.eq_ignore_ascii_case("nan") => Cell::Nan,
                    _ => {
                        let number: Option<Decimal> = text.parse().ok();
                        let value = number.and_then(|number| {
                            column.channel.quantity().convert(number, column.unit)
                        });
                        Cell::Value(value.ok_or_else(|| SeriesError::Cell {
                            time: time.into(),
                            column: column.header,
                            cell: text.into(),
                        })?)
                    }
                };
                cells.push(cell);
            }
        }
        let start = *times.first().ok_or(SeriesError::Empty)?;
        let columns = columns.iter().zip(cells);
        Ok(Self {
            start_ms: start * 1000,
            times: times
                .iter()
                .map(|time| u32::try_from(time - start).unwrap_or(u32::MAX))
                .collect(),
            columns: columns
                .map(|(column, cells)| Cells::pack(column, &cells))
                .collect::<Result<_, _>>()?,
        })
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Never: a recording without rows is refused.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The time of a row.
    pub fn source_ms(&self, row: usize) -> i64 {
        self.start_ms
            + self
                .times
                .get(row)
                .map_or(0, |seconds| i64::from(*seconds) * 1000)
    }

    /// From the first row to the last.
    pub fn span_ms(&self) -> i64 {
        self.source_ms(self.len().saturating_sub(1)) - self.start_ms
    }

    /// After how long the recording can start again: its span, and one spacing.
    pub fn period_ms(&self) -> i64 {
        let last = self.len().saturating_sub(1);
        self.span_ms() + (self.source_ms(last) - self.source_ms(last.saturating_sub(1))).max(1000)
    }

    /// The cells of a row that are not empty.
    pub fn values(&self, row: usize) -> impl Iterator<Item = (Channel, Value)> {
        self.columns
            .iter()
            .filter_map(move |cells| match *cells.mantissas.get(row)? {
                EMPTY => None,
                NAN => Some((cells.channel, Value::Fault(Fault::Other))),
                mantissa => Some((
                    cells.channel,
                    Value::Number(Decimal::new(mantissa.into(), cells.exponent)),
                )),
            })
    }

    /// Every row, for a test to compare with.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        (0..self.len()).map(|row| Row {
            source_ms: self.source_ms(row),
            values: self.values(row).collect(),
        })
    }
}

#[derive(Clone)]
enum Cell {
    Empty,
    Nan,
    Value(Decimal),
}

impl Cells {
    /// All cells of a column at its finest exponent.
    fn pack(column: &Column, cells: &[Cell]) -> Result<Self, SeriesError> {
        let exponents = cells.iter().filter_map(|cell| match cell {
            Cell::Value(value) => Some(value.exponent()),
            _ => None,
        });
        let exponent = exponents.min().unwrap_or(0);
        let mantissa = |cell: &Cell| match cell {
            Cell::Empty => Some(EMPTY),
            Cell::Nan => Some(NAN),
            Cell::Value(value) => value
                .floor_at(exponent)
                .and_then(|mantissa| i32::try_from(mantissa).ok()),
        };
        let mantissas: Option<Vec<_>> = cells.iter().map(mantissa).collect();
        let mut mantissas = mantissas.ok_or_else(|| SeriesError::Cell {
            time: "some row".into(),
            column: column.header,
            cell: "a number of more than nine digits".into(),
        })?;
        mantissas.shrink_to_fit();
        Ok(Self {
            channel: column.channel,
            exponent,
            mantissas,
        })
    }
}

/// `2012-07-01 00:15:00` as seconds since 1970, taken for UTC; `None` for anything else.
fn parse_time(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let shape = bytes.len() == 19
        && bytes
            .iter()
            .zip(b"0000-00-00 00:00:00")
            .all(|(byte, shape)| match shape {
                b'0' => byte.is_ascii_digit(),
                _ => byte == shape,
            });
    if !shape {
        return None;
    }
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    // Days since 1970 of the civil calendar; years start in March, so that the leap day is the last.
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;

    #[test]
    fn reads_times() {
        assert_eq!(parse_time("1970-01-01 00:00:00"), Some(0));
        assert_eq!(parse_time("2012-02-29 23:59:59"), Some(1_330_559_999));
        assert_eq!(parse_time("2020-08-16 12:47:00"), Some(1_597_582_020));
        for junk in [
            "",
            "Link to dashboard",
            "2012-07-01",
            "2012-07-01T00:15:00",
            "2012-07-01 00:15:0x",
        ] {
            assert_eq!(parse_time(junk), None);
        }
    }

    /// Cell for cell against a second reading of the file, by its text alone.
    #[test]
    fn every_cell_of_every_source_is_there_and_no_other() {
        for source in Source::ALL {
            let text = source.csv().unwrap();
            let mut lines = csv::ReaderBuilder::new()
                .flexible(true)
                .from_reader(text.as_bytes());
            let headers = lines.headers().unwrap().clone();
            let series = source.load().unwrap();
            let mut rows = series.rows().peekable();
            for record in lines.records() {
                let record = record.unwrap();
                if !record.get(0).is_some_and(|time| time.starts_with('2')) {
                    continue;
                }
                let mut expected = Vec::new();
                for column in source.columns() {
                    let place = headers
                        .iter()
                        .position(|header| header == column.header)
                        .unwrap();
                    let value = match record.get(place).unwrap_or("") {
                        "" => continue,
                        "NaN" => Value::Fault(Fault::Other),
                        text => {
                            let shift = if column.unit == "m" { 2 } else { 0 };
                            Value::Number(text.parse::<Decimal>().unwrap().scaled(shift).unwrap())
                        }
                    };
                    expected.push((column.channel, value));
                }
                if !expected.is_empty() {
                    let row = rows.next().unwrap();
                    assert_eq!(row.values, expected, "{source:?} {:?}", record.get(0));
                }
            }
            assert_eq!(rows.next(), None);
            assert!(
                (0..series.len() - 1).all(|row| series.source_ms(row) < series.source_ms(row + 1)),
                "{source:?}"
            );
        }
    }

    #[test]
    fn the_instruments_own_faults_are_kept() {
        let failing = Source::EstuaryWaterFailing.load().unwrap();
        let has = |channel: &str, number: &str| {
            let wanted = (
                channel.parse().unwrap(),
                Value::Number(number.parse().unwrap()),
            );
            failing
                .rows()
                .filter(|row| row.values.contains(&wanted))
                .count()
        };
        assert!(has("turbidity", "-200") > 100);
        assert_eq!(has("water_level", "-9900"), 14);
        assert!(has("water_temperature", "50") > 100);
        let substrate = Source::GreenhouseSubstrate.load().unwrap();
        let nan = (
            Channel::parse("soil_conductivity_2").unwrap(),
            Value::Fault(Fault::Other),
        );
        assert!(substrate.rows().any(|row| row.values.contains(&nan)));
        // Two clocks: the climate computer starts two minutes after the probes.
        let climate = Source::GreenhouseClimate.load().unwrap();
        let canopy = Source::GreenhouseCanopy.load().unwrap();
        assert_eq!(climate.source_ms(0) - canopy.source_ms(0), 120_000);
    }
}
