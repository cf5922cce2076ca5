//! When to sample: at whole multiples of the interval, once each.
//!
//! Time is cut into slots of one interval; a slot is due once, as soon as the clock is in it. So samples are aligned, two
//! nodes sample in the same second, and after a long sleep or a jump of the clock there is one sample and not a burst.

/// One interval's slots. Times are in milliseconds on whichever clock the caller keeps to: UTC once it is known.
#[derive(Clone, Debug)]
pub struct Schedule {
    every_ms: i64,
    done: Option<i64>,
}

impl Schedule {
    /// Slots of so many seconds, at least one. The first is due at once: after power-up someone wants to see a reading.
    pub fn new(every_s: u32) -> Self {
        Self {
            every_ms: i64::from(every_s.max(1)) * 1000,
            done: None,
        }
    }

    /// The start of the slot to sample next; in the past or now: it is due.
    pub fn next(&self, now_ms: i64) -> i64 {
        let slot = self.slot(now_ms);
        if self.done == Some(slot) {
            slot.saturating_add(1).saturating_mul(self.every_ms)
        } else {
            now_ms
        }
    }

    /// The slot that `now` is in is done: it was sampled, or the clock was just put right and the next whole slot is early
    /// enough.
    pub fn mark_done(&mut self, now_ms: i64) {
        self.done = Some(self.slot(now_ms));
    }

    fn slot(&self, now_ms: i64) -> i64 {
        // Never 0: an interval has a second at least.
        now_ms.checked_div_euclid(self.every_ms).unwrap_or(0)
    }

    /// Changes the interval; the slot that `now` is in counts as done.
    pub fn set_every(&mut self, every_s: u32, now_ms: i64) {
        let first = self.done.is_none();
        *self = Self::new(every_s);
        if !first {
            self.mark_done(now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_at_once_then_aligned() {
        let mut schedule = Schedule::new(900);
        assert_eq!(schedule.next(1_234), 1_234);
        schedule.mark_done(1_234);
        assert_eq!(schedule.next(1_235), 900_000);
        assert_eq!(schedule.next(899_999), 900_000);
        assert_eq!(schedule.next(900_000), 900_000);
    }

    #[test]
    fn one_sample_after_a_long_gap_or_a_jump() {
        let mut schedule = Schedule::new(60);
        schedule.mark_done(0);
        let late = 86_400_000 + 30_000;
        assert_eq!(schedule.next(late), late);
        schedule.mark_done(late);
        assert_eq!(schedule.next(late), late + 30_000);
        // Put back by an hour: due once, then aligned again.
        let back = late - 3_600_000;
        assert_eq!(schedule.next(back), back);
        schedule.mark_done(back);
        assert_eq!(schedule.next(back), back + 30_000);
    }

    #[test]
    fn an_interval_is_never_zero() {
        let mut schedule = Schedule::new(0);
        schedule.mark_done(0);
        assert_eq!(schedule.next(1), 1_000);
        schedule.set_every(10, 500);
        assert_eq!(schedule.next(500), 10_000);
    }
}
