//! One day of one channel, packed: what the log is folded into.
//!
//! ```text
//! block   = version:u8 (0xf2)  n: varint  times  values  marks  crc:u32 (seal.rs: over node, channel, day too)
//! times   = first: zigzag varint, then n-1 differences of differences (zigzag varint), ascending
//! values  = scale:i8, then n mantissas as zigzag differences   (scale -128: n times exponent:i8, mantissa instead)
//! marks   = (run: varint, mark:u8)*  covering n;  mark = bit 7 estimated, bits 0..6 fault code (0 = a value)
//! ```
//! A faulty reading takes the mantissa before it, so that it costs one byte. Readings of the same instant are one:
//! the one that came last stays, as in InfluxDB. About 2 bytes a reading for a probe sampled at a steady pace.
//! The first version (1) had no checksum, and n little-endian f64 at scale -128.

use sen_wire::{Decimal, Fault};

use super::seal;
use super::varint::{Bytes, Damaged, put};
use crate::reading::{Millis, NodeNum};

/// Far from the first version in its bits, so that no flipped bit makes one of the other.
const VERSION: u8 = 0xf2;
const FIRST_VERSION: u8 = 1;
const RAW: i8 = i8::MIN;
const ESTIMATED: u8 = 0x80;
/// No block holds more: a millisecond day. Protects the reader from a damaged length.
const MAX_READINGS: usize = 86_400_000;

/// Whose a block is: node, channel number, UTC day. Under the block's checksum.
pub(super) type Key = (NodeNum, u16, i64);

fn whose(key: Key) -> [i64; 3] {
    [i64::from(key.0), i64::from(key.1), key.2]
}

/// One reading of the block's channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When it was taken, UTC.
    pub at: Millis,
    /// The value, or the fault in its place.
    pub what: Result<Decimal, Fault>,
    /// The time was worked out afterwards.
    pub estimated: bool,
}

/// What a block says without being unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Head {
    /// Readings, faults included.
    pub readings: u32,
    /// Readings that carry a value.
    pub values: u32,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Sum of the values.
    pub sum: f64,
}

impl Head {
    /// Takes one more point in.
    pub fn add(&mut self, p: &Point) {
        self.readings += 1;
        if let Ok(v) = p.what {
            let v = v.to_f64();
            if self.values == 0 {
                (self.min, self.max) = (v, v);
            }
            self.values += 1;
            self.min = self.min.min(v);
            self.max = self.max.max(v);
            self.sum += v;
        }
    }
}

/// Sorts by time and keeps the last arrival of each instant. `points` are in the order of arrival.
pub(super) fn settle(points: &mut Vec<Point>) {
    points.sort_by_key(|p| p.at); // stable: arrival order stays within an instant
    let mut kept = 0;
    for i in 0..points.len() {
        if i + 1 < points.len() && points[i + 1].at == points[i].at {
            continue;
        }
        points[kept] = points[i];
        kept += 1;
    }
    points.truncate(kept);
}

/// Packs settled points into the block `key`.
pub(super) fn encode(key: Key, points: &[Point]) -> (Head, Vec<u8>) {
    let mut head = Head::default();
    let mut out = Vec::with_capacity(16 + points.len() * 3);
    out.push(VERSION);
    put(&mut out, points.len() as u64);
    let (mut before, mut step) = (0i64, 0i64);
    for (i, p) in points.iter().enumerate() {
        head.add(p);
        let delta = p.at.wrapping_sub(before);
        if i == 0 {
            put(&mut out, delta);
        } else {
            put(&mut out, delta.wrapping_sub(step));
            step = delta;
        }
        before = p.at;
    }
    values(points, &mut out);
    let mut rest = points.iter().map(mark).peekable();
    while let Some(m) = rest.next() {
        let mut run = 1u64;
        while rest.next_if_eq(&m).is_some() {
            run += 1;
        }
        put(&mut out, run);
        out.push(m);
    }
    seal::close(&whose(key), &mut out);
    (head, out)
}

fn mark(p: &Point) -> u8 {
    p.what.err().map_or(0, Fault::code) | if p.estimated { ESTIMATED } else { 0 }
}

fn values(points: &[Point], out: &mut Vec<u8>) {
    let scale = points
        .iter()
        .filter_map(|p| p.what.ok())
        .map(|v| v.exponent())
        .min()
        .unwrap_or(0)
        .max(RAW + 1);
    let mut mantissas = Vec::with_capacity(points.len());
    let mut before = 0i64;
    for p in points {
        let m = match p.what {
            Ok(v) => match rescale(v, scale) {
                Some(m) => m,
                None => return raw(points, out),
            },
            Err(_) => before,
        };
        mantissas.push(m);
        before = m;
    }
    out.push(scale as u8);
    let mut before = 0i64;
    for m in mantissas {
        put(out, m.wrapping_sub(before));
        before = m;
    }
}

fn rescale(v: Decimal, scale: i8) -> Option<i64> {
    let up = u32::try_from(i32::from(v.exponent()) - i32::from(scale)).ok()?;
    v.mantissa().checked_mul(10i64.checked_pow(up)?)
}

fn raw(points: &[Point], out: &mut Vec<u8>) {
    out.push(RAW as u8);
    for p in points {
        let v = p.what.unwrap_or(Decimal::ZERO);
        out.push(v.exponent() as u8);
        put(out, v.mantissa());
    }
}

