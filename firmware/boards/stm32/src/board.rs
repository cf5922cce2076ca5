//! Clocks.

use embassy_stm32::{
    Config, Peripherals,
    rcc::{Pll, PllMul, PllPreDiv, PllQDiv, PllRDiv, PllSource, Sysclk, mux::Clk48sel},
};

/// Starts the chip: 80 MHz from the internal oscillator, 40 MHz for the random numbers.
pub fn start() -> Peripherals {
    let mut config = Config::default();
    config.rcc.hsi = true;
    config.rcc.pll = Some(Pll {
        source: PllSource::HSI,
        prediv: PllPreDiv::DIV1,
        mul: PllMul::MUL10,
        divp: None,
        divq: Some(PllQDiv::DIV4),
        divr: Some(PllRDiv::DIV2),
    });
    config.rcc.sys = Sysclk::PLL1_R;
    config.rcc.mux.clk48sel = Clk48sel::PLL1_Q;
    embassy_stm32::init(config)
}
