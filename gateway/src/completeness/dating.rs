//! When the readings of a hole must have been taken, and how many of them fall on which day.

use std::collections::HashMap;

use super::Window;
use crate::journal::days::Book;
use crate::journal::ledger::{Boot, Hole, incarnation};
use crate::reading::{Day, Millis, day_start, farm_day};

/// A hole with the time in which its readings must have been taken.
pub(super) struct Dated {
    pub(super) boot: Boot,
    pub(super) hole: Hole,
}

impl Dated {
    /// From and to; `None` where no side of the hole has a time.
    pub(super) fn span(&self) -> Option<(Millis, Millis)> {
        let (a, b) = match (self.hole.after, self.hole.before) {
            (Some(a), Some(b)) => (a, b),
            // Nothing known on the other side: all at the time of this one.
            (Some(at), None) | (None, Some(at)) => (at, at),
            (None, None) => return None,
        };
        // A clock may have been set back in between.
        Some((a.min(b), a.max(b)))
    }

    /// How many of its readings were taken before `end`: the k-th of n lies at `a + (b - a) * k / (n + 1)`.
    fn taken_before(&self, end: Millis, (a, b): (Millis, Millis)) -> u64 {
        let n = self.hole.count();
        if end <= a {
            return 0;
        }
        let (gone, span) = ((end - a).unsigned_abs(), (b - a).unsigned_abs());
        // k < (end - a) * (n + 1) / (b - a)
        (u128::from(gone) * (u128::from(n) + 1) - 1)
            .checked_div(u128::from(span))
            .and_then(|k| u64::try_from(k).ok())
            .map_or(n, |k| k.min(n))
    }
}

/// The holes of all boots, each with the last reading of the boot before where it has none of its own.
pub(super) fn holes(book: &Book) -> Vec<Dated> {
    let mut out = Vec::new();
    // Boots in the order of their numbers, and the last reading of each.
    let mut before: Option<(Boot, Option<Millis>)> = None;
    for (&boot, ranges) in &book.boots {
        for mut hole in ranges.holes() {
            if hole.lo == 0 {
                hole.after = before
                    .filter(|(b, _)| incarnation(*b) == incarnation(boot))
                    .and_then(|(_, at)| at)
                    .filter(|at| hole.before.is_some_and(|b| *at <= b));
            }
            out.push(Dated { boot, hole });
        }
        before = Some((boot, ranges.as_slice().last().and_then(|r| r.hi_at)));
    }
    out
}

/// How many readings of the holes fall on each day of the window.
pub(super) fn by_day(holes: &[Dated], window: Window) -> HashMap<Day, u64> {
    let mut missing: HashMap<Day, u64> = HashMap::new();
    for hole in holes {
        let Some(span) = hole.span() else { continue };
        let first = farm_day(span.0).max(window.from);
        for day in first..=farm_day(span.1).min(window.to) {
            let upto = |day| hole.taken_before(day_start(day), span);
            *missing.entry(day).or_default() += upto(day + 1) - upto(day);
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::ledger::Span;
    use crate::reading::{DAY_MS, HOUR_MS};

    const NOON: Millis = 1_790_000_000_000 / DAY_MS * DAY_MS + 5 * HOUR_MS;

    fn hole(n: u32, after: Option<Millis>, before: Option<Millis>) -> Dated {
        let hole = Hole {
            lo: 7,
            hi: 6 + n,
            after,
            before,
        };
        Dated { boot: 1, hole }
    }

    fn found(hole: Dated, window: Window) -> HashMap<Day, u64> {
        let mut days = by_day(&[hole], window);
        days.retain(|_, n| *n > 0);
        days
    }

    /// Every reading by itself, without a short cut: exact in thirds of milliseconds and the like.
    fn one_by_one(n: u32, a: Millis, b: Millis) -> HashMap<Day, u64> {
        let mut days = HashMap::new();
        for k in 1..=i128::from(n) {
            let parts = i128::from(n) + 1;
            let at = i128::from(a) * parts + i128::from(b - a) * k;
            *days
                .entry(farm_day(at.div_euclid(parts) as i64))
                .or_default() += 1;
        }
        days
    }

    #[test]
    fn a_hole_is_spread_evenly_over_its_days() {
        let mut x = 11u64;
        let mut next = move |n: u64| {
            x = x
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (x >> 33) % n
        };
        let all = Window {
            from: farm_day(NOON) - 1,
            to: farm_day(NOON) + 20,
        };
        for round in 0..2_000 {
            let n = 1 + next(400) as u32;
            let a = NOON + next(86_400_000) as i64;
            // Also spans of a few milliseconds, across midnight too.
            let length = next(if round % 3 == 0 { 50 } else { 9 * 86_400_000 }) as i64;
            let a = if round % 5 == 0 {
                day_start(farm_day(a)) - next(40) as i64
            } else {
                a
            };
            let expected = one_by_one(n, a, a + length);
            assert_eq!(
                found(hole(n, Some(a), Some(a + length)), all),
                expected,
                "{n} from {a} for {length}"
            );
            // A clock that was set back says the same.
            assert_eq!(found(hole(n, Some(a + length), Some(a)), all), expected);
        }
    }

    #[test]
    fn a_window_cuts_and_a_huge_hole_costs_nothing() {
        let a = NOON - 3_000 * DAY_MS;
        let huge = Dated {
            boot: 1,
            hole: Hole {
                lo: 0,
                hi: u32::MAX - 1,
                after: Some(a),
                before: Some(NOON),
            },
        };
        let today = Window {
            from: farm_day(NOON) - 1,
            to: farm_day(NOON) - 1,
        };
        let days = by_day(&[huge], today);
        let share = u64::from(u32::MAX) / 3_000;
        let found = days[&today.from];
        assert!(found.abs_diff(share) <= 1, "{found} and not {share}");
        assert_eq!(days.len(), 1);
    }

    #[test]
    fn a_hole_with_one_side_belongs_to_that_day_and_one_with_none_to_no_day() {
        let all = Window {
            from: farm_day(NOON) - 9,
            to: farm_day(NOON) + 9,
        };
        let today = HashMap::from([(farm_day(NOON), 5)]);
        assert_eq!(found(hole(5, None, Some(NOON)), all), today);
        assert_eq!(found(hole(5, Some(NOON), None), all), today);
        assert_eq!(found(hole(5, None, None), all), HashMap::new());
    }

    #[test]
    fn the_low_end_of_a_boot_begins_where_the_boot_before_ended() {
        let mut book = Book::default();
        let mut put = |boot: Boot, lo, at| {
            book.boots.entry(boot).or_default().insert(Span {
                lo,
                hi: lo,
                lo_at: Some(at),
                hi_at: Some(at),
            });
        };
        let own = 3 << 32;
        put(own | 1, 0, NOON);
        put(own | 2, 4, NOON + 9);
        // Another incarnation, and a boot whose clock says that it came before the one before.
        put((4 << 32) | 1, 2, NOON + 20);
        put((4 << 32) | 2, 2, NOON + 10);
        let found: Vec<_> = holes(&book)
            .iter()
            .map(|d| (d.boot, d.hole.count(), d.span()))
            .collect();
        assert_eq!(
            found,
            vec![
                (own | 2, 4, Some((NOON, NOON + 9))),
                ((4 << 32) | 1, 2, Some((NOON + 20, NOON + 20))),
                ((4 << 32) | 2, 2, Some((NOON + 10, NOON + 10))),
            ]
        );
    }
}
