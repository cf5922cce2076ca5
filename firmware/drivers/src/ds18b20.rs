//! DS18B20: temperature of water, soil or air, several on one wire.
//!
//! Source: Maxim 19-7487 rev 6: power-on value of 85 °C on page 6, scratchpad and checksum on pages 8 and 9, conversion
//! times on page 9. What the wire does is the crate `onewire`'s; the scratchpad is read here, since a wire that is held down
//! gives nine zeros, whose checksum is right.

use embedded_hal::delay::DelayNs as BlockingDelay;
use embedded_hal_async::delay::DelayNs;
use onewire::{Device, DeviceSearch, Error, OneWire, OpenDrainOutput, ds18b20};
use sen_node::Samples;
use sen_wire::{Channel, Decimal, Fault};

use crate::{Probe, Wanted};

/// At 12 bits.
const CONVERSION_MS: u32 = 750;
/// 85 °C in sixteenths: what the scratchpad holds before the first conversion. No field is that hot.
const POWER_ON: i16 = 85 * 16;
/// The probe's own range, in sixteenths of a degree.
const RANGE: core::ops::RangeInclusive<i16> = -55 * 16..=125 * 16;

/// A wire with up to `N` probes, each with its channel.
pub struct Ds18b20<P: OpenDrainOutput, D, const N: usize> {
    wire: OneWire<P>,
    delay: D,
    probes: [(Device, Channel); N],
}

impl<P: OpenDrainOutput, D: BlockingDelay + DelayNs, const N: usize> Ds18b20<P, D, N> {
    /// On an open-drain pin with 4.7 kΩ to the supply. Addresses are printed nowhere: [`discover`] finds them.
    pub fn new(pin: P, delay: D, probes: [(Device, Channel); N]) -> Self {
        Self {
            wire: wire(pin),
            delay,
            probes,
        }
    }

    /// Someone is on the wire.
    fn presence(&mut self) -> Result<(), Fault> {
        match self.wire.reset(&mut self.delay) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Fault::OpenCircuit),
            Err(error) => Err(fault(error)),
        }
    }

    fn read(&mut self, device: &Device) -> Result<Decimal, Fault> {
        let mut scratchpad = [0; 9];
        self.wire
            .reset_select_write_read(
                &mut self.delay,
                device,
                &[ds18b20::Command::ReadScratchpad as u8],
                &mut scratchpad,
            )
            .map_err(fault)?;
        if scratchpad == [0xff; 9] {
            return Err(Fault::Timeout);
        }
        if scratchpad == [0; 9] {
            return Err(Fault::ShortCircuit);
        }
        onewire::ensure_correct_rcr8::<core::convert::Infallible>(
            device,
            &scratchpad[..8],
            scratchpad[8],
        )
        .map_err(|_| Fault::Crc)?;
        match i16::from_le_bytes([scratchpad[0], scratchpad[1]]) {
            POWER_ON => Err(Fault::PowerOnValue),
            sixteenths if RANGE.contains(&sixteenths) => {
                Ok(Decimal::new(i64::from(sixteenths) * 625, -4))
            }
            _ => Err(Fault::OutOfRange),
        }
    }
}

fn fault<E: core::fmt::Debug>(error: Error<E>) -> Fault {
    match error {
        Error::WireNotHigh => Fault::ShortCircuit,
        Error::CrcMismatch { .. } => Fault::Crc,
        _ => Fault::Other,
    }
}

/// `onewire` 0.4 "disables parasite mode" after each write by pulling the wire low, which on an open-drain pin is one edge too
/// many: the probe takes it for a slot. Saying that the probes are parasites leaves that out; nothing else hangs on it.
pub fn wire<P: OpenDrainOutput>(pin: P) -> OneWire<P> {
    OneWire::new(pin, true)
}

/// The addresses of the probes on a [`wire`], up to eight, in the order of their numbers: for setting a board up.
pub fn discover<P: OpenDrainOutput>(
    wire: &mut OneWire<P>,
    delay: &mut impl BlockingDelay,
) -> Result<heapless::Vec<Device, 8>, Fault> {
    let mut search = DeviceSearch::new_for_family(ds18b20::FAMILY_CODE);
    let mut found = heapless::Vec::new();
    while let Some(device) = wire.search_next(&mut search, delay).map_err(fault)? {
        if device.family_code() != ds18b20::FAMILY_CODE || found.push(device).is_err() {
            break;
        }
    }
    Ok(found)
}

impl<P: OpenDrainOutput, D: BlockingDelay + DelayNs, const N: usize> Probe for Ds18b20<P, D, N> {
    fn channels(&self, each: &mut dyn FnMut(Channel)) {
        self.probes.iter().for_each(|(_, channel)| each(*channel));
    }

    async fn measure(&mut self, wanted: Wanted<'_>, samples: &mut Samples) {
        if let Err(fault) = self.presence() {
            return wanted.fail(self, fault, samples);
        }
        for (device, channel) in &self.probes {
            if wanted.has(*channel) {
                // One that does not hear this has its old value or none: the read tells.
                let _ = self.wire.reset_select_write_only(
                    &mut self.delay,
                    device,
                    &[ds18b20::Command::Convert as u8],
                );
            }
        }
        // The crate leaves the wire low after a command; a reset ends with it high.
        let _ = self.wire.reset(&mut self.delay);
        DelayNs::delay_ms(&mut self.delay, CONVERSION_MS).await;
        for place in 0..N {
            let Some((device, channel)) = self.probes.get(place).map(|(device, channel)| {
                let address = device.address;
                (Device { address }, *channel)
            }) else {
                continue;
            };
            if wanted.has(channel) {
                match self.read(&device) {
                    Ok(celsius) => samples.value(channel, celsius),
                    Err(fault) => samples.fault(channel, fault),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
