//! Analog probes on the four inputs of an ADS1115: capacitive soil moisture, DFRobot's pH, conductivity and oxygen boards.
//! What comes out is raw, in millivolts: the channel's calibration makes a value of it, with the temperature that it needs.
//!
//! Each input is the median of [`CONVERSIONS`] conversions, which takes single spikes out. An input that nothing is
//! connected to floats, so its conversions scatter; boards with a resistor of 1 MΩ to ground make it 0 as well.
//!
//! Source: TI SBAS444D: full scale and step sizes in table 3, one-shot conversions in section 9.4.2; DFRobot wiki of
//! SEN0161-V2, DFR0300 and SEN0237 for what the boards put out.

use ads1x1x::{Ads1x1x, DataRate16Bit, FullScaleRange, TargetAddr, channel, ic, mode};
use embedded_hal::i2c::I2c;
use embedded_hal_async::delay::DelayNs;
use sen_node::Samples;
use sen_wire::{Channel, Decimal, Fault, Quantity};

use crate::{Probe, Stuck, Wanted, i2c_fault, nth};

/// Conversions of an input in one sweep.
pub const CONVERSIONS: usize = 5;
/// At 128 a second, with the 10 % that its clock may be off.
const CONVERSION_MS: u32 = 9;
/// How often it is asked whether a conversion is over.
const TRIES: usize = 5;
/// Conversions of one sweep further apart than this come from a loose end, in steps of 1/8 mV.
const SCATTER: i32 = 150 * STEPS_PER_MV;
/// Of the range of 4.096 V.
const STEPS_PER_MV: i32 = 8;

/// An input of the converter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those on the board")]
pub enum Pin {
    A0,
    A1,
    A2,
    A3,
}

/// A probe on an input.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    pin: Pin,
    channel: Channel,
    /// Millivolts outside of which the probe or its wire is broken.
    sound: (i32, i32),
    /// Whether its raw value has to move.
    moves: bool,
    stuck: Stuck,
}

impl Input {
    /// Any analog probe, with the millivolts that it can put out: below, the wire is broken; above, it touches the supply.
    pub fn new(pin: Pin, channel: Channel, low_mv: u16, high_mv: u16) -> Self {
        Self {
            pin,
            channel,
            sound: (i32::from(low_mv), i32::from(high_mv)),
            moves: low_mv > 0,
            stuck: Stuck::default(),
        }
    }

    /// Capacitive soil probe v1.2 or v2.0: about 1 V in water to 3 V in air.
    pub fn soil_moisture(pin: Pin, instance: u8) -> Self {
        Self::new(pin, nth(Quantity::SoilMoisture, instance), 200, 3_300)
    }

    /// pH board with its pH 7 at 1.5 V: 0.15 V at pH 14 or more, 2.8 V at pH 0.
    pub fn ph(pin: Pin, instance: u8) -> Self {
        Self::new(pin, nth(Quantity::Ph, instance), 50, 3_300)
    }

    /// Conductivity board: 0 to 3.4 V, and 0 V in air, which is no fault.
    pub fn conductivity(pin: Pin, instance: u8) -> Self {
        Self::new(pin, nth(Quantity::Conductivity, instance), 0, 3_600)
    }

    /// Oxygen board: 0 to 3.0 V, and 0 V without oxygen, which is no fault.
    pub fn oxygen(pin: Pin, instance: u8) -> Self {
        Self::new(pin, nth(Quantity::DissolvedOxygen, instance), 0, 3_200)
    }
}

/// An ADS1115 with up to four probes.
pub struct Ads1115<I, D, const N: usize> {
    driver: Ads1x1x<I, ic::Ads1115, ic::Resolution16Bit, mode::OneShot>,
    delay: D,
    ready: bool,
    inputs: [Input; N],
}

impl<I: I2c, D: DelayNs, const N: usize> Ads1115<I, D, N> {
    /// At an address, which its pin ADDR selects: `TargetAddr::default()` is 0x48, ADDR at ground.
    pub fn new(i2c: I, delay: D, address: TargetAddr, inputs: [Input; N]) -> Self {
        Self {
            driver: Ads1x1x::new_ads1115(i2c, address),
            delay,
            ready: false,
            inputs,
        }
    }