/// Unpacks the block `key`.
///
/// # Errors
/// [`Damaged`] where the bytes are not that block in a version that is known here.
pub(super) fn decode(key: Key, block: &[u8]) -> Result<Vec<Point>, Damaged> {
    let (mut b, first_version) = match block.first() {
        Some(&VERSION) => (Bytes(&seal::open(&whose(key), block)?[1..]), false),
        Some(&FIRST_VERSION) => (Bytes(&block[1..]), true),
        _ => return Err(Damaged),
    };
    let n = usize::try_from(b.varint::<u64>()?).map_err(|_| Damaged)?;
    // Each reading takes at least two bytes, so a damaged count can't ask for more memory than the block is long.
    if n > MAX_READINGS || n > block.len() {
        return Err(Damaged);
    }
    let mut points = Vec::with_capacity(n);
    let (mut at, mut step) = (0i64, 0i64);
    for i in 0..n {
        let d = b.varint::<i64>()?;
        if i == 0 {
            at = d;
        } else {
            step = step.wrapping_add(d);
            at = at.wrapping_add(step);
        }
        points.push(Point {
            at,
            what: Err(Fault::Other),
            estimated: false,
        });
    }
    let scale = b.byte()? as i8;
    let mut mantissa = 0i64;
    for p in &mut points {
        let v = if scale == RAW && !first_version {
            let exponent = b.byte()? as i8;
            Decimal::new(b.varint()?, exponent)
        } else if scale == RAW {
            Decimal::from_f64(f64::from_le_bytes(b.array()?)).ok_or(Damaged)?
        } else {
            mantissa = mantissa.wrapping_add(b.varint::<i64>()?);
            Decimal::new(mantissa, scale)
        };
        p.what = Ok(v);
    }
    let mut i = 0;
    while i < n {
        let run = usize::try_from(b.varint::<u64>()?).map_err(|_| Damaged)?;
        let m = b.byte()?;
        let end = i
            .checked_add(run)
            .filter(|&e| e <= n && run > 0)
            .ok_or(Damaged)?;
        for p in &mut points[i..end] {
            p.estimated = m & ESTIMATED != 0;
            if m & !ESTIMATED != 0 {
                p.what = Err(Fault::from_code(m & !ESTIMATED).ok_or(Damaged)?);
            }
        }
        i = end;
    }
    if !b.is_empty() {
        return Err(Damaged);
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::any::{self, damage};
    use super::*;

    const KEY: Key = (3, 17, 20_000);

    fn settled() -> impl Strategy<Value = Vec<Point>> {
        prop::collection::vec(any::point(), 0..60).prop_map(|mut points| {
            settle(&mut points);
            points
        })
    }

    proptest! {
        #[test]
        fn points_come_back(points in settled()) {
            let (head, block) = encode(KEY, &points);
            prop_assert_eq!(decode(KEY, &block), Ok(points.clone()));
            let values: Vec<f64> = points.iter().filter_map(|p| p.what.ok()).map(Decimal::to_f64).collect();
            prop_assert_eq!(head.readings as usize, points.len());
            prop_assert_eq!(head.values as usize, values.len());
            prop_assert_eq!(head.min, values.iter().copied().reduce(f64::min).unwrap_or(0.0));
            prop_assert_eq!(head.max, values.iter().copied().reduce(f64::max).unwrap_or(0.0));
            prop_assert_eq!(head.sum, values.iter().sum::<f64>());
        }

        #[test]
        fn values_too_far_apart_for_one_scale_come_back(
            values in prop::collection::vec((any::<i64>(), any::<i8>()), 1..20),
        ) {
            let points: Vec<Point> = (0..).zip(&values).map(|(at, &(m, e))| Point {
                at, what: Ok(Decimal::new(m, e)), estimated: false,
            }).collect();
            prop_assert_eq!(decode(KEY, &encode(KEY, &points).1), Ok(points));
        }

        #[test]
        fn the_last_arrival_of_an_instant_stays(points in prop::collection::vec(any::point(), 0..60)) {
            let mut model = std::collections::BTreeMap::new();
            for p in &points {
                model.insert(p.at, *p);
            }
            let mut settled = points;
            settle(&mut settled);
            prop_assert_eq!(settled, model.into_values().collect::<Vec<_>>());
        }

        #[test]
        fn a_damaged_block_is_reported(points in settled(), how in any::damages()) {
            let whole = encode(KEY, &points).1;
            let damaged = damage(&whole, &how);
            prop_assume!(damaged != whole);
            prop_assert_eq!(decode(KEY, &damaged), Err(Damaged));
        }

        #[test]
        fn a_block_under_another_key_is_reported(points in settled(), bit in 0u32..12) {
            let block = encode(KEY, &points).1;
            for other in [(KEY.0 ^ 1 << bit, KEY.1, KEY.2), (KEY.0, KEY.1 ^ 1 << bit, KEY.2), (KEY.0, KEY.1, KEY.2 ^ 1 << bit)] {
                prop_assert_eq!(decode(other, &block), Err(Damaged));
            }
        }

        // The first version had no checksum: what the bytes say is bounded all the same.
        #[test]
        fn any_bytes_are_read_or_reported(mut bytes in prop::collection::vec(any::<u8>(), 1..64), first: bool) {
            if first {
                bytes[0] = FIRST_VERSION;
            }
            let _ = decode(KEY, &bytes);
        }
    }
}
