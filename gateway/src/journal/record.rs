//! The body of one log row: the readings of one uplink, in the order of their sequence numbers.
//!
//! ```text
//! body    = version:u8 (0xf2)  reading*  crc:u32 (seal.rs: over id, node, received, boot, seq, n too)
//! reading = tag:u8  [dt: zigzag varint]  [channel: varint]  payload
//! tag     = bits 0..1 kind (0 decimal, 1 fault, 2 refused), bit 2 estimated, bit 3 same instant as the one before
//! payload = decimal: exponent:i8, mantissa: zigzag varint | fault: code:u8 | refused: nothing (no channel either)
//! ```
//! The first `dt` counts from 1970, the others from the reading before. About 6 bytes a reading and 5 a row.
//! The first version had neither version byte nor checksum; its first byte is a tag, below 0x10.

use sen_wire::{Channel, Decimal, Fault};

use super::ledger::Boot;
use super::seal;
use super::varint::{Bytes, Damaged, put};
use crate::reading::{Measured, Millis, NodeNum, Reading};

/// Far from every tag of the first version in its bits, so that no flipped bit makes one of the other.
const VERSION: u8 = 0xf2;
const FIRST_VERSION: std::ops::Range<u8> = 0..0x10;

const DECIMAL: u8 = 0;
const FAULT: u8 = 1;
const REFUSED: u8 = 2;
const KIND: u8 = 0b11;
const ESTIMATED: u8 = 1 << 2;
const SAME_INSTANT: u8 = 1 << 3;

/// The columns of a log row beside its body, all of them under the body's checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) id: i64,
    pub(super) node: NodeNum,
    pub(super) received: Millis,
    pub(super) place: Option<(Boot, u32)>,
    pub(super) n: u32,
}

impl Key {
    /// Reads the columns `id, node, received, boot, seq, n`, in that order from the first.
    pub(super) fn read(r: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let boot: Option<i64> = r.get(3)?;
        Ok(Self {
            id: r.get(0)?,
            node: r.get(1)?,
            received: r.get(2)?,
            place: boot.map(|b| b as u64).zip(r.get(4)?),
            n: r.get(5)?,
        })
    }

    fn whose(&self) -> [i64; 6] {
        let (boot, seq) = self
            .place
            .map_or((-1, -1), |(boot, seq)| (boot as i64, i64::from(seq)));
        let (node, n) = (i64::from(self.node), i64::from(self.n));
        [self.id, node, self.received, boot, seq, n]
    }
}

/// Packs readings into the body of the log row `key`.
pub(super) fn encode(key: &Key, readings: &[Reading]) -> Vec<u8> {
    let mut out = Vec::with_capacity(21 + readings.len() * 7);
    out.push(VERSION);
    let mut before = 0;
    for r in readings {
        let kind = match r.what {
            Measured::Value(_) => DECIMAL,
            Measured::Fault(_) => FAULT,
            Measured::Refused => REFUSED,
        };
        let mut tag = kind;
        if r.estimated {
            tag |= ESTIMATED;
        }
        if r.at == before {
            tag |= SAME_INSTANT;
        }
        out.push(tag);
        if r.at != before {
            put(&mut out, r.at.wrapping_sub(before));
            before = r.at;
        }
        if let (Some(channel), true) = (r.channel, kind != REFUSED) {
            put(&mut out, channel.to_u16());
        }
        match r.what {
            Measured::Value(v) => {
                out.push(v.exponent() as u8);
                put(&mut out, v.mantissa());
            }
            Measured::Fault(f) => out.push(f.code()),
            Measured::Refused => {}
        }
    }
    seal::close(&key.whose(), &mut out);
    out
}

/// Reads the body of the log row `key` back.
///
/// # Errors
/// [`Damaged`] where the bytes are not the body of that row.
pub(super) fn decode(key: &Key, body: &[u8]) -> Result<Vec<Reading>, Damaged> {
    let (body, sealed) = match body.first() {
        Some(&VERSION) => (&seal::open(&key.whose(), body)?[1..], true),
        Some(tag) if FIRST_VERSION.contains(tag) => (body, false),
        _ => return Err(Damaged),
    };
    let mut b = Bytes(body);
    let mut out = Vec::with_capacity(body.len() / 5);
    let mut at = 0i64;
    while !b.is_empty() {
        let tag = b.byte()?;
        if tag & SAME_INSTANT == 0 {
            at = at.wrapping_add(b.varint::<i64>()?);
        }
        let kind = tag & KIND;
        let channel = if kind == REFUSED {
            None
        } else {
            Some(Channel::from_u16(b.varint::<u16>()?).ok_or(Damaged)?)
        };
        let what = match kind {
            DECIMAL => {
                let exponent = b.byte()? as i8;
                Measured::Value(Decimal::new(b.varint()?, exponent))
            }
            FAULT => Measured::Fault(Fault::from_code(b.byte()?).ok_or(Damaged)?),
            REFUSED => Measured::Refused,
            _ => return Err(Damaged),
        };
        out.push(Reading {
            channel,
            at,
            what,
            estimated: tag & ESTIMATED != 0,
        });
    }
    // All that can tell a body without a checksum from a damaged one.
    if !sealed && u32::try_from(out.len()) != Ok(key.n) {
        return Err(Damaged);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::any::{self, damage};
    use super::*;

    fn key() -> impl Strategy<Value = Key> {
        let place = proptest::option::of((0u64..1 << 53, any::<u32>()));
        (1i64.., any::<u32>(), any::<i64>(), place, any::<u32>()).prop_map(
            |(id, node, received, place, n)| Key {
                id,
                node,
                received,
                place,
                n,
            },
        )
    }

    proptest! {
        #[test]
        fn readings_come_back(key in key(), readings in prop::collection::vec(any::reading(), 0..40)) {
            prop_assert_eq!(decode(&key, &encode(&key, &readings)), Ok(readings));
        }

        #[test]
        fn a_damaged_body_is_reported(key in key(), readings in prop::collection::vec(any::reading(), 0..20), how in any::damages()) {
            let whole = encode(&key, &readings);
            let damaged = damage(&whole, &how);
            prop_assume!(damaged != whole);
            prop_assert_eq!(decode(&key, &damaged), Err(Damaged));
        }

        #[test]
        fn a_body_in_another_row_is_reported(key in key(), readings in prop::collection::vec(any::reading(), 0..20), bit in 0u32..32) {
            let body = encode(&key, &readings);
            for other in [
                Key { id: key.id ^ 1 << bit, ..key },
                Key { node: key.node ^ 1 << bit, ..key },
                Key { received: key.received ^ 1 << bit, ..key },
                Key { place: key.place.map_or(Some((0, 0)), |(boot, seq)| Some((boot, seq ^ 1 << bit))), ..key },
                Key { n: key.n ^ 1 << bit, ..key },
            ] {
                prop_assert_eq!(decode(&other, &body), Err(Damaged));
            }
        }

        #[test]
        fn any_bytes_are_read_or_reported(key in key(), bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&key, &bytes);
        }
    }

    #[test]
    fn the_first_version_is_still_read() {
        // Tag 0, dt 2000 (zigzag), channel 17, exponent -1, mantissa 253 (zigzag).
        let body = [0, 0xa0, 0x1f, 17, 0xff, 0xfa, 0x03];
        let key = Key {
            id: 1,
            node: 1,
            received: 0,
            place: None,
            n: 1,
        };
        let readings = decode(&key, &body).unwrap();
        assert_eq!(readings.len(), 1);
        assert_eq!((readings[0].at, readings[0].value()), (2_000, Some(25.3)));
    }
}
