//! Tipping-bucket rain gauge: a reed contact that closes for some 100 ms at each tip.
//!
//! Tips are counted by a task of the board that waits for edges, [`count_tips`]; the probe says how much fell since the last
//! sweep. A contact bounces for a few milliseconds, and a bucket can't tip twice within [`DEAD_MS`]: closings in between are
//! the same tip. A contact that stays closed is a magnet that has come to rest at the reed, or a wet cable.
//!
//! Source: Misol WH-SP-RG and Davis 7852M manuals: 0.2794 mm and 0.2 mm a tip.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use embassy_futures::select::{Either, select};
use embedded_hal_async::{delay::DelayNs, digital::Wait};
use sen_node::Samples;
use sen_wire::{Channel, Decimal, Fault, Quantity};

use crate::{Probe, Wanted, nth};

/// Shortest time between two tips: 0.2794 mm each 150 ms would be 6.7 m an hour.
pub const DEAD_MS: u32 = 150;
/// A contact that has been closed for so long does not open by itself.
const CLOSED_MS: u32 = 5_000;
/// More than the plausible range of the quantity in one sweep.
const MOST_MM: i64 = 200;

/// The count that a task and the probe share. Put it in a `static`.
#[derive(Debug, Default)]
pub struct Tips {
    // One writer, so load and store do: RISC-V without atomic instructions (ESP32-C3) has no more.
    count: AtomicU32,
    closed: AtomicBool,
}

impl Tips {
    /// None yet.
    pub const fn new() -> Self {
        Self {
            count: AtomicU32::new(0),
            closed: AtomicBool::new(false),
        }
    }

    fn tip(&self) {
        self.count
            .store(self.count.load(Relaxed).wrapping_add(1), Relaxed);
    }
}

/// Counts for ever, on a pin that the contact pulls to ground (with a pull-up). Run it as a task of its own.
pub async fn count_tips(tips: &Tips, pin: &mut impl Wait, delay: &mut impl DelayNs) -> ! {
    loop {
        // A pin that can't be waited for would spin: a pause keeps the rest alive.
        if pin.wait_for_low().await.is_err() {
            delay.delay_ms(DEAD_MS).await;
            continue;
        }
        tips.tip();
        delay.delay_ms(DEAD_MS).await;
        while let Either::Second(()) = select(pin.wait_for_high(), delay.delay_ms(CLOSED_MS)).await
        {
            tips.closed.store(true, Relaxed);
        }
        tips.closed.store(false, Relaxed);
        // The bounce of opening.
        delay.delay_ms(DEAD_MS / 3).await;
    }
}

/// The gauge.
#[derive(Debug)]
pub struct RainGauge<'a> {
    tips: &'a Tips,
    per_tip: Decimal,
    last: u32,
    channel: Channel,
}

impl<'a> RainGauge<'a> {
    /// `per_tip`: millimetres a tip, mostly 0.2794 or 0.2.
    pub fn new(tips: &'a Tips, per_tip: Decimal, instance: u8) -> Self {
        Self {
            tips,
            per_tip,
            last: tips.count.load(Relaxed),
            channel: nth(Quantity::Rain, instance),
        }
    }

    fn read(&mut self) -> Result<Decimal, Fault> {
        let count = self.tips.count.load(Relaxed);
        let fallen = i64::from(count.wrapping_sub(self.last));
        self.last = count;
        if self.tips.closed.load(Relaxed) {
            return Err(Fault::ShortCircuit);
        }
        let mantissa = fallen.checked_mul(self.per_tip.mantissa());
        let rain = mantissa.map(|mantissa| Decimal::new(mantissa, self.per_tip.exponent()));
        rain.filter(|rain| *rain <= Decimal::from(MOST_MM))
            .ok_or(Fault::OutOfRange)
    }
}

