//! One way in: whatever door an uplink came through, this decides what it is, stores it, and says what to answer.
//!
//! An uplink ends in one of three ways. [`Outcome::Stored`]: on disk, acknowledge it. [`Outcome::Refused`]: never going to
//! be stored, however often it is sent; counted, shown, acknowledged, so that it does not come for ever.
//! [`Outcome::NotStored`]: the journal could not take it now; no acknowledgement, the sender keeps it.

pub mod refusals;
mod times;

use std::net::SocketAddr;
use std::sync::Arc;

use sen_wire::senml::read_pack;
use sen_wire::topic::{Kind, Topic};
use sen_wire::{Hello, Receipt, Time};

use crate::clock::Clock;
use crate::journal::{Journal, StoreError, Uplink};
use crate::reading::{Measured, Reading};
use crate::registry::{Known, Node};
use refusals::{Refusal, Refusals};

/// A message from a node, as a door hands it over.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// MQTT topic.
    pub topic: &'a str,
    /// MQTT payload.
    pub payload: &'a [u8],
    /// The broker kept it from before: not news.
    pub retained: bool,
    /// Who the door knows the sender to be; `None` where another broker has checked that.
    pub sender: Option<&'a str>,
}

/// What became of an uplink.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// On disk. The receipt goes to the node where it numbers its readings, or said hello.
    Stored(Option<(String, Receipt)>),
    /// Not a thing that can be stored.
    Refused(&'static str),
    /// Not on disk. Do not acknowledge.
    NotStored(StoreError),
}

/// The way in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ingest {
    journal: Journal,
    known: Known,
    refusals: Arc<Refusals>,
    clock: Clock,
}

impl Ingest {
    /// Stores into `journal` what comes from nodes in `known`.
    #[must_use]
    pub fn new(journal: Journal, known: Known, refusals: Arc<Refusals>, clock: Clock) -> Self {
        Self {
            journal,
            known,
            refusals,
            clock,
        }
    }

    /// Takes one message in. Returns when it is on disk, refused, or can't be stored.
    pub async fn take(&self, m: Incoming<'_>) -> Outcome {
        let (topic, node) = match self.address(&m) {
            Ok(found) => found,
            Err(refusal) => return self.refuse(&m, refusal),
        };
        match topic.kind {
            Kind::Pack => self.pack(&m, &node).await,
            Kind::Hello => self.hello(&m, &node).await,
            Kind::Receipt | Kind::Config => self.refuse(
                &m,
                Refusal::new(
                    "downlink_topic",
                    "nodes read this topic and never write to it",
                ),
            ),
        }
    }

