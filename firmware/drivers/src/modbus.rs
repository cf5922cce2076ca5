//! Modbus RTU over a UART and an RS-485 transceiver: reads holding registers, of one probe at a time.
//!
//! Frames and checksum are the crate `rmodbus`'s. Source: Modbus over serial line, V1.02, sections 2.5.1 (frames) and 2.5.2.1
//! (checksum).

use embassy_futures::select::{Either, select};
use embedded_hal::digital::OutputPin;
use embedded_hal_async::delay::DelayNs;
use embedded_io_async::{Read, Write};
use rmodbus::{ErrorKind, ModbusProto, client::ModbusRequest};
use sen_wire::Fault;

/// Most registers in one request.
pub const MAX_REGISTERS: usize = 8;
/// Address, function, length, registers, checksum.
const MAX_FRAME: usize = 5 + 2 * MAX_REGISTERS;
/// How long a probe may think, and how long a frame may pause.
const ANSWER_MS: u32 = 500;
const PAUSE_MS: u32 = 30;
/// How often a request is sent: probes miss the first one when they have slept, cables of 20 m spoil one now and then.
const TRIES: usize = 3;

/// The registers read.
pub type Registers = heapless::Vec<u16, MAX_REGISTERS>;

/// A transceiver that switches its direction by itself.
#[derive(Clone, Copy, Debug)]
pub struct AutoDirection;

impl embedded_hal::digital::ErrorType for AutoDirection {
    type Error = core::convert::Infallible;
}

