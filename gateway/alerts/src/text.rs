//! Words. Each language is one file that implements [`Words`]; the compiler says what a new one still lacks. To add one:
//! its file beside `text/en.rs`, a variant of [`Lang`], a line in `words`.
//!
//! A template has its places in braces: `{over} {what} > {value}`. Numbers, units and dates are written here, the same for
//! all languages but for what they say in [`Words`].

use chrono::{NaiveDate, NaiveTime};
use sen_wire::{Channel, Quantity};
use serde::{Deserialize, Serialize};

use crate::check::Problem;
use crate::rule::{Condition, Level, Over};

mod en;
mod vi;

/// A language that people read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lang {
    /// Vietnamese.
    #[default]
    Vi,
    /// English.
    En,
}

impl Lang {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::Vi, Self::En];

    pub(crate) fn words(self) -> &'static dyn Words {
        match self {
            Self::Vi => &vi::Vietnamese,
            Self::En => &en::English,
        }
    }
}

/// What a language has to say.
pub(crate) trait Words: Sync {
    /// What stands between whole and fraction, and between thousands.
    fn separators(&self) -> (char, char);
    /// How a date is written, for `chrono`.
    fn date(&self) -> &'static str;
    /// So many days, hours, minutes or seconds.
    fn time(&self, count: u32, unit: TimeUnit) -> String;
    /// What is measured, as it stands within a sentence.
    fn quantity(&self, quantity: Quantity) -> &'static str;
    /// A stage of a crop by its id.
    fn stage(&self, id: &str) -> Option<&'static str>;
    /// A preset by its id.
    fn preset(&self, id: &str) -> Option<&'static str>;

    /// `{level} {condition} {held} {awake} {ends}`: the whole sentence.
    fn sentence(&self) -> &'static str;
    /// How it begins.
    fn level(&self, level: Level) -> &'static str;
    /// `{name}`: where.
    fn over(&self, over: &Over) -> &'static str;
    /// `{name} {over}`: a node of that place.
    fn node(&self, over: &Over) -> &'static str;
    /// The condition: `{what}` `{over}` `{node}` and its own values.
    fn condition(&self, condition: &Condition, of_channel: bool) -> &'static str;
    /// `{duration}`: for how long it must hold.
    fn held(&self) -> &'static str;
    /// `{from} {to}`: hours.
    fn hours(&self) -> &'static str;
    /// `{from} {to}`: dates.
    fn season(&self) -> &'static str;
    /// `{stage} {from} {to}`: days of the crop, with its name or without.
    fn stage_days(&self, named: bool) -> &'static str;
    /// When the alarm ends.
    fn ends(&self, end: &End) -> &'static str;

    /// What is wrong with a rule, and what to do.
    fn problem(&self, problem: &Problem) -> &'static str;
    /// What the page calls this field.
    fn field(&self, field: &str) -> &'static str;
}

/// Units of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeUnit {
    Day,
    Hour,
    Minute,
    Second,
}

/// How an alarm ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// `{clears}` or less.
    Down,
    /// `{clears}` or more.
    Up,
    /// Between `{inner_low}` and `{inner_high}`.
    Inside,
    /// As soon as the condition no longer holds.
    Plain,
    /// Nothing of the above, for `{duration}`.
    PlainAfter,
    /// `{clears}` or less for `{duration}`.
    DownAfter,
    /// `{clears}` or more for `{duration}`.
    UpAfter,
    /// Between `{inner_low}` and `{inner_high}` for `{duration}`.
    InsideAfter,
}

