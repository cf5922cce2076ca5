//! What both binaries share: clocks, flash, watchdog, and what the chip wants when it is in trouble.
#![no_std]

pub mod board;
pub mod flash;
mod trouble;
