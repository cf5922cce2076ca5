//! What was refused and why: a counter a reason (never reset), and the last ones to look at (bounded).

use std::collections::{BTreeMap, VecDeque};
use std::fmt::{Display, Write};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use utoipa::ToSchema;

use crate::reading::Millis;

/// How many refusals are kept to look at; the oldest goes first.
pub const KEPT: usize = 100;
/// How much of a payload is kept.
const EXCERPT: usize = 96;
/// Longest sender and topic that are kept.
const NAME: usize = 80;

/// A refusal: a stable reason for counters, and a sentence that says what to do.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Metric label.
    pub reason: &'static str,
    /// For people.
    pub detail: String,
}

impl Refusal {
    /// Makes one.
    pub fn new(reason: &'static str, detail: impl Display) -> Self {
        Self {
            reason,
            detail: detail.to_string(),
        }
    }
}

/// One refused message.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Refused {
    /// When it arrived, ms UTC.
    pub at: Millis,
    /// Who sent it, where that is known.
    pub node: Option<String>,
    /// MQTT topic.
    pub topic: String,
    /// Reason, as in the counters.
    pub reason: &'static str,
    /// What is wrong and what to do.
    pub detail: String,
    /// The beginning of the payload, bytes that are not text as \xNN.
    pub excerpt: String,
}

#[derive(Debug, Default)]
struct Kept {
    counts: BTreeMap<&'static str, u64>,
    last: VecDeque<Refused>,
}

/// All refusals since the start.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Kept>);

impl Refusals {
    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one.
    pub fn count(&self, reason: &'static str) {
        metrics::counter!("sen_refused_total", "reason" => reason).increment(1);
        *self.lock().counts.entry(reason).or_default() += 1;
    }

    /// Keeps one to look at.
    pub fn keep(
        &self,
        at: Millis,
        node: Option<&str>,
        topic: &str,
        refusal: &Refusal,
        payload: &[u8],
    ) {
        let refused = Refused {
            at,
            node: node.map(|n| cut(n, NAME)),
            topic: cut(topic, NAME),
            reason: refusal.reason,
            detail: refusal.detail.clone(),
            excerpt: excerpt(payload),
        };
        let mut kept = self.lock();
        if kept.last.len() == KEPT {
            kept.last.pop_front();
        }
        kept.last.push_back(refused);
    }

    /// Counts by reason and the last refusals, newest first.
    #[must_use]
    pub fn snapshot(&self) -> (BTreeMap<&'static str, u64>, Vec<Refused>) {
        let kept = self.lock();
        (
            kept.counts.clone(),
            kept.last.iter().rev().cloned().collect(),
        )
    }
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

fn excerpt(payload: &[u8]) -> String {
    let mut out = String::new();
    for &b in payload.iter().take(EXCERPT) {
        if (b' '..=b'~').contains(&b) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "\\x{b:02x}");
        }
    }
    if payload.len() > EXCERPT {
        let _ = write!(out, "… ({} bytes)", payload.len());
    }
    out
}
