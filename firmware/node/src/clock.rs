//! Uptime and UTC. A board without a battery-backed clock knows only how long it has been up; the gateway's receipts tell
//! it the rest.
//!
//! A receipt's time is *proven* when the receipt answers a pack that went out once and just now. Other receipts may have
//! lain in a broker for hours: they set a clock that knows nothing, and turn it forward, never back. A proven clock is
//! behind the gateway's by the way of the receipt, so by less than the round trip of the pack (30 s at most: an answer that
//! took longer proves nothing), and by what the board's crystal strays until the next receipt.
//!
//! A gateway that does not trust its own clock gives no time: then the node goes on with what it knows.
//!
//! | reading taken | sent | goes out as |
//! |---|---|---|
//! | after a proven sync | any time | absolute |
//! | before | once any time is known | absolute, placed by the uptime between, marked estimated |
//! | before | before that | relative to now |
//! | in an earlier boot, before its proven sync | any time | as late as it can have been, marked estimated |
//!
//! How long the power was away between two boots nobody knows. A reading of an earlier boot that never had a time was taken,
//! at the latest, as if the power had come back at once each time; and before the next reading in the outbox that has a time,
//! of its own boot or of a later one. So it never comes to lie in the future, nor behind a reading that was taken after it.

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
    /// Earlier boots in the outbox that had no time at first, oldest first.
    earlier: heapless::Vec<Earlier, EARLIER_BOOTS>,
}

/// An earlier boot with readings that have no time.
#[derive(Clone, Copy, Debug)]
struct Earlier {
    boot: u64,
    /// Uptime of the last of them.
    span: u64,
    /// UTC of the reading behind them, the first that has a time.
    before: Option<i64>,
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
        let uptime = match stamp {
            Stamp::Uptime(uptime) => uptime,
            Stamp::Utc(utc) => {
                if let Some(last) = self.earlier.last_mut() {
                    last.before.get_or_insert(utc);
                }
                return;
            }
        };
        match self.earlier.last_mut() {
            Some(last) if last.boot == boot && last.before.is_none() => {
                last.span = uptime.max(last.span);
            }
            _ => {
                if self.earlier.is_full() {
                    self.earlier.remove(0);
                }
                let _ = self.earlier.push(Earlier {
                    boot,
                    span: uptime,
                    before: None,
                });
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
            Stamp::Uptime(uptime) => uptime,
        };
        let (start, before) = self.start_of(boot);
        let at = start.saturating_add_unsigned(uptime);
        // What is known of the readings behind it holds, whatever is known of the time now.
        let latest = before.map(|start| start.saturating_add_unsigned(uptime));
        match (self.offset, latest) {
            (Some(offset), latest) => {
                let at = offset.saturating_add(at);
                (Time::Absolute(latest.map_or(at, |l| l.min(at))), true)
            }
            (None, Some(latest)) => (Time::Absolute(latest), true),
            (None, None) => (Time::Relative(at.saturating_sub_unsigned(now)), false),
        }
    }

    /// The latest start that a boot can have had: on this boot's axis, where earlier boots lie below zero, and in UTC, if a
    /// reading behind those of the boot has a time.
    fn start_of(&self, boot: u64) -> (i64, Option<i64>) {
        let (mut start, mut before) = (0i64, None);
        if boot != self.boot {
            for earlier in self.earlier.iter().rev() {
                // A millisecond before what is behind it: two readings of one channel and instant would be one.
                let span = earlier.span.saturating_add(1);
                start = start.saturating_sub_unsigned(span);
                let end = before.into_iter().chain(earlier.before).min();
                before = end.map(|end| end.saturating_sub_unsigned(span));
                if earlier.boot <= boot {
                    break;
                }
            }
        }
        (start, before)
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
            (Time::Relative(-36_001), false)
        );
        assert!(clock.sync(8_000, 1_000_000_008_000, true));
        assert_eq!(
            clock.place(2, Stamp::Uptime(5_000), 9_000),
            (Time::Absolute(1_000_000_005_000), true)
        );
        assert_eq!(
            clock.place(1, Stamp::Uptime(40_000), 9_000),
            (Time::Absolute(999_999_999_999), true)
        );
        assert_eq!(
            clock.place(1, Stamp::Uptime(10_000), 9_000),
            (Time::Absolute(999_999_969_999), true)
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
            (-1, -1_001, -1_002, -1_502)
        );
        assert_eq!(at(0, 0), -8_008, "older than the list");
    }

    #[test]
    fn what_an_earlier_boot_took_before_its_sync_lies_before_what_it_took_after() {
        const DAY: i64 = 86_400_000;
        const UTC: i64 = 1_000_000_000_000;
        let mut clock = Clock::new(4);
        // Boot 1 never had a time; boot 2 had one after two readings, and ran for days; boot 3 had none.
        clock.saw(1, Stamp::Uptime(60_000));
        clock.saw(2, Stamp::Uptime(0));
        clock.saw(2, Stamp::Uptime(60_000));
        clock.saw(2, Stamp::Utc(UTC));
        clock.saw(2, Stamp::Utc(UTC + 3 * DAY));
        clock.saw(3, Stamp::Uptime(0));
        clock.saw(3, Stamp::Uptime(1_000));
        let at = |clock: &Clock, boot, uptime| clock.place(boot, Stamp::Uptime(uptime), 0).0;
        // Without a time of its own: what the outbox knows is known, the rest is relative.
        assert_eq!(at(&clock, 2, 60_000), Time::Absolute(UTC - 1));
        assert_eq!(at(&clock, 2, 0), Time::Absolute(UTC - 60_001));
        assert_eq!(at(&clock, 1, 60_000), Time::Absolute(UTC - 60_002));
        assert_eq!(at(&clock, 3, 0), Time::Relative(-1_001));
        // With one, a week later.
        clock.sync(0, UTC + 7 * DAY, false);
        assert_eq!(at(&clock, 3, 1_000), Time::Absolute(UTC + 7 * DAY - 1));
        assert_eq!(at(&clock, 2, 60_000), Time::Absolute(UTC - 1));
        assert_eq!(at(&clock, 1, 60_000), Time::Absolute(UTC - 60_002));
        assert!(clock.place(1, Stamp::Uptime(0), 0).1, "estimated");
        // With a gateway whose clock was behind: never after now.
        let mut behind = Clock::new(4);
        behind.saw(2, Stamp::Uptime(0));
        behind.saw(2, Stamp::Utc(UTC));
        behind.sync(0, UTC - DAY, true);
        assert_eq!(at(&behind, 2, 0), Time::Absolute(UTC - DAY - 1));
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
