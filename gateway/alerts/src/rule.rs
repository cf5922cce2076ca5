//! A rule as data: what people set, what is stored, what the API takes. No scripting.
//!
//! ```
//! let rule: sen_alerts::Rule = serde_json::from_str(r#"{
//!     "id": "oxygen-critical", "level": "critical",
//!     "over": {"farm": "hoa"}, "channel": "dissolved_oxygen",
//!     "when": {"below": {"value": 3.0, "clears_at": 3.5}},
//!     "for_s": 2700, "active": {"hours": {"from": "00:00", "to": "07:00"}}
//! }"#)?;
//! assert_eq!(rule.for_s, 2700);
//! # Ok::<(), serde_json::Error>(())
//! ```

use chrono::{NaiveDate, NaiveTime};
use sen_wire::Channel;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How much an alarm matters, in rising order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Worth knowing.
    Info,
    /// Look at it today.
    Warning,
    /// Go now.
    Critical,
}

/// What a rule looks over. Ids are those of the registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// One node.
    Node(String),
    /// Every node of a plot.
    Plot(String),
    /// Every node of a farm.
    Farm(String),
    /// Every node of a named group of farms: a cooperative, a canal.
    Group(String),
    /// Everything.
    All,
}

impl Over {
    /// The id that it names.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Node(id) | Self::Plot(id) | Self::Farm(id) | Self::Group(id) => Some(id),
            Self::All => None,
        }
    }
}

/// When a reading, or the lack of one, is a reason for alarm. Values are in the channel's canonical unit, unless the rule
/// names another one that the quantity table knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// Above a value.
    Above(Threshold),
    /// Below a value.
    Below(Threshold),
    /// Below `low` or above `high`.
    Outside(Band),
    /// Risen by at least `by` within `within_s`.
    Rises(Change),
    /// Fallen by at least `by` within `within_s`.
    Falls(Change),
    /// Greatest less least value since local midnight is at least `by`.
    Swings(Swing),
    /// The probe reports a fault in place of a value, or its values can't be believed. Without a channel: any probe of the
    /// node, and one alarm however many of them fail.
    Fault,
    /// The node has not been heard at all; with a channel: the node is heard, but this channel is not among what it says.
    Silent(Silence),
}

/// A value, and where the alarm ends again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The limit itself is not yet a reason for alarm.
    pub value: f64,
    /// The alarm ends once this is reached: the hysteresis. Without one, the limit itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clears_at: Option<f64>,
}

/// Two values, and how far inside them the alarm ends again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// Least good value.
    pub low: f64,
    /// Greatest good value.
    pub high: f64,
    /// The alarm ends this far inside.
    #[serde(default)]
    pub hysteresis: f64,
}

/// A change over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// How much, above 0.
    pub by: f64,
    /// Within how many seconds.
    pub within_s: u32,
}

/// A daily swing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swing {
    /// Greatest less least value of the local day, above 0.
    pub by: f64,
}

/// How long a node may be silent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silence {
    /// Seconds.
    pub after_s: u32,
}

/// When a rule is awake. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Active {
    /// Local time of day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// Local dates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub season: Option<Season>,
    /// A stage of the crop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
}

/// From a time of day until another; over midnight if `to` is before `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// The first minute of it.
    #[serde(with = "clock")]
    pub from: NaiveTime,
    /// The first minute after it.
    #[serde(with = "clock")]
    pub to: NaiveTime,
}

/// From a day to a day, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Season {
    /// First day.
    pub from: NaiveDate,
    /// Last day.
    pub to: NaiveDate,
}

/// A stage of the crop: days after sowing (for a pond, after stocking), the last one included.
///
/// A rule need not name the day itself: [`Rule::on`] takes it from the plot. A stage without one is never awake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// What it is called: an id of the language tables (`flowering`), or any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// First day of the stage.
    pub from_day: u16,
    /// Last day of the stage.
    pub to_day: u16,
    /// Day 0; without it that of the plot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sown: Option<NaiveDate>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Unique, as in the API.
    pub id: String,
    /// What people call it; without one its sentence stands for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How much it matters.
    pub level: Level,
    /// Where.
    pub over: Over,
    /// What; a rule about silence or faults of a whole node has none.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "channel")]
    pub channel: Option<Channel>,
    /// The unit of its values, if not the canonical one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The condition.
    pub when: Condition,
    /// For how many seconds it must hold, by the readings' own times.
    #[serde(default)]
    pub for_s: u32,
    /// For how many seconds it must have ended before the alarm ends.
    #[serde(default)]
    pub clear_for_s: u32,
    /// When it is awake; without one always.
    #[serde(default)]
    pub active: Active,
}

impl Rule {
    /// Whether its alarms are those of a node, not of one of its channels.
    #[must_use]
    pub fn is_about_node(&self) -> bool {
        self.channel.is_none()
    }
}

/// Channels by name or code; written by name.
pub(crate) mod channel {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(c: &Option<Channel>, s: S) -> Result<S::Ok, S::Error> {
        match c {
            Some(channel) => s.collect_str(channel),
            None => s.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'d, D: Deserializer<'d>>(d: D) -> Result<Option<Channel>, D::Error> {
        Option::<String>::deserialize(d)?
            .map(|text| text.parse().map_err(serde::de::Error::custom))
            .transpose()
    }
}

/// `HH:MM`.
mod clock {
    use super::*;

    pub(super) fn serialize<S: Serializer>(t: &NaiveTime, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&t.format("%H:%M"))
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(d: D) -> Result<NaiveTime, D::Error> {
        let text = String::deserialize(d)?;
        NaiveTime::parse_from_str(&text, "%H:%M").map_err(|_| {
            serde::de::Error::custom(format!("'{text}' is no time of day: write 05:30"))
        })
    }
}
