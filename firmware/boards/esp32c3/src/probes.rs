//! The probes of this board: which hang on which pins. The README has the table.

use core::cell::RefCell;

use ads1x1x::TargetAddr;
use embassy_time::Delay;
use embedded_hal_bus::i2c::RefCellDevice;
use esp_hal::{
    Async, Blocking,
    analog::adc::{self, AdcCalCurve, AdcConfig, AdcPin, Attenuation},
    gpio::{DriveMode, Flex, OutputConfig, Pull},
    i2c::master::I2c,
    peripherals::{ADC1, GPIO0, GPIO4, GPIO5, GPIO6, GPIO7, I2C0, UART1},
    uart::{self, UartRx},
};
use onewire::{Device, OneWire};
use sen_drivers::{
    Board, Channels, Probe, Wanted,
    analog::{Ads1115, Input, Pin},
    battery::{Adc, Battery},
    ds18b20::{Ds18b20, discover},
    sht4x::Sht4x,
    ultrasonic::{Model, Ultrasonic},
};
use sen_node::{Probes, Samples};
use sen_wire::{Channel, Fault, Quantity};
use static_cell::StaticCell;

/// Ohms of the battery's divider, above and below the pin.
const DIVIDER: (u32, u32) = (100_000, 100_000);
/// From the ultrasonic probe's face down to level zero. What the gateway subtracts or adds is the channel's calibration.
const ZERO_MM: u16 = 1_000;
/// A02YYUW.
const LEVEL_BAUD: u32 = 9_600;

/// Pins and peripherals of the probes.
pub struct Wires {
    pub i2c: I2C0<'static>,
    pub sda: GPIO6<'static>,
    pub scl: GPIO7<'static>,
    pub one_wire: GPIO5<'static>,
    pub uart: UART1<'static>,
    pub level: GPIO4<'static>,
    pub adc: ADC1<'static>,
    pub battery: GPIO0<'static>,
}

/// The probes, and what they can measure.
pub fn start(wires: Wires) -> (impl Probes, &'static [Channel]) {
    static BUS: StaticCell<RefCell<I2c<'static, Blocking>>> = StaticCell::new();
    let Ok(i2c) = I2c::new(wires.i2c, Default::default()) else {
        panic!("100 kHz is within the bounds of the I2C")
    };
    let i2c = i2c.with_sda(wires.sda).with_scl(wires.scl);
    let bus: &'static _ = BUS.init(RefCell::new(i2c));

    let mut pin = Flex::new(wires.one_wire);
    let open_drain = OutputConfig::default().with_drive_mode(DriveMode::OpenDrain);
    pin.apply_output_config(&open_drain.with_pull(Pull::None));
    pin.set_high();
    pin.set_output_enable(true);
    pin.set_input_enable(true);
    // One probe, whichever it is. One that is changed is found at the next start.
    let found = discover(&mut OneWire::new(&mut pin, false), &mut Delay).unwrap_or_default();
    let nobody = Device { address: [0; 8] };
    let water = found.into_iter().next().unwrap_or(nobody);

    let probes = (
        Ds18b20::new(
            pin,
            Delay,
            [(water, Channel::first(Quantity::WaterTemperature))],
        ),
        Sht4x::new(RefCellDevice::new(bus), Delay, 1),
        Ads1115::new(
            RefCellDevice::new(bus),
            Delay,
            TargetAddr::default(),
            [
                Input::soil_moisture(Pin::A0, 1),
                Input::conductivity(Pin::A1, 1),
            ],
        ),
        Level {
            uart: wires.uart,
            rx: wires.level,
        },
    );
    let battery = Battery::new(
        Converter::new(wires.adc, wires.battery),
        DIVIDER.0,
        DIVIDER.1,
    );
    static CHANNELS: StaticCell<Channels> = StaticCell::new();
    let board = Board::with_battery(probes, battery);
    let channels = CHANNELS.init(board.channels());
    (board, channels)
}

/// The level of water. A UART that listens keeps the chip from sleeping, so there is one only while the probe is measured.
struct Level {
    uart: UART1<'static>,
    rx: GPIO4<'static>,
}

impl Level {
    const CHANNEL: Channel = Channel::first(Quantity::WaterLevel);
}

impl Probe for Level {
    fn channels(&self, each: &mut dyn FnMut(Channel)) {
        each(Self::CHANNEL);
    }

    async fn measure(&mut self, wanted: Wanted<'_>, samples: &mut Samples) {
        let config = uart::Config::default().with_baudrate(LEVEL_BAUD);
        match UartRx::new(self.uart.reborrow(), config) {
            Ok(uart) => {
                let uart = uart.with_rx(self.rx.reborrow()).into_async();
                Ultrasonic::new(uart, Delay, Model::A02yyuw, ZERO_MM, 1)
                    .measure(wanted, samples)
                    .await;
            }
            // 9600 bit/s are within its bounds.
            Err(_) => samples.fault(Self::CHANNEL, Fault::Other),
        }
    }
}

/// The chip's converter, with the curve from its fuses.
struct Converter {
    adc: adc::Adc<'static, ADC1<'static>, Async>,
    pin: AdcPin<GPIO0<'static>, ADC1<'static>, AdcCalCurve<ADC1<'static>>>,
}

impl Converter {
    fn new(adc: ADC1<'static>, pin: GPIO0<'static>) -> Self {
        let mut config = AdcConfig::new();
        let pin = config.enable_pin_with_cal(pin, Attenuation::_11dB);
        let adc = adc::Adc::new(adc, config).into_async();
        Self { adc, pin }
    }
}

impl Adc for Converter {
    async fn millivolts(&mut self) -> Result<u16, Fault> {
        Ok(self.adc.read_oneshot(&mut self.pin).await)
    }

    /// ESP32-C3 datasheet, ADC characteristics: 0 to 2500 mV at this attenuation.
    fn full_scale_mv(&self) -> u16 {
        2_500
    }
}
