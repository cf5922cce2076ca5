//! The gateway's clock, which may be wrong, stand still or be set.

use super::Engine;
use crate::Millis;

/// If nothing at all was called for so long, nobody was watching meanwhile.
pub const STALLED: Millis = 600_000;
/// Calls come from several threads: a step back as small as this is none.
pub const JITTER: Millis = 2_000;

impl Engine {
    /// Brings the clock up to this call, and returns the time that it is.
    pub(super) fn clock(&mut self, now: Millis) -> Millis {
        let passed = now.saturating_sub(self.now);
        if (-JITTER..=0).contains(&passed) {
            return self.now;
        }
        self.now = now;
        if passed < 0 {
            self.clock_set_back(passed.saturating_neg(), now);
        }
        if !(0..=STALLED).contains(&passed) {
            for node in self.nodes.values_mut() {
                node.quiet_from = now;
            }
        }
        now
    }

    /// What was heard a minute ago was heard a minute ago, whatever the clock said. What was *measured* in the future is
    /// forgotten.
    fn clock_set_back(&mut self, by: Millis, now: Millis) {
        let back = |time: &mut Millis| *time = time.saturating_sub(by);
        for state in self.series.values_mut() {
            state.newest = state.newest.filter(|newest| *newest <= now);
            state.heard.iter_mut().for_each(back);
            if let Some(late) = &mut state.late {
                back(&mut late.opened);
                back(&mut late.arrived);
            }
        }
        for node in self.nodes.values_mut() {
            back(&mut node.heard);
        }
        self.gateway.clock_set_back(by, now);
        self.each_watches(|_, watches| {
            for (_, watch) in watches {
                watch.clock_set_back(by, now);
            }
        });
    }
}
