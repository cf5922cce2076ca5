//! An executor that sleeps with WFI. embassy's own for Cortex-M sleeps with WFE, which QEMU takes for nothing: it would keep
//! a core of the host busy.
#![allow(unsafe_code, reason = "the raw executor is polled by hand")]

use core::sync::atomic::{AtomicBool, Ordering};

use embassy_executor::{Spawner, raw::Executor};
use static_cell::StaticCell;

static WORK: AtomicBool = AtomicBool::new(true);

// SAFETY: embassy-executor declares this symbol with this signature, and no other crate here defines it.
#[unsafe(export_name = "__pender")]
fn pender(_: *mut ()) {
    WORK.store(true, Ordering::SeqCst);
}

pub(crate) fn run(start: impl FnOnce(Spawner)) -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let executor: &'static Executor = EXECUTOR.init(Executor::new(core::ptr::null_mut()));
    start(executor.spawner());
    loop {
        // SAFETY: called from this loop alone, which is never entered twice: the cell above gives out one executor.
        unsafe { executor.poll() };
        // WFI ends at a pending interrupt even while they are masked, so none that comes in between is slept over.
        critical_section::with(|_| {
            if !WORK.swap(false, Ordering::SeqCst) {
                cortex_m::asm::wfi();
            }
        });
    }
}
