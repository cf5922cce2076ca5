//! Advice in words: one table for Vietnamese and English.

use super::{Advice, Because, Kind, What};
use crate::Millis;
use crate::calendar::Zone;

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Tiếng Việt.
    Vietnamese,
    /// English.
    English,
}

/// An advice in words, at `now` on the farm's clock.
#[must_use]
pub fn words(advice: &Advice, language: Language, zone: Zone, now: Millis) -> String {
    let vi = language == Language::Vietnamese;
    let pick = |v: String, e: String| if vi { v } else { e };
    let reason = reason(&advice.because, language);
    let clock = advice.when.map(|at| clock(at, zone, now, vi));
    let what = match (advice.kind, advice.what, clock) {
        (Kind::RiceWater, What::PumpNow, _) => pick("Bơm nước ngay".into(), "Pump now".into()),
        (Kind::RiceWater, What::Wait, _) => match advice.when {
            Some(at) => {
                let days = (at.saturating_sub(now).max(0) as f64 / 86_400_000.0).round();
                if days < 1.0 {
                    pick(
                        "Chưa cần bơm, trong ngày sẽ cần".into(),
                        "Wait; it will be time within the day".into(),
                    )
                } else {
                    let day = if days == 1.0 { "day" } else { "days" };
                    pick(
                        format!("Chưa cần bơm, khoảng {days:.0} ngày nữa"),
                        format!("Wait, about {days:.0} {day}"),
                    )
                }
            }
            None => pick("Chưa cần bơm".into(), "Wait".into()),
        },
        (_, What::KeepShut, Some(at)) => pick(
            format!("Giữ cống đóng, dự kiến nước ngọt lại lúc {at}"),
            format!("Keep the sluice shut; fresh again expected at {at}"),
        ),
        (_, What::KeepShut, None) => pick("Giữ cống đóng".into(), "Keep the sluice shut".into()),
        (_, What::Open, Some(at)) => pick(
            format!("Có thể mở cống đến {at}"),
            format!("The sluice may be open until {at}"),
        ),
        (_, What::Open, None) => pick("Có thể mở cống".into(), "The sluice may be open".into()),
        (_, What::Aerate, _) => pick(
            "Chuẩn bị quạt nước, oxy sẽ xuống thấp trước khi trời sáng".into(),
            "Get the aerators ready, oxygen will be low before dawn".into(),
        ),
        (_, What::Fine, _) => pick(
            "Đêm nay oxy dự kiến đủ".into(),
            "Oxygen is expected to suffice tonight".into(),
        ),
        (_, What::Unknown | What::PumpNow | What::Wait, _) => {
            pick("Chưa thể khuyên".into(), "No advice".into())
        }
    };
    format!("{what}: {reason}.")
}

fn reason(because: &Because, language: Language) -> String {
    let vi = language == Language::Vietnamese;
    let number = |value: f64, decimals: usize| {
        // No "-0".
        let value = if value.abs() < 0.05 { 0.0 } else { value };
        let text = format!("{value:.decimals$}");
        if vi { text.replace('.', ",") } else { text }
    };
    let one = |value| number(value, 1);
    let cm = |value: f64| number(if value.abs() < 0.5 { 0.0 } else { value }, 0);
    match *because {
        Because::Tube {
            level_cm,
            pump_at_cm,
            fall_cm_a_day,
        } => {
            let (level, at) = (cm(level_cm), cm(pump_at_cm));
            match (vi, fall_cm_a_day.map(one)) {
                (true, Some(fall)) => format!(
                    "mực nước trong ống {level} cm, mỗi ngày xuống {fall} cm, bơm khi còn {at} cm"
                ),
                (true, None) => format!("mực nước trong ống {level} cm, bơm khi còn {at} cm"),
                (false, Some(fall)) => {
                    format!("the tube reads {level} cm and falls {fall} cm a day; pump at {at} cm")
                }
                (false, None) => format!("the tube reads {level} cm; pump at {at} cm"),
            }
        }
        Because::Flowering { level_cm, hold_cm } => {
            let (level, hold) = (cm(level_cm), cm(hold_cm));
            if vi {
                format!("lúa trổ bông cần giữ {hold} cm nước, mực nước hiện là {level} cm")
            } else {
                format!("flowering rice is kept under {hold} cm of water; the level is {level} cm")
            }
        }
        Because::JustPlanted { level_cm } => {
            let level = cm(level_cm);
            if vi {
                format!("lúa mới cấy chưa đủ 2 tuần, chưa để ruộng khô, mực nước {level} cm")
            } else {
                format!(
                    "planted less than two weeks ago, not to be dried yet; the level is {level} cm"
                )
            }
        }
        Because::Salt { salinity, limit } => {
            let (salinity, limit) = (one(salinity), one(limit));
            if vi {
                format!("độ mặn {salinity} ‰, ngưỡng {limit} ‰")
            } else {
                format!("salinity {salinity} ‰, limit {limit} ‰")
            }
        }
        Because::Oxygen {
            now,
            least,
            limit,
            off_by,
        } => {
            let (now, least, limit, off_by) = (one(now), one(least), one(limit), one(off_by));
            if vi {
                format!(
                    "oxy hòa tan hiện {now} mg/L, dự kiến thấp nhất {least} mg/L (sai số thường {off_by}), ngưỡng {limit} mg/L"
                )
            } else {
                format!(
                    "dissolved oxygen {now} mg/L now, lowest expected {least} mg/L (usually off by {off_by}), limit {limit} mg/L"
                )
            }
        }
        Because::NoReading => if vi {
            "không có dữ liệu tin cậy gần đây"
        } else {
            "no reliable data lately"
        }
        .into(),
        Because::NoSkill => if vi {
            "dự báo ở đây chưa đủ chính xác"
        } else {
            "forecasts have not been good enough here"
        }
        .into(),
    }
}

