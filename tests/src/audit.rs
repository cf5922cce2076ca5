//! Record by record: what is on the other side against what the nodes replayed.

use std::collections::{HashMap, HashSet};
use std::fmt;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::herd::{Reading, Replayed, What};
use crate::influxd::Influxd;
use crate::sen::{Dumped, Sen};
use crate::victoria::Victoria;
use crate::wait;

/// What a comparison found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Compared with.
    pub source: usize,
    /// Found.
    pub found: usize,
    /// In the source and not found.
    pub lost: usize,
    /// Found more than once.
    pub duplicated: usize,
    /// Found with another value, fault or place.
    pub changed: usize,
    /// Found and in no source.
    pub foreign: usize,
    /// The first few differences.
    pub examples: Vec<String>,
}

impl Tally {
    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < 5 {
            self.examples.push(text());
        }
    }

    /// Fails unless all is there, once, unchanged.
    ///
    /// # Errors
    /// With the figures.
    pub fn clean(&self, of: &str) -> Result<()> {
        eprintln!("{of}: {self}");
        ensure!(
            self.lost + self.duplicated + self.changed + self.foreign == 0,
            "{of}: {self}: {:#?}",
            self.examples
        );
        Ok(())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} in the source, {} found, {} lost, {} duplicated, {} changed, {} never sent",
            self.source, self.found, self.lost, self.duplicated, self.changed, self.foreign
        )
    }
}

/// Node and channel by their numbers in [`Sources::names`], and the instant.
type Key = (usize, usize, i64);

struct Known<'a> {
    node: &'a str,
    reading: &'a Reading,
    boot: u64,
    seq: usize,
    seen: bool,
}

/// One side of the comparison: every reading by node, channel and instant.
struct Sources<'a> {
    names: HashMap<&'a str, usize>,
    readings: HashMap<Key, Known<'a>>,
    tally: Tally,
}

impl<'a> Sources<'a> {
    fn new(nodes: &'a [Replayed]) -> Result<Self> {
        let mut names: HashMap<&str, usize> = HashMap::new();
        let mut number = |name| {
            let next = names.len();
            *names.entry(name).or_insert(next)
        };
        let mut readings = HashMap::new();
        for node in nodes {
            for (seq, reading) in node.readings.iter().enumerate() {
                let key = (number(&node.node), number(&reading.channel), reading.at);
                let known = Known {
                    node: &node.node,
                    reading,
                    boot: node.boot,
                    seq,
                    seen: false,
                };
                let twice = readings.insert(key, known);
                ensure!(
                    twice.is_none(),
                    "{} {reading:?} is twice in the source",
                    node.node
                );
            }
        }
        let tally = Tally {
            source: readings.len(),
            ..Tally::default()
        };
        Ok(Self {
            names,
            readings,
            tally,
        })
    }

    fn found(
        &mut self,
        key: (&str, &str, i64),
        place: Option<(u64, u32)>,
        same: impl FnOnce(&What) -> bool,
        shown: impl FnOnce() -> String,
    ) {
        self.tally.found += 1;
        let number = |name| self.names.get(name).copied();
        let numbers = number(key.0)
            .zip(number(key.1))
            .map(|(node, channel)| (node, channel, key.2));
        let Some(known) = numbers.and_then(|key| self.readings.get_mut(&key)) else {
            self.tally.foreign += 1;
            self.tally
                .example(|| format!("never sent: {key:?} {}", shown()));
            return;
        };
        if std::mem::replace(&mut known.seen, true) {
            self.tally.duplicated += 1;
            self.tally.example(|| format!("twice: {key:?}"));
        }
        let Known {
            reading, boot, seq, ..
        } = *known;
        let in_place = place.is_none_or(|(b, s)| b == boot && s as usize == seq);
        if !(in_place && same(&reading.what)) {
            self.tally.changed += 1;
            self.tally
                .example(|| format!("{key:?} {boot}/{seq} {reading:?}: found {}", shown()));
        }
    }

    fn close(mut self) -> Tally {
        for known in self.readings.values().filter(|known| !known.seen) {
            self.tally.lost += 1;
            self.tally.example(|| {
                format!(
                    "lost: {} {}/{} {:?}",
                    known.node, known.boot, known.seq, known.reading
                )
            });
        }
        self.tally
    }
}

/// The journal. Readings that have been folded carry no place any more; the others' is compared too.
///
/// # Errors
/// When the source has a reading twice.
pub fn journal(nodes: &[Replayed], dump: &[Dumped]) -> Result<Tally> {
    let mut sources = Sources::new(nodes)?;
    for d in dump {
        let fault = d.fault.as_ref().and_then(Value::as_str);
        sources.found(
            (&d.node, &d.channel, d.at),
            d.boot.zip(d.seq),
            |what| match what {
                What::Value(v) => d.value == Some(*v) && fault.is_none(),
                What::Fault(f) => fault == Some(f) && d.value.is_none(),
            },
            || format!("{d:?}"),
        );
    }
    Ok(sources.close())
}

