//! Why a node does not take a configuration. The node says so in its hello; the gateway checks the same before it publishes.

use crate::Channel;

crate::error::errors! {
    /// Why a configuration was refused. Positions are codes on the wire: append only.
    RefusalReason {
        Unknown = "unknown", "a reason that this version does not know: update the gateway";
        Malformed = "malformed", "not the CBOR that a configuration is made of: check the sender's encoder";
        TooLong = "too_long", "a list is longer than the protocol allows: shorten it to the limits in sen_wire::limits";
        NewerFormat = "newer_format", "says something that this firmware does not know: update the firmware, or leave it out";
        OlderVersion = "older_version", "its version is below that of the configuration in force: publish it with a higher one";
        SameVersion = "same_version", "it differs from the configuration in force but has the same version: publish it with a higher one";
        UnknownChannel = "unknown_channel", "names a channel that this firmware does not know: use a code of the quantity table, instance 1 to 9";
        NotOnBoard = "not_on_board", "names a channel that this board has no probe for";
        NotSampled = "not_sampled", "sets up a channel that the configuration does not sample: add it to the channels";
        Duplicate = "duplicate", "names a channel twice where once is enough";
        SampleInterval = "sample_interval", "the sample interval has to be 1 second to 1 day";
        SendInterval = "send_interval", "the send interval has to be at most 7 days";
        ListenWindow = "listen_window", "the listen window has to be 5 seconds to 1 hour: a node that does not listen can't be reached again";
        SendLimit = "send_limit", "a limit needs a value below or above which to send, within what the quantity can be, and the lower one less than the upper one";
        UnknownCurve = "unknown_curve", "names a kind of calibration that this firmware does not know: update the firmware";
        CurveMismatch = "curve_mismatch", "this kind of calibration is not made for this quantity";
        PointCount = "point_count", "this kind of calibration takes another number of points";
        PointsTooNear = "points_too_near", "the points are (nearly) the same: measure two that lie further apart";
        PointRaw = "point_raw", "a point's raw value is none that the probe gives: is it connected?";
        PointValue = "point_value", "a point's reference value is outside of what the quantity can be";
        PointTemperature = "point_temperature", "a point's temperature is missing or outside of what the probe can bear";
        Direction = "direction", "the points run the wrong way for this probe: were they swapped?";
        Slope = "slope", "the points make a probe that is far off its kind: old probe, wrong buffer, or not settled when measured";
        NoTemperature = "no_temperature", "this kind of calibration needs a temperature channel that the node samples too";
        NotStored = "not_stored", "the node could not store it and would forget it: it will try again when it is published again";
    }
}

impl RefusalReason {
    /// Its code on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The reason of a code; a code of a later version is `Unknown`.
    pub fn from_code(code: u8) -> Self {
        Self::ALL
            .get(usize::from(code))
            .copied()
            .unwrap_or(Self::Unknown)
    }
}

/// A configuration that is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its version, if that could be read.
    pub version: Option<u32>,
    /// Why.
    pub reason: RefusalReason,
    /// The channel whose setting is at fault, if it is one's.
    pub channel: Option<Channel>,
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if let Some(channel) = self.channel {
            write!(f, "{channel}: ")?;
        }
        self.reason.fmt(f)
    }
}

impl core::error::Error for Refusal {}
