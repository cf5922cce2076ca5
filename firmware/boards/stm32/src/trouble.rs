//! What ends a program, and the one thing that looks as if it did and does not.

use core::panic::PanicInfo;

use cortex_m::peripheral::SCB;
use cortex_m_rt::{ExceptionFrame, exception};
use embassy_stm32::pac;

use crate::flash::{SEN_NODE, SEN_OUTBOX};

/// The flash raises this when it reads a word whose ECC does not fit, as a power cut in the middle of a write leaves it
/// (RM0351 section 3.3.2). In the outbox that is a torn record, which its checksum finds; in the program it is the end.
// SAFETY: the exception may come at any time; it touches one register that nothing else uses.
#[exception]
unsafe fn NonMaskableInt() {
    let status = pac::FLASH.eccr().read();
    let bank = if status.bk_ecc() { 0x8_0000 } else { 0 };
    let address = bank + status.addr_ecc();
    let kept = SEN_NODE.contains(&address) || SEN_OUTBOX.contains(&address);
    if !status.eccd() || status.sysf_ecc() || !kept {
        SCB::sys_reset();
    }
    // Writing the flag back clears it.
    pac::FLASH.eccr().write_value(status);
}

// SAFETY: does nothing but reset.
#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    SCB::sys_reset()
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    SCB::sys_reset()
}
