//! The machine's UARTs (Arm CMSDK APB UART): the first is the console, the second carries PPP.
#![allow(unsafe_code, reason = "says where the devices are")]

use core::fmt;

use crate::registers::Registers;

const DATA: usize = 0x00;
const STATE: usize = 0x04;
const CTRL: usize = 0x08;
const BAUD_DIVISOR: usize = 0x10;

const TX_FULL: u32 = 1;
const TX_ENABLE: u32 = 1;
const CORE_HZ: u32 = 25_000_000;

#[derive(Clone, Copy)]
pub(crate) struct Uart(Registers);

/// The console.
// SAFETY: UART0 of the mps2-an385 (Arm AN385, table 4-1).
pub(crate) const CONSOLE: Uart = Uart(unsafe { Registers::new(0x4000_4000) });

impl Uart {
    pub(crate) fn start(self, more: u32) {
        self.0.write(BAUD_DIVISOR, CORE_HZ / 115_200);
        self.0.write(CTRL, TX_ENABLE | more);
    }

    pub(crate) fn send(self, bytes: &[u8]) {
        for byte in bytes {
            while self.0.read(STATE) & TX_FULL != 0 {}
            self.0.write(DATA, u32::from(*byte));
        }
    }
}

impl fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.send(text.as_bytes());
        Ok(())
    }
}

/// Writes a line to the console.
#[macro_export]
macro_rules! line {
    ($($text:tt)*) => {{
        use core::fmt::Write as _;
        let mut console = $crate::uart::CONSOLE;
        // A UART takes everything.
        let _ = writeln!(console, $($text)*);
    }};
}

#[cfg(feature = "ppp")]
pub(crate) mod modem {
    //! The second UART, as a stream: what comes in is put into a pipe by the interrupt.

    use core::{cell::RefCell, convert::Infallible};

    use critical_section::Mutex;
    use embassy_sync::{
        blocking_mutex::raw::CriticalSectionRawMutex,
        pipe::{Pipe, Reader, Writer},
    };
    use embedded_io_async::{BufRead, ErrorType, Read, Write};
    use static_cell::StaticCell;

    use super::{DATA, Registers, STATE, Uart};

    /// Of its receiver.
    pub(crate) const IRQ: i16 = 2;
    const INTERRUPT_CLEAR: usize = 0x0c;
    const RX_FULL: u32 = 2;
    const RX_ENABLE: u32 = 2;
    const RX_INTERRUPT: u32 = 8;
    /// What a full PPP frame takes, each byte of it escaped at worst.
    const PIPE: usize = 2048;

    // SAFETY: UART1 of the mps2-an385 (Arm AN385, table 4-1).
    const MODEM: Uart = Uart(unsafe { Registers::new(0x4000_5000) });

    type End = Writer<'static, CriticalSectionRawMutex, PIPE>;
    static RECEIVED: Mutex<RefCell<Option<End>>> = Mutex::new(RefCell::new(None));

    pub(crate) struct Modem(Reader<'static, CriticalSectionRawMutex, PIPE>);

    /// Starts the UART; call once.
    pub(crate) fn start() -> Modem {
        static BYTES: StaticCell<Pipe<CriticalSectionRawMutex, PIPE>> = StaticCell::new();
        let (reader, writer) = BYTES.init(Pipe::new()).split();
        critical_section::with(|cs| RECEIVED.replace(cs, Some(writer)));
        MODEM.start(RX_ENABLE | RX_INTERRUPT);
        Modem(reader)
    }

    pub(crate) fn on_interrupt() {
        // Cleared before it is drained: a byte that comes in between would not raise it again.
        MODEM.0.write(INTERRUPT_CLEAR, RX_FULL);
        critical_section::with(|cs| {
            let received = RECEIVED.borrow_ref(cs);
            while MODEM.0.read(STATE) & RX_FULL != 0 {
                let byte = MODEM.0.read(DATA).to_le_bytes()[0];
                // A byte that finds no room is lost, as on a real line: the frame's checksum tells.
                if let Some(pipe) = received.as_ref() {
                    let _ = pipe.try_write(&[byte]);
                }
            }
        });
    }

    impl ErrorType for Modem {
        type Error = Infallible;
    }

    impl Read for Modem {
        async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
            Ok(self.0.read(buffer).await)
        }
    }

    impl BufRead for Modem {
        async fn fill_buf(&mut self) -> Result<&[u8], Infallible> {
            Ok(self.0.fill_buf().await)
        }

        fn consume(&mut self, count: usize) {
            self.0.consume(count);
        }
    }

    impl Write for Modem {
        async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
            MODEM.send(bytes);
            Ok(bytes.len())
        }

        async fn flush(&mut self) -> Result<(), Infallible> {
            Ok(())
        }
    }
}