    /// One conversion, in steps of 1/8 mV.
    async fn convert(&mut self, pin: Pin) -> Result<i32, Fault> {
        if !self.ready {
            self.driver
                .set_full_scale_range(FullScaleRange::Within4_096V)
                .and_then(|()| self.driver.set_data_rate(DataRate16Bit::Sps128))
                .map_err(fault)?;
            self.ready = true;
        }
        // The first asking starts it.
        for _ in 0..TRIES {
            let asked = match pin {
                Pin::A0 => self.driver.read(channel::SingleA0),
                Pin::A1 => self.driver.read(channel::SingleA1),
                Pin::A2 => self.driver.read(channel::SingleA2),
                Pin::A3 => self.driver.read(channel::SingleA3),
            };
            match asked {
                Ok(steps) => return Ok(i32::from(steps)),
                Err(nb::Error::WouldBlock) => self.delay.delay_ms(CONVERSION_MS).await,
                Err(nb::Error::Other(error)) => return Err(fault(error)),
            }
        }
        Err(Fault::Timeout)
    }

    async fn median(&mut self, pin: Pin) -> Result<i32, Fault> {
        let mut steps = [0; CONVERSIONS];
        for step in &mut steps {
            *step = self.convert(pin).await?;
        }
        steps.sort_unstable();
        // One spike at either end is what the median is for.
        if steps[CONVERSIONS - 2] - steps[1] > SCATTER {
            return Err(Fault::OpenCircuit);
        }
        Ok(steps[CONVERSIONS / 2])
    }
}

fn fault<E: embedded_hal::i2c::Error>(error: ads1x1x::Error<E>) -> Fault {
    match error {
        ads1x1x::Error::I2C(error) => i2c_fault(error),
        ads1x1x::Error::InvalidInputData => Fault::Other,
    }
}

impl Input {
    fn judge(&mut self, steps: i32) -> Result<Decimal, Fault> {
        let (low, high) = self.sound;
        if steps == i32::from(i16::MAX) {
            return Err(Fault::Saturated);
        }
        // A little below ground is the converter's own offset.
        if low > 0 && steps < low * STEPS_PER_MV || steps < -10 * STEPS_PER_MV {
            return Err(Fault::OpenCircuit);
        }
        if steps > high * STEPS_PER_MV {
            return Err(Fault::ShortCircuit);
        }
        if self.moves {
            self.stuck.check(steps)?;
        }
        Ok(Decimal::new(i64::from(steps) * 125, -3))
    }
}

impl<I: I2c, D: DelayNs, const N: usize> Probe for Ads1115<I, D, N> {
    fn channels(&self, each: &mut dyn FnMut(Channel)) {
        self.inputs.iter().for_each(|input| each(input.channel));
    }

