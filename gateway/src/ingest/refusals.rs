//! What was refused and why: a counter a reason (never reset), the last ones to look at (bounded), and for each node the
//! last one a reason, which nobody else's refusals can push out.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::{Display, Write};
use std::net::SocketAddr;
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
/// The same refusal of the same sender is logged again only after this: a node that is refused tries every few seconds.
const QUIET_MS: Millis = 10 * 60_000;
/// Senders whose last log line is remembered; beyond that all is forgotten, and logged once more.
const REMEMBERED: usize = 1_000;

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
    /// Where the connection came from, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// MQTT topic.
    pub topic: String,
    /// Reason, as in the counters.
    pub reason: &'static str,
    /// What is wrong and what to do.
    pub detail: String,
    /// The beginning of the payload, bytes that are not text as \xNN.
    pub excerpt: String,
}

/// What a node was last refused for one reason.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OfNode {
    /// Reason, as in the counters.
    pub reason: &'static str,
    /// What is wrong and what to do.
    pub detail: String,
    /// The last time, ms UTC.
    pub at: Millis,
    /// How often since the gateway's start.
    pub count: u64,
}

#[derive(Debug, Default)]
struct Kept {
    counts: BTreeMap<&'static str, u64>,
    last: VecDeque<Refused>,
    by_node: HashMap<String, BTreeMap<&'static str, OfNode>>,
    logged: HashMap<(String, &'static str), Millis>,
}

impl Kept {
    fn push(&mut self, refused: Refused) {
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(refused);
    }

    /// Reasons are names in the program, so a node's list is bounded by them.
    fn note(&mut self, at: Millis, node: Option<&str>, refusal: &Refusal) {
        let Some(node) = node else { return };
        let reasons = self.by_node.entry(node.to_owned()).or_default();
        let count = reasons.get(refusal.reason).map_or(0, |r| r.count) + 1;
        let now = OfNode {
            reason: refusal.reason,
            detail: refusal.detail.clone(),
            at,
            count,
        };
        reasons.insert(refusal.reason, now);
    }

    fn is_news(&mut self, at: Millis, who: &str, reason: &'static str) -> bool {
        if self.logged.len() >= REMEMBERED {
            self.logged.clear();
        }
        let last = self.logged.insert((who.to_owned(), reason), at);
        match last {
            Some(last) if at.saturating_sub(last) < QUIET_MS => {
                self.logged.insert((who.to_owned(), reason), last);
                false
            }
            _ => true,
        }
    }
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
            from: None,
            topic: cut(topic, NAME),
            reason: refusal.reason,
            detail: refusal.detail.clone(),
            excerpt: excerpt(payload),
        };
        let mut kept = self.lock();
        kept.note(at, node, refusal);
        kept.push(refused);
    }

    /// Counts, keeps and logs a connection that was refused. `node`: who it says that it is; `known`: whether there is such
    /// a node, so that strangers fill no memory.
    pub fn connection(
        &self,
        at: Millis,
        from: Option<SocketAddr>,
        node: Option<&str>,
        known: bool,
        refusal: &Refusal,
    ) {
        self.count(refusal.reason);
        // Ports differ at each try.
        let who = match (node, from) {
            (Some(node), _) => cut(node, NAME),
            (None, Some(from)) => from.ip().to_string(),
            (None, None) => String::new(),
        };
        let mut kept = self.lock();
        kept.note(at, node.filter(|_| known), refusal);
        kept.push(Refused {
            at,
            node: node.map(|n| cut(n, NAME)),
            from: from.map(|from| from.to_string()),
            topic: String::new(),
            reason: refusal.reason,
            detail: refusal.detail.clone(),
            excerpt: String::new(),
        });
        let news = kept.is_news(at, &who, refusal.reason);
        drop(kept);
        if news {
            let from = from.map_or_else(String::new, |from| format!(" from {from}"));
            let who = node.map_or_else(|| "a client".to_owned(), |n| format!("{:?}", cut(n, NAME)));
            tracing::warn!(
                "refused {who}{from}: {}: {}",
                refusal.reason,
                refusal.detail
            );
        }
    }

    /// Counts, keeps and logs what is wrong with a node that was let in.
    pub fn remark(&self, at: Millis, node: &str, refusal: &Refusal) {
        self.count(refusal.reason);
        self.keep(at, Some(node), "", refusal, &[]);
        if self.lock().is_news(at, node, refusal.reason) {
            tracing::warn!("{node}: {}: {}", refusal.reason, refusal.detail);
        }
    }

    /// What a node was refused for since the gateway's start, the latest first.
    #[must_use]
    pub fn of_node(&self, node: &str) -> Vec<OfNode> {
        let mut all: Vec<OfNode> = self
            .lock()
            .by_node
            .get(node)
            .map(|reasons| reasons.values().cloned().collect())
            .unwrap_or_default();
        all.sort_by_key(|r| std::cmp::Reverse(r.at));
        all
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
