//! One way in: whatever door an uplink came through, this decides what it is, stores it, and says what to answer.
//!
//! An uplink ends in one of three ways. [`Outcome::Stored`]: on disk, acknowledge it. [`Outcome::Refused`]: never going to
//! be stored, however often it is sent; counted, shown, acknowledged, so that it does not come for ever.
//! [`Outcome::NotStored`]: the journal could not take it now; no acknowledgement, the sender keeps it.

pub mod clocks;
pub mod refusals;
mod times;

use std::sync::Arc;

use sen_wire::receipt::NO_TIME;
use sen_wire::senml::read_pack;
use sen_wire::topic::{Kind, Topic};
use sen_wire::{Hello, Receipt, Time};

use crate::clock::Clock;
use crate::journal::{Journal, StoreError, Uplink};
use crate::reading::{Measured, Reading};
use crate::registry::{Known, Node};
use clocks::Clocks;
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
    clocks: Arc<Clocks>,
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
            clocks: Arc::default(),
            clock,
        }
    }

    /// How the nodes' clocks stand.
    #[must_use]
    pub fn clocks(&self) -> Arc<Clocks> {
        self.clocks.clone()
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
        Ok((
            topic,
            node.ok_or_else(|| {
                Refusal::new("unknown_node", "no such node; add it with `sen node add`")
            })?,
        ))
    }

    async fn pack(&self, m: &Incoming<'_>, node: &Arc<Node>) -> Outcome {
        let (received, sure) = self.clock.checked();
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
        let last = (readings.len() as u32).saturating_sub(1); // bounded by the wire
        let arrival = times::Arrival {
            at: received,
            sure,
            beside: head.ids.map(|ids| {
                self.journal
                    .neighbours(node.num, ids.boot, ids.seq, ids.seq.saturating_add(last))
            }),
        };
        let placed = times::place(&mut readings, arrival);
        let jumped = sure && self.clocks.note(node.num, received, &placed);
        if jumped {
            metrics::counter!("sen_node_clock_jumps_total", "node" => node.id.clone()).increment(1);
        }
        for fault in &placed.faults {
            self.refusals.count(fault.reason);
            // A clock that stays wrong is listed once: it would push out everything else.
            if jumped {
                self.refusals
                    .keep(received, Some(&node.id), m.topic, fault, m.payload);
            }
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
                                time_ms: self.time(),
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
            Ok(h) => h.boot.unwrap_or_default(),
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
                Receipt::time_only(boot, self.time()),
            ))),
            Err(e) => Outcome::NotStored(e),
        }
    }

    /// The time as receipts tell it.
    fn time(&self) -> i64 {
        self.clock.told().unwrap_or(NO_TIME)
    }

    fn refuse(&self, m: &Incoming<'_>, refusal: Refusal) -> Outcome {
        self.refusals.count(refusal.reason);
        self.refusals
            .keep(self.clock.now(), m.sender, m.topic, &refusal, m.payload);
        Outcome::Refused(refusal.reason)
    }

    /// Counts and keeps a refusal that a door made itself, such as a wrong password.
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
}
