//! What the binaries share: clocks, flash, front, watchdog, and what the chip does when it is in trouble.
#![no_std]

mod board;
mod flash;
mod front;
pub mod probes;
mod trouble;

pub use board::{Kit, Noise, random, run, start};
pub use flash::Regions;
pub use front::Front;
