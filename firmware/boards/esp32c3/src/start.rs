//! Why the chip starts, and what starts it again.

use embassy_time::{Duration, Timer};
use esp_backtrace as _;
use esp_hal::{
    peripherals::RTC_TIMER,
    ram,
    rtc_cntl::{Rtc, RwdtStage, SocResetReason, reset_reason as chip_reset_reason},
    system::{Cpu, software_reset},
};
use sen_wire::ResetReason;

/// Longest time that no task runs. The longest that anything computes is the handshake of TLS, some seconds.
const PATIENCE: esp_hal::time::Duration = esp_hal::time::Duration::from_secs(30);
const FEED: Duration = Duration::from_secs(5);

/// Feeds the watchdog for as long as tasks run.
#[embassy_executor::task]
pub async fn watch(timer: RTC_TIMER<'static>) -> ! {
    let mut watchdog = Rtc::new(timer).rwdt;
    watchdog.set_timeout(RwdtStage::Stage0, PATIENCE);
    watchdog.enable();
    loop {
        watchdog.feed();
        Timer::after(FEED).await;
    }
}

/// What a panic leaves for the next start: RAM keeps it through a reset, and is noise after power-on.
#[ram(unstable(rtc_fast, persistent))]
static mut PANIC: u32 = 0;
const PANICKED: u32 = 0x5e4e_dead;

/// Why this start. Once only.
pub fn reset_reason() -> ResetReason {
    use SocResetReason as Chip;
    // SAFETY: called once, by the one task that there is by then; the other access comes after a panic.
    #[allow(unsafe_code)]
    let panicked = unsafe {
        let panicked = (&raw const PANIC).read_volatile() == PANICKED;
        (&raw mut PANIC).write_volatile(0);
        panicked
    };
    match chip_reset_reason(Cpu::ProCpu) {
        Some(Chip::CoreSw | Chip::Cpu0Sw) if panicked => ResetReason::Panic,
        Some(Chip::CoreSw | Chip::Cpu0Sw) => ResetReason::Software,
        Some(Chip::ChipPowerOn) => ResetReason::PowerOn,
        Some(Chip::SysBrownOut | Chip::CorePwrGlitch) => ResetReason::Brownout,
        Some(Chip::CoreDeepSleep) => ResetReason::DeepSleep,
        Some(Chip::CoreUsbUart | Chip::CoreUsbJtag) => ResetReason::External,
        Some(
            Chip::CoreMwdt0
            | Chip::CoreMwdt1
            | Chip::Cpu0Mwdt0
            | Chip::Cpu0Mwdt1
            | Chip::CoreRtcWdt
            | Chip::Cpu0RtcWdt
            | Chip::SysRtcWdt
            | Chip::SysSuperWdt,
        ) => ResetReason::Watchdog,
        Some(Chip::SysClkGlitch | Chip::CoreEfuseCrc) | None => ResetReason::Unknown,
    }
}

/// esp-backtrace calls this when it has printed the panic.
// SAFETY: the name is esp-backtrace's, and nobody else's.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
extern "Rust" fn custom_halt() -> ! {
    // SAFETY: nothing else runs after a panic but this.
    unsafe { (&raw mut PANIC).write_volatile(PANICKED) };
    software_reset()
}
