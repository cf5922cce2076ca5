//! Sensirion SHT40, SHT41, SHT45: air temperature and humidity over I2C at 0x44.
//!
//! Source: Datasheet SHT4x, version 6.5 (2023): conversion in section 4.6, commands and 8.3 ms for a measurement of high
//! precision in sections 4.5 and 3.1, checksum in section 4.4.

use embedded_hal::{delay::DelayNs, i2c::I2c};
use sen_node::Samples;
use sen_wire::{Channel, Decimal, Fault, Quantity};
use sht4x::{Error, Precision};

use crate::{Probe, Stuck, Wanted, i2c_fault, nth};

/// The probe's own range, in thousandths of a degree.
const CELSIUS: core::ops::RangeInclusive<i64> = -40_000..=125_000;

/// The probe.
pub struct Sht4x<I, D> {
    driver: sht4x::Sht4x<I, D>,
    delay: D,
    channels: [Channel; 2],
    stuck: Stuck,
}

impl<I: I2c, D: DelayNs> Sht4x<I, D> {
    /// On a bus of its own or a shared one; `instance`: the how manyeth air probe of the board, from 1.
    pub fn new(i2c: I, delay: D, instance: u8) -> Self {
        Self {
            driver: sht4x::Sht4x::new(i2c),
            delay,
            channels: [Quantity::AirTemperature, Quantity::AirHumidity]
                .map(|quantity| nth(quantity, instance)),
            stuck: Stuck::default(),
        }
    }

    /// Thousandths of a degree, and of a per cent.
    fn read(&mut self) -> Result<(i64, i64), Fault> {
        let raw = self
            .driver
            .measure_raw(Precision::High, &mut self.delay)
            .map_err(|error| match error {
                Error::I2c(error) => i2c_fault(error),
                Error::Crc => Fault::Crc,
                _ => Fault::Other,
            })?;
        let (temperature, humidity) = (i64::from(raw.temperature), i64::from(raw.humidity));
        self.stuck
            .check((i32::from(raw.temperature)) << 15 ^ i32::from(raw.humidity))?;
        // Of both words, not one: dry air may well be at the end of the scale.
        if [0, 0xffff].contains(&temperature) && [0, 0xffff].contains(&humidity) {
            return Err(Fault::Saturated);
        }
        let celsius = (175_000 * temperature + 32_767) / 65_535 - 45_000;
        // The scale ends 6 % beyond both ends, to be cut (section 4.6).
        let percent = ((125_000 * humidity + 32_767) / 65_535 - 6_000).clamp(0, 100_000);
        if !CELSIUS.contains(&celsius) {
            return Err(Fault::OutOfRange);
        }
        Ok((celsius, percent))
    }
}

impl<I: I2c, D: DelayNs> Probe for Sht4x<I, D> {
    fn channels(&self, each: &mut dyn FnMut(Channel)) {
        self.channels.into_iter().for_each(each);
    }

    async fn measure(&mut self, wanted: Wanted<'_>, samples: &mut Samples) {
        let (celsius, percent) = match self.read() {
            Ok(read) => read,
            Err(fault) => return wanted.fail(self, fault, samples),
        };
        for (channel, thousandths) in self.channels.into_iter().zip([celsius, percent]) {
            if wanted.has(channel) {
                samples.value(channel, Decimal::new(thousandths, -3));
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

    use super::*;
    use crate::testing::{NO_ANSWER, measured, wanted};

    fn answer(words: [u8; 6]) -> [Transaction; 2] {
        [
            Transaction::write(0x44, std::vec![0xfd]),
            Transaction::read(0x44, words.to_vec()),
        ]
    }

    /// The words of the datasheet's checksum example (0xBEEF: 0x92) and a humid afternoon.
    fn after(transactions: &[Transaction]) -> std::vec::Vec<std::string::String> {
        let mut bus = Mock::new(transactions);
        let got = measured(&mut Sht4x::new(bus.clone(), NoopDelay::new(), 1));
        bus.done();
        got
    }

    #[test]
    fn values_are_those_of_the_datasheet() {
        // 0x6666: -45 + 175 x 0.4 = 25 °C; 0x8000: -6 + 125 / 2 = 56.5 %.
        assert_eq!(
            after(&answer([0x66, 0x66, 0x93, 0x80, 0x00, 0xa2])),
            ["air_temperature 25", "air_humidity 56.501"]
        );
        assert_eq!(
            after(&answer([0xbe, 0xef, 0x92, 0xff, 0xff, 0xac])),
            ["air_temperature 85.523", "air_humidity 100"],
            "119 % is cut"
        );
    }

    #[test]
    fn faults_are_no_values() {
        let both = |fault: &str| {
            ["air_temperature", "air_humidity"].map(|name| std::format!("{name} {fault}"))
        };
        assert_eq!(
            after(&answer([0x66, 0x66, 0x94, 0x80, 0x00, 0xa2])),
            both("crc")
        );
        assert_eq!(
            after(&[Transaction::write(0x44, std::vec![0xfd]).with_error(NO_ANSWER)]),
            both("timeout")
        );
        let held = embedded_hal::i2c::ErrorKind::ArbitrationLoss;
        assert_eq!(
            after(&[Transaction::write(0x44, std::vec![0xfd]).with_error(held)]),
            both("short_circuit")
        );
        assert_eq!(
            after(&answer([0xff, 0xff, 0xac, 0xff, 0xff, 0xac])),
            both("saturated")
        );
        assert_eq!(
            after(&answer([0x00, 0x00, 0x81, 0x80, 0x00, 0xa2])),
            both("out_of_range")
        );
    }

    #[test]
    fn the_same_for_six_hours_is_stuck() {
        let mut transactions = std::vec::Vec::new();
        for _ in 0..=crate::stuck::SWEEPS {
            transactions.extend(answer([0x66, 0x66, 0x93, 0x80, 0x00, 0xa2]));
        }
        let mut bus = Mock::new(&transactions);
        let mut probe = Sht4x::new(bus.clone(), NoopDelay::new(), 2);
        for _ in 0..crate::stuck::SWEEPS {
            assert_eq!(wanted(&mut probe, &["ah2"]), ["air_humidity_2 56.501"]);
        }
        assert_eq!(wanted(&mut probe, &["ah2"]), ["air_humidity_2 stuck"]);
        bus.done();
    }
}
