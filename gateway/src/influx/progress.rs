//! What the server has: everything up to the live position, but for the gaps.
//!
//! After an outage the newest readings go first, because somebody looks at them now; what was left out is a gap that is
//! filled beside them, oldest first. Live position and gaps are cursors of the journal, so nothing in a gap is trimmed, and
//! a restart goes on where it was.

use std::time::Duration;

use super::{CURSOR, Trouble};
use crate::journal::Journal;
use crate::journal::cursor::Gap;

/// Most gaps at a time. A store that fails more often than its backlog is filled gets everything in order.
const MAX_GAPS: usize = 16;

/// Which part of the log is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// What has just come.
    Live,
    /// The oldest gap.
    Backlog,
}

impl Part {
    /// Its label in the metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Backlog => "backlog",
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Send a batch of this part.
    Send(Part),
    /// Fresh rows wait for company this long, and there is nothing else to send.
    Gather(Duration),
    /// The server has everything.
    Idle,
}

/// How full or old a batch of fresh rows has to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    /// Rows that make a batch full.
    pub(super) rows: i64,
    /// The longest that the first of them waits; zero sends whatever is there.
    pub(super) age: Duration,
}

/// How far the sink has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The last row of the live part that the server has.
    pub(super) live: i64,
    /// What it lacks before that, oldest first.
    pub(super) gaps: Vec<Gap>,
}

impl Progress {
    pub(super) async fn load(journal: &Journal) -> Result<Self, Trouble> {
        Ok(Self {
            live: journal.cursor(CURSOR).await?,
            gaps: journal.gaps(CURSOR).await?,
        })
    }

    /// The live part when a batch of it is due, else the backlog. `head` is the last row of the log, `waited` how long fresh
    /// rows have been there.
    pub(super) fn next(&self, head: i64, waited: Duration, due: Due) -> Next {
        let fresh = head - self.live;
        if fresh > 0 && (fresh >= due.rows || waited >= due.age) {
            Next::Send(Part::Live)
        } else if !self.gaps.is_empty() {
            Next::Send(Part::Backlog)
        } else if fresh > 0 {
            Next::Gather(due.age - waited)
        } else {
            Next::Idle
        }
    }

    /// The rows that this part still has to send: after the first, up to the second.
    pub(super) fn range(&self, part: Part) -> (i64, i64) {
        match (part, self.gaps.first()) {
            (Part::Live, _) => (self.live, i64::MAX),
            (Part::Backlog, Some(gap)) => (gap.at, gap.upto),
            (Part::Backlog, None) => (self.live, self.live),
        }
    }

    /// The server has this part up to `to`. Gives the gap that changed.
    pub(super) fn sent(&mut self, part: Part, to: i64) -> Option<Gap> {
        match part {
            Part::Live => {
                self.live = to;
                None
            }
            Part::Backlog => {
                let gap = self.gaps.first_mut()?;
                gap.at = to.min(gap.upto);
                let gap = *gap;
                if gap.at == gap.upto {
                    self.gaps.remove(0);
                }
                Some(gap)
            }
        }
    }

    /// Goes ahead to `head`. Gives the gap that this leaves, if there is room for one.
    pub(super) fn go_ahead(&mut self, head: i64) -> Option<Gap> {
        if head <= self.live || self.gaps.len() >= MAX_GAPS {
            return None;
        }
        let gap = Gap {
            at: self.live,
            upto: head,
        };
        self.gaps.push(gap);
        self.live = head;
        Some(gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_rows_go_first_once_they_are_due() {
        const SECOND: Duration = Duration::from_secs(1);
        let due = Due {
            rows: 10,
            age: SECOND,
        };
        let with = |gaps| Progress { live: 100, gaps };
        let (none, gap) = (with(vec![]), with(vec![Gap { at: 5, upto: 50 }]));
        for (head, waited, without_gap, with_gap) in [
            (100, SECOND, Next::Idle, Part::Backlog),
            (101, SECOND / 4, Next::Gather(SECOND * 3 / 4), Part::Backlog),
            (101, SECOND, Next::Send(Part::Live), Part::Live),
            (110, Duration::ZERO, Next::Send(Part::Live), Part::Live),
        ] {
            assert_eq!(
                none.next(head, waited, due),
                without_gap,
                "{head} {waited:?}"
            );
            assert_eq!(
                gap.next(head, waited, due),
                Next::Send(with_gap),
                "{head} {waited:?}"
            );
        }
    }

    /// Random outages and batches: every row is sent, once, and each gap oldest first.
    #[test]
    fn every_row_is_sent_once() {
        let mut x = 11u32;
        let mut next = move |n: i64| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            i64::from(x >> 8) % n
        };
        for _ in 0..200 {
            let (mut p, mut head) = (Progress::default(), 0);
            let mut sent = std::collections::BTreeSet::new();
            let mut send = |p: &mut Progress, part, head: i64, most: i64| {
                let (after, upto) = p.range(part);
                let to = (after + most).min(upto).min(head);
                for id in after + 1..=to {
                    assert!(sent.insert(id), "{id} twice");
                }
                p.sent(part, to);
            };
            for _ in 0..100 {
                head += next(20);
                let most = 1 + next(15);
                match next(4) {
                    0 => drop(p.go_ahead(head)),
                    1 => send(&mut p, Part::Live, head, most),
                    _ => send(&mut p, Part::Backlog, head, most),
                }
                assert!(p.gaps.windows(2).all(|w| w[0].upto <= w[1].at), "{p:?}");
                assert!(
                    p.gaps.iter().all(|g| g.at < g.upto && g.upto <= p.live),
                    "{p:?}"
                );
                assert!(p.gaps.len() <= MAX_GAPS);
            }
            while p.live < head || !p.gaps.is_empty() {
                send(&mut p, Part::Live, head, 7);
                send(&mut p, Part::Backlog, head, 7);
            }
            assert_eq!(sent.len() as i64, head);
        }
    }
}
