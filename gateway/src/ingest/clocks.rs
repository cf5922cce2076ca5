//! How each node's clock fares, worked out from its stamps and their arrivals. In memory: a restart begins anew.
//!
//! A clock that is ahead, unset or put back shows in one pack (`ingest::times`). One that is *behind* looks like data that
//! come late, with one difference: a backlog catches up. A node whose newest readings follow each other as fast as they
//! arrive, three packs in a row, and yet are older than two of its packs and a minute, has a clock that is behind. Its
//! stamps are kept: whether the way or the clock is slow, nobody can tell for sure.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use utoipa::ToSchema;

use super::times::{Placed, TOLERANCE, Wrong};
use crate::reading::{Millis, NodeNum};

/// Packs in a row that make a clock behind.
const STEADY: u8 = 3;

/// How a clock stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stands {
    /// Nothing is wrong with its stamps.
    #[default]
    Right,
    /// The node has no time yet; it sends relative times.
    None,
    /// It was never set.
    Unset,
    /// It is ahead of the gateway's.
    Ahead,
    /// It was put back: readings are stamped before earlier ones.
    Back,
    /// It is behind the gateway's.
    Behind,
}

/// A node's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct NodeClock {
    /// As of the last pack.
    pub state: Stands,
    /// About how far it is from the gateway's, below zero: behind; only while it is wrong.
    pub offset_ms: Option<Millis>,
    /// How often it jumped, or was found to be wrong, since the gateway's start.
    pub jumps: u64,
    /// The last time that it did.
    pub jumped_at: Option<Millis>,
    /// How far.
    pub jump_ms: Option<Millis>,
}

#[derive(Debug, Default)]
struct Watched {
    clock: NodeClock,
    /// Arrival and newest stamp of the pack before.
    last: Option<(Millis, Millis)>,
    steady: u8,
}

impl Watched {
    /// What this pack says of a clock that is behind; its offset.
    fn behind(&mut self, received: Millis, newest: Millis) -> Option<Millis> {
        let (before, stamp) = self.last.replace((received, newest))?;
        let (step, stamped) = (received - before, newest - stamp);
        let lag = received - newest;
        let keeps_pace = step >= 1_000 && (stamped - step).abs() <= step / 10;
        if keeps_pace && lag > 2 * step + TOLERANCE {
            self.steady = self.steady.saturating_add(1);
        } else {
            self.steady = 0;
        }
        (self.steady >= STEADY).then_some(-lag)
    }
}

/// All nodes' clocks.
#[derive(Debug, Default)]
pub struct Clocks(Mutex<HashMap<NodeNum, Watched>>);

impl Clocks {
    fn lock(&self) -> MutexGuard<'_, HashMap<NodeNum, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a pack. Returns whether the clock jumped.
    pub(super) fn note(&self, node: NodeNum, received: Millis, placed: &Placed) -> bool {
        let mut all = self.lock();
        let watched = all.entry(node).or_default();
        let (state, offset) = match (placed.wrong, placed.newest) {
            (Some((Wrong::Unset, by)), _) => (Stands::Unset, Some(by)),
            (Some((Wrong::Ahead, by)), _) => (Stands::Ahead, Some(by)),
            (Some((_, by)), _) => (Stands::Back, Some(by)),
            (None, Some(newest)) => match watched.behind(received, newest) {
                Some(by) => (Stands::Behind, Some(by)),
                None => (Stands::Right, None),
            },
            (None, None) if placed.relative => (Stands::None, None),
            // Nothing that a clock has stamped.
            (None, None) => return false,
        };
        let clock = &mut watched.clock;
        let jump = offset.map(|by| by - clock.offset_ms.unwrap_or(0));
        let jumped = jump.filter(|by| by.abs() > TOLERANCE);
        if let Some(by) = jumped {
            clock.jumps += 1;
            (clock.jumped_at, clock.jump_ms) = (Some(received), Some(by));
        }
        // A drift stays measured from where it was last said.
        if jumped.is_some() || offset.is_none() || clock.offset_ms.is_none() {
            clock.offset_ms = offset;
        }
        clock.state = state;
        jumped.is_some()
    }

    /// How each node's clock stands; nodes that sent no times are left out.
    #[must_use]
    pub fn all(&self) -> HashMap<NodeNum, NodeClock> {
        self.lock()
            .iter()
            .map(|(node, w)| (*node, w.clock))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::{DAY_MS, HOUR_MS};

    const NOW: Millis = 1_790_000_000_000;
    const MINUTE: Millis = 60_000;

    fn right(newest: Millis) -> Placed {
        Placed {
            newest: Some(newest),
            ..Placed::default()
        }
    }

    fn wrong(wrong: Wrong, by: Millis) -> Placed {
        Placed {
            wrong: Some((wrong, by)),
            ..Placed::default()
        }
    }

    fn of(clocks: &Clocks) -> NodeClock {
        clocks.all().remove(&1).unwrap_or_default()
    }

    #[test]
    fn a_jump_is_counted_once_with_how_far_and_when() {
        let clocks = Clocks::default();
        assert!(!clocks.note(1, NOW, &right(NOW - 5)));
        assert!(clocks.note(1, NOW + 1, &wrong(Wrong::Ahead, DAY_MS)));
        for later in 2..20 {
            assert!(!clocks.note(1, NOW + later, &wrong(Wrong::Ahead, DAY_MS - later)));
        }
        let clock = of(&clocks);
        assert_eq!((clock.state, clock.jumps), (Stands::Ahead, 1));
        assert_eq!(
            (clock.jumped_at, clock.jump_ms),
            (Some(NOW + 1), Some(DAY_MS))
        );
        assert!(clocks.note(1, NOW + 30, &wrong(Wrong::Back, -HOUR_MS)));
        assert_eq!(of(&clocks).jump_ms, Some(-HOUR_MS - DAY_MS));
        assert!(!clocks.note(1, NOW + 40, &right(NOW + 39)), "put right");
        assert_eq!(
            (of(&clocks).state, of(&clocks).offset_ms, of(&clocks).jumps),
            (Stands::Right, None, 2)
        );
    }

    #[test]
    fn a_backlog_is_no_clock_that_is_behind() {
        let clocks = Clocks::default();
        // Drained: a day in packs of an hour, one each two seconds.
        for i in 0..24 {
            clocks.note(1, NOW + i * 2_000, &right(NOW + (i - 24) * HOUR_MS));
            assert_eq!(of(&clocks).state, Stands::Right);
        }
        // Live each minute, 2 % slow from here on: found when it is more than three minutes.
        let mut found = None;
        for i in 0..400 {
            let at = NOW + DAY_MS + i * MINUTE;
            clocks.note(1, at, &right(at - i * MINUTE / 50));
            if of(&clocks).state == Stands::Behind {
                found.get_or_insert(i);
            }
        }
        assert_eq!(found, Some(153));
        assert!(of(&clocks).jumps >= 2, "said again as it goes on");
    }

    #[test]
    fn a_node_without_a_clock_says_so() {
        let clocks = Clocks::default();
        let relative = Placed {
            relative: true,
            ..Placed::default()
        };
        assert!(!clocks.note(1, NOW, &relative));
        assert_eq!(of(&clocks).state, Stands::None);
        assert!(!clocks.note(1, NOW, &Placed::default()));
        assert_eq!(of(&clocks).state, Stands::None);
    }
}
