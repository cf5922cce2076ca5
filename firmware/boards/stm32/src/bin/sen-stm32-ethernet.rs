//! A Sen node on a Nucleo-L476RG with a W5500: pins, network, spawn.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use embassy_net::{Config, StackResources};
use embassy_net_wiznet::{Device, Runner, State, chip::W5500};
use embassy_stm32::{
    bind_interrupts, dma,
    exti::{self, ExtiInput},
    gpio::{Level, Output, Pull, Speed},
    interrupt,
    mode::Async,
    peripherals,
    spi::{self, Spi, mode::Master},
    time::Hertz,
};
use embassy_time::Delay;
use embedded_hal_bus::spi::ExclusiveDevice;
use sen_embassy::{Trouble, local_mac, status::give_up};
use sen_stm32::{
    Kit,
    probes::{self, Wires},
    random, run, start,
};
use static_cell::ConstStaticCell;

bind_interrupts!(struct Irqs {
    EXTI9_5 => exti::InterruptHandler<interrupt::typelevel::EXTI9_5>;
    DMA1_CHANNEL4 => dma::InterruptHandler<peripherals::DMA1_CH4>;
    DMA1_CHANNEL5 => dma::InterruptHandler<peripherals::DMA1_CH5>;
});

/// TCP, DNS, DHCP.
const SOCKETS: usize = 3;
/// What wires of a hand's length carry; the chip could take 33 MHz and more.
const SPI_HZ: Hertz = Hertz(10_000_000);

type Bus = ExclusiveDevice<Spi<'static, Async, Master>, Output<'static>, Delay>;
type Chip = Runner<'static, W5500, Bus, ExtiInput<'static, Async>, Output<'static>>;

#[embassy_executor::task]
async fn ethernet(runner: Chip) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn network(mut runner: embassy_net::Runner<'static, Device<'static>>) -> ! {
    runner.run().await
}

#[embassy_executor::main]
async fn main(spawner: Spawner) -> ! {
    let (p, reason) = start();
    let console = (p.USART2, p.PA2);
    let mut kit = Kit::new(spawner, reason, p.IWDG, p.PA5, console, p.FLASH, p.RNG);
    let provision = kit.provision().await;
    let wires = Wires {
        i2c: p.I2C1,
        scl: p.PB8,
        sda: p.PB9,
        one_wire: p.PB5,
        bus: p.USART3,
        bus_tx: p.PC10,
        bus_rx: p.PC11,
        adc: p.ADC1,
        battery: p.PC0,
    };
    let probes = probes::start(wires, provision.bus_baud);

    let mut config = spi::Config::default();
    config.frequency = SPI_HZ;
    let (clock, miso, mosi) = (p.PB13, p.PB14, p.PB15);
    let bus = Spi::new(
        p.SPI2, clock, mosi, miso, p.DMA1_CH5, p.DMA1_CH4, Irqs, config,
    );
    let select = Output::new(p.PB12, Level::High, Speed::VeryHigh);
    let Ok(bus) = ExclusiveDevice::new(bus, select, Delay);
    let interrupt = ExtiInput::new(p.PC6, p.EXTI6, Pull::Up, Irqs);
    let reset = Output::new(p.PC8, Level::High, Speed::Low);
    let mac = local_mac(&embassy_stm32::uid::uid());
    static STATE: ConstStaticCell<State<2, 2>> = ConstStaticCell::new(State::new());
    let started = embassy_net_wiznet::new(mac, STATE.take(), bus, interrupt, reset).await;
    let Ok((device, chip)) = started else {
        give_up(&mut kit.front, provision.led, Trouble::NoLink).await
    };

    static RESOURCES: ConstStaticCell<StackResources<SOCKETS>> =
        ConstStaticCell::new(StackResources::new());
    let dhcp = Config::dhcpv4(Default::default());
    let seed = random(&mut kit.noise);
    let (stack, runner) = embassy_net::new(device, dhcp, RESOURCES.take(), seed);
    if let (Ok(ethernet), Ok(network)) = (ethernet(chip), network(runner)) {
        spawner.spawn(ethernet);
        spawner.spawn(network);
    }
    run(kit, stack, || None, probes, &provision).await
}
