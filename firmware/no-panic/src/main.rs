//! An image for a board with one function for each thing that the firmware does with what comes from outside: bytes from the
//! network, bytes from flash, bytes from probes. A panic on a board is a reset, and bytes that cause one come again after it.
//!
//! Nothing runs. `scripts/no-panic.sh` links it and looks for calls of `core::panicking` in what the optimiser has left: where
//! there is none, no input leads to one. Everything from outside comes from [`outside`], of which the optimiser knows nothing.
//!
//! Arithmetic wraps here, as in every release build of a board; `firmware/fuzz` looks for what wraps, with overflow checks on.
#![no_std]
#![no_main]

mod drivers;
mod node;
mod outside;
mod wire;

use core::panic::PanicInfo;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // Looked at, or the optimiser would make one function of all that end here.
    core::hint::black_box(info);
    loop {}
}

#[unsafe(no_mangle)]
#[allow(
    unsafe_code,
    reason = "the linker's entry, which has to keep its name; never run"
)]
extern "C" fn _start() {
    wire::all();
    node::all();
    drivers::all();
}

/// Functions that stay functions, so that a panic is found in the one that it belongs to, and `all`, which calls them.
#[macro_export]
macro_rules! entries {
    ($($(#[$meta:meta])* fn $name:ident() $body:block)+) => {
        $(
            $(#[$meta])*
            #[inline(never)]
            fn $name() $body
        )+

        pub(crate) fn all() {
            $($name();)+
        }
    };
}
