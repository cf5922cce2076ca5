//! Which places of each node's sequence have arrived, and what arrived on which day since the tables were last written.
//!
//! For every (node, boot) a short list of closed spans, disjoint and not touching, ascending. It answers what is new,
//! what is a repeat, what is missing and from when, and what a receipt may say.

use std::collections::{BTreeMap, HashMap};

use super::days::Days;
use crate::reading::{Millis, NodeNum};

/// One run of a node: incarnation and boot counter in one number, as on the wire.
pub type Boot = u64;

/// A closed range of sequence numbers.
pub type Range = (u32, u32);

/// The incarnation of a node's storage, the upper half of a boot number: boots follow one another within it.
#[must_use]
pub fn incarnation(boot: Boot) -> u64 {
    boot >> 32
}

/// Arrived places without a hole between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First place.
    pub lo: u32,
    /// Last place.
    pub hi: u32,
    /// When the reading at `lo` was taken; unknown for what an older version stored.
    pub lo_at: Option<Millis>,
    /// When the reading at `hi` was taken.
    pub hi_at: Option<Millis>,
}

/// A run of places that have not arrived, between two that have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// First place.
    pub lo: u32,
    /// Last place.
    pub hi: u32,
    /// When the last reading before it was taken.
    pub after: Option<Millis>,
    /// When the first reading behind it was taken.
    pub before: Option<Millis>,
}

impl Hole {
    /// How many places it has.
    #[must_use]
    pub fn count(&self) -> u64 {
        u64::from(self.hi - self.lo) + 1
    }
}

/// What an insert covered up: the times at the edges of the neighbours that it joined. [`Ranges::remove`] puts them back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seam {
    left: Option<Millis>,
    right: Option<Millis>,
}

/// The arrived places of one boot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges(Vec<Span>);

impl Ranges {
    /// The spans, ascending.
    #[must_use]
    pub fn as_slice(&self) -> &[Span] {
        &self.0
    }

    /// The parts of `lo..=hi` that have not arrived yet.
    #[must_use]
    pub fn missing_in(&self, lo: u32, hi: u32) -> Vec<Range> {
        let mut out = Vec::new();
        let mut next = u64::from(lo);
        let start = self.0.partition_point(|r| r.hi < lo);
        for r in &self.0[start..] {
            if r.lo > hi {
                break;
            }
            if u64::from(r.lo) > next {
                out.push((next as u32, r.lo - 1));
            }
            next = u64::from(r.hi) + 1;
        }
        if next <= u64::from(hi) {
            out.push((next as u32, hi));
        }
        out
    }

    /// Takes a span in, joining what touches.
    pub fn insert(&mut self, new: Span) -> Seam {
        // The common case: the next places in line.
        if let Some(last) = self.0.last_mut()
            && last.hi.checked_add(1) == Some(new.lo)
        {
            let seam = Seam {
                left: last.hi_at,
                right: None,
            };
            (last.hi, last.hi_at) = (new.hi, new.hi_at);
            return seam;
        }
        let first = self.0.partition_point(|r| r.hi.saturating_add(1) < new.lo);
        let (mut all, mut seam, mut end) = (new, Seam::default(), first);
        while let Some(r) = self.0.get(end)
            && r.lo <= all.hi.saturating_add(1)
        {
            if r.lo < all.lo {
                (all.lo, all.lo_at) = (r.lo, r.lo_at);
            }
            if r.hi > all.hi {
                (all.hi, all.hi_at) = (r.hi, r.hi_at);
            }
            if r.hi < new.lo {
                seam.left = r.hi_at;
            }
            if r.lo > new.hi {
                seam.right = r.lo_at;
            }
            end += 1;
        }
        self.0.splice(first..end, [all]);
        seam
    }

    /// Takes `lo..=hi` out again: a commit that failed. What was inserted last goes first, so that each seam fits.
    pub fn remove(&mut self, lo: u32, hi: u32, seam: Seam) {
        let mut kept = Vec::with_capacity(self.0.len() + 1);
        for &r in &self.0 {
            if r.hi < lo || r.lo > hi {
                kept.push(r);
                continue;
            }
            if r.lo < lo {
                kept.push(Span {
                    hi: lo - 1,
                    hi_at: seam.left,
                    ..r
                });
            }
            if r.hi > hi {
                kept.push(Span {
                    lo: hi + 1,
                    lo_at: seam.right,
                    ..r
                });
            }
        }
        self.0 = kept;
    }

