//! Channels: each takes one message to one address, and says what came of it. One file each.
//!
//! A channel is asked again with the same message, and so the same key, after a failure that may pass and after a crash. Where the
//! other side removes duplicates by a key of ours it gets that one.
//!
//! What is wrong with the *message or its address* is refused for good, so that the next channel has its turn at once. What is
//! wrong with *us* (credentials, balance, configuration) may be put right, so it is tried again, and seen meanwhile.

pub mod email;
pub mod esms;
mod http;
pub mod modem;
mod secret;
pub mod telegram;
pub mod web_push;
pub mod webhook;
pub mod zalo;

use std::time::Duration;

use async_trait::async_trait;

pub use secret::Secret;

use crate::person::{Kind, Receipt};
use crate::plan::Message;

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The other side has it.
    Received {
        /// How far it has got.
        receipt: Receipt,
        /// What the other side calls it.
        reference: Option<String>,
    },
    /// It has not, as far as is known.
    Failed(Failure),
}

/// Why a try failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Failure {
    /// What to do about it.
    pub retry: Retry,
    /// In words, without secrets.
    pub why: String,
}

/// Whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// This message will not be taken.
    Never,
    /// Nor will any other to this address, ever.
    AddressGone,
    /// When we like.
    Later,
    /// Not before.
    After(Duration),
}

impl Outcome {
    pub(crate) fn accepted(reference: Option<String>) -> Self {
        Self::Received {
            receipt: Receipt::Accepted,
            reference,
        }
    }

    pub(crate) fn delivered() -> Self {
        Self::Received {
            receipt: Receipt::Delivered,
            reference: None,
        }
    }

    pub(crate) fn later(why: impl Into<String>) -> Self {
        Self::Failed(Failure {
            retry: Retry::Later,
            why: why.into(),
        })
    }

    pub(crate) fn never(why: impl Into<String>) -> Self {
        Self::Failed(Failure {
            retry: Retry::Never,
            why: why.into(),
        })
    }
}

impl From<Failure> for Outcome {
    fn from(f: Failure) -> Self {
        Self::Failed(f)
    }
}

/// A way to reach people.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Which one.
    fn kind(&self) -> Kind;

    /// Sends a message. Cancelled when it takes too long; it then counts as failed, and is sent again under the same key.
    async fn send(&self, message: &Message) -> Outcome;

    /// Asks what became of a message that was accepted under this reference; `None` if that is not known yet, or never is.
    async fn look(&self, _reference: &str) -> Option<Outcome> {
        None
    }

    /// Whether [`look`](Self::look) is worth calling.
    fn can_look(&self) -> bool {
        false
    }

    /// How many messages it takes at once.
    fn at_once(&self) -> usize {
        4
    }
}

#[cfg(test)]
pub(crate) mod fakes;
