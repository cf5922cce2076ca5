//! Giving every reading of a pack a time on the gateway's clock.
//!
//! A stamp that can't be true (before 2020: a clock that was never set; more than ten minutes ahead: a clock that is wrong)
//! does not cost the reading. If the whole pack is off, it is shifted as one, so that its newest reading falls on the
//! arrival and the distances stay; it is marked estimated, and counted. A single record that is off on its own is refused.

use sen_wire::Time;

use super::refusals::Refusal;
use crate::reading::{DAY_MS, Measured, Millis, Reading};

/// 2020-01-01T00:00:00Z: nothing of ours was measured before.
const FLOOR: Millis = 1_577_836_800_000;
/// How far ahead of the gateway a node's clock may run.
const AHEAD: Millis = 10 * 60_000;
/// Longest stretch that one shifted pack may cover; beyond it the distances are as wrong as the times.
const SPREAD: Millis = 60 * DAY_MS;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stamp {
    Fits,
    Unset,
    Ahead,
}

fn judge(at: Millis, received: Millis) -> Stamp {
    if at < FLOOR {
        Stamp::Unset
    } else if at > received + AHEAD {
        Stamp::Ahead
    } else {
        Stamp::Fits
    }
}

/// Sets `at` of each reading from its stamp. Returns what was wrong with the stamps, at most one a kind.
pub(super) fn place(readings: &mut [(Reading, Time)], received: Millis) -> Vec<Refusal> {
    let mut stamped = 0usize;
    let (mut unset, mut ahead) = (0usize, 0usize);
    let (mut newest, mut oldest) = (Millis::MIN, Millis::MAX);
    for (r, time) in readings.iter_mut() {
        match *time {
            Time::Missing => {}
            // A node without a clock: counted from now. Never ahead of now.
            Time::Relative(ms) => r.at = received.saturating_add(ms.min(0)),
            Time::Absolute(at) => {
                r.at = at;
                stamped += 1;
                newest = newest.max(at);
                oldest = oldest.min(at);
                match judge(at, received) {
                    Stamp::Fits => {}
                    Stamp::Unset => unset += 1,
                    Stamp::Ahead => ahead += 1,
                }
            }
        }
    }
    if unset + ahead == 0 {
        return Vec::new();
    }
    let mut faults = Vec::new();
    if unset > 0 {
        faults.push(Refusal::new(
            "time_unset",
            "stamped before 2020: the device's clock is not set",
        ));
    }
    if ahead > 0 {
        faults.push(Refusal::new(
            "time_ahead",
            "stamped in the future: the device's clock is wrong",
        ));
    }
    let whole = unset == stamped || ahead == stamped;
    let shift = (whole && newest - oldest <= SPREAD).then_some(received - newest);
    for f in &mut faults {
        f.detail.push_str(if shift.is_some() {
            "; its readings are kept, placed by their arrival and marked as estimated"
        } else {
            "; these records are refused, the others are kept"
        });
    }
    for (r, time) in readings.iter_mut() {
        if !matches!(time, Time::Absolute(_)) || judge(r.at, received) == Stamp::Fits {
            continue;
        }
        match shift {
            Some(shift) => {
                r.at += shift;
                r.estimated = true;
            }
            None => (r.what, r.channel, r.at) = (Measured::Refused, None, received),
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_790_000_000_000;

    fn pack(times: &[Time]) -> Vec<(Reading, Time)> {
        let reading = Reading {
            channel: sen_wire::Channel::parse("ph"),
            at: NOW,
            what: Measured::Value(sen_wire::Decimal::new(78, -1)),
            estimated: false,
        };
        times.iter().map(|t| (reading, *t)).collect()
    }

    #[test]
    fn a_clock_that_was_never_set_costs_no_reading() {
        let mut p = pack(&[Time::Absolute(5_000), Time::Absolute(65_000)]);
        let faults = place(&mut p, NOW);
        assert_eq!(faults[0].reason, "time_unset");
        assert_eq!((p[0].0.at, p[1].0.at), (NOW - 60_000, NOW));
        assert!(p.iter().all(|(r, _)| r.estimated));
    }

    #[test]
    fn one_wrong_stamp_among_good_ones_is_refused_alone() {
        let mut p = pack(&[
            Time::Absolute(NOW - 1),
            Time::Absolute(NOW + 400 * DAY_MS),
            Time::Relative(-7),
            Time::Missing,
        ]);
        assert_eq!(place(&mut p, NOW)[0].reason, "time_ahead");
        assert_eq!(p[1].0.what, Measured::Refused);
        assert_eq!((p[0].0.at, p[2].0.at, p[3].0.at), (NOW - 1, NOW - 7, NOW));
        assert!(!p[0].0.estimated);
    }
}