    /// The range that holds `seq`.
    #[must_use]
    pub fn around(&self, seq: u32) -> Option<Range> {
        let i = self.0.partition_point(|r| r.hi < seq);
        self.0.get(i).filter(|r| r.lo <= seq).map(|r| (r.lo, r.hi))
    }

    /// How many places have arrived.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.0.iter().map(|r| u64::from(r.hi - r.lo) + 1).sum()
    }

    /// How many places below the highest arrived one have not. A boot's sequence starts at 0.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.0
            .last()
            .map_or(0, |last| u64::from(last.hi) + 1 - self.received())
    }

    /// The holes below the highest arrived place, ascending. One at the low end has no reading of this boot before it.
    pub fn holes(&self) -> impl Iterator<Item = Hole> {
        let first = self.0.first().and_then(|r| {
            Some(Hole {
                lo: 0,
                hi: r.lo.checked_sub(1)?,
                after: None,
                before: r.lo_at,
            })
        });
        let between = self.0.windows(2).filter_map(|w| match w {
            [l, r] => Some(Hole {
                lo: l.hi + 1,
                hi: r.lo - 1,
                after: l.hi_at,
                before: r.lo_at,
            }),
            _ => None,
        });
        first.into_iter().chain(between)
    }
}

/// The ledger of all nodes.
#[derive(Debug, Default)]
pub struct Ledger {
    boots: BTreeMap<(NodeNum, Boot), Ranges>,
    /// What has been counted on top of the table `day_account`.
    pub days: Days,
}

/// What has arrived around some places of a node's sequence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// When the last reading before them was taken, of the same boot.
    pub before: Option<Millis>,
    /// When the first reading after them was taken, of the same boot or the next that has any.
    pub after: Option<Millis>,
}

/// What the ledger says of one node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// Places that have arrived.
    pub received: u64,
    /// Places known to exist that have not.
    pub missing: u64,
}

impl Ledger {
    /// The ranges of one boot, made on first use.
    pub fn boot_mut(&mut self, node: NodeNum, boot: Boot) -> &mut Ranges {
        self.boots.entry((node, boot)).or_default()
    }

    /// The ranges of one boot.
    #[must_use]
    pub fn boot(&self, node: NodeNum, boot: Boot) -> Option<&Ranges> {
        self.boots.get(&(node, boot))
    }

    /// What has arrived around `lo..=hi`.
    #[must_use]
    pub fn neighbours(&self, node: NodeNum, boot: Boot, lo: u32, hi: u32) -> Neighbours {
        let spans = self.boot(node, boot).map(Ranges::as_slice);
        let spans = spans.unwrap_or_default();
        // A repeat, or the end of one: the span that it lies in says nothing of what is before or after.
        let before = spans[..spans.partition_point(|r| r.hi < lo)].last();
        let after = spans.get(spans.partition_point(|r| r.lo <= hi));
        let next = || {
            let later = (node, boot.saturating_add(1))..=(node, boot | u64::from(u32::MAX));
            let mut later = (boot as u32 != u32::MAX).then(|| self.boots.range(later));
            later
                .as_mut()?
                .find_map(|(_, ranges)| ranges.as_slice().first()?.lo_at)
        };
        Neighbours {
            before: before.and_then(|r| r.hi_at),
            after: after.map_or_else(next, |r| r.lo_at),
        }
    }

    /// The boots of one node, or of all, by node.
    #[must_use]
    pub fn boots(&self, of: Option<NodeNum>) -> HashMap<NodeNum, BTreeMap<Boot, Ranges>> {
        let mut out: HashMap<NodeNum, BTreeMap<Boot, Ranges>> = HashMap::new();
        for ((node, boot), ranges) in &self.boots {
            // A boot whose only commit failed leaves an empty entry.
            if of.is_none_or(|n| n == *node) && !ranges.0.is_empty() {
                out.entry(*node).or_default().insert(*boot, ranges.clone());
            }
        }
        out
    }

