//! ROHM BH1750: light over I2C at 0x23.
//!
//! Its default measurement time saturates at 54.6 klx, half of what the sun gives: this driver always uses the shortest
//! (MTreg 31: up to 121.5 klx, steps of 1.9 lx). No crate is used: the well-kept ones fix the measurement time or the HAL.
//!
//! Source: BH1750FVI Technical Note (2011.11 Rev. D): commands on page 5, measurement time register on pages 11 and 12,
//! lx = counts / 1.2 x 69 / MTreg.

use embedded_hal::i2c::I2c;
use embedded_hal_async::delay::DelayNs;
use sen_node::Samples;
use sen_wire::{Channel, Decimal, Fault, Quantity};

use crate::{Probe, Wanted, i2c_fault, nth};

const ADDRESS: u8 = 0x23;
const POWER_ON: u8 = 0x01;
const ONE_TIME_HIGH_RESOLUTION: u8 = 0x20;
/// The shortest, in units of 1/69 of the usual one.
const MTREG: u8 = 31;
/// 180 ms at the usual measurement time, at most.
const CONVERSION_MS: u32 = 180 * MTREG as u32 / 69 + 5;

/// The probe.
#[derive(Debug)]
pub struct Bh1750<I, D> {
    i2c: I,
    delay: D,
    channel: Channel,
}

impl<I: I2c, D: DelayNs> Bh1750<I, D> {
    /// On a bus of its own or a shared one; `instance`: the how manyeth light probe of the board, from 1.
    pub fn new(i2c: I, delay: D, instance: u8) -> Self {
        Self {
            i2c,
            delay,
            channel: nth(Quantity::Light, instance),
        }
    }

    async fn read(&mut self) -> Result<Decimal, Fault> {
        for command in [
            POWER_ON,
            0x40 | MTREG >> 5,
            0x60 | MTREG & 0x1f,
            ONE_TIME_HIGH_RESOLUTION,
        ] {
            self.i2c.write(ADDRESS, &[command]).map_err(i2c_fault)?;
        }
        self.delay.delay_ms(CONVERSION_MS).await;
        let mut counts = [0; 2];
        self.i2c.read(ADDRESS, &mut counts).map_err(i2c_fault)?;
        match u16::from_be_bytes(counts) {
            u16::MAX => Err(Fault::Saturated),
            counts => {
                let (up, down) = (i64::from(counts) * 69 * 100, 12 * i64::from(MTREG));
                Ok(Decimal::new((up + down / 2) / down, -1))
            }
        }
    }
}

impl<I: I2c, D: DelayNs> Probe for Bh1750<I, D> {
    fn channels(&self, each: &mut dyn FnMut(Channel)) {
        each(self.channel);
    }

    async fn measure(&mut self, _: Wanted<'_>, samples: &mut Samples) {
        match self.read().await {
            Ok(lux) => samples.value(self.channel, lux),
            Err(fault) => samples.fault(self.channel, fault),
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
    use crate::testing::{NO_ANSWER, measured};

    fn after(counts: u16) -> std::string::String {
        let mut transactions: std::vec::Vec<_> = [0x01, 0x40, 0x7f, 0x20]
            .map(|command| Transaction::write(0x23, std::vec![command]))
            .into();
        transactions.push(Transaction::read(0x23, counts.to_be_bytes().to_vec()));
        let mut bus = Mock::new(&transactions);
        let got = measured(&mut Bh1750::new(bus.clone(), NoopDelay::new(), 1));
        bus.done();
        got.concat()
    }

    #[test]
    fn full_sun_fits_and_the_end_is_a_fault() {
        // The counts of the Technical Note's example (page 7), which are 28067 lx at MTreg 69.
        assert_eq!(after(0x8390), "light 62471");
        assert_eq!(after(0), "light 0");
        assert_eq!(after(65_534), "light 121555");
        assert_eq!(after(65_535), "light saturated");
    }

    #[test]
    fn no_answer_is_a_fault() {
        let mut bus = Mock::new(&[Transaction::write(0x23, std::vec![0x01]).with_error(NO_ANSWER)]);
        let got = measured(&mut Bh1750::new(bus.clone(), NoopDelay::new(), 2));
        assert_eq!(got, ["light_2 timeout"]);
        bus.done();
    }
}
