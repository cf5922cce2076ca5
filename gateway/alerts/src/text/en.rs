//! English.

use sen_wire::Quantity;

use super::{End, TimeUnit, Words};
use crate::check::Problem;
use crate::rule::{Condition, Level, Over};

pub(super) struct English;

impl Words for English {
    fn separators(&self) -> (char, char) {
        ('.', ',')
    }

    fn date(&self) -> &'static str {
        "%Y-%m-%d"
    }

    fn time(&self, count: u32, unit: TimeUnit) -> String {
        let unit = match unit {
            TimeUnit::Day => "day",
            TimeUnit::Hour => "hour",
            TimeUnit::Minute => "minute",
            TimeUnit::Second => "second",
        };
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {unit}{plural}")
    }

    fn quantity(&self, quantity: Quantity) -> &'static str {
        match quantity {
            Quantity::AirTemperature => "air temperature",
            Quantity::AirHumidity => "air humidity",
            Quantity::AirPressure => "air pressure",
            Quantity::Light => "light",
            Quantity::Par => "photosynthetic light",
            Quantity::Radiation => "solar radiation",
            Quantity::Rain => "rain",
            Quantity::WindSpeed => "wind speed",
            Quantity::WindGust => "wind gust",
            Quantity::WindDirection => "wind direction",
            Quantity::SoilMoisture => "soil moisture",
            Quantity::SoilTemperature => "soil temperature",
            Quantity::SoilConductivity => "soil conductivity",
            Quantity::WaterTemperature => "water temperature",
            Quantity::Conductivity => "conductivity",
            Quantity::Salinity => "salinity",
            Quantity::DissolvedOxygen => "dissolved oxygen",
            Quantity::OxygenSaturation => "oxygen saturation",
            Quantity::WaterLevel => "water level",
            Quantity::Ph => "pH",
            Quantity::Alkalinity => "alkalinity",
            Quantity::Ammonia => "ammonia (NH₃)",
            Quantity::Turbidity => "turbidity",
            Quantity::LeafWetness => "leaf wetness",
            Quantity::BatteryVoltage => "battery voltage",
            Quantity::Co2 => "CO₂",
            Quantity::VapourPressureDeficit => "vapour pressure deficit",
            Quantity::DewPoint => "dew point",
            Quantity::LeafTemperature => "leaf temperature",
            Quantity::AbsoluteHumidity => "absolute humidity",
            Quantity::HumidityDeficit => "humidity deficit",
            Quantity::SoilNitrogen => "soil nitrogen",
            Quantity::SoilPhosphorus => "soil phosphorus",
            Quantity::SoilPotassium => "soil potassium",
        }
    }

    fn stage(&self, id: &str) -> Option<&'static str> {
        Some(match id {
            "seedling" => "seedling",
            "tillering" => "tillering",
            "panicle_initiation" => "panicle initiation",
            "booting" => "booting",
            "flowering" => "flowering",
            "ripening" => "ripening",
            "awd" => "alternate wetting and drying",
            "sensitive" => "salt-sensitive stages",
            "heat" => "booting and flowering",
            _ => return None,
        })
    }

    fn preset(&self, id: &str) -> Option<&'static str> {
        Some(match id {
            "rice" => "Rice",
            "whiteleg_shrimp" => "Whiteleg shrimp",
            "black_tiger_shrimp" => "Black tiger shrimp",
            "pangasius" => "Pangasius",
            "fish" => "Other pond fish",
            "durian" => "Durian",
            "rambutan" => "Rambutan",
            "citrus" => "Citrus, guava, star-apple",
            "mango" => "Mango",
            "dragon_fruit" => "Dragon fruit",
            "devices" => "Devices",
            _ => return None,
        })
    }

    fn sentence(&self) -> &'static str {
        "{level} when {condition}{held}{awake}{ends}."
    }

    fn level(&self, level: Level) -> &'static str {
        match level {
            Level::Info => "Notice",
            Level::Warning => "Warning",
            Level::Critical => "Critical alarm",
        }
    }

    fn over(&self, over: &Over) -> &'static str {
        match over {
            Over::Node(_) => "at node {name}",
            Over::Plot(_) => "on plot {name}",
            Over::Farm(_) => "on farm {name}",
            Over::Group(_) => "in group {name}",
            Over::All => "anywhere",
        }
    }

    fn node(&self, over: &Over) -> &'static str {
        match over {
            Over::Node(_) => "node {name}",
            Over::All => "any node",
            _ => "a node {over}",
        }
    }

    fn condition(&self, condition: &Condition, of_channel: bool) -> &'static str {
        match condition {
            Condition::Above(_) => "{what} {over} is above {value}",
            Condition::Below(_) => "{what} {over} is below {value}",
            Condition::Outside(_) => "{what} {over} is below {low} or above {high}",
            Condition::Rises(_) => "{what} {over} rises by {by} or more within {within}",
            Condition::Falls(_) => "{what} {over} falls by {by} or more within {within}",
            Condition::Swings(_) => "{what} {over} swings by {by} or more within one day",
            Condition::Fault if of_channel => {
                "the {what} probe {over} reports a fault or values that can't be right"
            }
            Condition::Fault => "a probe of {node} reports a fault or values that can't be right",
            Condition::Silent(_) if of_channel => {
                "{node} is online but has sent no {what} for {after}"
            }
            Condition::Silent(_) => "{node} has been offline for {after}",
        }
    }

    fn held(&self) -> &'static str {
        " for at least {duration}"
    }

    fn hours(&self) -> &'static str {
        ", only from {from} to {to}"
    }

    fn season(&self) -> &'static str {
        ", only from {from} to {to}"
    }

    fn stage_days(&self, named: bool) -> &'static str {
        if named {
            ", only during {stage} (day {from} to {to} of the crop)"
        } else {
            ", only on day {from} to {to} of the crop"
        }
    }

    fn ends(&self, end: &End) -> &'static str {
        match end {
            End::Plain => "",
            End::Down => "; it ends at {clears} or below",
            End::Up => "; it ends at {clears} or above",
            End::Inside => "; it ends between {inner_low} and {inner_high}",
            End::PlainAfter => "; it ends after {duration} without it",
            End::DownAfter => "; it ends after {duration} at {clears} or below",
            End::UpAfter => "; it ends after {duration} at {clears} or above",
            End::InsideAfter => "; it ends after {duration} between {inner_low} and {inner_high}",
        }
    }

    fn problem(&self, problem: &Problem) -> &'static str {
        match problem {
            Problem::NoChannel => "The rule does not say what is measured: choose a channel.",
            Problem::Unit { .. } => "{channel} is not measured in {unit}: choose one of {units}.",
            Problem::NotANumber { .. } => "The {field} is not a number: type one.",
            Problem::NeverFires { .. } => {
                "It can never fire: {channel} lies between {least} and {greatest}. Choose a limit within."
            }
            Problem::AlwaysFires { .. } => {
                "It would always fire: every value of {channel}, from {least} to {greatest}, meets it. Choose a limit within."
            }
            Problem::ClearsOnTheWrongSide => {
                "The alarm would end where it begins: choose an end on the good side of the limit."
            }
            Problem::NeverEnds { .. } => {
                "The alarm could never end: {channel} lies between {least} and {greatest}. Choose an end nearer to the limit."
            }
            Problem::BandTooNarrow => {
                "The alarm could never end: the hysteresis is more than half of the band. Choose a smaller one."
            }
            Problem::Crossed => "The low limit is not below the high one: exchange them.",
            Problem::Zero { .. } => "The {field} must be above 0: choose a greater one.",
            Problem::Unneeded { .. } => {
                "The {field} means nothing in a rule of this kind: leave it out."
            }
            Problem::NoHours => {
                "Its hours end where they begin, so it would never be awake: leave them out for the whole day."
            }
            Problem::LongerThanHours { .. } => {
                "It can never fire: it must hold for {for}, but is awake for {hours} only. Choose a shorter duration or longer hours."
            }
            Problem::SeasonReversed => "Its season ends before it begins: exchange the dates.",
            Problem::SeasonPast => "Its season is over: choose dates to come, or leave them out.",
            Problem::StageReversed => "Its stage ends before it begins: exchange the days.",
            Problem::StageBeyondCalendar => "Its sowing date can't be right: correct it.",
            Problem::StageOutsideSeason => {
                "It would never be awake: its stage lies outside its season. Leave one of them out."
            }
            Problem::StagePast => {
                "Its stage is over on every plot there: it sleeps until a new sowing date is entered."
            }
            Problem::NoSowingDate { .. } => {
                "Plot {plot} has no sowing date, so the rule sleeps there: enter the date."
            }
            Problem::Unreliable { .. } => {
                "Probes of {channel} let their value be written by hand: look at it, but don't alert on it."
            }
            Problem::UnknownPlace { .. } => "There is no {name}: choose a place from the list.",
            Problem::DeletedPlace { .. } => "{name} has been deleted: choose another place.",
            Problem::NoNodes { .. } => {
                "There is no node at {name} yet: the rule waits until one is installed."
            }
            Problem::NotMeasured { .. } => {
                "Nothing there measures {channel} yet: the rule waits until a probe is installed."
            }
            Problem::DeletedChannel { .. } => {
                "{channel} is no longer measured there: choose another channel, or install the probe again."
            }
            Problem::ShorterThanInterval { .. } => {
                "The {field} is shorter than the time between two readings of {node} ({interval}): choose at least {interval}."
            }
            Problem::OneLostMessage { .. } => {
                "One lost message of {node}, which sends every {interval}, would raise it: {twice} or more is safer."
            }
            Problem::TooSeldom { .. } => {
                "{node} sends every {interval} only, so nobody knows whether it held in between: leave out the {field}, or let the node send more often."
            }
            Problem::TooLong { .. } => "The {field} is too long: use at most {most} characters.",
            Problem::Empty { .. } => "The {field} is empty: type one.",
            Problem::BadId => {
                "An id must not have spaces or line breaks in it: use letters, digits, - and _."
            }
        }
    }

    fn field(&self, field: &str) -> &'static str {
        match field {
            "value" => "limit",
            "clears_at" => "end of the alarm",
            "low" => "low limit",
            "high" => "high limit",
            "hysteresis" => "hysteresis",
            "by" => "change",
            "within_s" => "window of the change",
            "after_s" => "time of silence",
            "for_s" => "duration",
            "clear_for_s" => "duration of the end",
            "unit" => "unit",
            "id" => "id",
            "name" => "name",
            "over" => "place",
            "stage" => "name of the stage",
            _ => "field",
        }
    }
}
