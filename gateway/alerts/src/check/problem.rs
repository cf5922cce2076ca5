//! What can be wrong with a rule, as data. The words are in [`crate::text`].

use std::fmt;

use sen_wire::Channel;
use serde::Serialize;

use crate::rule::Over;
use crate::text::Lang;

/// What is wrong with a rule, or at least odd.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum Problem {
    /// A rule about values has no channel.
    NoChannel,
    /// The unit is not one of this quantity.
    Unit {
        /// The channel.
        #[serde(serialize_with = "by_name")]
        channel: Channel,
        /// The unit given.
        unit: String,
        /// Those that would do, the canonical one first.
        units: Vec<&'static str>,
    },
    /// A value is no number that a reading could be compared with.
    NotANumber {
        /// Which field.
        field: &'static str,
    },
    /// No real value meets it.
    NeverFires {
        /// What can be real.
        #[serde(flatten)]
        range: Range,
    },
    /// Every real value meets it.
    AlwaysFires {
        /// What can be real.
        #[serde(flatten)]
        range: Range,
    },
    /// The alarm would end on the side where it begins.
    ClearsOnTheWrongSide,
    /// No real value ends the alarm.
    NeverEnds {
        /// What can be real.
        #[serde(flatten)]
        range: Range,
    },
    /// The hysteresis leaves nothing of the band.
    BandTooNarrow,
    /// The low limit is not below the high one.
    Crossed,
    /// A change or a time of nothing.
    Zero {
        /// Which field.
        field: &'static str,
    },
    /// A field that this condition has no use for.
    Unneeded {
        /// Which field.
        field: &'static str,
    },
    /// The hours end where they begin.
    NoHours,
    /// The hours are over before it has held for long enough.
    LongerThanHours {
        /// For how long it must hold, in seconds.
        for_s: u32,
        /// How long it is awake, in seconds.
        hours_s: u32,
    },
    /// The season ends before it begins.
    SeasonReversed,
    /// The season is over.
    SeasonPast,
    /// The stage ends before it begins.
    StageReversed,
    /// The sowing date is beyond the calendar.
    StageBeyondCalendar,
    /// The stage lies outside the season.
    StageOutsideSeason,
    /// The stage is over on every plot there.
    StagePast,
    /// A plot has no sowing date: the rule sleeps on it.
    NoSowingDate {
        /// The plot.
        plot: String,
    },
    /// NPK probes write what they like.
    Unreliable {
        /// The channel.
        #[serde(serialize_with = "by_name")]
        channel: Channel,
    },
    /// There never was such a place.
    UnknownPlace {
        /// The place.
        over: Over,
    },
    /// The place was deleted.
    DeletedPlace {
        /// The place.
        over: Over,
    },
    /// There is no node at that place.
    NoNodes {
        /// The place.
        over: Over,
    },
    /// Nothing there measures the channel.
    NotMeasured {
        /// The channel.
        #[serde(serialize_with = "by_name")]
        channel: Channel,
    },
    /// The channel was deleted on every node there.
    DeletedChannel {
        /// The channel.
        #[serde(serialize_with = "by_name")]
        channel: Channel,
    },
    /// A duration is shorter than the time between two readings of a node.
    ShorterThanInterval {
        /// Which field.
        field: &'static str,
        /// The node.
        node: String,
        /// How often it sends, in seconds.
        interval_s: u32,
    },
    /// One lost message is enough: the time is less than twice the interval of sending.
    OneLostMessage {
        /// The node.
        node: String,
        /// How often it sends, in seconds.
        interval_s: u32,
    },
    /// A node sends so seldom that nothing is known of the time between: the duration would begin anew each time.
    TooSeldom {
        /// Which field.
        field: &'static str,
        /// The node.
        node: String,
        /// How often it sends, in seconds.
        interval_s: u32,
    },
    /// A text is too long.
    TooLong {
        /// Which field.
        field: &'static str,
        /// How many characters it may have.
        most: usize,
    },
    /// A text is missing.
    Empty {
        /// Which field.
        field: &'static str,
    },
    /// An id has characters that an address can't have.
    BadId,
}

/// What a channel can really measure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Range {
    /// The channel.
    #[serde(serialize_with = "by_name")]
    pub channel: Channel,
    /// Least real value, in the canonical unit.
    pub least: f64,
    /// Greatest real value.
    pub greatest: f64,
}

impl Range {
    /// From the quantity table.
    #[must_use]
    pub fn of(channel: Channel) -> Self {
        let (least, greatest) = channel.quantity().plausible();
        Self {
            channel,
            least,
            greatest,
        }
    }
}

fn by_name<S: serde::Serializer>(channel: &Channel, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(channel)
}

impl Problem {
    /// Whether it is only odd: it may be meant.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        matches!(
            self,
            Self::StagePast
                | Self::NoSowingDate { .. }
                | Self::NoNodes { .. }
                | Self::NotMeasured { .. }
                | Self::OneLostMessage { .. }
        ) || matches!(self, Self::ShorterThanInterval { field, .. } if *field == "for_s" || *field == "clear_for_s")
    }

    /// In words: what is wrong, and what to do.
    #[must_use]
    pub fn say(&self, lang: Lang) -> String {
        crate::text::problem(self, lang)
    }
}

/// In English.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.say(Lang::En))
    }
}

impl std::error::Error for Problem {}
