//! Local time: what a rule means by a day, an hour, a stage of the crop.

use chrono::{DateTime, Days, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime};

use crate::Millis;
use crate::rule::{Active, Hours, Stage};

const fn hour(hour: u32) -> NaiveTime {
    match NaiveTime::from_hms_opt(hour, 0, 0) {
        Some(time) => time,
        None => NaiveTime::MIN,
    }
}

/// The farm's clock. Asia/Ho_Chi_Minh has had no summer time since 1945: an offset is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone {
    offset_s: i32,
}

impl Zone {
    /// Asia/Ho_Chi_Minh.
    pub const VIETNAM: Self = Self { offset_s: 7 * 3600 };
    /// UTC.
    pub const UTC: Self = Self { offset_s: 0 };

    /// A clock so many seconds ahead of UTC; `None` beyond a day.
    #[must_use]
    pub fn ahead_of_utc(offset_s: i32) -> Option<Self> {
        FixedOffset::east_opt(offset_s).map(|_| Self { offset_s })
    }

    /// Days since 1970-01-01, local.
    #[must_use]
    pub fn day(self, at: Millis) -> i64 {
        at.saturating_add(i64::from(self.offset_s) * 1000)
            .div_euclid(86_400_000)
    }

    /// Date and time on the farm's clock. An instant that no calendar holds is the calendar's end.
    #[must_use]
    pub fn local(self, at: Millis) -> NaiveDateTime {
        let shifted = at.saturating_add(i64::from(self.offset_s) * 1000);
        DateTime::from_timestamp_millis(shifted).map_or(
            if at < 0 {
                NaiveDateTime::MIN
            } else {
                NaiveDateTime::MAX
            },
            |time| time.naive_utc(),
        )
    }
}

impl Hours {
    /// 22:00 to 05:00: the night, in which a message costs sleep.
    pub const NIGHT: Self = Self {
        from: hour(22),
        to: hour(5),
    };

    /// How many seconds a day they last.
    #[must_use]
    pub fn seconds(&self) -> u32 {
        let seconds = (self.to - self.from).num_seconds();
        u32::try_from(seconds.rem_euclid(86_400)).unwrap_or(0)
    }

    /// Whether this is within them.
    #[must_use]
    pub fn hold(&self, local: NaiveDateTime) -> bool {
        let time = local.time();
        if self.from <= self.to {
            self.from <= time && time < self.to
        } else {
            self.from <= time || time < self.to
        }
    }
}

impl Stage {
    /// The first and last day, both included; `None` without a sowing date, or beyond the calendar.
    #[must_use]
    pub fn days(&self) -> Option<(NaiveDate, NaiveDate)> {
        let sown = self.sown?;
        let day = |n: u16| sown.checked_add_days(Days::new(u64::from(n)));
        Some((day(self.from_day)?, day(self.to_day)?))
    }
}

impl Active {
    /// Whether the rule is awake at this instant.
    #[must_use]
    pub fn holds(&self, at: Millis, zone: Zone) -> bool {
        if *self == Self::default() {
            return true;
        }
        let local = zone.local(at);
        let within = |(from, to): (NaiveDate, NaiveDate)| (from..=to).contains(&local.date());
        self.hours.is_none_or(|hours| hours.hold(local))
            && self.season.is_none_or(|s| within((s.from, s.to)))
            && self
                .stage
                .as_ref()
                .is_none_or(|s| s.days().is_some_and(within))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Season;

    fn at(text: &str) -> Millis {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M")
            .unwrap()
            .and_utc()
            .timestamp_millis()
            - 7 * 3_600_000
    }

    fn holds(active: &Active, text: &str) -> bool {
        active.holds(at(text), Zone::VIETNAM)
    }

    #[test]
    fn hours_may_cross_midnight() {
        let night: Active =
            serde_json::from_str(r#"{"hours":{"from":"22:00","to":"06:00"}}"#).unwrap();
        assert!(holds(&night, "2026-05-01 22:00"));
        assert!(holds(&night, "2026-05-02 05:59"));
        assert!(!holds(&night, "2026-05-02 06:00"));
        let day: Active =
            serde_json::from_str(r#"{"hours":{"from":"06:00","to":"22:00"}}"#).unwrap();
        assert!(!holds(&day, "2026-05-01 22:00"));
        assert!(holds(&day, "2026-05-02 06:00"));
    }

    #[test]
    fn seasons_and_stages_count_local_days_and_both_ends() {
        let date = |text: &str| text.parse::<NaiveDate>().unwrap();
        let season = Active {
            season: Some(Season {
                from: date("2026-05-01"),
                to: date("2026-05-02"),
            }),
            ..Active::default()
        };
        assert!(!holds(&season, "2026-04-30 23:59"));
        assert!(holds(&season, "2026-05-01 00:00"));
        assert!(holds(&season, "2026-05-02 23:59"));
        assert!(!holds(&season, "2026-05-03 00:00"));
        let mut flowering = Active {
            stage: Some(Stage {
                name: None,
                sown: Some(date("2026-01-01")),
                from_day: 55,
                to_day: 69,
            }),
            ..Active::default()
        };
        assert!(!holds(&flowering, "2026-02-24 23:59"));
        assert!(holds(&flowering, "2026-02-25 00:00"));
        assert!(holds(&flowering, "2026-03-11 12:00"));
        assert!(!holds(&flowering, "2026-03-12 00:00"));
        // Nobody knows when a crop flowers that was sown on no day.
        flowering.stage.as_mut().unwrap().sown = None;
        assert!(!holds(&flowering, "2026-02-25 00:00"));
    }

    #[test]
    fn no_instant_is_too_far() {
        for at in [Millis::MIN, Millis::MAX, 0] {
            let _ = Zone::VIETNAM.local(at);
            let _ = Zone::VIETNAM.day(at);
        }
    }
}
