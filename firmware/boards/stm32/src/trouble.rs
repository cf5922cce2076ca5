//! What ends a program, how the next start knows, and the one thing that looks like an end and is none.
#![allow(unsafe_code, reason = "exceptions, and RAM that outlives a reset")]

use core::{mem::MaybeUninit, panic::PanicInfo};

use cortex_m::peripheral::SCB;
use cortex_m_rt::{ExceptionFrame, exception};
use embassy_stm32::pac;
use sen_wire::ResetReason;

use crate::flash::{SEN_NODE, SEN_OUTBOX, SEN_SETTINGS};

/// Where bank 2 of the flash begins.
const BANK_2: u32 = 0x8_0000;

/// The flash raises this when it reads a word whose ECC does not fit, as a power cut in the middle of a write leaves it
/// (RM0351 section 3.3.2). In what the node keeps that is a torn record, which its checksum finds; in the program it is the
/// end.
// SAFETY: it may come at any time; it touches one register that nothing else uses.
#[exception]
unsafe fn NonMaskableInt() {
    let status = pac::FLASH.eccr().read();
    let bank = if status.bk_ecc() { BANK_2 } else { 0 };
    let address = bank + status.addr_ecc();
    let kept = [SEN_NODE, SEN_SETTINGS, SEN_OUTBOX]
        .iter()
        .any(|part| part.contains(&address));
    if !status.eccd() || status.sysf_ecc() || !kept {
        SCB::sys_reset();
    }
    // Writing the flag back clears it.
    pac::FLASH.eccr().write_value(status);
}

/// What a panic leaves for the next start: RAM keeps it through a reset, and is noise after power-on.
#[unsafe(link_section = ".uninit.PANIC")]
static mut PANIC: MaybeUninit<u32> = MaybeUninit::uninit();
const PANICKED: u32 = 0x5e4e_dead;

fn end() -> ! {
    // SAFETY: nothing else runs after this.
    unsafe { (&raw mut PANIC).write_volatile(MaybeUninit::new(PANICKED)) };
    SCB::sys_reset()
}

// SAFETY: does nothing but reset.
#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    end()
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    end()
}

/// Why this start. Before anything else, once: asking forgets it.
pub fn reset_reason() -> ResetReason {
    // SAFETY: no other access before this start ends. Any word is a u32, the chip's RAM has one after power-on too.
    let panicked = unsafe {
        let panicked = (&raw const PANIC).cast::<u32>().read_volatile() == PANICKED;
        (&raw mut PANIC).write_volatile(MaybeUninit::new(0));
        panicked
    };
    let flags = pac::RCC.csr().read();
    pac::RCC.csr().modify(|csr| csr.set_rmvf(true));
    // The pin's flag is set by each of them; power-on sets brown-out's.
    if flags.iwdgrstf() || flags.wwdgrstf() {
        ResetReason::Watchdog
    } else if flags.sftrstf() {
        if panicked {
            ResetReason::Panic
        } else {
            ResetReason::Software
        }
    } else if flags.borrstf() {
        ResetReason::PowerOn
    } else if flags.pinrstf() {
        ResetReason::External
    } else {
        ResetReason::Unknown
    }
}
