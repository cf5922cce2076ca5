//! Giving every reading of a pack a time on the gateway's clock. No reading is lost for its time.
//!
//! What comes in as a plausible stamp is kept as it is. A stamp is wrong where it can't be true:
//!
//! | stamp | reason | counted as |
//! |---|---|---|
//! | before 2020 | a clock that was never set | `time_unset` |
//! | more than a minute after its arrival | a clock that runs ahead | `time_ahead` |
//! | more than a minute before the reading numbered before it (of the same boot; within a pack: of the same channel) | a clock that was put back | `time_back` |
//! | estimated by the node, and not before a reading that was taken later (of the same boot or the next) | an estimate that was too late | not counted |
//!
//! Records that are wrong in the same way and follow each other were stamped by one clock: they are moved as one, their
//! distances stay, and the newest of them falls on the latest that it can have been: the arrival, or a millisecond before
//! the reading behind them. If they then do not fit behind the reading before them, or cover more than 60 days, their
//! distances mean nothing either: they keep their order only, a millisecond apart. Either way no two of their instants
//! become one, they never lie in the future (but for those milliseconds), and all are marked estimated.
//!
//! A time relative to the sending is counted from the arrival: off by as long as the pack was on its way, later rather than
//! earlier. A reading without any time was taken when it arrived.
//!
//! While the gateway's own clock is known to be wrong ([`crate::clock`]), stamps up to 60 days ahead are kept: a node that
//! had the time before knows it better. What is placed by the arrival is marked estimated then.
//!
//! These rules look only at the pack, the clock and the readings beside it in the journal's ledger, which outlives every
//! crash; and a place that has arrived is not stored again: no reading gets a second time.

use std::collections::HashMap;

use sen_wire::Time;

use super::refusals::Refusal;
use crate::clock::FLOOR;
use crate::journal::ledger::Neighbours;
use crate::reading::{DAY_MS, Measured, Millis, Reading};

/// How far a stamp may be ahead of its arrival, or behind the one before it: clocks differ a little, and are put right.
pub(super) const TOLERANCE: Millis = 60_000;
/// Longest stretch that is moved as one; beyond it the distances are as wrong as the times.
const SPREAD: Millis = 60 * DAY_MS;

/// When and among what a pack came in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    /// By the gateway's clock.
    pub(super) at: Millis,
    /// That clock can be believed.
    pub(super) sure: bool,
    /// What has arrived around its places; `None` for devices that do not number.
    pub(super) beside: Option<Neighbours>,
}

/// What is wrong with a stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Wrong {
    /// Before 2020.
    Unset,
    /// After its arrival.
    Ahead,
    /// Before what was taken before it.
    Back,
    /// After what was taken after it.
    Late,
}

impl Wrong {
    fn refusal(self) -> Option<Refusal> {
        let (reason, what) = match self {
            Self::Unset => (
                "time_unset",
                "stamped before 2020: the device's clock is not set",
            ),
            Self::Ahead => (
                "time_ahead",
                "stamped in the future: the device's clock is wrong",
            ),
            Self::Back => (
                "time_back",
                "stamped before an earlier reading: the device's clock was put back",
            ),
            Self::Late => return None,
        };
        let kept =
            "its readings are kept, placed by their arrival and order, and marked as estimated";
        Some(Refusal::new(reason, format!("{what}; {kept}")))
    }
}

/// What the pack says of its node's clock.
#[derive(Debug, Default)]
pub(super) struct Placed {
    /// What was wrong with stamps, at most one a kind.
    pub(super) faults: Vec<Refusal>,
    /// What was wrong with the last wrong stamp, and how far it was from its arrival.
    pub(super) wrong: Option<(Wrong, Millis)>,
    /// The newest stamp that a clock made and that may be true.
    pub(super) newest: Option<Millis>,
    /// There are times relative to the sending.
    pub(super) relative: bool,
}

