//! Bosch BME280: air temperature, humidity and pressure over I2C at 0x76 or 0x77.
//!
//! Source: BST-BME280-DS001-23: ranges in section 1, compensation in section 8, output of a skipped measurement (0x80000,
//! 0x8000) in section 5.4.7. The BMP280, which many boards carry under the same name, has no humidity: its register stays at
//! 0, and that is a fault here.

use ::bme280::{Error, i2c::BME280};
use embedded_hal::{delay::DelayNs, i2c::I2c};
use sen_node::Samples;
use sen_wire::{Channel, Decimal, Fault, Quantity};

use crate::{Probe, Wanted, i2c_fault, nth};

/// The probe's ranges in hundredths. The driver cuts what lies outside to the end of the range, so the ends count as outside.
const CELSIUS: (i64, i64) = (-4_000, 8_500);
const HECTOPASCAL: (i64, i64) = (30_000, 110_000);

/// The probe.
pub struct Bme280<I, D> {
    driver: BME280<I>,
    delay: D,
    ready: bool,
    channels: [Channel; 3],
}

impl<I: I2c, D: DelayNs> Bme280<I, D> {
    /// At an address, 0x76 or 0x77; `instance`: the how manyeth air probe of the board, from 1.
    pub fn new(i2c: I, delay: D, address: u8, instance: u8) -> Self {
        Self {
            driver: BME280::new(i2c, address),
            delay,
            ready: false,
            channels: [
                Quantity::AirTemperature,
                Quantity::AirHumidity,
                Quantity::AirPressure,
            ]
            .map(|quantity| nth(quantity, instance)),
        }
    }

    /// Hundredths of a degree, of a per cent and of a hectopascal; each may fail for itself.
    fn read(&mut self) -> Result<[Result<i64, Fault>; 3], Fault> {
        // Its factory calibration is read at the first use and after each failure: it may have been plugged in since.
        if !self.ready {
            self.driver.init(&mut self.delay).map_err(fault)?;
            self.ready = true;
        }
        let measured = self.driver.measure(&mut self.delay).map_err(fault)?;
        let hundredths = |value: f32| (f64::from(value) * 100.0 + 0.5) as i64;
        let inside = |value: i64, (low, high): (i64, i64)| {
            if low < value && value < high {
                Ok(value)
            } else {
                Err(Fault::OutOfRange)
            }
        };
        let below_zero = i64::from(measured.temperature < 0.0);
        let celsius = hundredths(measured.temperature) - below_zero;
        Ok([
            inside(celsius, CELSIUS),
            // Exactly nothing is what a probe without humidity gives; real air is never that dry.
            inside(hundredths(measured.humidity), (0, 10_001)),
            inside(hundredths(measured.pressure / 100.0), HECTOPASCAL),
        ])
    }
}

fn fault<E: embedded_hal::i2c::Error>(error: Error<E>) -> Fault {
    match error {
        Error::Bus(error) => i2c_fault(error),
        Error::InvalidData | Error::CompensationFailed => Fault::OutOfRange,
        _ => Fault::Other,
    }
}

impl<I: I2c, D: DelayNs> Probe for Bme280<I, D> {
    fn channels(&self, each: &mut dyn FnMut(Channel)) {
        self.channels.into_iter().for_each(each);
    }

