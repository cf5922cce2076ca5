//! The command line of the gateway: parses, starts, exits.

mod cli;

use std::process::ExitCode;

// Many short-lived buffers, made on one thread and freed on another: the system's allocator keeps what it once had.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::run()
}
