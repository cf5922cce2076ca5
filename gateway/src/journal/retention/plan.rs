//! Which thing goes next, and when nothing may. Pure: figures in, one step out.

use crate::config::Keep;

/// History of this many days is never deleted for lack of room.
pub(super) const LAST_DAYS: i64 = 7;

/// The configured bounds, or what stands for them on this file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) keep_days: Option<i64>,
    pub(super) least_days: i64,
    pub(super) max_size: u64,
    pub(super) keep_free: u64,
}

impl Limits {
    /// For a file system of `total` bytes.
    pub(super) fn of(keep: &Keep, total: u64) -> Self {
        Self {
            keep_days: keep.days.map(i64::from),
            least_days: i64::from(keep.least_days),
            max_size: keep
                .max_size
                .unwrap_or_else(|| (total / 2).min(4_000_000_000)),
            keep_free: keep.free.unwrap_or_else(|| (total / 20).min(200_000_000)),
        }
    }

    /// Up to this much the journal gives up nothing for the sake of a file system that others fill.
    pub(super) fn share(&self) -> u64 {
        self.max_size / 8
    }

    /// What a lagging sink may take before its oldest rows go, or before history has to make room for them.
    pub(super) fn lag_room(&self, scene: &Scene) -> u64 {
        let growth = scene.room.saturating_sub(self.keep_free);
        self.max_size.min(scene.held.saturating_add(growth))
    }
}

/// What a decision looks at. Sizes in bytes, days since 1970 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scene {
    pub(super) today: i64,
    /// Oldest day that has history.
    pub(super) oldest: Option<i64>,
    /// What the journal holds, without the free pages in its file.
    pub(super) used: u64,
    /// What can still be written: free on the file system, and free pages in the file.
    pub(super) room: u64,
    /// Rows of the log that are there only because a cursor has not passed them.
    pub(super) held: u64,
    /// The disk is full.
    pub(super) full: bool,
}

/// What goes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing has to go, or nothing may.
    Nothing,
    /// The oldest day of history.
    Day,
    /// The oldest rows that a sink has not sent.
    Rows,
}

/// The rules, in the order in which they apply.
pub(super) fn next(limits: &Limits, now: &Scene) -> Step {
    let older_than = |days: i64| now.oldest.is_some_and(|day| now.today - day > days);
    let share = limits.share();
    let short = (now.full || now.room < limits.keep_free) && now.used > share;
    if limits.keep_days.is_some_and(older_than) {
        return Step::Day;
    }
    if (now.used > limits.max_size || short) && older_than(limits.least_days) {
        return Step::Day;
    }
    if short && now.held > share {
        return Step::Rows;
    }
    // Without what a sink holds: a dead sink costs no history younger than `least_days`.
    if (short || now.used.saturating_sub(now.held) > limits.max_size) && older_than(LAST_DAYS) {
        return Step::Day;
    }
    Step::Nothing
}
