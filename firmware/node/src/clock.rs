//! Uptime and UTC. A board without a battery-backed clock knows only how long it has been up; the gateway's receipts tell
//! it the rest.
//!
//! A receipt's time is *proven* when the receipt answers a pack that went out once and just now. Other receipts may have
//! lain in a broker for hours: they set a clock that knows nothing, and turn it forward, never back.
//!
//! | reading taken | sent | goes out as |
//! |---|---|---|
//! | after a proven sync | any time | absolute |
//! | before | once any time is known | absolute, placed by the uptime between, marked estimated |
//! | before | before that | relative to now |
//! | in an earlier boot, before its proven sync | any time | as if the power had come back at once: the latest it can have been |

use sen_wire::Time;

/// When a reading was taken, as far as the node knew then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// Milliseconds UTC.
    Utc(i64),
    /// Milliseconds since the start of the reading's own boot.
    Uptime(u64),
}

/// Boots without a sync, before this one, that are told apart. Older ones share the start of the oldest.
const EARLIER_BOOTS: usize = 8;

/// This boot's clock.
#[derive(Clone, Debug)]
pub struct Clock {
    boot: u64,
    /// UTC less uptime.
    offset: Option<i64>,
    proven: bool,
    /// Earlier boots in the outbox, oldest first: boot, uptime of its last reading.
    earlier: heapless::Vec<(u64, u64), EARLIER_BOOTS>,
}

impl Clock {
    /// A clock that knows nothing yet.
    pub fn new(boot: u64) -> Self {
        Self {
            boot,
            offset: None,
            proven: false,
            earlier: heapless::Vec::new(),
        }
    }

    /// Takes note of a reading of an earlier boot found in the outbox, in their order.
    pub(crate) fn saw(&mut self, boot: u64, stamp: Stamp) {
        let Stamp::Uptime(uptime) = stamp else { return };
        match self.earlier.last_mut() {
            Some((last, span)) if *last == boot => *span = uptime.max(*span),
            _ => {
                if self.earlier.is_full() {
                    self.earlier.remove(0);
                }
                let _ = self.earlier.push((boot, uptime));
            }
        }
    }

    /// A receipt told the time. Returns whether the clock knew none before.
    pub fn sync(&mut self, now: u64, utc_ms: i64, proven: bool) -> bool {
        let offset = utc_ms.saturating_sub_unsigned(now);
        let first = self.offset.is_none();
        // A proven time is believed even when it is earlier: then the gateway's clock was put right.
        if proven || self.offset.is_none_or(|known| known < offset) {
            self.offset = Some(offset);
        }
        self.proven |= proven;
        first
    }

    /// UTC now, if known.
    pub fn utc(&self, now: u64) -> Option<i64> {
        self.offset
            .map(|offset| offset.saturating_add_unsigned(now))
    }

    /// A stamp for what is measured now.
    pub fn stamp(&self, now: u64) -> Stamp {
        match self.utc(now) {
            Some(utc) if self.proven => Stamp::Utc(utc),
            _ => Stamp::Uptime(now),
        }
    }

    /// The clock that the schedule keeps to: UTC if known, else uptime.
    pub(crate) fn wall(&self, now: u64) -> i64 {
        self.utc(now)
            .unwrap_or_else(|| i64::try_from(now).unwrap_or(i64::MAX))
    }

    /// A stored stamp as it goes out now, and whether it is estimated. (A reader takes every relative time for estimated.)
    pub fn place(&self, boot: u64, stamp: Stamp, now: u64) -> (Time, bool) {
        let uptime = match stamp {
            Stamp::Utc(ms) => return (Time::Absolute(ms), false),
            Stamp::Uptime(uptime) => self.in_this_boot(boot, uptime),
        };
        match self.offset {
            Some(offset) => (Time::Absolute(offset.saturating_add(uptime)), true),
            None => (Time::Relative(uptime.saturating_sub_unsigned(now)), false),
        }
    }

    /// An uptime of any boot on this boot's axis, where earlier boots lie below zero.
    fn in_this_boot(&self, boot: u64, uptime: u64) -> i64 {
        let mut start = 0i64;
        if boot != self.boot {
            for &(earlier, span) in self.earlier.iter().rev() {
                start = start.saturating_sub_unsigned(span);
                if earlier <= boot {
                    break;
                }
            }
        }
        start.saturating_add_unsigned(uptime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_backwards_after_the_sync_and_relative_before() {
        let mut clock = Clock::new(2);
        clock.saw(1, Stamp::Uptime(10_000));
        clock.saw(1, Stamp::Uptime(40_000));
        assert_eq!(clock.stamp(5_000), Stamp::Uptime(5_000));
        assert_eq!(
            clock.place(2, Stamp::Uptime(5_000), 6_000),
            (Time::Relative(-1_000), false)
        );
        assert_eq!(
            clock.place(1, Stamp::Uptime(10_000), 6_000),
            (Time::Relative(-36_000), false)
        );
        assert!(clock.sync(8_000, 1_000_000_008_000, true));
        assert_eq!(
            clock.place(2, Stamp::Uptime(5_000), 9_000),
            (Time::Absolute(1_000_000_005_000), true)
        );
        assert_eq!(
            clock.place(1, Stamp::Uptime(40_000), 9_000),
            (Time::Absolute(1_000_000_000_000), true)
        );
        assert_eq!(
            clock.place(1, Stamp::Uptime(10_000), 9_000),
            (Time::Absolute(999_999_970_000), true)
        );
        assert_eq!(clock.stamp(9_000), Stamp::Utc(1_000_000_009_000));
        assert_eq!(
            clock.place(1, Stamp::Utc(7), 9_000),
            (Time::Absolute(7), false)
        );
    }

    #[test]
    fn keeps_boots_apart_and_in_order() {
        let mut clock = Clock::new(20);
        for boot in 0..12 {
            clock.saw(boot, Stamp::Uptime(0));
            clock.saw(boot, Stamp::Uptime(1_000));
        }
        let at = |boot, uptime| match clock.place(boot, Stamp::Uptime(uptime), 0).0 {
            Time::Relative(ms) => ms,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            (at(11, 1_000), at(11, 0), at(10, 1_000), at(10, 500)),
            (0, -1_000, -1_000, -1_500)
        );
        assert_eq!(at(0, 0), -8_000, "older than the list");
    }

    #[test]
    fn a_receipt_that_a_broker_kept_does_not_turn_the_clock_back() {
        let mut clock = Clock::new(1);
        assert!(
            clock.sync(0, 1_000_000_000_000, false),
            "better than nothing"
        );
        assert_eq!(
            clock.stamp(10),
            Stamp::Uptime(10),
            "but no stamp is made of it"
        );
        assert!(!clock.sync(3_600_000, 1_000_000_000_500, false));
        assert_eq!(clock.utc(3_600_000), Some(1_000_003_600_000));
        clock.sync(3_700_000, 1_000_003_702_000, false);
        assert_eq!(
            clock.utc(3_700_000),
            Some(1_000_003_702_000),
            "forward at once"
        );
        clock.sync(3_700_000, 1_000_000_000_000, true);
        assert_eq!(
            clock.stamp(3_700_000),
            Stamp::Utc(1_000_000_000_000),
            "back when proven"
        );
    }
}