impl OutputPin for AutoDirection {
    fn set_low(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// The bus.
#[derive(Debug)]
pub struct Modbus<U, D, P = AutoDirection> {
    uart: U,
    delay: D,
    driver_enable: P,
}

impl<U: Read + Write, D: DelayNs> Modbus<U, D> {
    /// Over a UART that is set up as the probe wants it, through a transceiver that switches by itself.
    pub fn new(uart: U, delay: D) -> Self {
        Self::with_driver_enable(uart, delay, AutoDirection)
    }
}

impl<U: Read + Write, D: DelayNs, P: OutputPin> Modbus<U, D, P> {
    /// The same with a pin that is high while the node sends.
    pub fn with_driver_enable(uart: U, delay: D, driver_enable: P) -> Self {
        Self {
            uart,
            delay,
            driver_enable,
        }
    }

    /// Reads `count` registers from `first` on.
    pub async fn read(&mut self, unit: u8, first: u16, count: u16) -> Result<Registers, Fault> {
        let mut last = Fault::Timeout;
        for _ in 0..TRIES {
            match self.try_read(unit, first, count).await {
                Ok(registers) => return Ok(registers),
                // It has understood and won't.
                Err(Fault::Other) => return Err(Fault::Other),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    async fn try_read(&mut self, unit: u8, first: u16, count: u16) -> Result<Registers, Fault> {
        let mut request = ModbusRequest::new(unit, ModbusProto::Rtu);
        let mut frame = heapless::Vec::<u8, 8>::new();
        request
            .generate_get_holdings(first, count, &mut frame)
            .map_err(|_| Fault::Other)?;
        // What lies there is an answer that came too late.
        let mut answer = [0; MAX_FRAME];
        while self.receive(&mut answer, PAUSE_MS).await? > 0 {}
        self.send(&frame).await?;

        let whole = (5 + 2 * usize::from(count)).min(MAX_FRAME);
        let mut length = 0;
        let mut patience = ANSWER_MS;
        while length < whole {
            let got = self.receive(&mut answer[length..whole], patience).await?;
            if got == 0 {
                break;
            }
            length += got;
            patience = PAUSE_MS;
        }
        let answer = &answer[..length];
        if answer.is_empty() {
            return Err(Fault::Timeout);
        }
        request.parse_ok(answer).map_err(|error| match error {
            // Cut short, or from another.
            ErrorKind::FrameBroken | ErrorKind::FrameCRCError => Fault::Crc,
            _ => Fault::Other,
        })?;
        let bytes = answer.get(3..length - 2).unwrap_or_default();
        if bytes.len() != 2 * usize::from(count) || answer.get(2) != Some(&(bytes.len() as u8)) {
            return Err(Fault::Crc);
        }
        Ok(bytes
            .chunks_exact(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
            .collect())
    }

    async fn send(&mut self, frame: &[u8]) -> Result<(), Fault> {
        self.driver_enable.set_high().map_err(|_| Fault::Other)?;
        let sent = match self.uart.write_all(frame).await {
            // Until the last stop bit is out: then the line is the probe's.
            Ok(()) => self.uart.flush().await,
            error => error,
        };
        self.driver_enable.set_low().map_err(|_| Fault::Other)?;
        sent.map_err(|_| Fault::Other)
    }

    /// How many bytes came within the time.
    async fn receive(&mut self, into: &mut [u8], patience_ms: u32) -> Result<usize, Fault> {
        match select(self.uart.read(into), self.delay.delay_ms(patience_ms)).await {
            Either::First(Ok(length)) => Ok(length),
            // A byte without its stop bit and the like.
            Either::First(Err(_)) => Err(Fault::Crc),
            Either::Second(()) => Ok(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use embassy_futures::block_on;
    use embedded_hal_mock::eh1::{
        delay::NoopDelay,
        digital::{Mock, State, Transaction},
    };

    use super::*;
    use crate::testing::Wire;

    /// Two registers, 0x0292 and 0xff9b, of unit 1: the usual example of soil probes' manuals.
    const GOOD: &[u8] = &[0x01, 0x03, 0x04, 0x02, 0x92, 0xff, 0x9b, 0x5a, 0x3d];

    fn read(bursts: &[&[u8]]) -> (Result<Registers, Fault>, std::vec::Vec<u8>) {
        let mut bus = Modbus::new(Wire::of(bursts), NoopDelay::new());
        let got = block_on(bus.read(1, 0, 2));
        (got, bus.uart.written)
    }

    #[test]
    fn reads_an_answer_in_pieces_and_drops_what_came_too_late() {
        let wanted: Registers = [0x0292, 0xff9b].into_iter().collect();
        let (got, written) = read(&[&[], GOOD]);
        assert_eq!(got, Ok(wanted.clone()));
        assert_eq!(written, [0x01, 0x03, 0x00, 0x00, 0x00, 0x02, 0xc4, 0x0b]);
        assert_eq!(read(&[&[0x01, 0x03, 0x04, 0, 0], GOOD]).0, Ok(wanted));
    }

    #[test]
    fn asks_again_and_then_says_what_was_wrong() {
        let spoilt = [&GOOD[..7], &[0x5a, 0x3e]].concat();
        let (got, written) = read(&[&[], &spoilt, &[], GOOD]);
        assert!(got.is_ok());
        assert_eq!(written.len(), 16);
        let always = [&[][..], &spoilt].repeat(TRIES);
        assert_eq!(read(&always).0, Err(Fault::Crc));
        assert_eq!(read(&[]).0, Err(Fault::Timeout));
        let cut: &[u8] = &GOOD[..6];
        assert_eq!(read(&[&[], cut, &[]].repeat(TRIES)).0, Err(Fault::Crc));
        // Exception 2: no such register.
        let (got, written) = read(&[&[], &[0x01, 0x83, 0x02, 0xc0, 0xf1]]);
        assert_eq!((got, written.len()), (Err(Fault::Other), 8), "asked once");
        // Unit 2 answers.
        let other: &[u8] = &[0x02, 0x03, 0x04, 0x02, 0x92, 0xff, 0x9b, 0x69, 0x3d];
        assert_eq!(read(&[&[], other].repeat(TRIES)).0, Err(Fault::Crc));
    }

    #[test]
    fn holds_the_line_only_while_it_sends() {
        let states = [State::High, State::Low].map(Transaction::set);
        let mut pin = Mock::new(&states);
        let mut bus =
            Modbus::with_driver_enable(Wire::of(&[&[], GOOD]), NoopDelay::new(), pin.clone());
        assert!(block_on(bus.read(1, 0, 2)).is_ok());
        pin.done();
    }
}
