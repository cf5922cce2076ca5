//! Whether a forecast has earned to be shown: by its own last errors, on this very channel, beside what anybody could say
//! without it: "as now" (persistence) and "as yesterday at that time".

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::Millis;

/// It must be better than both by this factor: a tie earns nothing.
pub const BETTER: f64 = 0.9;

/// A forecast and what would have been said without it, before the truth is known or after.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// For when.
    pub target: Millis,
    /// The forecast.
    pub model: f64,
    /// As now.
    pub now: f64,
    /// As yesterday at the target's time.
    pub yesterday: f64,
}

/// Mean absolute errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// Of the forecast.
    pub model: f64,
    /// Of "as now".
    pub now: f64,
    /// Of "as yesterday".
    pub yesterday: f64,
    /// Over how many forecasts.
    pub count: usize,
}

impl Errors {
    /// Whether the forecast is better than both by a factor.
    #[must_use]
    pub fn beats_both(&self, by: f64) -> bool {
        self.model < by * self.now.min(self.yesterday)
    }
}

/// The last errors of a forecast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Skill {
    /// How far back it looks.
    window: Millis,
    /// How many errors it must have seen.
    least: usize,
    errors: VecDeque<(Millis, f64, f64, f64)>,
}

impl Skill {
    /// A gate that looks back `window` and asks for `least` errors.
    #[must_use]
    pub fn new(window: Millis, least: usize) -> Self {
        Self {
            window,
            least,
            errors: VecDeque::new(),
        }
    }

    /// The truth came.
    pub fn settle(&mut self, said: Said, truth: f64) {
        let off = |value: f64| (value - truth).abs();
        let entry = (
            said.target,
            off(said.model),
            off(said.now),
            off(said.yesterday),
        );
        self.errors.push_back(entry);
        while self
            .errors
            .front()
            .is_some_and(|(at, ..)| said.target.saturating_sub(*at) > self.window)
        {
            self.errors.pop_front();
        }
    }

    /// Its last errors.
    #[must_use]
    pub fn errors(&self) -> Errors {
        Self::mean(self.errors.iter())
    }

    fn mean<'e>(errors: impl Iterator<Item = &'e (Millis, f64, f64, f64)>) -> Errors {
        let mut sum = Errors::default();
        for (_, model, now, yesterday) in errors {
            sum.model += model;
            sum.now += now;
            sum.yesterday += yesterday;
            sum.count += 1;
        }
        let count = sum.count.max(1) as f64;
        Errors {
            model: sum.model / count,
            now: sum.now / count,
            yesterday: sum.yesterday / count,
            count: sum.count,
        }
    }

    /// Whether it may be shown: it was better than both over the whole window, by [`BETTER`], and no worse than either over
    /// both halves of it. A lucky week is not skill.
    #[must_use]
    pub fn earned(&self) -> bool {
        let half = self.errors.len() / 2;
        self.errors.len() >= self.least
            && self.errors().beats_both(BETTER)
            && Self::mean(self.errors.iter().take(half.max(1))).beats_both(1.0)
            && Self::mean(self.errors.iter().skip(half)).beats_both(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(n: i64, model: f64) -> Said {
        Said {
            target: n * 3_600_000,
            model,
            now: 2.0,
            yesterday: 3.0,
        }
    }

    #[test]
    fn is_shown_only_once_it_has_been_better_than_both_for_long_enough() {
        let mut skill = Skill::new(100 * 3_600_000, 50);
        for n in 0..49 {
            skill.settle(said(n, 1.0), 0.0);
            assert!(!skill.earned());
        }
        skill.settle(said(49, 1.0), 0.0);
        assert!(skill.earned());
        // It gets worse than "as now": the gate closes within its window, and opens again after.
        for n in 50..150 {
            skill.settle(said(n, 2.5), 0.0);
        }
        assert!(!skill.earned());
        for n in 150..300 {
            skill.settle(said(n, 0.1), 0.0);
        }
        assert!(skill.earned());
    }

    #[test]
    fn a_little_better_is_not_better() {
        let mut skill = Skill::new(1_000_000_000, 4);
        for n in 0..4 {
            skill.settle(said(n, 1.9), 0.0);
        }
        assert!(!skill.earned());
    }

    #[test]
    fn a_lucky_half_is_no_skill() {
        let mut skill = Skill::new(1_000_000_000, 4);
        for model in [0.1, 0.1, 2.5, 2.5] {
            skill.settle(said(0, model), 0.0);
        }
        assert!(skill.errors().beats_both(BETTER) && !skill.earned());
    }

    #[test]
    fn a_tie_with_the_better_baseline_earns_nothing() {
        let mut skill = Skill::new(1_000_000_000, 1);
        skill.settle(said(0, 2.0), 0.0);
        assert!(!skill.earned());
    }
}