    /// Sums up one node.
    #[must_use]
    pub fn account(&self, node: NodeNum) -> Account {
        let mut sum = Account::default();
        for ((n, _), ranges) in &self.boots {
            if *n == node {
                sum.received += ranges.received();
                sum.missing += ranges.missing();
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_was_taken_before_and_after() {
        let span = |lo, hi| Span {
            lo,
            hi,
            lo_at: Some(i64::from(lo)),
            hi_at: Some(i64::from(hi)),
        };
        let mut ledger = Ledger::default();
        ledger.boot_mut(1, 5).insert(span(10, 19));
        ledger.boot_mut(1, 5).insert(span(30, 39));
        ledger.boot_mut(1, 6);
        ledger.boot_mut(1, 7).insert(span(3, 4));
        ledger.boot_mut(1, 1 << 32).insert(span(0, 0));
        ledger.boot_mut(2, 8).insert(span(0, 0));
        let around = |boot, lo, hi| {
            let n = ledger.neighbours(1, boot, lo, hi);
            (n.before, n.after)
        };
        assert_eq!(around(5, 0, 9), (None, Some(10)));
        assert_eq!(around(5, 20, 29), (Some(19), Some(30)));
        assert_eq!(around(5, 15, 24), (None, Some(30)));
        assert_eq!(around(5, 40, 49), (Some(39), Some(3)));
        assert_eq!(around(4, 0, 1), (None, Some(10)));
        assert_eq!(around(7, 5, 6), (Some(4), None), "another incarnation");
        assert_eq!(around(u64::from(u32::MAX), 0, 0), (None, None));
    }

    /// When the model takes the reading of a place.
    fn at(seq: u32) -> Option<Millis> {
        Some(1_000 + 10 * i64::from(seq))
    }

    fn span(lo: u32, hi: u32) -> Span {
        Span {
            lo,
            hi,
            lo_at: at(lo),
            hi_at: at(hi),
        }
    }

    #[test]
    fn agrees_with_a_plain_set() {
        // A small deterministic generator: the model is a set of places.
        let mut x = 7u32;
        let mut next = move |n: u32| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 8) % n
        };
        for _ in 0..500 {
            let (mut r, mut model) = (Ranges::default(), std::collections::BTreeSet::new());
            for _ in 0..30 {
                let lo = next(60);
                let hi = lo + next(8);
                let fresh = r.missing_in(lo, hi);
                let flat: Vec<u32> = fresh.iter().flat_map(|&(l, h)| l..=h).collect();
                let expected: Vec<u32> = (lo..=hi).filter(|s| !model.contains(s)).collect();
                assert_eq!(flat, expected);
                // As the writer does it: each part that is new, and all of them back when the commit fails.
                let before = r.clone();
                let seams: Vec<Seam> = fresh.iter().map(|&(l, h)| r.insert(span(l, h))).collect();
                if next(4) == 0 {
                    for (&(l, h), &seam) in fresh.iter().zip(&seams).rev() {
                        r.remove(l, h, seam);
                    }
                    assert_eq!(r, before);
                } else {
                    model.extend(lo..=hi);
                }
                let flat: Vec<u32> = r.as_slice().iter().flat_map(|r| r.lo..=r.hi).collect();
                assert_eq!(flat, model.iter().copied().collect::<Vec<_>>());
                for w in r.as_slice().windows(2) {
                    assert!(w[0].hi + 1 < w[1].lo, "ranges touch: {r:?}");
                }
                for r in r.as_slice() {
                    assert_eq!((r.lo_at, r.hi_at), (at(r.lo), at(r.hi)));
                }
                let top = model.last().map_or(0, |last| last + 1);
                let missing: Vec<u32> = (0..top).filter(|s| !model.contains(s)).collect();
                assert_eq!(r.missing(), missing.len() as u64);
                let holes: Vec<Hole> = r.holes().collect();
                assert_eq!(
                    holes.iter().flat_map(|h| h.lo..=h.hi).collect::<Vec<_>>(),
                    missing
                );
                for h in holes {
                    assert_eq!(h.after, h.lo.checked_sub(1).and_then(at));
                    assert_eq!(h.before, at(h.hi + 1));
                }
            }
        }
    }

    #[test]
    fn the_last_place_of_all_does_not_overflow() {
        let mut r = Ranges::default();
        r.insert(span(u32::MAX - 1, u32::MAX));
        assert!(r.missing_in(u32::MAX, u32::MAX).is_empty());
        assert_eq!(r.around(u32::MAX), Some((u32::MAX - 1, u32::MAX)));
        r.insert(span(0, 0));
        assert_eq!(
            r.holes().map(|h| (h.lo, h.hi)).collect::<Vec<_>>(),
            vec![(1, u32::MAX - 2)]
        );
        assert_eq!(r.missing(), u64::from(u32::MAX) - 2);
    }
}