    async fn measure(&mut self, wanted: Wanted<'_>, samples: &mut Samples) {
        for place in 0..N {
            let Some(Input { pin, channel, .. }) = self.inputs.get(place).copied() else {
                continue;
            };
            if !wanted.has(channel) {
                continue;
            }
            let median = self.median(pin).await;
            if median.is_err() {
                self.ready = false;
            }
            let judged = median.and_then(|steps| match self.inputs.get_mut(place) {
                Some(input) => input.judge(steps),
                None => Err(Fault::Other),
            });
            match judged {
                Ok(millivolts) => samples.raw(channel, millivolts),
                Err(fault) => samples.fault(channel, fault),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal_mock::eh1::{
        delay::NoopDelay,
        i2c::{Mock, Transaction},
    };
    use std::{string::String, vec, vec::Vec};

    use super::*;
    use crate::testing::{NO_ANSWER, measured};

    const AT: u8 = 0x48;
    /// Single-ended A0, 4.096 V, one-shot, 128 a second, comparator off: the datasheet's table 8.
    const A0: [u8; 2] = [0xc3, 0x83];
    const A1: [u8; 2] = [0xd3, 0x83];

    fn set_up() -> Vec<Transaction> {
        // The power-on value 0x8583 with 4.096 V; the crate sets one after the other.
        vec![
            Transaction::write(AT, vec![1, 0x83, 0x83]),
            Transaction::write(AT, vec![1, 0x83, 0x83]),
        ]
    }

    /// The bus traffic of one conversion, as the driver crate does it.
    fn conversion(config: [u8; 2], steps: i16) -> Vec<Transaction> {
        let idle = || Transaction::write_read(AT, vec![1], vec![0x80 | config[0], config[1]]);
        vec![
            idle(),
            Transaction::write(AT, vec![1, config[0], config[1]]),
            idle(),
            Transaction::write_read(AT, vec![0], steps.to_be_bytes().to_vec()),
        ]
    }

    fn after(input: Input, steps: [i16; CONVERSIONS]) -> String {
        let mut traffic = set_up();
        for step in steps {
            traffic.extend(conversion(A0, step));
        }
        let mut bus = Mock::new(&traffic);
        let mut probe = Ads1115::new(
            bus.clone(),
            NoopDelay::new(),
            TargetAddr::default(),
            [input],
        );
        let got = measured(&mut probe).concat();
        bus.done();
        got
    }

    #[test]
    fn is_the_median_in_millivolts() {
        let soil = Input::soil_moisture(Pin::A0, 1);
        assert_eq!(
            after(soil, [16_000, 16_004, 32_000, 15_990, 16_003]),
            "soil_moisture raw 2000.375",
            "one spike is nothing"
        );
        assert_eq!(
            after(Input::oxygen(Pin::A0, 1), [3; 5]),
            "dissolved_oxygen raw 0.375"
        );
        assert_eq!(
            after(Input::conductivity(Pin::A0, 2), [-16; 5]),
            "conductivity_2 raw -2"
        );
        assert_eq!(after(Input::ph(Pin::A0, 1), [12_000; 5]), "ph raw 1500");
    }

    #[test]
    fn broken_wires_are_faults() {
        let soil = Input::soil_moisture(Pin::A0, 1);
        for (steps, fault) in [
            ([8; 5], "open_circuit"),
            ([4_000, 9_000, 14_000, 2_000, 11_000], "open_circuit"),
            ([-400; 5], "open_circuit"),
            ([27_000; 5], "short_circuit"),
            ([i16::MAX; 5], "saturated"),
        ] {
            assert_eq!(after(soil, steps), std::format!("soil_moisture {fault}"));
        }
        assert_eq!(
            after(Input::oxygen(Pin::A0, 1), [26_000; 5]),
            "dissolved_oxygen short_circuit"
        );
    }

    #[test]
    fn a_converter_that_is_gone_or_never_done_is_a_timeout() {
        let both = [Input::soil_moisture(Pin::A0, 1), Input::ph(Pin::A1, 1)];
        let refused = Transaction::write(AT, vec![1, 0x83, 0x83]).with_error(NO_ANSWER);
        let mut bus = Mock::new(&[refused.clone(), refused]);
        let mut probe = Ads1115::new(bus.clone(), NoopDelay::new(), TargetAddr::default(), both);
        assert_eq!(
            measured(&mut probe),
            ["soil_moisture timeout", "ph timeout"]
        );
        bus.done();

        let busy = Transaction::write_read(AT, vec![1], vec![A0[0] & 0x7f, A0[1]]);
        let mut traffic = set_up();
        traffic.extend((0..TRIES).map(|_| busy.clone()));
        let mut bus = Mock::new(&traffic);
        let mut probe = Ads1115::new(
            bus.clone(),
            NoopDelay::new(),
            TargetAddr::default(),
            [both[0]],
        );
        assert_eq!(measured(&mut probe), ["soil_moisture timeout"]);
        bus.done();
    }

    #[test]
    fn inputs_are_measured_one_by_one_and_stuck_ones_found() {
        let mut traffic = set_up();
        for sweep in 0..=crate::stuck::SWEEPS {
            for (config, steps) in [(A0, 16_000), (A1, 12_000 + i16::from(sweep))] {
                for _ in 0..CONVERSIONS {
                    traffic.extend(conversion(config, steps));
                }
            }
        }
        let mut bus = Mock::new(&traffic);
        let both = [Input::soil_moisture(Pin::A0, 1), Input::ph(Pin::A1, 1)];
        let mut probe = Ads1115::new(bus.clone(), NoopDelay::new(), TargetAddr::default(), both);
        for _ in 0..crate::stuck::SWEEPS {
            assert_eq!(measured(&mut probe)[0], "soil_moisture raw 2000");
        }
        assert_eq!(measured(&mut probe), ["soil_moisture stuck", "ph raw 1503"]);
        bus.done();
    }
}
