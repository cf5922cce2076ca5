//! What a Sen node and a Sen gateway say to each other, and nothing else: both sides link this crate, so neither can
//! drift. `no_std`, no allocator, no `unsafe`; every reader takes hostile bytes and answers with an error, never a panic.
//!
//! | on the wire | module | format |
//! |---|---|---|
//! | readings, up | [`senml`] | SenML (RFC 8428), CBOR or JSON, with `boot` and `seq` as extension labels |
//! | "these are on disk", down | [`receipt`] | CBOR array |
//! | what the node is, up | [`hello`] | CBOR map |
//! | what the node shall do, down | [`config`], [`calibration`] | CBOR map |
//! | why it won't | [`refusal`], in the hello | code |
//! | where it goes | [`topic`], [`id`] | MQTT topics `sen/1/{node}/…` |
//!
//! A [`Reading`] is one [`Channel`] at one instant with one exact [`Decimal`] or one [`Fault`]. Its place in the node's
//! sequence is an [`Ids`]: two readings with the same node, boot and sequence number are the same reading.
//!
//! ```
//! use sen_wire::{Channel, Ids, Quantity, Reading, Time, Value, senml};
//!
//! let mut buffer = [0; sen_wire::limits::MAX_PACK_BYTES];
//! let mut pack = senml::PackWriter::new(&mut buffer, Some(Ids { boot: 7, seq: 41 }));
//! let reading = Reading {
//!     channel: Channel::first(Quantity::Salinity),
//!     value: Value::Number("1.9".parse()?),
//!     time: Time::Absolute(1_341_100_800_000),
//!     estimated: false,
//! };
//! pack.push(&reading)?;
//!
//! let mut got = None;
//! let head = senml::read_pack(pack.finish(), &mut |_index, record| got = record.and_then(|r| r.resolve()).ok())?;
//! assert_eq!(head.ids, Some(Ids { boot: 7, seq: 41 }));
//! assert_eq!(got, Some(reading));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod error;
mod number;

pub mod calibration;
pub mod channel;
pub mod config;
pub mod decimal;
pub mod fault;
pub mod hello;
pub mod id;
pub mod limits;
pub mod quantity;
pub mod reading;
pub mod receipt;
pub mod refusal;
pub mod senml;
pub mod topic;

pub use calibration::{Calibration, Curve};
pub use channel::Channel;
pub use config::{NodeConfig, SendLimit};
pub use decimal::Decimal;
pub use fault::Fault;
pub use hello::{Hello, ResetReason};
pub use id::NodeId;
pub use quantity::Quantity;
pub use reading::{Ids, Reading, Time, Value};
pub use receipt::Receipt;
pub use refusal::{Refusal, RefusalReason};
pub use topic::Topic;