/// Puts values into the places of a template.
pub(crate) fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut text = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        if let Some((_, value)) = values.iter().find(|(key, _)| *key == name) {
            text.push_str(value);
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

impl dyn Words {
    /// A number as people write it, without needless zeros.
    pub(crate) fn number(&self, value: f64) -> String {
        let (point, thousands) = self.separators();
        let text = format!("{value:.6}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        let (sign, digits) = match text.strip_prefix('-') {
            Some("0") => ("", "0"),
            Some(digits) => ("-", digits),
            None => ("", text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let mut out = sign.to_owned();
        for (n, digit) in whole.chars().enumerate() {
            if n > 0 && (whole.len() - n).is_multiple_of(3) {
                out.push(thousands);
            }
            out.push(digit);
        }
        if !fraction.is_empty() {
            out.push(point);
            out.push_str(fraction);
        }
        out
    }

    /// A number with its unit.
    pub(crate) fn value(&self, value: f64, unit: &str) -> String {
        let number = self.number(value);
        match unit {
            "" => number,
            "%" | "°" => format!("{number}{unit}"),
            _ => format!("{number} {unit}"),
        }
    }

    /// `1 h 30 min`, in words.
    pub(crate) fn duration(&self, seconds: u32) -> String {
        let parts = [
            (seconds / 86_400, TimeUnit::Day),
            (seconds / 3_600 % 24, TimeUnit::Hour),
            (seconds / 60 % 60, TimeUnit::Minute),
            (seconds % 60, TimeUnit::Second),
        ];
        let said: Vec<String> = parts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, unit)| self.time(count, unit))
            .collect();
        if said.is_empty() {
            self.time(0, TimeUnit::Second)
        } else {
            said.join(" ")
        }
    }

    pub(crate) fn day(&self, date: NaiveDate) -> String {
        date.format(self.date()).to_string()
    }

    pub(crate) fn channel(&self, channel: Channel) -> String {
        let name = self.quantity(channel.quantity());
        match channel.instance() {
            1 => name.to_owned(),
            n => format!("{name} {n}"),
        }
    }
}

pub(crate) fn clock(time: NaiveTime) -> String {
    time.format("%H:%M").to_string()
}

/// How people write a unit: `°C` for UCUM's `Cel`. The same in all languages.
#[must_use]
pub fn unit(ucum: &str) -> &str {
    match ucum {
        "Cel" => "°C",
        "K" => "°C",
        "[ppth]" => "‰",
        "[pH]" => "",
        "{NTU}" => "NTU",
        "[ppm]" => "ppm",
        "uS/cm" => "µS/cm",
        "umol/(m2.s)" => "µmol/m²·s",
        "W/m2" => "W/m²",
        "g/m3" => "g/m³",
        "deg" => "°",
        "lx" => "lux",
        other => other,
    }
}

/// A problem in words.
pub(crate) fn problem(problem: &Problem, lang: Lang) -> String {
    let words = lang.words();
    let mut values: Vec<(&str, String)> = Vec::new();
    match problem {
        Problem::NeverFires { range }
        | Problem::AlwaysFires { range }
        | Problem::NeverEnds { range } => {
            let unit = unit(range.channel.quantity().unit());
            values.push(("channel", words.channel(range.channel)));
            values.push(("least", words.value(range.least, unit)));
            values.push(("greatest", words.value(range.greatest, unit)));
        }
        Problem::Unit {
            channel,
            unit,
            units,
        } => {
            values.push(("channel", words.channel(*channel)));
            values.push(("unit", unit.clone()));
            values.push(("units", units.join(", ")));
        }
        Problem::Unreliable { channel }
        | Problem::NotMeasured { channel }
        | Problem::DeletedChannel { channel } => {
            values.push(("channel", words.channel(*channel)));
        }
        Problem::LongerThanHours { for_s, hours_s } => {
            values.push(("for", words.duration(*for_s)));
            values.push(("hours", words.duration(*hours_s)));
        }
        Problem::NoSowingDate { plot } => values.push(("plot", plot.clone())),
        Problem::UnknownPlace { over }
        | Problem::DeletedPlace { over }
        | Problem::NoNodes { over } => {
            values.push(("name", over.id().unwrap_or_default().to_owned()));
        }
        Problem::ShorterThanInterval {
            node, interval_s, ..
        }
        | Problem::OneLostMessage { node, interval_s }
        | Problem::TooSeldom {
            node, interval_s, ..
        } => {
            values.push(("node", node.clone()));
            values.push(("interval", words.duration(*interval_s)));
            values.push(("twice", words.duration(interval_s.saturating_mul(2))));
        }
        Problem::TooLong { most, .. } => values.push(("most", most.to_string())),
        _ => {}
    }
    if let Problem::NotANumber { field }
    | Problem::Zero { field }
    | Problem::Unneeded { field }
    | Problem::ShorterThanInterval { field, .. }
    | Problem::TooSeldom { field, .. }
    | Problem::TooLong { field, .. }
    | Problem::Empty { field } = problem
    {
        values.push(("field", words.field(field).to_owned()));
    }
    fill(words.problem(problem), &values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        for (value, vi, en) in [
            (0.0, "0", "0"),
            (-0.000_000_1, "0", "0"),
            (3.5, "3,5", "3.5"),
            (-15.0, "-15", "-15"),
            (0.1 + 0.2, "0,3", "0.3"),
            (1000.0, "1.000", "1,000"),
            (-12_345_678.25, "-12.345.678,25", "-12,345,678.25"),
        ] {
            assert_eq!(Lang::Vi.words().number(value), vi);
            assert_eq!(Lang::En.words().number(value), en);
        }
    }

    #[test]
    fn durations_are_said_in_full() {
        for (seconds, vi, en) in [
            (0, "0 giây", "0 seconds"),
            (1, "1 giây", "1 second"),
            (2_700, "45 phút", "45 minutes"),
            (5_400, "1 giờ 30 phút", "1 hour 30 minutes"),
            (86_400, "1 ngày", "1 day"),
        ] {
            assert_eq!(Lang::Vi.words().duration(seconds), vi);
            assert_eq!(Lang::En.words().duration(seconds), en);
        }
    }

    #[test]
    fn every_quantity_has_a_name_of_its_own_in_every_language() {
        for lang in Lang::ALL {
            let name = |q: &Quantity| lang.words().quantity(*q);
            let names: std::collections::HashSet<_> = Quantity::ALL.iter().map(name).collect();
            assert_eq!(names.len(), Quantity::ALL.len());
        }
    }
}
