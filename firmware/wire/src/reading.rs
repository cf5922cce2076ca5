//! A reading: one channel, one instant, one value or one fault.

use crate::{Channel, Decimal, Fault};

/// What a probe said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number in the channel's unit, exact.
    Number(Decimal),
    /// Why there is none.
    Fault(Fault),
}

/// When a reading was taken, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// Since 1970-01-01 UTC.
    Absolute(i64),
    /// Relative to when the pack was sent: the node has no clock yet (RFC 8428 section 4.5.3). Mostly below zero.
    Relative(i64),
    /// Not said: as good as "now" (RFC 8428 section 4.5.3), but nobody measured it.
    Missing,
}

/// A reading's place in its node's sequence. Fields order as the readings do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ids {
    /// Which start of the node: incarnation of its storage << 32 | boot counter; at most [`MAX_BOOT`](crate::limits::MAX_BOOT).
    pub boot: u64,
    /// Which reading of that boot, from 0.
    pub seq: u32,
}

/// One reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What was measured.
    pub channel: Channel,
    /// What came out.
    pub value: Value,
    /// When.
    pub time: Time,
    /// The time was worked out afterwards, not read from a clock.
    pub estimated: bool,
}
