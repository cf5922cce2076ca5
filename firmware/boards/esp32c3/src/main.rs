//! A Sen node on an ESP32-C3 over Wi-Fi: pins, clocks, network, spawn.
#![no_std]
#![no_main]

mod flash;
mod wifi;

use embassy_executor::Spawner;
use embassy_net::{Runner, StackResources};
use embassy_time::{Duration, Timer};
use esp_backtrace as _;
use esp_hal::{
    clock::CpuClock,
    gpio::{Level, Output, OutputConfig},
    ram,
    rng::Rng,
    rtc_cntl::{Rtc, RwdtStage},
    timer::timg::TimerGroup,
};
use esp_radio::wifi::Interface;
use sen_node::FlashOutbox;
use static_cell::StaticCell;

esp_bootloader_esp_idf::esp_app_desc!();

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, Interface>) -> ! {
    runner.run().await
}

#[esp_rtos::main]
async fn main(spawner: Spawner) -> ! {
    let peripherals = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::_80MHz));
    // The radio's heap: what the second-stage bootloader used, and some.
    esp_alloc::heap_allocator!(#[ram(reclaimed)] size: 64 * 1024);
    esp_alloc::heap_allocator!(size: 36 * 1024);
    let timers = TimerGroup::new(peripherals.TIMG0);
    let sleep = esp_rtos::sleep::configure(peripherals.LPWR);
    esp_rtos::start_with_idle_hook(
        timers.timer0,
        peripherals.FROM_CPU_INTR0,
        sleep.light_sleep_hook,
    );

    let mut led = Output::new(peripherals.GPIO8, Level::High, OutputConfig::default());
    let mut rtc = Rtc::new(peripherals.RTC_TIMER);
    rtc.rwdt
        .set_timeout(RwdtStage::Stage0, esp_hal::time::Duration::from_secs(30));
    rtc.rwdt.enable();

    let Ok(regions) = flash::regions(peripherals.FLASH) else {
        panic!("no partition table");
    };
    let rng = Rng::new();
    let outbox = FlashOutbox::open(regions.outbox, rng.random() as u16).await;
    let Ok(outbox) = outbox else {
        panic!("no outbox");
    };
    esp_println::println!("boot {}", outbox.boot());

    let Ok(controller) = wifi::station(peripherals.WIFI, "sen", "") else {
        panic!("no radio");
    };
    static RESOURCES: StaticCell<StackResources<4>> = StaticCell::new();
    let seed = u64::from(rng.random()) << 32 | u64::from(rng.random());
    let (stack, runner) = embassy_net::new(
        Interface::station(),
        embassy_net::Config::dhcpv4(Default::default()),
        RESOURCES.init(StackResources::new()),
        seed,
    );
    if let (Ok(network), Ok(wifi)) = (network(runner), wifi::keep_connected(controller)) {
        spawner.spawn(network);
        spawner.spawn(wifi);
    }
    loop {
        stack.wait_config_up().await;
        rtc.rwdt.feed();
        led.toggle();
        Timer::after(Duration::from_secs(1)).await;
    }
}

/// After a panic.
#[unsafe(no_mangle)]
extern "Rust" fn custom_halt() -> ! {
    esp_hal::system::software_reset()
}
