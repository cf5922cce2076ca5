//! A Sen node on an ESP32-C3 over Wi-Fi: pins, clocks, network, spawn.
#![no_std]
#![no_main]

mod flash;
mod panel;
mod probes;
mod start;
mod wifi;

use embassy_executor::Spawner;
use embassy_net::{Config, Runner, StackResources};
use esp_hal::{
    clock::CpuClock,
    gpio::{Level, Output, OutputConfig},
    ram,
    rng::{Rng, Trng},
    timer::timg::TimerGroup,
};
use esp_radio::wifi::Interface;
use sen_embassy::{Board, Entropy, Memory, Trouble, provision, status::give_up};
use sen_wire::provision::MAX_BLOCK;
use static_cell::{ConstStaticCell, StaticCell};

use crate::{panel::Front, probes::Wires};

esp_bootloader_esp_idf::esp_app_desc!();

/// As the node configuration names it.
const NAME: &str = "esp32c3";
/// TCP, DNS, DHCP.
const SOCKETS: usize = 3;

/// The noise of the radio's receiver, which is on by the time that this is made.
struct Noise(Trng);

impl Entropy for Noise {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.read(bytes);
    }
}

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, Interface>) -> ! {
    runner.run().await
}

#[esp_rtos::main]
async fn main(spawner: Spawner) -> ! {
    let pins = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::_80MHz));
    // The radio's heap: what the bootloader has left, and some.
    esp_alloc::heap_allocator!(#[ram(reclaimed)] size: 64 * 1024);
    esp_alloc::heap_allocator!(size: 36 * 1024);
    let timers = TimerGroup::new(pins.TIMG0);
    esp_rtos::start(timers.timer0, pins.FROM_CPU_INTR0);
    if let Ok(watch) = start::watch(pins.RTC_TIMER) {
        spawner.spawn(watch);
    }
    // The LED of the module lights at low level.
    let mut front = Front::new(Output::new(
        pins.GPIO8,
        Level::High,
        OutputConfig::default(),
    ));

    let Ok(mut regions) = flash::regions(pins.FLASH) else {
        give_up(&mut front, true, Trouble::Storage).await
    };
    static BLOCK: ConstStaticCell<[u8; MAX_BLOCK]> = ConstStaticCell::new([0; _]);
    let provision = match provision::read(&mut regions.node, 0, NAME, BLOCK.take()).await {
        Ok(provision) => provision,
        Err(trouble) => give_up(&mut front, true, trouble).await,
    };
    let Some(wifi) = &provision.wifi else {
        give_up(&mut front, provision.led, Trouble::NoLink).await
    };
    let (Ok(controller), Ok(noise)) = (wifi::station(pins.WIFI, wifi), Trng::try_new()) else {
        give_up(&mut front, provision.led, Trouble::NoLink).await
    };

    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
    let seed = Rng::new();
    let seed = u64::from(seed.random()) << 32 | u64::from(seed.random());
    let (stack, runner) = embassy_net::new(
        Interface::station(),
        Config::dhcpv4(Default::default()),
        RESOURCES.init_with(StackResources::new),
        seed,
    );
    if let (Ok(network), Ok(station)) = (network(runner), wifi::keep_connected(controller)) {
        spawner.spawn(network);
        spawner.spawn(station);
    }

    let (probes, channels) = probes::start(Wires {
        i2c: pins.I2C0,
        sda: pins.GPIO6,
        scl: pins.GPIO7,
        one_wire: pins.GPIO5,
        uart: pins.UART1,
        level: pins.GPIO4,
        adc: pins.ADC1,
        battery: pins.GPIO0,
    });
    let board = Board {
        name: NAME,
        firmware: env!("CARGO_PKG_VERSION"),
        reset_reason: start::reset_reason(),
        stack,
        outbox: regions.outbox,
        settings: regions.settings,
        channels: Some(channels),
        probes,
        entropy: Noise(noise),
        panel: front,
        rssi_dbm: wifi::rssi_dbm,
    };
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
    sen_embassy::run(board, &provision, MEMORY.take()).await
}
