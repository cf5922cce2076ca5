//! A Sen node on a Nucleo-L476RG with a W5500: pins, clocks, network, spawn.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use embassy_net::StackResources;
use embassy_net_wiznet::{Device, Runner, State, chip::W5500};
use embassy_stm32::{
    bind_interrupts, dma,
    exti::{self, ExtiInput},
    flash::{self, Flash},
    gpio::{Level, Output, Pull, Speed},
    interrupt,
    mode::Async,
    peripherals,
    rng::{self, Rng},
    spi::{self, Spi, mode::Master},
    time::Hertz,
    wdg::IndependentWatchdog,
};
use embassy_time::{Delay, Timer};
use embedded_hal_bus::spi::ExclusiveDevice;
use sen_node::FlashOutbox;
use sen_stm32::{board, flash as regions};
use static_cell::StaticCell;

bind_interrupts!(struct Irqs {
    FLASH => flash::InterruptHandler;
    RNG => rng::InterruptHandler<peripherals::RNG>;
    EXTI9_5 => exti::InterruptHandler<interrupt::typelevel::EXTI9_5>;
    DMA1_CHANNEL4 => dma::InterruptHandler<peripherals::DMA1_CH4>;
    DMA1_CHANNEL5 => dma::InterruptHandler<peripherals::DMA1_CH5>;
});

type Bus = ExclusiveDevice<Spi<'static, Async, Master>, Output<'static>, Delay>;

#[embassy_executor::task]
async fn chip(
    runner: Runner<'static, W5500, Bus, ExtiInput<'static, Async>, Output<'static>>,
) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn network(mut runner: embassy_net::Runner<'static, Device<'static>>) -> ! {
    runner.run().await
}

#[embassy_executor::main]
async fn main(spawner: Spawner) -> ! {
    let p = board::start();
    let mut watchdog = IndependentWatchdog::new(p.IWDG, 20_000_000);
    watchdog.unleash();
    let mut led = Output::new(p.PA5, Level::Low, Speed::Low);
    let mut rng = Rng::new(p.RNG, Irqs);
    let mut seed = [0; 8];
    let _ = rng.async_fill_bytes(&mut seed).await;
    let seed = u64::from_le_bytes(seed);

    let regions = regions::regions(Flash::new(p.FLASH, Irqs));
    let Ok(outbox) = FlashOutbox::open(regions.outbox, seed as u16).await else {
        panic!()
    };
    core::hint::black_box(outbox.boot());

    let mut config = spi::Config::default();
    config.frequency = Hertz(20_000_000);
    let bus = Spi::new(
        p.SPI2, p.PB13, p.PB15, p.PB14, p.DMA1_CH5, p.DMA1_CH4, Irqs, config,
    );
    let select = Output::new(p.PB12, Level::High, Speed::VeryHigh);
    let Ok(bus) = ExclusiveDevice::new(bus, select, Delay);
    let interrupt = ExtiInput::new(p.PC6, p.EXTI6, Pull::Up, Irqs);
    let reset = Output::new(p.PC8, Level::High, Speed::Low);
    static STATE: StaticCell<State<2, 2>> = StaticCell::new();
    let Ok((device, runner)) = embassy_net_wiznet::new(
        [2, 0, 0, 0, 0, 1],
        STATE.init(State::new()),
        bus,
        interrupt,
        reset,
    )
    .await
    else {
        panic!()
    };
    static RESOURCES: StaticCell<StackResources<4>> = StaticCell::new();
    let (stack, stack_runner) = embassy_net::new(
        device,
        embassy_net::Config::dhcpv4(Default::default()),
        RESOURCES.init(StackResources::new()),
        seed,
    );
    if let (Ok(chip), Ok(network)) = (chip(runner), network(stack_runner)) {
        spawner.spawn(chip);
        spawner.spawn(network);
    }
    loop {
        stack.wait_config_up().await;
        watchdog.pet();
        led.toggle();
        Timer::after_secs(1).await;
    }
}
