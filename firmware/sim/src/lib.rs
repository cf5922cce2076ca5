//! A fleet of simulated nodes. Each runs [`sen_node::run`], the code that runs on the boards, over a real MQTT connection;
//! only its probes are made up, and those replay what real instruments measured, faults and all.
//!
//! | module | what |
//! |---|---|
//! | [`source`] | the recordings in the binary, and which column is which channel |
//! | [`series`] | a recording in memory, small enough to share |
//! | [`replay`] | which instant of a recording is which instant now: a pure function |
//! | [`fleet`] | starts the nodes, watches and stops them |
//! | [`demo`] | three farms with twelve nodes for `sen demo` |
#![forbid(unsafe_code)]

pub mod demo;
pub mod fleet;
mod link;
mod outbox;
mod probes;
pub mod replay;
pub mod series;
pub mod source;

pub use demo::{Demo, demo_fleet};
pub use fleet::{Fleet, FleetConfig, NodeSpec, Password, Stats};
pub use replay::{Pace, Replay};
pub use series::{Row, Series};
pub use source::Source;
