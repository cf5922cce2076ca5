//! The command line of the gateway: parses, starts, exits.

mod cli;

use std::process::ExitCode;

// Short-lived buffers of many tasks: returns memory better than the system's allocator, and is faster.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
