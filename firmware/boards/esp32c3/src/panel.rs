//! What people see: the module's LED and the serial console.

use core::fmt;

use esp_hal::gpio::{Level, Output};
use sen_embassy::Panel;

/// LED and console.
pub struct Front {
    led: Output<'static>,
}

impl Front {
    /// An LED that lights at low level.
    pub fn new(led: Output<'static>) -> Self {
        Self { led }
    }
}

impl Panel for Front {
    fn led(&mut self, on: bool) {
        self.led
            .set_level(if on { Level::Low } else { Level::High });
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        esp_println::println!("{line}");
    }
}
