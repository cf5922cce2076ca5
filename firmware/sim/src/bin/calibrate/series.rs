//! The file's rows, without junk.

use std::{fs::File, io::Read, path::Path};

use anyhow::{Context, bail};

/// Which columns to read.
pub(crate) struct Columns<'a> {
    pub(crate) time: &'a str,
    pub(crate) raw: &'a str,
    pub(crate) reference: &'a str,
    pub(crate) temperature: &'a str,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Minutes on the file's own clock.
    pub(crate) minute: i64,
    pub(crate) raw: f64,
    /// The median of this raw value and the two before it.
    pub(crate) median: f64,
    pub(crate) reference: f64,
    pub(crate) celsius: f64,
}

/// All rows, in the order of time.
pub(crate) struct Series {
    rows: Vec<Row>,
    left_out: usize,
}

const WEEK: i64 = 7 * 24 * 60;
/// A week with fewer rows than this part of a full one is counted to the week before it.
const LEAST_OF_A_WEEK: f64 = 0.3;
/// Raw values so many times less or more than the middle one are no soil: from air to water a probe does not change by a factor of 3.
const FAR: f64 = 4.0;
/// Temperature where the file has none: it changes nothing then.
const USUAL_CELSIUS: f64 = 25.0;

impl Series {
    pub(crate) fn read(path: &Path, columns: &Columns<'_>) -> anyhow::Result<Self> {
        let file = File::open(path)?;
        let gzip = path.extension().is_some_and(|extension| extension == "gz");
        let reader: Box<dyn Read> = if gzip {
            Box::new(flate2::read::MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        };
        let mut csv = csv::ReaderBuilder::new().flexible(true).from_reader(reader);
        let header = csv.headers()?.clone();
        let place = |name: &str| header.iter().position(|column| column.trim() == name);
        let named = |name: &str| {
            let all = || header.iter().collect::<Vec<_>>().join(", ");
            place(name).with_context(|| format!("no column {name}; there are {}", all()))
        };
        let (time, raw) = (named(columns.time)?, named(columns.raw)?);
        let (reference, celsius) = (named(columns.reference)?, place(columns.temperature));
        let mut rows = Vec::new();
        let mut left_out = 0;
        for record in csv.records() {
            let row = record.ok().and_then(|record| {
                let number = |place: usize| record.get(place)?.trim().parse::<f64>().ok();
                Some(Row {
                    minute: minute(record.get(time)?)?,
                    raw: number(raw).filter(|raw| (1.0..=65_535.0).contains(raw))?,
                    median: 0.0,
                    reference: number(reference).filter(|value| (0.1..=100.0).contains(value))?,
                    celsius: celsius
                        .and_then(number)
                        .filter(|celsius| (-40.0..=85.0).contains(celsius))
                        .unwrap_or(USUAL_CELSIUS),
                })
            });
            match row {
                Some(row) => rows.push(row),
                None => left_out += 1,
            }
        }
        let before = rows.len();
        leave_out_ends(&mut rows);
        rows.sort_by_key(|row| row.minute);
        rows.dedup_by_key(|row| row.minute);
        left_out += before - rows.len();
        if rows.is_empty() {
            bail!("no row has a time, a raw value and a reference value");
        }
        for place in 0..rows.len() {
            let mut last: Vec<f64> = rows[place.saturating_sub(2)..=place]
                .iter()
                .map(|row| row.raw)
                .collect();
            rows[place].median = median(&mut last);
        }
        Ok(Self { rows, left_out })
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(crate) fn left_out(&self) -> usize {
        self.left_out
    }

    /// The rows week by week, from the first row on.
    pub(crate) fn weeks(&self) -> Vec<&[Row]> {
        let start = self.rows[0].minute;
        let mut ends: Vec<usize> = Vec::new();
        for (place, pair) in self.rows.windows(2).enumerate() {
            if (pair[0].minute - start) / WEEK != (pair[1].minute - start) / WEEK {
                ends.push(place + 1);
            }
        }
        ends.push(self.rows.len());
        let mut weeks: Vec<(usize, usize)> = Vec::new();
        let full = self.rows.len() as f64 / ends.len() as f64;
        let mut from = 0;
        for end in ends {
            match weeks.last_mut() {
                Some(before) if ((end - from) as f64) < LEAST_OF_A_WEEK * full => before.1 = end,
                _ => weeks.push((from, end)),
            }
            from = end;
        }
        weeks
            .into_iter()
            .map(|(from, end)| &self.rows[from..end])
            .collect()
    }
}

/// A converter at its end, or a loose wire: the node's driver says a fault there.
fn leave_out_ends(rows: &mut Vec<Row>) {
    let mut raw: Vec<f64> = rows.iter().map(|row| row.raw).collect();
    let middle = median(&mut raw);
    rows.retain(|row| (middle / FAR..=middle * FAR).contains(&row.raw));
}

/// Minutes since year 0 of `2025-01-31 23:45:00` or `2025-01-31T23:45…`, by whichever clock.
fn minute(text: &str) -> Option<i64> {
    let (date, time) = text.trim().split_once([' ', 'T'])?;
    let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute) = (time.next()??, time.next()??);
    // Days since 0000-03-01, so that the leap day is a year's last.
    let shifted = year - i64::from(month <= 2);
    let months = (month + 9) % 12;
    let days =
        365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + (153 * months + 2) / 5 + day
            - 1;
    ((1..=12).contains(&month) && (1..=31).contains(&day))
        .then_some((days * 24 + hour) * 60 + minute)
}

/// The middle one; of an even count the mean of both. 0 for none.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[half],
        _ => (values[half - 1] + values[half]) / 2.0,
    }
}

