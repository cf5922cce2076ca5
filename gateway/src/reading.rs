//! A reading as the gateway keeps it: one channel of one node, one instant, one value or one fault.

use sen_wire::{Channel, Decimal, Fault};

/// Milliseconds since 1970-01-01 UTC: the gateway's only notion of wall time.
pub type Millis = i64;

/// A node's number in the registry: small, never reused, the key of everything in the journal.
pub type NodeNum = u32;

/// One day in milliseconds.
pub const DAY_MS: Millis = 86_400_000;
/// One hour in milliseconds.
pub const HOUR_MS: Millis = 3_600_000;

/// A day of the farm, counted from 1970-01-01: readings are accounted for by it.
pub type Day = i64;

/// The farms' clock: Asia/Ho_Chi_Minh, seven hours ahead of UTC all year.
pub const FARM_OFFSET_MS: Millis = 7 * HOUR_MS;

/// The farm's day of an instant.
#[must_use]
pub fn farm_day(at: Millis) -> Day {
    at.saturating_add(FARM_OFFSET_MS).div_euclid(DAY_MS)
}

/// The first instant of a farm's day.
#[must_use]
pub fn day_start(day: Day) -> Millis {
    day * DAY_MS - FARM_OFFSET_MS
}

/// What a reading says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measured {
    /// A value in the channel's canonical unit, as exact as it was sent.
    Value(Decimal),
    /// The probe reported a fault in place of a value.
    Fault(Fault),
    /// The record was refused (unknown channel, no number, …). It keeps its place in the node's
    /// sequence, so that a refusal is never mistaken for a loss.
    Refused,
}

/// One reading of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Quantity and instance; `None` only for [`Measured::Refused`].
    pub channel: Option<Channel>,
    /// When it was taken, UTC.
    pub at: Millis,
    /// What it says.
    pub what: Measured,
    /// The time was worked out afterwards (no clock on the node, or a clock that was wrong).
    pub estimated: bool,
}

impl Reading {
    /// The value as a float, if there is one.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        match self.what {
            Measured::Value(v) => Some(v.to_f64()),
            Measured::Fault(_) | Measured::Refused => None,
        }
    }
}
