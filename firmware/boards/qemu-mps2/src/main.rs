//! A Sen node on QEMU's mps2-an385, a Cortex-M3: what runs on hardware, run without any. Says where things are and starts
//! them; what a node does is in `sen-embassy` and `sen-node`.
#![no_std]
#![no_main]

mod clock;
mod executor;
mod flash;
mod host;
#[cfg(feature = "ethernet")]
mod lan9118;
mod network;
mod probes;
mod registers;
mod stack;
mod uart;

use core::{fmt, panic::PanicInfo, pin::pin};

use cortex_m_rt::{ExceptionFrame, entry, exception};
use embassy_executor::Spawner;
use sen_embassy::{Board, Entropy, Memory, Panel, provision, status::give_up};
use sen_wire::{ResetReason, provision::MAX_BLOCK};
use static_cell::{ConstStaticCell, StaticCell};

use crate::{flash::HostFlash, host::CommandLine, probes::Sonde, uart::CONSOLE};

const NAME: &str = "qemu-mps2";

/// The host's console, and no LED.
struct Console;

impl Panel for Console {
    fn led(&mut self, _on: bool) {}

    fn line(&mut self, text: fmt::Arguments<'_>) {
        line!("{text}");
    }
}

struct HostRandom;

impl Entropy for HostRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        host::random(bytes);
    }
}

#[embassy_executor::task]
async fn node(spawner: Spawner) -> ! {
    static OPTIONS: StaticCell<CommandLine> = StaticCell::new();
    static BLOCK: ConstStaticCell<[u8; MAX_BLOCK]> = ConstStaticCell::new([0; _]);
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());

    let options = OPTIONS.init_with(CommandLine::read);
    let flash = options.value("flash").unwrap_or("flash.bin");
    let (Ok(mut configuration), Ok(settings), Ok(outbox)) = (
        HostFlash::configuration(flash),
        HostFlash::settings(flash),
        HostFlash::outbox(flash),
    ) else {
        panic!("no flash: give flash=FILE");
    };
    let provision = match provision::read(&mut configuration, 0, NAME, BLOCK.take()).await {
        Ok(provision) => provision,
        Err(trouble) => give_up(&mut Console, true, trouble).await,
    };
    let Some(stack) = network::start(spawner) else {
        panic!("no network device");
    };
    let board = Board {
        name: NAME,
        firmware: env!("CARGO_PKG_VERSION"),
        reset_reason: ResetReason::PowerOn,
        stack,
        outbox,
        settings,
        channels: Some(&probes::CHANNELS),
        probes: Sonde::new(options),
        entropy: HostRandom,
        panel: Console,
        rssi_dbm: || None,
        want_network: |_| {},
    };
    // Pinned where it stands: awaited by value, it would be made on the stack and copied.
    pin!(sen_embassy::run(board, &provision, MEMORY.take())).await
}

#[entry]
fn main() -> ! {
    CONSOLE.start(0);
    if let Some(mut core) = cortex_m::Peripherals::take() {
        clock::start(&mut core.SYST);
    }
    executor::run(|spawner| {
        if let (Ok(node), Ok(watch)) = (node(spawner), stack::watch()) {
            spawner.spawn(node);
            spawner.spawn(watch);
        }
    })
}

/// An interrupt by its number: the machine has no crate of its own.
#[derive(Clone, Copy)]
struct Irq(u16);

#[allow(unsafe_code, reason = "an unsafe trait")]
// SAFETY: the machine has 32 interrupts, and the numbers used are those of its devices.
unsafe impl cortex_m::interrupt::InterruptNumber for Irq {
    fn number(self) -> u16 {
        self.0
    }
}

#[allow(
    unsafe_code,
    reason = "an interrupt may break a critical section of its own kind"
)]
fn unmask(irq: i16) {
    // SAFETY: called while the device starts, in no critical section.
    unsafe { cortex_m::peripheral::NVIC::unmask(Irq(irq.unsigned_abs())) };
}

// Without a crate of the machine's interrupts, all of them come here.
#[exception]
#[allow(unsafe_code, reason = "cortex-m-rt declares it so")]
unsafe fn DefaultHandler(irq: i16) {
    match irq {
        #[cfg(feature = "ethernet")]
        lan9118::IRQ => lan9118::on_interrupt(),
        #[cfg(feature = "ppp")]
        uart::modem::IRQ => uart::modem::on_interrupt(),
        _ => panic!("interrupt {irq}"),
    }
}

#[exception]
#[allow(unsafe_code, reason = "cortex-m-rt declares it so")]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    line!("sen hard fault pc={:08x} lr={:08x}", frame.pc(), frame.lr());
    host::fail()
}

/// Says where, not what: without the messages the image is smaller by all code that would format them.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let (file, number) = info
        .location()
        .map_or(("somewhere", 0), |place| (place.file(), place.line()));
    line!("sen panic at {file}:{number}");
    host::fail()
}
