//! How Sen tells people. Alarms come in; who hears what over which channel is decided by a pure [`plan`]; what is decided lies
//! in a durable [`outbox`] until a [`worker`] has delivered it over a [`channel`].
//!
//! ```text
//! alarm ─► desk::apply ── one transaction: plan's state + outbox ──► worker ─► channel ─► person
//!              ▲                                                       │
//!              └────────────── what became of it, receipts ────────────┘
//! ```
//!
//! - **What is decided is on disk** before anything is sent; a crash between any two steps costs no message.
//! - **A repeat has the same key**: at least once everywhere, exactly once where the channel removes duplicates by key.
//! - **A channel that is slow or down holds up no other**, and loses nothing within the stated time.
//! - **What fails is seen** by whoever set the policy: [`desk::troubles`].
//! - **Secrets are in no error and no log**: not in URLs either (Telegram's token is part of its path).
//!
//! The gateway gives the connection, the clock, the people and the policies; this crate knows nothing of it.

pub mod alarm;
pub mod calendar;
pub mod channel;
pub mod desk;
pub mod outbox;
pub mod person;
pub mod phone;
pub mod plan;
pub mod policy;
pub mod text;
pub mod worker;

#[cfg(test)]
mod testing;

/// Milliseconds since 1970, UTC.
pub type Millis = i64;
