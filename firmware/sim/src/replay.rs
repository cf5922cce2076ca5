//! Which instant of a recording is which instant now.
//!
//! ```text
//! recording   |---skipped---|=========history=========|~~~~~~~~ goes on, round and round ~~~~~~~~>
//!                           ^ start_offset            ^ the origin point
//! wall time                 origin - history      origin = when the fleet was started
//! stamp                     natural spacing           one recorded second in 1/speed seconds
//! produced                  at once, at the origin    when its stamp comes
//! ```
//!
//! Times of the recording go on past its end: row 0 follows the last one after [`Series::period_ms`].

use std::time::Duration;

use crate::Series;

/// How fast and from where a recording is replayed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Where in the recording to begin.
    pub start_offset: Duration,
    /// How much of it lies before the origin, and is produced at once. `None`: all that there is, and nothing after it.
    pub history: Option<Duration>,
    /// How many times faster than real what comes after it goes; at least 1e-3, at most 1e4.
    pub speed: f64,
}

impl Pace {
    /// The whole recording at once, its last row now.
    pub const WHOLE: Self = Self {
        start_offset: Duration::ZERO,
        history: None,
        speed: 1.0,
    };
}

/// The mapping of one recording's times to wall time.
#[derive(Clone, Copy, Debug)]
pub struct Replay {
    from_ms: i64,
    origin_point_ms: i64,
    end_ms: Option<i64>,
    origin_ms: i64,
    speed: f64,
}

impl Replay {
    /// The mapping for `series` when the fleet starts at `origin_ms` (UTC).
    pub fn new(series: &Series, pace: &Pace, origin_ms: i64) -> Self {
        let start = series.source_ms(0);
        let last = start + series.span_ms();
        let from_ms = start.saturating_add(millis(pace.start_offset));
        let origin_point_ms = pace
            .history
            .map_or(last, |history| from_ms.saturating_add(millis(history)));
        Self {
            from_ms,
            origin_point_ms,
            end_ms: pace.history.is_none().then_some(last),
            origin_ms,
            speed: pace.speed.clamp(1e-3, 1e4),
        }
    }

    /// When a row of this time (of the recording, going on past its end) is stamped, ms UTC.
    pub fn stamp(&self, source_ms: i64) -> i64 {
        let after = source_ms - self.origin_point_ms;
        if after <= 0 {
            self.origin_ms + after
        } else {
            self.origin_ms + (after as f64 / self.speed) as i64
        }
    }

    /// When the fleet was started, ms UTC.
    pub fn origin_ms(&self) -> i64 {
        self.origin_ms
    }

    /// True if a row of this time is replayed.
    pub fn covers(&self, source_ms: i64) -> bool {
        source_ms >= self.from_ms && self.end_ms.is_none_or(|end| source_ms <= end)
    }

    /// True if a row of this time is produced at once.
    pub fn is_history(&self, source_ms: i64) -> bool {
        source_ms <= self.origin_point_ms
    }

    /// The first row that is replayed, counted on past the end of the recording.
    pub(crate) fn first_row(&self, series: &Series) -> u64 {
        let skipped = (self.from_ms - series.source_ms(0)).max(0);
        let rounds = (skipped / series.period_ms()) as u64;
        let mut row = rounds * series.len() as u64;
        while going_on_ms(series, row) < self.from_ms {
            row += 1;
        }
        row
    }
}

/// The time of a row that is counted on past the end of the recording.
pub(crate) fn going_on_ms(series: &Series, row: u64) -> i64 {
    let rows = series.len() as u64;
    series.source_ms((row % rows) as usize) + (row / rows) as i64 * series.period_ms()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;

    const DAY: Duration = Duration::from_secs(86_400);
    const NOW: i64 = 1_750_000_000_000;

    #[test]
    fn history_keeps_its_spacing_and_what_follows_goes_faster() {
        let series = Source::EstuaryWater.load().unwrap();
        let start = series.source_ms(0);
        let pace = Pace {
            start_offset: DAY,
            history: Some(7 * DAY),
            speed: 60.0,
        };
        let replay = Replay::new(&series, &pace, NOW);
        let day = 86_400_000;
        assert_eq!(replay.stamp(start + day), NOW - 7 * day);
        assert_eq!(replay.stamp(start + day + 900_000), NOW - 7 * day + 900_000);
        assert_eq!(replay.stamp(start + 8 * day), NOW);
        assert_eq!(replay.stamp(start + 8 * day + 900_000), NOW + 15_000);
        assert!(
            !replay.covers(start + day - 1)
                && replay.covers(start + day)
                && replay.covers(start + 900 * day)
        );
        assert!(replay.is_history(start + 8 * day) && !replay.is_history(start + 8 * day + 1));
        assert_eq!(replay.first_row(&series), 96);
    }

    #[test]
    fn the_whole_recording_is_shifted_by_a_constant() {
        let series = Source::GreenhouseCanopy.load().unwrap();
        let replay = Replay::new(&series, &Pace::WHOLE, NOW);
        let last = series.source_ms(series.len() - 1);
        assert!(
            series
                .rows()
                .all(|row| replay.stamp(row.source_ms) - row.source_ms == NOW - last)
        );
        assert!(
            replay.covers(series.source_ms(0)) && replay.covers(last) && !replay.covers(last + 1)
        );
    }

    #[test]
    fn a_recording_goes_round() {
        let series = Source::EstuaryWeather.load().unwrap();
        let rows = series.len() as u64;
        assert_eq!(
            going_on_ms(&series, rows) - going_on_ms(&series, rows - 1),
            900_000
        );
        let pace = Pace {
            start_offset: 200 * DAY,
            history: Some(DAY),
            speed: 1.0,
        };
        let replay = Replay::new(&series, &pace, NOW);
        let first = replay.first_row(&series);
        assert!(first > 3 * rows);
        assert_eq!(replay.stamp(going_on_ms(&series, first)), NOW - 86_400_000);
    }
}