    fn address<'a>(&self, m: &Incoming<'a>) -> Result<(Topic<'a>, Arc<Node>), Refusal> {
        let topic = Topic::parse(m.topic).map_err(|e| Refusal::new(e.reason(), e))?;
        if m.sender.is_some_and(|s| s != topic.node) {
            return Err(Refusal::new(
                "foreign_topic",
                "a node publishes under its own id only",
            ));
        }
        // A retained message is replayed at every reconnect: it is not a new reading.
        if m.retained {
            return Err(Refusal::new(
                "retained",
                "publish readings without the retain flag",
            ));
        }
        let node = self.known.now().node(topic.node).cloned();
        let node = node.ok_or_else(|| {
            Refusal::new("unknown_node", "no such node; add it with `sen node add`")
        })?;
        // Our own door keeps it out; another broker does not know.
        if m.sender.is_none() && node.revoked.is_some() {
            return Err(Refusal::new(
                "revoked",
                "this node was revoked: take its account out of the broker too",
            ));
        }
        Ok((topic, node))
    }

    async fn pack(&self, m: &Incoming<'_>, node: &Arc<Node>) -> Outcome {
        let received = self.clock.now();
        let mut readings: Vec<(Reading, Time)> = Vec::with_capacity(m.payload.len() / 24);
        let mut refused: Option<Refusal> = None;
        let mut refusals = 0u64;
        let head = read_pack(m.payload, &mut |index, record| {
            let resolved = record.and_then(|r| r.resolve());
            readings.push(match resolved {
                Ok(r) => {
                    let what = match r.value {
                        sen_wire::Value::Number(v) => Measured::Value(v),
                        sen_wire::Value::Fault(f) => Measured::Fault(f),
                    };
                    (
                        Reading {
                            channel: Some(r.channel),
                            at: received,
                            what,
                            estimated: r.estimated,
                        },
                        r.time,
                    )
                }
                Err(e) => {
                    self.refusals.count(e.reason());
                    refusals += 1;
                    refused.get_or_insert_with(|| {
                        Refusal::new(e.reason(), format!("record {index}: {e}"))
                    });
                    (
                        Reading {
                            channel: None,
                            at: received,
                            what: Measured::Refused,
                            estimated: false,
                        },
                        Time::Missing,
                    )
                }
            });
        });
        let head = match head {
            Ok(head) => head,
            Err(e) => return self.refuse(m, Refusal::new(e.reason(), e)),
        };
        if let Some(r) = &refused {
            self.refusals
                .keep(received, Some(&node.id), m.topic, r, m.payload);
        }
        for fault in times::place(&mut readings, received) {
            self.refusals.count(fault.reason);
            self.refusals
                .keep(received, Some(&node.id), m.topic, &fault, m.payload);
        }
        let place = head.ids.map(|ids| (ids.boot, ids.seq));
        let mut readings: Vec<Reading> = readings.into_iter().map(|(r, _)| r).collect();
        if place.is_none() {
            // Without a sequence a refused record holds no place.
            readings.retain(|r| r.what != Measured::Refused);
            if readings.is_empty() {
                return Outcome::Refused(refused.map_or("empty", |r| r.reason));
            }
        }
        let count = readings.len() as u64;
        match self
            .journal
            .append(Uplink {
                node: node.num,
                received,
                place,
                readings,
            })
            .await
        {
            Ok(stored) => {
                metrics::counter!("sen_readings_total")
                    .increment(count - u64::from(stored.repeated));
                if stored.repeated > 0 {
                    metrics::counter!("sen_readings_repeated_total")
                        .increment(u64::from(stored.repeated));
                }
                let receipt = place
                    .zip(stored.receipt)
                    .map(|((boot, _), (from, through))| {
                        (
                            node.id.clone(),
                            Receipt {
                                boot,
                                from,
                                through,
                                time_ms: self.clock.now(),
                            },
                        )
                    });
                Outcome::Stored(receipt)
            }
            Err(e) => Outcome::NotStored(e),
        }
    }

    async fn hello(&self, m: &Incoming<'_>, node: &Arc<Node>) -> Outcome {
        let boot = match Hello::decode(m.payload) {
            Ok(h) => {
                self.remark(node, &h);
                h.boot.unwrap_or_default()
            }
            Err(e) => return self.refuse(m, Refusal::new(e.reason(), e)),
        };
        let (num, received, body) = (node.num, self.clock.now(), m.payload.to_vec());
        let stored = self
            .journal
            .write(move |c| {
                c.prepare_cached(
                    "INSERT OR REPLACE INTO hello (node, received, body) VALUES (?1, ?2, ?3)",
                )?
                .execute((num, received, body))
                .map(drop)
            })
            .await;
        match stored {
            Ok(()) => Outcome::Stored(Some((
                node.id.clone(),
                Receipt::time_only(boot, self.clock.now()),
            ))),
            Err(e) => Outcome::NotStored(e),
        }
    }

    /// What a node's hello says that somebody has to do something about.
    fn remark(&self, node: &Node, hello: &Hello<'_>) {
        let now = self.clock.now();
        if let (Some(asked), Some(found)) = (node.board.as_deref(), hello.board)
            && asked != found
        {
            let detail = format!(
                "it runs the image of `{found}`, and was set up as `{asked}`: flash it with the image of its own board, or set it up anew"
            );
            self.refusals
                .remark(now, &node.id, &Refusal::new("other_board", detail));
        }
        if let Some(refused) = hello.refusal() {
            let version = refused
                .version
                .map_or_else(String::new, |v| format!(" {v}"));
            let detail = format!("it does not take configuration{version}: {refused}");
            self.refusals.remark(
                now,
                &node.id,
                &Refusal::new(refused.reason.reason(), detail),
            );
        }
    }

    fn refuse(&self, m: &Incoming<'_>, refusal: Refusal) -> Outcome {
        self.refusals.count(refusal.reason);
        self.refusals
            .keep(self.clock.now(), m.sender, m.topic, &refusal, m.payload);
        Outcome::Refused(refusal.reason)
    }

    /// Counts and keeps a refusal that a door made itself, such as a subscription to another node's topics.
    pub fn refused_at_door(&self, sender: &str, topic: &str, reason: &'static str, detail: &str) {
        self.refusals.count(reason);
        self.refusals.keep(
            self.clock.now(),
            Some(sender),
            topic,
            &Refusal::new(reason, detail),
            &[],
        );
    }

    /// A client was not let in. `node`: who it says that it is.
    pub fn refused_client(
        &self,
        from: Option<SocketAddr>,
        node: &str,
        reason: &'static str,
        detail: &str,
    ) {
        let known = self.known.now().node(node).is_some();
        let node = Some(node).filter(|n| !n.is_empty());
        let refusal = Refusal::new(reason, detail);
        self.refusals
            .connection(self.clock.now(), from, node, known, &refusal);
    }

    /// A client was not let in before it could say who it is.
    pub fn refused_before_name(&self, from: SocketAddr, reason: &'static str, detail: &str) {
        let refusal = Refusal::new(reason, detail);
        self.refusals
            .connection(self.clock.now(), Some(from), None, false, &refusal);
    }
}
