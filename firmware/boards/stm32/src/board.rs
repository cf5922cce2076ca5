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
        source: PllSource::Hsi,
        prediv: PllPreDiv::Div1,
        mul: PllMul::Mul10,
        divp: None,
        divq: Some(PllQDiv::Div4),
        divr: Some(PllRDiv::Div2),
    });
    config.rcc.sys = Sysclk::Pll1R;
    config.rcc.mux.clk48sel = Clk48sel::Pll1Q;
    embassy_stm32::init(config)
}