/// InfluxDB 1, node by node: values, faults, and no field beside them.
///
/// # Errors
/// When it does not answer.
pub async fn influx(nodes: &[Replayed], influx: &Influxd) -> Result<Tally> {
    let mut sources = Sources::new(nodes)?;
    let names: HashSet<&str> = nodes.iter().map(|n| n.node.as_str()).collect();
    for node in names {
        for (field, at, value) in influx.fields_of(node).await? {
            let channel = field.strip_suffix("_fault").unwrap_or(&field);
            sources.found(
                (node, channel, at),
                None,
                |what| match what {
                    What::Value(v) => channel == field && value.as_f64() == Some(*v),
                    What::Fault(f) => channel != field && value.as_str() == Some(f),
                },
                || format!("{field}={value}"),
            );
        }
    }
    let all = influx.count_series().await?;
    let mut tally = sources.close();
    if all != nodes_in(nodes) {
        tally.foreign += 1;
        tally.example(|| format!("{all} series for {} nodes", nodes_in(nodes)));
    }
    Ok(tally)
}

/// VictoriaMetrics. It has no text: of a fault it keeps the name of the field and a 0.
///
/// # Errors
/// When it does not answer, or holds something twice.
pub async fn victoria(nodes: &[Replayed], victoria: &Victoria) -> Result<Tally> {
    let mut sources = Sources::new(nodes)?;
    for ((node, field, at), value) in victoria.points().await? {
        let channel = field.strip_suffix("_fault").unwrap_or(&field);
        sources.found(
            (&node, channel, at),
            None,
            |what| match what {
                What::Value(v) => channel == field && value == *v,
                What::Fault(_) => channel != field,
            },
            || format!("{field}={value}"),
        );
    }
    Ok(sources.close())
}

fn nodes_in(nodes: &[Replayed]) -> usize {
    nodes
        .iter()
        .map(|n| n.node.as_str())
        .collect::<HashSet<_>>()
        .len()
}

/// What a gateway that has stopped keeps: ledger and journal.
///
/// # Errors
/// With the first difference, or when it can't be read.
pub fn gateway(nodes: &[Replayed], sen: &Sen) -> Result<()> {
    let said = sen
        .run_within(&["ledger", "--json", "--days", "90"], 5 * wait::PATIENCE)?
        .success()?;
    ledger(nodes, &serde_json::from_str(&said.out)?)?;
    journal(nodes, &sen.dump()?)?.clean("journal")
}

/// `sen ledger --json`: of every node as many received as it replayed, none missing, refused or without a number.
///
/// # Errors
/// With the first node that differs.
pub fn ledger(nodes: &[Replayed], document: &Value) -> Result<()> {
    let mut replayed: HashMap<&str, usize> = HashMap::new();
    for node in nodes {
        *replayed.entry(&node.node).or_default() += node.readings.len();
    }
    let listed = document["nodes"].as_array().context("no nodes")?;
    ensure!(
        listed.len() == replayed.len(),
        "{} nodes listed",
        listed.len()
    );
    let mut received = 0;
    for account in listed {
        let id = account["node"].as_str().context("no node")?;
        let expected = replayed.get(id).with_context(|| format!("unknown {id}"))?;
        let is = |key: &str, n: usize| {
            ensure!(
                account[key] == n,
                "{id}: {key} is {}, not {n}",
                account[key]
            );
            Ok(())
        };
        is("received", *expected)?;
        is("missing", 0)?;
        is("refused", 0)?;
        is("unnumbered", 0)?;
        received += expected;
    }
    eprintln!("ledger: {received} received, 0 missing, 0 refused");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes() -> Vec<Replayed> {
        let reading = |at, what| Reading {
            channel: "ph".to_owned(),
            at,
            what,
        };
        vec![Replayed {
            node: "n".to_owned(),
            boot: 7,
            readings: vec![
                reading(1, What::Value(7.5)),
                reading(2, What::Fault("other".to_owned())),
            ],
        }]
    }

    fn dumped(seq: u32, at: i64, value: Option<f64>) -> Dumped {
        Dumped {
            node: "n".to_owned(),
            boot: Some(7),
            seq: Some(seq),
            channel: "ph".to_owned(),
            at,
            value,
            estimated: false,
            fault: value.is_none().then(|| "other".into()),
        }
    }

    #[test]
    fn counts_what_is_lost_double_changed_and_foreign() -> Result<()> {
        let good = [dumped(0, 1, Some(7.5)), dumped(1, 2, None)];
        assert!(journal(&nodes(), &good)?.clean("good").is_ok());
        let of = |dump: &[Dumped]| {
            let t = journal(&nodes(), dump)?;
            anyhow::Ok((t.lost, t.duplicated, t.changed, t.foreign))
        };
        assert_eq!(of(&good[..1])?, (1, 0, 0, 0));
        assert_eq!(
            of(&[good[0].clone(), good[0].clone(), good[1].clone()])?,
            (0, 1, 0, 0)
        );
        assert_eq!(of(&[dumped(0, 1, Some(7.4)), good[1].clone()])?.2, 1);
        assert_eq!(of(&[dumped(3, 1, Some(7.5)), good[1].clone()])?.2, 1);
        assert_eq!(of(&[good[0].clone(), dumped(1, 2, Some(0.0))])?.2, 1);
        assert_eq!(
            of(&[good[0].clone(), good[1].clone(), dumped(2, 3, None)])?.3,
            1
        );
        Ok(())
    }
}
