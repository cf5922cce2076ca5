//! The body of one log row: the readings of one uplink, in the order of their sequence numbers.
//!
//! ```text
//! body    = reading*
//! reading = tag:u8  [dt: zigzag varint]  [channel: varint]  payload
//! tag     = bits 0..1 kind (0 decimal, 1 fault, 2 refused), bit 2 estimated, bit 3 same instant as the one before
//! payload = decimal: exponent:i8, mantissa: zigzag varint | fault: code:u8 | refused: nothing (no channel either)
//! ```
//! The first `dt` counts from 1970, the others from the reading before. About 6 bytes a reading.

use sen_wire::{Channel, Decimal, Fault};

use super::varint::{Bytes, Damaged, put};
use crate::reading::{Measured, Reading};

const DECIMAL: u8 = 0;
const FAULT: u8 = 1;
const REFUSED: u8 = 2;
const KIND: u8 = 0b11;
const ESTIMATED: u8 = 1 << 2;
const SAME_INSTANT: u8 = 1 << 3;

/// Packs readings into a log row's body.
pub(super) fn encode(readings: &[Reading]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + readings.len() * 7);
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
    out
}

/// Reads a log row's body back.
///
/// # Errors
/// [`Damaged`] where the bytes are not a body.
pub(super) fn decode(body: &[u8]) -> Result<Vec<Reading>, Damaged> {
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
    Ok(out)
}