/// Sets `at` of each reading from its stamp.
pub(super) fn place(readings: &mut [(Reading, Time)], arrival: Arrival) -> Placed {
    let mut placed = Placed::default();
    let verdicts = judge(readings, arrival, &mut placed);
    let Some(beside) = arrival
        .beside
        .or(Some(Neighbours::default()))
        .filter(|_| verdicts.iter().any(|v| matches!(v, Verdict::Wrong(_))))
    else {
        return placed;
    };
    let mut end = readings.len();
    while let Some(last) = verdicts[..end]
        .iter()
        .rposition(|v| matches!(v, Verdict::Wrong(_)))
    {
        // What has no stamp of its own in between does not part a run.
        let first = verdicts[..last]
            .iter()
            .rposition(|v| *v != verdicts[last] && *v != Verdict::None)
            .map_or(0, |i| i + 1);
        let fits = |v: &Verdict| *v == Verdict::Fits;
        let behind = verdicts[last..]
            .iter()
            .position(fits)
            .map(|i| readings[last + i].0.at);
        let before = verdicts[..first]
            .iter()
            .rposition(fits)
            .map(|i| readings[i].0.at);
        // The run behind this one has been placed already.
        let next = verdicts[last + 1..]
            .iter()
            .position(|v| matches!(v, Verdict::Wrong(_)))
            .map(|i| readings[last + 1 + i].0.at);
        let latest = [behind, next, beside.after]
            .into_iter()
            .flatten()
            .map(|at| at - 1)
            .fold(arrival.at, Millis::min);
        let least = before.or(beside.before).filter(|at| *at < latest);
        shift(
            &mut readings[first..=last],
            &verdicts[first..=last],
            least,
            latest,
        );
        end = first;
    }
    let mut seen = Vec::new();
    for v in &verdicts {
        if let Verdict::Wrong(wrong) = *v
            && !seen.contains(&wrong)
        {
            seen.push(wrong);
            placed.faults.extend(wrong.refusal());
        }
    }
    placed
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// No stamp.
    None,
    Fits,
    Wrong(Wrong),
}

fn judge(readings: &mut [(Reading, Time)], arrival: Arrival, placed: &mut Placed) -> Vec<Verdict> {
    let ahead = arrival.at + if arrival.sure { TOLERANCE } else { SPREAD };
    let beside = arrival.beside.unwrap_or_default();
    // A reading before it that lies in the future was placed by a clock that was wrong: it says nothing.
    let before = beside.before.filter(|at| *at <= ahead);
    let mut newest_of = HashMap::new();
    let mut verdict = |r: &mut Reading, time: Time| {
        if r.what == Measured::Refused {
            return Verdict::None;
        }
        let relative = matches!(time, Time::Relative(_));
        match time {
            Time::Missing => {
                r.estimated |= !arrival.sure;
                return Verdict::None;
            }
            // A node without a clock: counted from now. Never ahead of now.
            Time::Relative(ms) => r.at = arrival.at.saturating_add(ms.min(0)),
            Time::Absolute(at) => r.at = at,
        }
        placed.relative |= relative;
        let newest = newest_of
            .get(&r.channel)
            .copied()
            .into_iter()
            .chain(before)
            .max();
        let back = |newest: Millis| r.at < newest - TOLERANCE;
        let wrong = if r.at < FLOOR {
            Some(Wrong::Unset)
        } else if r.at > ahead {
            Some(Wrong::Ahead)
        } else if !relative && arrival.beside.is_some() && newest.is_some_and(back) {
            Some(Wrong::Back)
        } else if r.estimated && beside.after.is_some_and(|after| r.at >= after) {
            Some(Wrong::Late)
        } else {
            None
        };
        if let Some(wrong) = wrong {
            if wrong != Wrong::Late {
                placed.wrong = Some((wrong, r.at.saturating_sub(arrival.at)));
            }
            return Verdict::Wrong(wrong);
        }
        newest_of
            .entry(r.channel)
            .and_modify(|at: &mut Millis| *at = r.at.max(*at))
            .or_insert(r.at);
        if !r.estimated {
            placed.newest = placed.newest.max(Some(r.at));
        }
        Verdict::Fits
    };
    readings
        .iter_mut()
        .map(|(r, time)| verdict(r, *time))
        .collect()
}

