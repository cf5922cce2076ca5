//! The checksum around everything the journal packs.
//!
//! SQLite's pages carry no checksum, so a bit that flips inside a body would come out as a reading that nobody sent. Each
//! body therefore ends in a CRC-32 over itself and over the columns that say whose it is: a body under the wrong node or
//! day is as damaged as one with a wrong bit.

use super::varint::Damaged;

const LEN: usize = 4;

/// Ends `body` with the checksum over `whose` and itself.
pub(super) fn close(whose: &[i64], body: &mut Vec<u8>) {
    let sum = sum(whose, body);
    body.extend_from_slice(&sum.to_le_bytes());
}

/// The body without its checksum.
///
/// # Errors
/// [`Damaged`] if the checksum is not that of `whose` and the body.
pub(super) fn open<'a>(whose: &[i64], sealed: &'a [u8]) -> Result<&'a [u8], Damaged> {
    let at = sealed.len().checked_sub(LEN).ok_or(Damaged)?;
    let (body, end) = sealed.split_at(at);
    if end == sum(whose, body).to_le_bytes() {
        Ok(body)
    } else {
        Err(Damaged)
    }
}

fn sum(whose: &[i64], body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    for w in whose {
        crc.update(&w.to_le_bytes());
    }
    crc.update(body);
    crc.finalize()
}
