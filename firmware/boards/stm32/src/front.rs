//! What people see: the board's green LED and the serial console of its ST-LINK.

use core::fmt::{self, Write};

use embassy_stm32::{
    Peri,
    gpio::{Level, Output, Speed},
    mode::Blocking,
    peripherals::{PA2, PA5, USART2},
    usart::{Config, UartTx},
};
use sen_embassy::Panel;

/// LED and console, 115 200 bit/s.
pub struct Front {
    led: Output<'static>,
    console: Option<UartTx<'static, Blocking>>,
}

impl Front {
    /// LED LD2 and the virtual serial port.
    pub fn new(
        led: Peri<'static, PA5>,
        uart: Peri<'static, USART2>,
        tx: Peri<'static, PA2>,
    ) -> Self {
        Self {
            led: Output::new(led, Level::Low, Speed::Low),
            console: UartTx::new_blocking(uart, tx, Config::default()).ok(),
        }
    }
}

/// The console as something to write text to.
struct Text<'a>(&'a mut UartTx<'static, Blocking>);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0
            .blocking_write(text.as_bytes())
            .map_err(|_| fmt::Error)
    }
}

impl Panel for Front {
    fn led(&mut self, on: bool) {
        self.led.set_level(on.into());
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        if let Some(console) = &mut self.console {
            let _ = write!(Text(console), "{line}\r\n");
        }
    }
}
