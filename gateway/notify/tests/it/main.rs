//! The channels against fakes that misbehave, over real HTTP, SMTP and a pseudo-terminal; and the whole way of an alarm.

mod end_to_end;
mod fakes;
mod http_channels;
mod modem;
mod smtp;
