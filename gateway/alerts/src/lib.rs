//! What Sen says about readings: which are believed, when an alarm is raised, what a rule would have done last month.
//!
//! No I/O, no clock, no randomness: everything is a function of what it is given, so that a rule can be rehearsed on a
//! year of readings in the time of one look, and a crash can be replayed in a test.
//!
//! ```text
//! reading -> quality (believed? marked) -> Engine: Watch (rule x series) -> transitions -> history, notifications
//!                                             ^ heartbeat, tick, link, acknowledgement
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`rule`] | a rule as data (JSON) |
//! | [`check`] | which rules make no sense, and why |
//! | [`calendar`] | local time, seasons, crop stages, active hours |
//! | [`condition`] | whether a reading meets the condition, and what must be remembered for that |
//! | [`watch`] | pending, firing, acknowledged, snoozed, resolved: one rule on one series |
//! | [`engine`] | all watches; late data; silence of nodes, one alarm a cause |
//! | [`replay`] | what a rule would have done over stored readings |
//! | [`quality`] | range, stuck, spike, step, sentinel: which readings are believed |
//! | [`trust`] | how far a channel is to be trusted, 0 to 100, with the reasons |
//! | [`salinity`] | practical salinity from conductivity (PSS-78) |
//!
//! Times are milliseconds since 1970-01-01 UTC, durations milliseconds unless a name says seconds.
#![forbid(unsafe_code)]

pub mod calendar;
pub mod check;
pub mod condition;
pub mod engine;
pub mod place;
pub mod preset;
pub mod quality;
pub mod replay;
pub mod rule;
pub mod salinity;
pub mod sentence;
pub mod text;
pub mod trust;
pub mod watch;

pub use engine::Engine;
pub use rule::Rule;

/// Milliseconds since 1970-01-01 UTC.
pub type Millis = i64;
