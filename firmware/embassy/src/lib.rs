//! What every Sen board that runs embassy shares. `no_std`, no allocator, no `unsafe`, no chip: a board's `main` says pins,
//! clocks, network and spawn, reads its node configuration with [`provision`] and hands all of it to [`run`].
//!
//! ```text
//!           sen_node::run                          this crate                                embassy-net
//! Probes --> Node --> Link -- mail, one message --> Joiner: dial, TLS, MQTT 5 -- records --> TcpSocket --> the board's
//!             |         <----- mail, receipts -----    |                                                    network
//!        FlashOutbox                                Status --> Panel (LED pattern, serial line)
//! ```
//!
//! - Waiting is bounded everywhere: each step of joining has a limit of its own ([`limits`]) and, when it fails, a
//!   [`Trouble`] of its own, which the LED blinks and the serial line names. `sen_node` decides when to try again.
//! - The gateway is known by one P-256 key, pinned when the board was flashed. No certificate authority, no expiry date and
//!   no clock is involved. The node shows its own password inside.
//! - Nothing of MQTT's state outlives a connection: the outbox is what lasts, and a receipt alone frees an entry of it.
//! - Node, link and status run in one task, so nothing here is shared between interrupts or cores.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod apart;
mod dial;
mod join;
pub mod limits;
mod link;
mod mac;
mod mail;
pub mod modem;
mod mqtt;
#[cfg(feature = "ppp")]
pub mod ppp;
pub mod provision;
mod run;
pub mod status;
mod stream;
mod timer;
mod tls;
pub mod trouble;

pub use join::Memory;
pub use mac::local_mac;
pub use run::{Board, Entropy, run};
pub use status::{Panel, Status};
pub use timer::EmbassyTimer;
pub use trouble::Trouble;
