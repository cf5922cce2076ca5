//! The battery, through a divider and the microcontroller's own converter.
//!
//! embedded-hal 1.0 has no trait of converters: [`Adc`] is what a board implements, in a few lines over its HAL.

use sen_node::Samples;
use sen_wire::{Channel, Decimal, Fault, Quantity};

use crate::{Probe, Wanted};

/// A converter's input.
#[allow(
    async_fn_in_trait,
    reason = "used through generics only: no caller needs to name Send"
)]
pub trait Adc {
    /// Millivolts at the pin, calibrated as the chip offers it (ESP32-C3: curve fitting from eFuse, STM32: VREFINT).
    async fn millivolts(&mut self) -> Result<u16, Fault>;

    /// The most that it can give.
    fn full_scale_mv(&self) -> u16;
}

/// Conversions that a reading is the mean of, without the least and the greatest: radios pull the supply down for moments.
const CONVERSIONS: usize = 16;
/// Less at the pin than this is no battery that the node could run on: the divider is open.
const LEAST_MV: u32 = 50;

/// The battery.
#[derive(Debug)]
pub struct Battery<A> {
    adc: A,
    /// Ohms above and below the pin.
    divider: (u32, u32),
    last_mv: Option<u16>,
}

impl<A: Adc> Battery<A> {
    /// Channel [`Self::CHANNEL`] behind a divider of `upper` over `lower` ohms; (0, 1): none.
    pub fn new(adc: A, upper: u32, lower: u32) -> Self {
        Self {
            adc,
            divider: (upper, lower.max(1)),
            last_mv: None,
        }
    }

    /// What it measures.
    pub const CHANNEL: Channel = Channel::first(Quantity::BatteryVoltage);

    /// Millivolts when it was last measured, for the hello.
    pub fn last_mv(&self) -> Option<u16> {
        self.last_mv
    }

    async fn read(&mut self) -> Result<u16, Fault> {
        let mut conversions = [0; CONVERSIONS];
        for conversion in &mut conversions {
            *conversion = self.adc.millivolts().await?;
        }
        conversions.sort_unstable();
        let kept = conversions.get(1..CONVERSIONS - 1).unwrap_or_default();
        let sum: u32 = kept.iter().map(|mv| u32::from(*mv)).sum();
        let kept = kept.len() as u32;
        let at_pin = (sum + kept / 2) / kept;
        if conversions[CONVERSIONS / 2] >= self.adc.full_scale_mv() {
            return Err(Fault::Saturated);
        }
        if at_pin < LEAST_MV {
            return Err(Fault::OpenCircuit);
        }
        let (upper, lower) = self.divider;
        // From the sum, so that the mean's fraction is not multiplied up.
        let up = u64::from(sum) * (u64::from(upper) + u64::from(lower));
        let down = u64::from(kept) * u64::from(lower);
        u16::try_from((up + down / 2) / down)
            .ok()
            .filter(|mv| *mv <= 30_000)
            .ok_or(Fault::OutOfRange)
    }
}

impl<A: Adc> Probe for Battery<A> {
    fn channels(&self, each: &mut dyn FnMut(Channel)) {
        each(Self::CHANNEL);
    }

    async fn measure(&mut self, wanted: Wanted<'_>, samples: &mut Samples) {
        // Wanted or not: the hello tells it.
        let read = self.read().await;
        self.last_mv = read.ok();
        if wanted.has(Self::CHANNEL) {
            match read {
                Ok(mv) => samples.value(Self::CHANNEL, Decimal::new(i64::from(mv), -3)),
                Err(fault) => samples.fault(Self::CHANNEL, fault),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{string::String, vec::Vec};

    use super::*;
    use crate::testing::{measured, wanted};

    struct Values(Vec<u16>, usize);

    impl Adc for Values {
        async fn millivolts(&mut self) -> Result<u16, Fault> {
            self.1 += 1;
            self.0
                .get((self.1 - 1) % self.0.len().max(1))
                .copied()
                .ok_or(Fault::Timeout)
        }

        fn full_scale_mv(&self) -> u16 {
            2_500
        }
    }

    /// 100 kΩ over 100 kΩ.
    fn after(values: &[u16]) -> String {
        measured(&mut Battery::new(
            Values(values.to_vec(), 0),
            100_000,
            100_000,
        ))
        .concat()
    }

    #[test]
    fn is_a_mean_without_the_moments_of_the_radio() {
        assert_eq!(after(&[1_956]), "battery_voltage 3.912");
        let mut dip = [1_956; CONVERSIONS];
        dip[3] = 1_500;
        assert_eq!(after(&dip), "battery_voltage 3.912");
        assert_eq!(after(&[1_956, 1_957]), "battery_voltage 3.913");
        let mut lead = Battery::new(Values(std::vec![1_100], 0), 1_000_000, 100_000);
        assert_eq!(wanted(&mut lead, &["wt"]), [""; 0]);
        assert_eq!(lead.last_mv(), Some(12_100), "for the hello, wanted or not");
    }

    #[test]
    fn faults_are_no_values() {
        assert_eq!(after(&[2_500]), "battery_voltage saturated");
        assert_eq!(after(&[3]), "battery_voltage open_circuit");
        assert_eq!(after(&[]), "battery_voltage timeout");
        let mut wrong = Battery::new(Values(std::vec![2_400], 0), 100_000_000, 100_000);
        assert_eq!(measured(&mut wrong), ["battery_voltage out_of_range"]);
        assert_eq!(wrong.last_mv(), None);
    }
}
