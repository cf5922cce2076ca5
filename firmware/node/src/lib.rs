//! What a Sen node does between its probes and its radio, on any board. `no_std`, no allocator, no `unsafe`, no chip.
//!
//! ```text
//!            Schedule          Outbox (Storage)          Session                     Link
//! Probes --> [due?] --> Sample --> Entry(boot,seq) --> pack, window of 4 --> MQTT QoS 1 --> gateway
//!                          ^            |  freed by receipts only  <-----------  receipt, time, configuration
//!                        Clock <---- time of the receipts
//! ```
//!
//! - [`Node`] is the state machine: it is told what time it is and what happened, and says what to publish and when to
//!   wake it. No I/O besides the [`Storage`] that it owns, so tests drive it through years in milliseconds.
//! - [`calibration`] makes values of raw samples before they are recorded; [`Settings`] keeps the configuration, calibrations
//!   included, through a reset. A configuration is taken whole or not at all, and the hello says which runs and why the last
//!   one was refused.
//! - A node with a listen window rests: its link is down between one sending and the next, see [`session`].
//! - [`run`] is the loop around it, over the traits [`Link`], [`Probes`] and [`Timer`]. A board's `main` (embassy) and the
//!   host simulator (tokio) run this same code.
//!
//! What holds, and `tests/model.rs` tries to break:
//! - A reading gets its place (boot, sequence) when it is recorded, once, and keeps it through reconnects and restarts.
//! - What the [`FlashOutbox`] was given outlives a power cut at any word: `tests/flash_cuts.rs`.
//! - A reading leaves the outbox when a receipt names it, or when the outbox is full and it is the oldest: then it is
//!   counted as dropped, and the gateway sees the hole in the sequence.
//! - What is recorded is sent in order, oldest first. A backlog drains at a window of [`WINDOW`](session::WINDOW) packs a
//!   round trip, so a day of six channels a quarter of an hour (576 readings, 8 packs) takes two round trips; live readings
//!   wait behind it.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod checksum;

pub mod calibration;
pub mod clock;
pub mod flash;
pub mod node;
pub mod outbox;
pub mod runner;
pub mod sample;
pub mod schedule;
pub mod session;
pub mod settings;
mod urgency;

pub use clock::Stamp;
pub use flash::FlashOutbox;
pub use node::{Identity, Node};
pub use outbox::{Entry, RamOutbox, Storage};
pub use runner::{Link, Probes, Timer, run};
pub use sample::{Sample, Samples};
pub use settings::{FlashSettings, NoSettings, Settings};