    async fn measure(&mut self, wanted: Wanted<'_>, samples: &mut Samples) {
        let values = match self.read() {
            Ok(values) => values,
            Err(fault) => {
                self.ready = false;
                return wanted.fail(self, fault, samples);
            }
        };
        for (channel, value) in self.channels.into_iter().zip(values) {
            if wanted.has(channel) {
                match value {
                    Ok(hundredths) => samples.value(channel, Decimal::new(hundredths, -2)),
                    Err(fault) => samples.fault(channel, fault),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal::i2c::{ErrorKind, ErrorType, Operation};
    use embedded_hal_mock::eh1::delay::NoopDelay;

    use super::*;
    use crate::testing::{NO_ANSWER, measured};

    /// The chip's registers.
    struct Chip {
        registers: [u8; 256],
        error: Option<ErrorKind>,
    }

    impl ErrorType for &mut Chip {
        type Error = ErrorKind;
    }

    impl I2c for &mut Chip {
        fn transaction(
            &mut self,
            address: u8,
            operations: &mut [Operation<'_>],
        ) -> Result<(), ErrorKind> {
            assert_eq!(address, 0x76);
            if let Some(error) = self.error {
                return Err(error);
            }
            let mut register = 0;
            for operation in operations {
                match operation {
                    Operation::Write([at]) => register = usize::from(*at),
                    // A soft reset, or a measurement that is over at once.
                    Operation::Write([_, _]) => {}
                    Operation::Write(other) => panic!("{other:x?}"),
                    Operation::Read(into) => {
                        into.copy_from_slice(&self.registers[register..][..into.len()]);
                    }
                }
            }
            Ok(())
        }
    }

    /// The example of section 3.12 of the BMP280's datasheet (BST-BMP280-DS001), whose formulas the BME280 shares:
    /// 25.08 °C, 100653.27 Pa. Humidity with typical factors, 55.865 % by the formulas in double precision.
    fn chip() -> Chip {
        let mut registers = [0; 256];
        registers[0xd0] = 0x60;
        let factors: [i32; 12] = [
            27_504, 26_435, -1_000, 36_477, -10_685, 3_024, 2_855, 140, -7, 15_500, -14_600, 6_000,
        ];
        for (place, factor) in factors.into_iter().enumerate() {
            registers[0x88 + 2 * place..][..2].copy_from_slice(&(factor as u16).to_le_bytes());
        }
        // H1 75, H2 363, H3 0, H4 311, H5 50, H6 30.
        registers[0xa1] = 75;
        registers[0xe1..0xe8].copy_from_slice(&[0x6b, 0x01, 0x00, 0x13, 0x27, 0x03, 0x1e]);
        // Pressure 415148, temperature 519888, humidity 30000.
        registers[0xf7..0xff].copy_from_slice(&[0x65, 0x5a, 0xc0, 0x7e, 0xed, 0x00, 0x75, 0x30]);
        Chip {
            registers,
            error: None,
        }
    }

    fn after(change: impl FnOnce(&mut Chip)) -> std::string::String {
        let mut chip = chip();
        change(&mut chip);
        measured(&mut Bme280::new(&mut chip, NoopDelay::new(), 0x76, 1)).join(" ")
    }

    #[test]
    fn values_are_those_of_the_datasheet() {
        assert_eq!(
            after(|_| {}),
            "air_temperature 25.08 air_humidity 55.87 air_pressure 1006.53"
        );
    }

    #[test]
    fn faults_are_no_values() {
        let all = |fault| {
            ["air_temperature", "air_humidity", "air_pressure"]
                .map(|name| std::format!("{name} {fault}"))
                .join(" ")
        };
        assert_eq!(after(|chip| chip.error = Some(NO_ANSWER)), all("timeout"));
        assert_eq!(
            after(|chip| chip.error = Some(ErrorKind::Bus)),
            all("short_circuit")
        );
        assert_eq!(
            after(|chip| chip.registers[0xd0] = 0x55),
            all("other"),
            "another chip"
        );
        assert!(
            after(|chip| chip.registers[0xfd..0xff].fill(0))
                .contains("air_humidity out_of_range air_pressure 1006.53"),
            "no humidity: a BMP280"
        );
        assert!(
            after(|chip| chip.registers[0xfa..0xfd].copy_from_slice(&[0xff; 3]))
                .starts_with("air_temperature out_of_range")
        );
    }

    #[test]
    fn comes_back_when_it_is_plugged_in_again() {
        let chip = core::cell::RefCell::new(chip());
        struct Shared<'a>(&'a core::cell::RefCell<Chip>);
        impl ErrorType for Shared<'_> {
            type Error = ErrorKind;
        }
        impl I2c for Shared<'_> {
            fn transaction(
                &mut self,
                address: u8,
                operations: &mut [Operation<'_>],
            ) -> Result<(), ErrorKind> {
                (&mut *self.0.borrow_mut()).transaction(address, operations)
            }
        }
        let mut probe = Bme280::new(Shared(&chip), NoopDelay::new(), 0x76, 1);
        assert!(measured(&mut probe).concat().contains("25.08"));
        chip.borrow_mut().error = Some(NO_ANSWER);
        assert!(measured(&mut probe).concat().contains("timeout"));
        chip.borrow_mut().error = None;
        assert!(measured(&mut probe).concat().contains("25.08"));
    }
}