/// Moves what is wrong so that its newest falls on `latest`, and all of it behind `least`.
fn shift(run: &mut [(Reading, Time)], verdicts: &[Verdict], least: Option<Millis>, latest: Millis) {
    let wrong = |v: &Verdict| matches!(v, Verdict::Wrong(_));
    let mut stamps: Vec<Millis> = run
        .iter()
        .zip(verdicts)
        .filter(|(_, v)| wrong(v))
        .map(|((r, _), _)| r.at)
        .collect();
    stamps.sort_unstable();
    stamps.dedup();
    let (Some(&oldest), Some(&newest)) = (stamps.first(), stamps.last()) else {
        return;
    };
    let span = newest.saturating_sub(oldest);
    let fits = span <= SPREAD && least.is_none_or(|least| latest - span > least);
    let start = latest - (stamps.len() as Millis - 1);
    let start = least.map_or(start, |least| start.max(least + 1));
    for ((r, _), v) in run.iter_mut().zip(verdicts) {
        if !wrong(v) {
            continue;
        }
        r.at = if fits {
            latest - newest.saturating_sub(r.at)
        } else {
            start + stamps.partition_point(|s| *s < r.at) as Millis
        };
        r.estimated = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::HOUR_MS;

    const NOW: Millis = 1_790_000_000_000;
    const MINUTE: Millis = 60_000;

    fn pack(times: &[Time]) -> Vec<(Reading, Time)> {
        let reading = Reading {
            channel: sen_wire::Channel::parse("ph"),
            at: NOW,
            what: Measured::Value(sen_wire::Decimal::new(78, -1)),
            estimated: false,
        };
        times.iter().map(|t| (reading, *t)).collect()
    }

    fn arrival(beside: Option<(Option<Millis>, Option<Millis>)>) -> Arrival {
        Arrival {
            at: NOW,
            sure: true,
            beside: beside.map(|(before, after)| Neighbours { before, after }),
        }
    }

    /// Times less now, whether each is estimated, and what was counted.
    fn placed(stamps: &[Millis], arrival: Arrival) -> (Vec<Millis>, Vec<bool>, Vec<&'static str>) {
        let times: Vec<Time> = stamps.iter().map(|at| Time::Absolute(*at)).collect();
        let mut p = pack(&times);
        let found = place(&mut p, arrival);
        assert!(
            p.iter().all(|(r, _)| matches!(r.what, Measured::Value(_))),
            "none is lost"
        );
        (
            p.iter().map(|(r, _)| r.at - NOW).collect(),
            p.iter().map(|(r, _)| r.estimated).collect(),
            found.faults.iter().map(|f| f.reason).collect(),
        )
    }

    #[test]
    fn a_clock_that_was_never_set_costs_no_reading() {
        let (at, estimated, reasons) = placed(&[5_000, 65_000], arrival(None));
        assert_eq!((at, estimated), (vec![-60_000, 0], vec![true, true]));
        assert_eq!(reasons, ["time_unset"]);
    }

    #[test]
    fn a_jump_within_a_pack_costs_no_reading_and_no_order() {
        let (m, day, year) = (MINUTE, DAY_MS, 365 * DAY_MS);
        let numbered = arrival(Some((Some(NOW - 20 * m), None)));
        // A day ahead, then right again; to 1970; to next year and then to 1970.
        let (at, estimated, reasons) = placed(
            &[NOW - 15 * m, NOW + day, NOW + day + m, NOW - 5 * m],
            numbered,
        );
        assert_eq!(at, [-15 * m, -6 * m - 1, -5 * m - 1, -5 * m]);
        assert_eq!(
            (estimated, reasons),
            (vec![false, true, true, false], vec!["time_ahead"])
        );
        let (at, _, reasons) = placed(&[NOW - 15 * m, 0, m], numbered);
        assert_eq!((at, reasons), (vec![-15 * m, -m, 0], vec!["time_unset"]));
        let (at, _, reasons) = placed(&[NOW + year, NOW + year + m, 0, m], numbered);
        assert_eq!(at, [-2 * m - 1, -m - 1, -m, 0]);
        assert_eq!(reasons, ["time_ahead", "time_unset"]);
    }

    #[test]
    fn a_clock_put_back_gives_no_instant_twice() {
        let (m, hour) = (MINUTE, HOUR_MS);
        // Back by an hour after the second reading: the third would have the instant of one of an hour ago.
        let (at, estimated, reasons) = placed(
            &[NOW - 3 * m, NOW - 2 * m, NOW - m - hour, NOW - hour],
            arrival(Some((None, None))),
        );
        assert_eq!(at, [-3 * m, -2 * m, -m, 0]);
        assert_eq!(
            (estimated, reasons),
            (vec![false, false, true, true], vec!["time_back"])
        );
        // The packs after it: the ledger knows where the one before them lies.
        let (at, _, _) = placed(&[NOW - hour], arrival(Some((Some(NOW - m), None))));
        assert_eq!(at, [0]);
        // One that is put back a little, or that comes late into a gap, is kept as it is.
        let late = [NOW - hour, NOW - hour + m];
        let gap = arrival(Some((Some(NOW - hour + m / 2), Some(NOW - m))));
        assert_eq!(
            placed(&late, gap),
            (vec![-hour, -hour + m], vec![false; 2], vec![])
        );
        // Devices that do not number may send in any order.
        let (at, _, reasons) = placed(&[NOW - m, NOW - hour], arrival(None));
        assert_eq!((at, reasons), (vec![-m, -hour], vec![]));
    }

    #[test]
    fn what_does_not_fit_keeps_its_order() {
        // A backlog of a clock that was never set, drained at once: the second pack comes 5 ms after the first.
        let stamps: Vec<Millis> = (0..20).map(|i| i * 15 * MINUTE).collect();
        let (at, estimated, _) = placed(&stamps, arrival(Some((Some(NOW - 5), None))));
        assert_eq!(at, (-4..16).collect::<Vec<_>>());
        assert!(estimated.iter().all(|e| *e));
        let (at, _, _) = placed(&[1_000, 200 * DAY_MS], arrival(None));
        assert_eq!(at, [-1, 0], "such a span means nothing");
    }

    #[test]
    fn a_drift_is_kept_until_it_is_a_minute() {
        // 1 % fast, sampled each minute, never set again: after 100 minutes a minute ahead.
        for minute in [1, 99, 101, 3_000] {
            let drift = minute * MINUTE / 100;
            let (at, estimated, _) = placed(&[NOW + drift], arrival(Some((None, None))));
            let right = drift <= TOLERANCE;
            assert_eq!(
                (at[0], estimated[0]),
                (if right { drift } else { 0 }, !right)
            );
        }
    }

    #[test]
    fn times_that_nobody_measured() {
        let mut p = pack(&[
            Time::Relative(-7),
            Time::Relative(9),
            Time::Missing,
            Time::Relative(i64::MIN),
        ]);
        let found = place(&mut p, arrival(Some((Some(NOW - HOUR_MS), None))));
        assert_eq!(
            p.iter().map(|(r, _)| r.at).collect::<Vec<_>>(),
            [NOW - 7, NOW, NOW, NOW]
        );
        assert!(found.relative);
    }

    #[test]
    fn an_estimate_lies_before_what_was_taken_later() {
        let m = MINUTE;
        let mut p = pack(&[Time::Absolute(NOW - 2 * m), Time::Absolute(NOW - m)]);
        for (r, _) in &mut p {
            r.estimated = true;
        }
        let found = place(&mut p, arrival(Some((None, Some(NOW - HOUR_MS)))));
        let at: Vec<_> = p.iter().map(|(r, _)| r.at - NOW).collect();
        assert_eq!(at, [-HOUR_MS - m - 1, -HOUR_MS - 1]);
        assert!(found.faults.is_empty() && found.wrong.is_none());
    }

    #[test]
    fn a_wrong_gateway_believes_a_node_that_knows_better() {
        let unsure = Arrival {
            sure: false,
            ..arrival(Some((None, None)))
        };
        let (at, estimated, reasons) = placed(&[NOW + 2 * DAY_MS], unsure);
        assert_eq!(
            (at, estimated, reasons),
            (vec![2 * DAY_MS], vec![false], vec![])
        );
        let (at, estimated, _) = placed(&[NOW + 400 * DAY_MS], unsure);
        assert_eq!((at, estimated), (vec![0], vec![true]));
        let mut p = pack(&[Time::Missing]);
        place(&mut p, unsure);
        assert!(p[0].0.estimated);
    }
}
