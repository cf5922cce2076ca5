//! The farm's wall clock: minutes of the day and months at a fixed offset from UTC (Vietnam has had no summer time since 1945).

use std::fmt;

use chrono::{DateTime, Datelike, FixedOffset, Timelike};
use serde::{Deserialize, Serialize};

use crate::Millis;

/// Minutes east of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub i16);

impl Default for Offset {
    fn default() -> Self {
        Self(7 * 60)
    }
}

impl Offset {
    /// The local date and time. What lies outside chrono's years becomes 1970: nothing of ours is there.
    #[must_use]
    pub fn local(self, at: Millis) -> DateTime<FixedOffset> {
        let offset =
            FixedOffset::east_opt(i32::from(self.0) * 60).or_else(|| FixedOffset::east_opt(0));
        let utc = DateTime::from_timestamp_millis(at).unwrap_or_default();
        offset.map_or_else(|| utc.fixed_offset(), |o| utc.with_timezone(&o))
    }

    /// Year and month as one number: 202611.
    #[must_use]
    pub fn month(self, at: Millis) -> u32 {
        let d = self.local(at);
        d.year().unsigned_abs() * 100 + d.month()
    }

    fn minute(self, at: Millis) -> u16 {
        let d = self.local(at);
        u16::try_from(d.hour() * 60 + d.minute()).unwrap_or(0)
    }
}

/// A local time of day, written `22:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

/// Not a time of day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time of day: write 22:30")]
pub struct BadTime(String);

impl TimeOfDay {
    /// The hour (0..=23) and minute (0..=59); `None` beyond.
    #[must_use]
    pub fn new(hour: u16, minute: u16) -> Option<Self> {
        (hour < 24 && minute < 60).then_some(Self(hour * 60 + minute))
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = BadTime;
    fn try_from(s: String) -> Result<Self, BadTime> {
        let read = || {
            let (h, m) = s.split_once(':')?;
            if h.is_empty()
                || h.len() > 2
                || m.len() != 2
                || !(h.bytes().chain(m.bytes())).all(|b| b.is_ascii_digit())
            {
                return None;
            }
            Self::new(h.parse().ok()?, m.parse().ok()?)
        };
        read().ok_or_else(|| BadTime(s.clone()))
    }
}

impl From<TimeOfDay> for String {
    fn from(t: TimeOfDay) -> Self {
        t.to_string()
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// From a minute until before another, over midnight if `to` is the earlier one. Both the same: no hours at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// The first quiet minute.
    pub from: TimeOfDay,
    /// The first minute that is not quiet any more.
    pub to: TimeOfDay,
}

impl QuietHours {
    /// When the quiet around `at` ends; `None` if it is not quiet then.
    #[must_use]
    pub fn ends(self, at: Millis, offset: Offset) -> Option<Millis> {
        let (from, to, now) = (self.from.0, self.to.0, offset.minute(at));
        let quiet = if from <= to {
            from <= now && now < to
        } else {
            now >= from || now < to
        };
        if !quiet {
            return None;
        }
        let left_min = i64::from((to + 1440 - now) % 1440);
        Some(at - at.rem_euclid(60_000) + left_min * 60_000)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hours(from: &str, to: &str) -> QuietHours {
        serde_json::from_value(serde_json::json!({"from": from, "to": to})).unwrap()
    }

    #[test]
    fn quiet_hours_may_cross_midnight() {
        let q = hours("22:00", "05:30");
        // 2026-11-24T23:00+07:00
        let at = 1_795_536_000_000;
        assert_eq!(
            Offset::default().local(at).to_rfc3339(),
            "2026-11-24T23:00:00+07:00"
        );
        assert_eq!(q.ends(at, Offset::default()), Some(at + 390 * 60_000));
        assert_eq!(q.ends(at - 2 * 3_600_000, Offset::default()), None);
        assert_eq!(hours("22:00", "22:00").ends(at, Offset::default()), None);
    }

    #[test]
    fn a_time_of_day_is_written_one_way_only() {
        for bad in ["", "24:00", "7", "07:60", "7:5", "+7:05", "07:05:00"] {
            assert!(TimeOfDay::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        assert_eq!(
            TimeOfDay::try_from("7:05".to_owned()).unwrap().to_string(),
            "07:05"
        );
    }

    proptest! {
        #[test]
        fn when_the_quiet_ends_it_is_over(f in 0u16..1440, t in 0u16..1440, at in 0i64..4_000_000_000_000, o in -720i16..=840) {
            let q = QuietHours { from: TimeOfDay(f), to: TimeOfDay(t) };
            if let Some(end) = q.ends(at, Offset(o)) {
                prop_assert!(end > at && end - at <= 86_400_000);
                prop_assert_eq!(q.ends(end, Offset(o)), None);
                prop_assert!(q.ends(end - 1, Offset(o)).is_some());
            }
        }
    }
}
