//! Probes of a Sen node, over embedded-hal 1.0: from a bus to a value in the channel's unit, a raw value for the node to
//! calibrate, or a [`Fault`]. `no_std`, no allocator, no `unsafe`, no chip.
//!
//! A probe is one file here and one [`Probe`]. It asks its bus, checks what came (checksum, range, values that mean "not
//! measured", values that never move) and says for each of its channels what came out: what is not sure is a fault, never a
//! value. The table of probes, faults and sources is in the crate's README.
//!
//! A board puts its probes side by side in a tuple, and that into a [`Board`], which is the node's `Probes`:
//!
//! ```
//! # use embedded_hal_mock::eh1::{delay::NoopDelay, i2c};
//! # use sen_drivers::{Board, Probe, bh1750::Bh1750, sht4x::Sht4x};
//! # use sen_node::{Probes, Samples};
//! # use sen_wire::{Channel, Fault, Quantity, Value};
//! # let refuse = |address, command: u8| {
//! #     let error = embedded_hal::i2c::ErrorKind::NoAcknowledge(embedded_hal::i2c::NoAcknowledgeSource::Address);
//! #     i2c::Mock::new(&[i2c::Transaction::write(address, vec![command]).with_error(error)])
//! # };
//! # let (bus_a, bus_b) = (refuse(0x44, 0xfd), refuse(0x23, 0x01));
//! # let (mut end_a, mut end_b) = (bus_a.clone(), bus_b.clone());
//! let air = Sht4x::new(bus_a, NoopDelay::new(), 1);
//! let light = Bh1750::new(bus_b, NoopDelay::new(), 1);
//! let mut board = Board::new((air, light));
//!
//! let mut samples = Samples::default();
//! # embassy_futures::block_on(async {
//! board.sample(&[Channel::first(Quantity::Light)], &mut samples).await;
//! # board.sample(&[Channel::first(Quantity::AirHumidity)], &mut samples).await;
//! # });
//! // Nothing is connected here, and that is what the node sends.
//! assert_eq!(samples.as_slice()[0].value, Value::Fault(Fault::Timeout));
//! # end_a.done();
//! # end_b.done();
//! ```
//!
//! I2C is taken as embedded-hal's blocking trait: the transfers take less than a millisecond, and it is what every driver
//! crate and bus-sharing crate has. What takes longer (conversions, UART) is awaited, so the link goes on meanwhile.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod analog;
pub mod battery;
pub mod bh1750;
pub mod bme280;
mod board;
pub mod ds18b20;
pub mod modbus;
pub mod rain;
pub mod sht4x;
pub mod soil_modbus;
mod stuck;
pub mod ultrasonic;

pub use board::Board;
pub use stuck::Stuck;

use embedded_hal::i2c::{Error, ErrorKind};
use sen_node::Samples;
use sen_wire::{Channel, Fault, Quantity};

/// A probe, or several that are measured together.
#[allow(
    async_fn_in_trait,
    reason = "used through generics only: no caller needs to name Send"
)]
pub trait Probe {
    /// Calls `each` for every channel that it measures.
    fn channels(&self, each: &mut dyn FnMut(Channel));

    /// Measures once, and says for each wanted channel of its own what came out.
    async fn measure(&mut self, wanted: Wanted<'_>, samples: &mut Samples);
}

/// The channels that the node wants: those named, or all if none is.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a>(pub &'a [Channel]);

impl Wanted<'_> {
    /// True if it is wanted.
    pub fn has(&self, channel: Channel) -> bool {
        self.0.is_empty() || self.0.contains(&channel)
    }

    /// True if one of the probe's channels is: else it need not be woken.
    pub fn any(&self, probe: &impl Probe) -> bool {
        let mut any = false;
        probe.channels(&mut |channel| any |= self.has(channel));
        any
    }

    /// The same fault for all wanted channels of a probe.
    pub fn fail(&self, probe: &impl Probe, fault: Fault, samples: &mut Samples) {
        probe.channels(&mut |channel| {
            if self.has(channel) {
                samples.fault(channel, fault);
            }
        });
    }
}

/// The channel of a quantity on a probe that is the `instance`th of its kind; the first if there is no such instance.
fn nth(quantity: Quantity, instance: u8) -> Channel {
    Channel::new(quantity, instance).unwrap_or(Channel::first(quantity))
}

/// What an error on the I2C bus says of the probe.
fn i2c_fault(error: impl Error) -> Fault {
    match error.kind() {
        ErrorKind::NoAcknowledge(_) => Fault::Timeout,
        // Someone holds a line down.
        ErrorKind::Bus | ErrorKind::ArbitrationLoss => Fault::ShortCircuit,
        _ => Fault::Other,
    }
}

#[cfg(test)]
mod testing;
