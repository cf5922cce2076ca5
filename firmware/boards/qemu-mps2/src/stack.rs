//! How deep the stack went.
#![allow(unsafe_code, reason = "reads what the linker and cortex-m-rt left")]

use embassy_time::Timer;

use crate::line;

/// What cortex-m-rt's `paint-stack` fills free RAM with at start.
const PAINT: u32 = 0xcccc_cccc;

unsafe extern "C" {
    static _stack_end: u32;
    static _stack_start: u32;
}

/// The deepest use so far and the room there is, bytes.
fn depth() -> (usize, usize) {
    let (end, start) = (
        &raw const _stack_end as usize,
        &raw const _stack_start as usize,
    );
    let mut at = end;
    // SAFETY: from the stack's end to its start is RAM that was painted and that nothing but the stack uses.
    while at < start && unsafe { (at as *const u32).read_volatile() } == PAINT {
        at += 4;
    }
    (start - at, start - end)
}

/// Says it, each time that it is more.
#[embassy_executor::task]
pub(crate) async fn watch() {
    let mut deepest = 0;
    loop {
        let (used, room) = depth();
        if used > deepest {
            deepest = used;
            line!("sen stack={used} of={room}");
        }
        Timer::after_secs(2).await;
    }
}
