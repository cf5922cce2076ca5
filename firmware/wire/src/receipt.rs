//! Receipt, gateway to node: CBOR array `[boot, from, through, time]`.
//!
//! All readings of `boot` with `from <= seq <= through` are on disk: the node frees them. Receipts are cumulative, so a
//! lost one is repaired by the next. `from > through` names nothing: such a receipt only tells the time.

use minicbor::{Decode, Encode};

use crate::error::ControlError;

/// In place of the time: the gateway does not trust its own clock, or knows that it is wrong. A node keeps the time it has.
pub const NO_TIME: i64 = 0;

/// What is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Receipt {
    /// The boot that the readings are of.
    #[n(0)]
    pub boot: u64,
    /// The first reading.
    #[n(1)]
    pub from: u32,
    /// The last reading, itself included.
    #[n(2)]
    pub through: u32,
    /// The gateway's clock when it sent this, ms UTC, or [`NO_TIME`].
    #[n(3)]
    pub time_ms: i64,
}

impl Receipt {
    /// A receipt that only tells the time.
    pub const fn time_only(boot: u64, time_ms: i64) -> Self {
        Self {
            boot,
            from: 1,
            through: 0,
            time_ms,
        }
    }

    /// The sequence numbers that it frees; empty if it only tells the time.
    pub const fn range(&self) -> core::ops::RangeInclusive<u32> {
        self.from..=self.through
    }

    /// The gateway's clock when it sent this, ms UTC, if it knew it.
    pub const fn time(&self) -> Option<i64> {
        if self.time_ms == NO_TIME {
            None
        } else {
            Some(self.time_ms)
        }
    }

    /// Writes it to the front of `buffer`.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], ControlError> {
        encode(self, buffer)
    }

    /// Reads it; unknown further elements are skipped.
    pub fn decode(bytes: &[u8]) -> Result<Self, ControlError> {
        minicbor::decode(bytes).map_err(|_| ControlError::Malformed)
    }
}

/// Writes any control message to the front of `buffer`.
pub(crate) fn encode<'b>(
    message: &impl Encode<()>,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], ControlError> {
    let mut cursor = minicbor::encode::write::Cursor::new(&mut *buffer);
    minicbor::encode(message, &mut cursor).map_err(|_| ControlError::NoRoom)?;
    let length = cursor.position();
    Ok(&buffer[..length])
}
