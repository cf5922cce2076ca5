//! The probes of this board: which hang on which pins. The README has the table.

use core::cell::RefCell;

use embassy_stm32::{
    Peri,
    adc::{self, SampleTime, VREF_CALIB_MV, VrefInt},
    bind_interrupts,
    gpio::{Level, OutputOpenDrain, Speed},
    i2c::{self, I2c, mode::Master},
    mode::Blocking,
    peripherals::{ADC1, I2C1, PB5, PB8, PB9, PC0, PC10, PC11, USART3},
    usart::{self, BufferedUart},
};
use embassy_time::Delay;
use embedded_hal_bus::i2c::RefCellDevice;
use onewire::{Device, OneWire};
use sen_drivers::{
    Board, Channels,
    battery::{Adc, Battery},
    bh1750::Bh1750,
    ds18b20::{Ds18b20, discover},
    modbus::Modbus,
    sht4x::Sht4x,
    soil_modbus::{Profile, SoilProbe},
};
use sen_node::Probes;
use sen_wire::{Channel, Fault, Quantity};
use static_cell::{ConstStaticCell, StaticCell};

/// Ohms of the battery's divider, above and below the pin.
const DIVIDER: (u32, u32) = (300_000, 100_000);
/// The soil probe, and its address when it is new.
const SOIL: (Profile, u8) = (Profile::SevenInOne, 1);

/// The UART's divider has 16 bits; probes on a bus are never slower.
const LEAST_BAUD: u32 = 2_400;

bind_interrupts!(struct Irqs {
    USART3 => usart::BufferedInterruptHandler<USART3>;
});

/// Pins and peripherals of the probes.
#[allow(missing_docs, reason = "named as the README's table")]
pub struct Wires {
    pub i2c: Peri<'static, I2C1>,
    pub scl: Peri<'static, PB8>,
    pub sda: Peri<'static, PB9>,
    pub one_wire: Peri<'static, PB5>,
    pub bus: Peri<'static, USART3>,
    pub bus_tx: Peri<'static, PC10>,
    pub bus_rx: Peri<'static, PC11>,
    pub adc: Peri<'static, ADC1>,
    pub battery: Peri<'static, PC0>,
}

/// The probes and what they can measure, with the speed of the bus if the node configuration says one that the chip has.
pub fn start(wires: Wires, bus_baud: Option<u32>) -> (impl Probes, &'static [Channel]) {
    static I2C: StaticCell<RefCell<I2c<'static, Blocking, Master>>> = StaticCell::new();
    let i2c = I2c::new_blocking(wires.i2c, wires.scl, wires.sda, i2c::Config::default());
    let i2c: &'static _ = I2C.init(RefCell::new(i2c));

    let mut pin = OutputOpenDrain::new(wires.one_wire, Level::High, Speed::Low);
    // One probe, whichever it is. One that is changed is found at the next start.
    let found = discover(&mut OneWire::new(&mut pin, false), &mut Delay).unwrap_or_default();
    let nobody = Device { address: [0; 8] };
    let soil = found.into_iter().next().unwrap_or(nobody);

    static RX: ConstStaticCell<[u8; 64]> = ConstStaticCell::new([0; _]);
    static TX: ConstStaticCell<[u8; 32]> = ConstStaticCell::new([0; _]);
    let (profile, unit) = SOIL;
    let mut config = usart::Config::default();
    let possible = |baud: &u32| *baud >= LEAST_BAUD;
    config.baudrate = bus_baud.filter(possible).unwrap_or(profile.baud());
    let (rx, tx) = (wires.bus_rx, wires.bus_tx);
    let bus = BufferedUart::new(wires.bus, rx, tx, TX.take(), RX.take(), Irqs, config);
    let Ok(bus) = bus else {
        panic!("a speed within the UART's bounds")
    };

    let probes = (
        Ds18b20::new(
            pin,
            Delay,
            [(soil, Channel::first(Quantity::WaterTemperature))],
        ),
        Sht4x::new(RefCellDevice::new(i2c), Delay, 1),
        Bh1750::new(RefCellDevice::new(i2c), Delay, 1),
        SoilProbe::new(Modbus::new(bus, Delay), profile, unit, 1),
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

/// The chip's converter, measured against its internal reference: the supply is not the same on every board.
struct Converter {
    adc: adc::Adc<'static, ADC1>,
    reference: VrefInt,
    pin: Peri<'static, PC0>,
}

impl Converter {
    fn new(adc: Peri<'static, ADC1>, pin: Peri<'static, PC0>) -> Self {
        let adc = adc::Adc::new(adc);
        let reference = adc.enable_vrefint();
        Self {
            adc,
            reference,
            pin,
        }
    }
}

/// For a source of some 100 kΩ.
const SAMPLE: SampleTime = SampleTime::CYCLES640_5;

impl Adc for Converter {
    async fn millivolts(&mut self) -> Result<u16, Fault> {
        let reference = u32::from(self.adc.blocking_read(&mut self.reference, SAMPLE));
        let pin = u32::from(self.adc.blocking_read(&mut self.pin, SAMPLE));
        if reference == 0 {
            return Err(Fault::Other);
        }
        // RM0351 section 18.4.34: the factory measured the reference at VREF_CALIB_MV.
        let supply_mv = VREF_CALIB_MV * u32::from(self.reference.calibrated_value()) / reference;
        u16::try_from(supply_mv * pin / 4095).map_err(|_| Fault::Other)
    }

    /// The least supply that the board runs on.
    fn full_scale_mv(&self) -> u16 {
        2_900
    }
}
