//! Which places of each node's sequence have arrived.
//!
//! For every (node, boot) a short list of closed ranges, disjoint and not touching, ascending. It answers what is new,
//! what is a repeat, what is missing, and what a receipt may say.

use std::collections::{BTreeMap, HashMap};

use crate::reading::NodeNum;

/// One run of a node: incarnation and boot counter in one number, as on the wire.
pub type Boot = u64;

/// A closed range of sequence numbers.
pub type Range = (u32, u32);

/// The arrived ranges of one boot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges(Vec<Range>);

impl Ranges {
    /// The ranges, ascending.
    #[must_use]
    pub fn as_slice(&self) -> &[Range] {
        &self.0
    }

    /// The parts of `lo..=hi` that have not arrived yet.
    #[must_use]
    pub fn missing_in(&self, lo: u32, hi: u32) -> Vec<Range> {
        let mut out = Vec::new();
        let mut next = u64::from(lo);
        let start = self.0.partition_point(|r| r.1 < lo);
        for &(l, h) in &self.0[start..] {
            if l > hi {
                break;
            }
            if u64::from(l) > next {
                out.push((next as u32, l - 1));
            }
            next = u64::from(h) + 1;
        }
        if next <= u64::from(hi) {
            out.push((next as u32, hi));
        }
        out
    }

    /// Takes `lo..=hi` in, joining what touches.
    pub fn insert(&mut self, lo: u32, hi: u32) {
        // The common case: the next places in line.
        if let Some(last) = self.0.last_mut()
            && last.1.checked_add(1) == Some(lo)
        {
            last.1 = hi;
            return;
        }
        let first = self.0.partition_point(|r| r.1.saturating_add(1) < lo);
        let (mut lo, mut hi) = (lo, hi);
        let mut end = first;
        while end < self.0.len() && self.0[end].0 <= hi.saturating_add(1) {
            lo = lo.min(self.0[end].0);
            hi = hi.max(self.0[end].1);
            end += 1;
        }
        self.0.splice(first..end, [(lo, hi)]);
    }

    /// Takes `lo..=hi` out again: a commit that failed.
    pub fn remove(&mut self, lo: u32, hi: u32) {
        let mut kept = Vec::with_capacity(self.0.len() + 1);
        for &(l, h) in &self.0 {
            if h < lo || l > hi {
                kept.push((l, h));
                continue;
            }
            if l < lo {
                kept.push((l, lo - 1));
            }
            if h > hi {
                kept.push((hi + 1, h));
            }
        }
        self.0 = kept;
    }

    /// The range that holds `seq`.
    #[must_use]
    pub fn around(&self, seq: u32) -> Option<Range> {
        let i = self.0.partition_point(|r| r.1 < seq);
        self.0.get(i).copied().filter(|r| r.0 <= seq)
    }

    /// How many places have arrived.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.0.iter().map(|&(l, h)| u64::from(h - l) + 1).sum()
    }

    /// The holes below the highest arrived place. A boot's sequence starts at 0.
    #[must_use]
    pub fn holes(&self) -> Vec<Range> {
        self.0
            .last()
            .map_or_else(Vec::new, |last| self.missing_in(0, last.1))
    }
}

/// The ledger of all nodes.
#[derive(Debug, Default)]
pub struct Ledger {
    boots: HashMap<(NodeNum, Boot), Ranges>,
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

    /// Everything, by node and boot.
    #[must_use]
    pub fn all(&self) -> BTreeMap<(NodeNum, Boot), &Ranges> {
        self.boots.iter().map(|(k, v)| (*k, v)).collect()
    }

    /// Sums up one node.
    #[must_use]
    pub fn account(&self, node: NodeNum) -> Account {
        let mut sum = Account::default();
        for ((n, _), ranges) in &self.boots {
            if *n == node {
                sum.received += ranges.received();
                sum.missing += ranges
                    .holes()
                    .iter()
                    .map(|&(l, h)| u64::from(h - l) + 1)
                    .sum::<u64>();
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                let fresh: Vec<u32> = r
                    .missing_in(lo, hi)
                    .iter()
                    .flat_map(|&(l, h)| l..=h)
                    .collect();
                let expected: Vec<u32> = (lo..=hi).filter(|s| !model.contains(s)).collect();
                assert_eq!(fresh, expected);
                if next(5) == 0 {
                    r.remove(lo, hi);
                    (lo..=hi).for_each(|s| {
                        model.remove(&s);
                    });
                } else {
                    r.insert(lo, hi);
                    model.extend(lo..=hi);
                }
                let flat: Vec<u32> = r.as_slice().iter().flat_map(|&(l, h)| l..=h).collect();
                assert_eq!(flat, model.iter().copied().collect::<Vec<_>>());
                assert!(
                    r.as_slice().windows(2).all(|w| w[0].1 + 1 < w[1].0),
                    "ranges touch: {r:?}"
                );
            }
        }
    }

    #[test]
    fn the_last_place_of_all_does_not_overflow() {
        let mut r = Ranges::default();
        r.insert(u32::MAX - 1, u32::MAX);
        assert!(r.missing_in(u32::MAX, u32::MAX).is_empty());
        assert_eq!(r.around(u32::MAX), Some((u32::MAX - 1, u32::MAX)));
        r.insert(0, 0);
        assert_eq!(r.holes(), vec![(1, u32::MAX - 2)]);
    }
}
