//! What the property tests draw from.

use proptest::prelude::*;
use sen_wire::{Channel, Decimal, Fault, Quantity};

use super::super::block::Point;
use crate::reading::{Measured, Reading};

/// A flipped bit, a lost end, or bytes that do not belong there.
#[derive(Debug, Clone)]
pub(in crate::journal) enum Damage {
    Flip { at: prop::sample::Index, bit: u8 },
    Cut { at: prop::sample::Index },
    Insert { at: prop::sample::Index, byte: u8 },
}

pub(in crate::journal) fn damages() -> impl Strategy<Value = Vec<Damage>> {
    let one = prop_oneof![
        (any::<prop::sample::Index>(), 0u8..8).prop_map(|(at, bit)| Damage::Flip { at, bit }),
        any::<prop::sample::Index>().prop_map(|at| Damage::Cut { at }),
        (any::<prop::sample::Index>(), any::<u8>())
            .prop_map(|(at, byte)| Damage::Insert { at, byte }),
    ];
    prop::collection::vec(one, 1..4)
}

pub(in crate::journal) fn damage(whole: &[u8], how: &[Damage]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for d in how {
        match d {
            Damage::Flip { at, bit } if !bytes.is_empty() => {
                let i = at.index(bytes.len());
                bytes[i] ^= 1 << bit;
            }
            Damage::Flip { .. } => {}
            Damage::Cut { at } => bytes.truncate(at.index(bytes.len() + 1)),
            Damage::Insert { at, byte } => bytes.insert(at.index(bytes.len() + 1), *byte),
        }
    }
    bytes
}

pub(in crate::journal) fn channel() -> impl Strategy<Value = Channel> {
    (0..Quantity::ALL.len(), 1u8..=9)
        .prop_map(|(q, i)| Channel::new(Quantity::ALL[q], i).expect("1 to 9"))
}

/// A value as probes give it: few digits, few places.
pub(in crate::journal) fn value() -> impl Strategy<Value = Decimal> {
    (-9_999_999i64..9_999_999, -4i8..3).prop_map(|(m, e)| Decimal::new(m, e))
}

fn fault() -> impl Strategy<Value = Fault> {
    prop::sample::select(Fault::ALL)
}

pub(in crate::journal) fn measured() -> impl Strategy<Value = Measured> {
    prop_oneof![
        8 => value().prop_map(Measured::Value),
        1 => (any::<i64>(), any::<i8>()).prop_map(|(m, e)| Measured::Value(Decimal::new(m, e))),
        2 => fault().prop_map(Measured::Fault),
        1 => Just(Measured::Refused),
    ]
}

pub(in crate::journal) fn reading() -> impl Strategy<Value = Reading> {
    let at = prop_oneof![0i64..2_000_000_000_000, any::<i64>()];
    (channel(), at, measured(), any::<bool>()).prop_map(|(channel, at, what, estimated)| Reading {
        channel: (what != Measured::Refused).then_some(channel),
        at,
        what,
        estimated,
    })
}

pub(in crate::journal) fn point() -> impl Strategy<Value = Point> {
    // A narrow range, so that instants meet.
    (
        0i64..200,
        prop_oneof![value().prop_map(Ok), fault().prop_map(Err)],
        any::<bool>(),
    )
        .prop_map(|(at, what, estimated)| Point {
            at,
            what,
            estimated,
        })
}
