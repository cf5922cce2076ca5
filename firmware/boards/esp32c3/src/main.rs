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

/// The noise of the radio's receiver.
struct Noise;

impl Entropy for Noise {
    fn fill(&mut self, bytes: &mut [u8]) {
        // Not kept: the radio may not be turned off under it.
        let Ok(noise) = Trng::try_new() else {
            // The node starts when the radio has, and TLS runs over it. On guessable keys it would look as if all were well.
            panic!("random numbers while the radio is off")
        };
        noise.read(bytes);
    }
}

#[embassy_executor::task]
async fn serve(mut runner: Runner<'static, Interface>) -> ! {
    runner.run().await
}

#[esp_rtos::main]
async fn main(spawner: Spawner) -> ! {
    let pins = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::_80MHz));
    // The radio's heap: what the bootloader has left, and some.
    esp_alloc::heap_allocator!(#[ram(reclaimed)] size: 64 * 1024);
    esp_alloc::heap_allocator!(size: 36 * 1024);
    let timers = TimerGroup::new(pins.TIMG0);
    // Whenever no task runs and no driver forbids it, the chip sleeps until the next timer.
    let sleep = esp_rtos::sleep::configure(pins.LPWR);
    esp_rtos::start_with_idle_hook(timers.timer0, pins.FROM_CPU_INTR0, sleep.light_sleep_hook);
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
    let Some(network) = provision.wifi else {
        give_up(&mut front, provision.led, Trouble::NoLink).await
    };
    if let Ok(station) = wifi::serve(pins.WIFI, network) {
        spawner.spawn(station);
    }
    if !wifi::started().await {
        give_up(&mut front, provision.led, Trouble::NoLink).await
    }

    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
    let seed = Rng::new();
    let seed = u64::from(seed.random()) << 32 | u64::from(seed.random());
    let (stack, runner) = embassy_net::new(
        Interface::station(),
        Config::dhcpv4(Default::default()),
        RESOURCES.init_with(StackResources::new),
        seed,
    );
    if let Ok(network) = serve(runner) {
        spawner.spawn(network);
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
        entropy: Noise,
        panel: front,
        rssi_dbm: wifi::rssi_dbm,
        want_network: wifi::want,
    };
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
    sen_embassy::run(board, &provision, MEMORY.take()).await
}
