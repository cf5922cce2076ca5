//! What the optimiser must not know: bytes, numbers, and devices that answer with anything, or with an error, or later.

use core::{convert::Infallible, future::poll_fn, hint::black_box, task::Poll};

use embedded_hal::{
    digital::OutputPin,
    i2c::{self, I2c, Operation, SevenBitAddress},
};
use embedded_io_async::{Read, Write};
use embedded_storage_async::nor_flash::{
    self, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};
use onewire::OpenDrainOutput;
use sen_drivers::battery::Adc;
use sen_node::{Link, Timer};
use sen_wire::{Fault, topic::Kind};

/// Any bytes.
pub(crate) fn bytes() -> &'static [u8] {
    black_box(&[])
}

/// Any text.
pub(crate) fn text() -> &'static str {
    black_box("")
}

/// Any value of its type.
pub(crate) fn any<T: Copy>(value: T) -> T {
    black_box(value)
}

/// Keeps what was worked out from being left out.
pub(crate) fn keep<T>(value: T) {
    black_box(value);
}

fn fill(buffer: &mut [u8]) {
    black_box(buffer);
}

async fn later() {
    poll_fn(|_| match any(true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// A bus, a flash, a wire, a timer, a connection.
pub(crate) struct Device;

#[derive(Debug)]
pub(crate) struct Failure;

fn result() -> Result<(), Failure> {
    any(true).then_some(()).ok_or(Failure)
}

impl i2c::ErrorType for Device {
    type Error = i2c::ErrorKind;
}

impl I2c for Device {
    fn transaction(
        &mut self,
        _: SevenBitAddress,
        operations: &mut [Operation<'_>],
    ) -> Result<(), i2c::ErrorKind> {
        for operation in operations {
            if let Operation::Read(buffer) = operation {
                fill(buffer);
            }
        }
        any(Ok(()))
    }
}

impl embedded_hal::delay::DelayNs for Device {
    fn delay_ns(&mut self, ns: u32) {
        keep(ns);
    }
}

impl embedded_hal_async::delay::DelayNs for Device {
    async fn delay_ns(&mut self, _: u32) {
        later().await;
    }
}

impl embedded_hal::digital::ErrorType for Device {
    type Error = Infallible;
}

impl OutputPin for Device {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl embedded_hal_async::digital::Wait for Device {
    async fn wait_for_high(&mut self) -> Result<(), Infallible> {
        later().await;
        Ok(())
    }

    async fn wait_for_low(&mut self) -> Result<(), Infallible> {
        later().await;
        Ok(())
    }

    async fn wait_for_rising_edge(&mut self) -> Result<(), Infallible> {
        later().await;
        Ok(())
    }

    async fn wait_for_falling_edge(&mut self) -> Result<(), Infallible> {
        later().await;
        Ok(())
    }

    async fn wait_for_any_edge(&mut self) -> Result<(), Infallible> {
        later().await;
        Ok(())
    }
}

impl OpenDrainOutput for Device {
    type Error = Failure;

    fn is_high(&mut self) -> Result<bool, Failure> {
        result().map(|()| any(true))
    }

    fn is_low(&mut self) -> Result<bool, Failure> {
        result().map(|()| any(true))
    }

    fn set_low(&mut self) -> Result<(), Failure> {
        result()
    }

    fn set_high(&mut self) -> Result<(), Failure> {
        result()
    }
}

impl core::fmt::Display for Failure {
    fn fmt(&self, _: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        Ok(())
    }
}

impl core::error::Error for Failure {}

impl embedded_io_async::Error for Failure {
    fn kind(&self) -> embedded_io_async::ErrorKind {
        embedded_io_async::ErrorKind::Other
    }
}

impl embedded_io_async::ErrorType for Device {
    type Error = Failure;
}

impl Read for Device {
    /// Says any length, also one that is longer than the buffer: a driver of a UART may be wrong too.
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        later().await;
        fill(buffer);
        result().map(|()| any(1))
    }
}

impl Write for Device {
    async fn write(&mut self, buffer: &[u8]) -> Result<usize, Failure> {
        later().await;
        // `write_all` panics if this is 0 or greater, as its documentation says; neither comes from outside.
        result().map(|()| any(1).clamp(1, buffer.len().max(1)))
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        later().await;
        result()
    }
}

impl NorFlashError for Failure {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl nor_flash::ErrorType for Device {
    type Error = Failure;
}

impl ReadNorFlash for Device {
    const READ_SIZE: usize = 4;

    async fn read(&mut self, _: u32, buffer: &mut [u8]) -> Result<(), Failure> {
        later().await;
        fill(buffer);
        result()
    }

    fn capacity(&self) -> usize {
        any(1 << 20)
    }
}

impl NorFlash for Device {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    async fn erase(&mut self, _: u32, _: u32) -> Result<(), Failure> {
        later().await;
        result()
    }

    async fn write(&mut self, _: u32, bytes: &[u8]) -> Result<(), Failure> {
        later().await;
        keep(bytes);
        result()
    }
}

impl Adc for Device {
    async fn millivolts(&mut self) -> Result<u16, Fault> {
        later().await;
        any(Ok(1))
    }

    fn full_scale_mv(&self) -> u16 {
        any(1)
    }
}

impl Link for Device {
    type Error = Failure;

    async fn connect(&mut self) -> Result<(), Failure> {
        later().await;
        result()
    }

    async fn publish(&mut self, kind: Kind, payload: &[u8]) -> Result<(), Failure> {
        later().await;
        keep((kind, payload));
        result()
    }

    async fn receive(&mut self, buffer: &mut [u8]) -> Result<(Kind, usize), Failure> {
        later().await;
        fill(buffer);
        result().map(|()| (any(Kind::Receipt), any(1)))
    }

    fn rssi_dbm(&self) -> Option<i16> {
        any(None)
    }
}

impl Timer for Device {
    fn uptime_ms(&self) -> u64 {
        any(1)
    }

    async fn sleep_until(&mut self, _: u64) {
        later().await;
    }
}