/// `HH:MM`, with the date if it is not today.
fn clock(at: Millis, zone: Zone, now: Millis, vi: bool) -> String {
    let local = zone.local(at);
    let time = local.format("%H:%M");
    if zone.day(at) == zone.day(now) {
        time.to_string()
    } else if vi {
        format!("{time} ngày {}", local.format("%d/%m"))
    } else {
        format!("{time} on {}", local.format("%d/%m"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(kind: Kind, what: What, when: Option<Millis>, because: Because) -> [String; 2] {
        let advice = Advice {
            kind,
            what,
            when,
            because,
        };
        [Language::Vietnamese, Language::English]
            .map(|language| words(&advice, language, Zone::VIETNAM, 0))
    }

    #[test]
    fn says_it_in_both_languages_with_their_numbers() {
        let tube = Because::Tube {
            level_cm: -9.0,
            pump_at_cm: -15.0,
            fall_cm_a_day: Some(2.04),
        };
        assert_eq!(
            say(Kind::RiceWater, What::Wait, Some(3 * 86_400_000), tube),
            [
                "Chưa cần bơm, khoảng 3 ngày nữa: mực nước trong ống -9 cm, mỗi ngày xuống 2,0 cm, bơm khi còn -15 cm.",
                "Wait, about 3 days: the tube reads -9 cm and falls 2.0 cm a day; pump at -15 cm.",
            ]
        );
        let salt = Because::Salt {
            salinity: 0.34,
            limit: 1.0,
        };
        // 0 is 07:00 in Vietnam.
        assert_eq!(
            say(Kind::Sluice, What::Open, Some(3 * 3_600_000), salt),
            [
                "Có thể mở cống đến 10:00: độ mặn 0,3 ‰, ngưỡng 1,0 ‰.",
                "The sluice may be open until 10:00: salinity 0.3 ‰, limit 1.0 ‰.",
            ]
        );
        let [vi, _] = say(Kind::Sluice, What::KeepShut, Some(20 * 3_600_000), salt);
        assert!(vi.contains("03:00 ngày 02/01"), "{vi}");
    }

    #[test]
    fn every_advice_has_words_that_differ_by_language() {
        let reasons = [
            Because::Flowering {
                level_cm: 2.0,
                hold_cm: 5.0,
            },
            Because::JustPlanted { level_cm: -0.2 },
            Because::Oxygen {
                now: 6.0,
                least: 2.9,
                limit: 3.0,
                off_by: 0.5,
            },
            Because::NoReading,
            Because::NoSkill,
        ];
        for what in [
            What::PumpNow,
            What::Wait,
            What::Aerate,
            What::Fine,
            What::Unknown,
        ] {
            for because in reasons {
                let [vi, en] = say(Kind::NightOxygen, what, None, because);
                assert_ne!(vi, en);
                assert!(!vi.contains("-0") && !en.contains("-0"), "{vi} {en}");
                assert!(vi.matches(':').count() <= 1, "{vi}");
            }
        }
    }
}