/// The value below which this part of them lies. 0 for none.
pub(crate) fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (part * values.len().saturating_sub(1) as f64).round() as usize;
    values.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn junk_rows_are_left_out_and_counted() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        writeln!(
            file,
            "t,raw,ref,temp\n2025-01-31 23:45:00,700,12.5,20\n2025-02-01 00:00:00,NaN,12,20\n2025-02-01 00:15:00,,12,20\n\
             2025-02-01 00:30:00,710,-99,20\n2025-02-01 00:45:00,710,12,n/a\njunk\n2025-02-01 00:45:00,711,12,20\n\
             2025-02-01 01:00:00,9e9,12,20\n2025-13-01 01:00:00,700,12,20"
        )
        .expect("written");
        let columns = Columns {
            time: "t",
            raw: "raw",
            reference: "ref",
            temperature: "temp",
        };
        let series = Series::read(file.path(), &columns).expect("read");
        assert_eq!((series.rows().len(), series.left_out()), (2, 7));
        let [first, second] = series.rows() else {
            panic!("two rows")
        };
        assert_eq!(second.minute - first.minute, 60);
        assert_eq!(
            (second.raw, second.median, second.celsius),
            (710.0, 705.0, 25.0)
        );
        let wrong = Columns {
            raw: "volt",
            ..columns
        };
        let error = Series::read(file.path(), &wrong)
            .err()
            .expect("no such column");
        assert_eq!(
            error.to_string(),
            "no column volt; there are t, raw, ref, temp"
        );
    }

    #[test]
    fn a_converter_at_its_end_is_left_out_and_a_wet_week_is_not() {
        let row = |raw| Row {
            minute: 0,
            raw,
            median: 0.0,
            reference: 10.0,
            celsius: 25.0,
        };
        let mut rows: Vec<Row> = (0..100).map(|at| row(750.0 + f64::from(at % 50))).collect();
        rows.extend([row(461.0), row(1.0), row(65_535.0)]);
        leave_out_ends(&mut rows);
        assert_eq!(rows.len(), 101);
        assert!(rows.iter().any(|row| row.raw == 461.0));
    }
}