impl Probe for RainGauge<'_> {
    fn channels(&self, each: &mut dyn FnMut(Channel)) {
        each(self.channel);
    }

    async fn measure(&mut self, _: Wanted<'_>, samples: &mut Samples) {
        match self.read() {
            Ok(millimetres) => samples.value(self.channel, millimetres),
            Err(fault) => samples.fault(self.channel, fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::{cell::Cell, convert::Infallible, future::poll_fn, task::Poll};

    use embassy_futures::{block_on, yield_now};

    use super::*;
    use crate::testing::measured;

    /// A contact that closes and opens at these milliseconds, beginning with open.
    struct Contact<'a>(&'a Cell<u64>, &'a [u64]);

    impl Contact<'_> {
        fn is_closed(&self) -> bool {
            self.1.iter().filter(|edge| **edge <= self.0.get()).count() % 2 == 1
        }

        async fn wait(&self, closed: bool) -> Result<(), Infallible> {
            poll_fn(|_| match self.is_closed() == closed {
                true => Poll::Ready(Ok(())),
                false => Poll::Pending,
            })
            .await
        }
    }

    impl embedded_hal::digital::ErrorType for Contact<'_> {
        type Error = Infallible;
    }

    impl Wait for Contact<'_> {
        async fn wait_for_high(&mut self) -> Result<(), Infallible> {
            self.wait(false).await
        }

        async fn wait_for_low(&mut self) -> Result<(), Infallible> {
            self.wait(true).await
        }

        async fn wait_for_rising_edge(&mut self) -> Result<(), Infallible> {
            unreachable!("not used")
        }

        async fn wait_for_falling_edge(&mut self) -> Result<(), Infallible> {
            unreachable!("not used")
        }

        async fn wait_for_any_edge(&mut self) -> Result<(), Infallible> {
            unreachable!("not used")
        }
    }

    struct Clock<'a>(&'a Cell<u64>);

    impl DelayNs for Clock<'_> {
        async fn delay_ns(&mut self, ns: u32) {
            let until = self.0.get() + u64::from(ns) / 1_000_000;
            while self.0.get() < until {
                yield_now().await;
            }
        }

        async fn delay_ms(&mut self, ms: u32) {
            let until = self.0.get() + u64::from(ms);
            while self.0.get() < until {
                yield_now().await;
            }
        }
    }

    /// Lets the contact do what it does for ten seconds.
    fn count(tips: &Tips, edges: &[u64]) {
        let now = Cell::new(0);
        let mut contact = Contact(&now, edges);
        let mut clock = Clock(&now);
        let time = async {
            while now.get() < 10_000 {
                now.set(now.get() + 1);
                yield_now().await;
            }
        };
        block_on(select(count_tips(tips, &mut contact, &mut clock), time));
    }

    fn gauge(tips: &Tips) -> RainGauge<'_> {
        RainGauge::new(tips, Decimal::new(2_794, -4), 1)
    }

    #[test]
    fn a_tip_that_bounces_is_one_tip() {
        let tips = Tips::new();
        let mut gauge = gauge(&tips);
        count(
            &tips,
            &[
                100, 102, 103, 107, 110, 200, 202, 204, 1_000, 1_090, 5_000, 5_100,
            ],
        );
        assert_eq!(measured(&mut gauge), ["rain 0.8382"]);
        assert_eq!(measured(&mut gauge), ["rain 0"], "since the last sweep");
        count(&tips, &[]);
        assert_eq!(measured(&mut gauge), ["rain 0"]);
    }

    #[test]
    fn a_contact_that_stays_closed_and_a_count_that_can_not_be_are_faults() {
        let tips = Tips::new();
        let mut gauge = gauge(&tips);
        count(&tips, &[100]);
        assert_eq!(measured(&mut gauge), ["rain short_circuit"]);
        for _ in 0..1_000 {
            tips.tip();
        }
        tips.closed.store(false, Relaxed);
        assert_eq!(measured(&mut gauge), ["rain out_of_range"]);
        for _ in 0..700 {
            tips.tip();
        }
        assert_eq!(measured(&mut gauge), ["rain 195.58"]);
    }
}
