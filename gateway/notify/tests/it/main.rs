//! The channels against fakes that misbehave, over real HTTP, SMTP and a pseudo-terminal; and the whole way of an alarm.

#![allow(
    clippy::unwrap_used,
    reason = "a test may say unwrap: its panic is its report"
)]

mod end_to_end;
mod fakes;
mod http_channels;
mod modem;
mod smtp;
