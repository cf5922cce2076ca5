//! The journal against a slow and obvious one: a list of rows, a map of what is folded, a set of places.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sen_wire::{Channel, Quantity};

use super::any;
use super::farm::{self, Line};
use crate::journal::block::Point;
use crate::journal::writer::lock;
use crate::journal::{Account, Boot, Folder, Head, Journal, Stored, Uplink, cursor};
use crate::reading::{DAY_MS, Measured, Millis, NodeNum, Reading};

const DAY: i64 = 20_000;
const CURSOR: &str = "reader";

#[derive(Debug, Clone)]
enum Step {
    Append {
        node: NodeNum,
        /// `None`: without numbers.
        place: Option<(Boot, u32)>,
        readings: Vec<Reading>,
    },
    Fold,
    Reopen,
    /// The reader goes on by some rows.
    Advance(usize),
    Look {
        from: Millis,
        span: Millis,
        buckets: u32,
    },
}

fn at() -> impl Strategy<Value = Millis> {
    // Few instants on the days around, so that they meet; borders between days among them.
    (DAY - 1..=DAY + 2, 0i64..12).prop_map(|(day, slot)| {
        day * DAY_MS + [0, 1, 59_999, DAY_MS - 1][slot as usize % 4] + slot / 4 * 7_000_001 % DAY_MS
    })
}

fn reading() -> impl Strategy<Value = Reading> {
    (0usize..3, at(), any::measured(), any::<bool>()).prop_map(|(q, at, what, estimated)| Reading {
        channel: (what != Measured::Refused).then(|| Channel::first(Quantity::ALL[q])),
        at,
        what,
        estimated,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let place = proptest::option::weighted(0.7, (1u64..3, 0u32..40));
    prop_oneof![
        12 => (1u32..4, place, prop::collection::vec(reading(), 1..6))
            .prop_map(|(node, place, readings)| Step::Append { node, place, readings }),
        2 => Just(Step::Fold),
        1 => Just(Step::Reopen),
        2 => (0usize..8).prop_map(Step::Advance),
        3 => ((DAY - 2) * DAY_MS..(DAY + 3) * DAY_MS, 1..4 * DAY_MS, 1u32..50)
            .prop_map(|(from, span, buckets)| Step::Look { from, span, buckets }),
    ]
}

/// A row of the log.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    node: NodeNum,
    place: Option<(Boot, u32)>,
    readings: Vec<Reading>,
}

#[derive(Debug, Default)]
struct Model {
    log: Vec<Row>,
    folded_rows: usize,
    /// What came last of each instant of a channel, among the folded rows.
    folded: BTreeMap<(NodeNum, u16, Millis), Point>,
    arrived: BTreeMap<(NodeNum, Boot), BTreeSet<u32>>,
    cursor: usize,
}

impl Model {
    fn append(
        &mut self,
        node: NodeNum,
        place: Option<(Boot, u32)>,
        readings: &[Reading],
    ) -> Stored {
        let Some((boot, seq)) = place else {
            self.log.push(Row {
                node,
                place,
                readings: readings.to_vec(),
            });
            return Stored {
                fresh: readings.len() as u32,
                repeated: 0,
                receipt: None,
            };
        };
        let arrived = self.arrived.entry((node, boot)).or_default();
        let mut fresh = 0;
        let mut last = None;
        for (s, r) in (seq..).zip(readings) {
            if !arrived.insert(s) {
                continue;
            }
            fresh += 1;
            match self.log.last_mut() {
                // Goes on where the row before ended, within this uplink.
                Some(row) if last == Some(s.wrapping_sub(1)) => row.readings.push(*r),
                _ => self.log.push(Row {
                    node,
                    place: Some((boot, s)),
                    readings: vec![*r],
                }),
            }
            last = Some(s);
        }
        let (mut lo, mut hi) = (seq, seq);
        while lo > 0 && arrived.contains(&(lo - 1)) {
            lo -= 1;
        }
        while arrived.contains(&(hi + 1)) {
            hi += 1;
        }
        Stored {
            fresh,
            repeated: readings.len() as u32 - fresh,
            receipt: Some((lo, hi)),
        }
    }

    fn fold(&mut self) {
        let mut folded = std::mem::take(&mut self.folded);
        settle(&self.log[self.folded_rows..], &mut folded);
        (self.folded, self.folded_rows) = (folded, self.log.len());
    }

    fn points(&self, node: NodeNum, channel: Channel, from: Millis, to: Millis) -> Vec<Point> {
        let mut all = self.folded.clone();
        settle(&self.log[self.folded_rows..], &mut all);
        let all = all.into_iter().filter(|((n, c, at), _)| {
            *n == node && *c == channel.to_u16() && (from..to).contains(at)
        });
        all.map(|(_, p)| p).collect()
    }

    fn account(&self, node: NodeNum) -> Account {
        let mut sum = Account::default();
        for ((_, _), places) in self.arrived.iter().filter(|((n, _), _)| *n == node) {
            sum.received += places.len() as u64;
            let last = places.last().map_or(0, |l| u64::from(*l) + 1);
            sum.missing += last - places.len() as u64;
        }
        sum
    }

    fn dump(&self) -> Vec<String> {
        let folded = self.folded.iter().map(|((node, channel, _), p)| {
            let channel = Channel::from_u16(*channel).map(|c| c.to_string());
            text(
                *node,
                channel,
                p.at,
                p.what.ok().map(|v| v.to_f64()),
                p.what.err().map(|f| f.name()),
                p.estimated,
            )
        });
        let rows = self.log[self.folded_rows..].iter();
        let tail = rows.flat_map(|row| {
            row.readings.iter().map(|r| {
                let fault = match r.what {
                    Measured::Value(_) => None,
                    Measured::Fault(f) => Some(f.name()),
                    Measured::Refused => Some("refused"),
                };
                text(
                    row.node,
                    r.channel.map(|c| c.to_string()),
                    r.at,
                    r.value(),
                    fault,
                    r.estimated,
                )
            })
        });
        sorted(folded.chain(tail))
    }
}

fn settle(rows: &[Row], into: &mut BTreeMap<(NodeNum, u16, Millis), Point>) {
    for row in rows {
        for r in &row.readings {
            let what = match r.what {
                Measured::Value(v) => Ok(v),
                Measured::Fault(f) => Err(f),
                Measured::Refused => continue,
            };
            let channel = r.channel.expect("not refused").to_u16();
            let point = Point {
                at: r.at,
                what,
                estimated: r.estimated,
            };
            into.insert((row.node, channel, r.at), point);
        }
    }
}

fn text(
    node: NodeNum,
    channel: Option<String>,
    at: Millis,
    value: Option<f64>,
    fault: Option<&str>,
    estimated: bool,
) -> String {
    format!("removed-{node} {channel:?} {at} {value:?} {fault:?} {estimated}")
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines
}

async fn compare(dir: &std::path::Path, journal: &Journal, model: &Model) {
    let dumped = farm::lines(dir).into_iter().map(|l: Line| {
        format!(
            "{} {:?} {} {:?} {:?} {}",
            l.node,
            l.channel,
            l.at,
            l.value,
            l.fault.as_deref(),
            l.estimated
        )
    });
    assert_eq!(sorted(dumped), model.dump());
    for node in 1..4 {
        assert_eq!(journal.account(node), model.account(node));
    }
    {
        let ledger = lock(&journal.0.shared.ledger);
        let mut places: BTreeMap<_, BTreeSet<u32>> = BTreeMap::new();
        for (node, boots) in ledger.boots(None) {
            for (boot, ranges) in boots {
                let spans = ranges.as_slice().iter();
                places.insert((node, boot), spans.flat_map(|s| s.lo..=s.hi).collect());
            }
        }
        assert_eq!(places, model.arrived);
    }
    assert_eq!(
        journal.unfolded() as usize,
        model.log.len() - model.folded_rows
    );
    assert_eq!(journal.cursor(CURSOR).await.unwrap(), model.cursor as i64);
    let rows = journal
        .rows_after(model.cursor as i64, 1_000)
        .await
        .unwrap();
    let rows: Vec<Row> = rows
        .into_iter()
        .map(|r| Row {
            node: r.node,
            place: r.place,
            readings: r.readings,
        })
        .collect();
    assert_eq!(rows, model.log[model.cursor..]);
    let waiting: usize = rows.iter().map(|r| r.readings.len()).sum();
    assert_eq!(
        journal.readings_after(model.cursor as i64).await.unwrap(),
        waiting as u64
    );
}

async fn look(journal: &Journal, model: &Model, from: Millis, to: Millis, buckets: u32) {
    for node in 1..4 {
        for channel in [0, 1, 2].map(|q| Channel::first(Quantity::ALL[q])) {
            let points = model.points(node, channel, from, to);
            assert_eq!(
                journal.points(node, channel, from, to).await.unwrap(),
                points
            );
            let history = journal
                .history(node, channel, from, to, buckets)
                .await
                .unwrap();
            let width = history.bucket_ms;
            // The narrowest that needs no more than so many.
            assert!(
                width * i64::from(buckets) >= to - from
                    && (width - 1) * i64::from(buckets) < to - from
            );
            let mut by_start: BTreeMap<Millis, Vec<&Point>> = BTreeMap::new();
            for p in &points {
                by_start
                    .entry(p.at - p.at.rem_euclid(width))
                    .or_default()
                    .push(p);
            }
            assert_eq!(history.buckets.len(), by_start.len(), "gaps stay gaps");
            for (bucket, (start, points)) in history.buckets.iter().zip(by_start) {
                let values: Vec<f64> = points
                    .iter()
                    .filter_map(|p| p.what.ok())
                    .map(|v| v.to_f64())
                    .collect();
                let head = Head {
                    readings: points.len() as u32,
                    values: values.len() as u32,
                    min: values.iter().copied().reduce(f64::min).unwrap_or(0.0),
                    max: values.iter().copied().reduce(f64::max).unwrap_or(0.0),
                    sum: values.iter().sum::<f64>() + 0.0,
                };
                assert_eq!((bucket.start, bucket.head), (start, head));
            }
            let mut steps: Vec<Millis> = points.windows(2).map(|w| w[1].at - w[0].at).collect();
            steps.sort_unstable();
            assert_eq!(history.every_ms, steps.get(steps.len() / 2).copied());
        }
    }
}

async fn run(steps: &[Step]) {
    let dir = farm::scratch();
    let mut model = Model::default();
    let mut journal = Journal::open(dir.path()).unwrap();
    journal.keep_cursors(&[CURSOR]).await.unwrap();
    for step in steps {
        match step {
            Step::Append {
                node,
                place,
                readings,
            } => {
                let uplink = Uplink {
                    node: *node,
                    received: 5,
                    place: *place,
                    readings: readings.clone(),
                };
                let stored = journal.append(uplink).await.unwrap();
                assert_eq!(stored, model.append(*node, *place, readings));
                assert_eq!(*journal.head().borrow(), model.log.len() as i64);
            }
            Step::Fold => {
                Folder::new(journal.clone(), std::time::Duration::ZERO)
                    .fold_all()
                    .await
                    .unwrap();
                model.fold();
            }
            Step::Reopen => {
                journal.close().await;
                drop(journal);
                journal = Journal::open(dir.path()).unwrap();
                journal.keep_cursors(&[CURSOR]).await.unwrap();
                compare(dir.path(), &journal, &model).await;
            }
            Step::Advance(rows) => {
                model.cursor = (model.cursor + rows).min(model.log.len());
                let to = model.cursor as i64;
                journal
                    .write(move |c| cursor::advance(c, CURSOR, to))
                    .await
                    .unwrap();
            }
            Step::Look {
                from,
                span,
                buckets,
            } => look(&journal, &model, *from, from + span, *buckets).await,
        }
    }
    compare(dir.path(), &journal, &model).await;
    look(&journal, &model, (DAY - 3) * DAY_MS, (DAY + 4) * DAY_MS, 40).await;
    journal.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("SEN_NIGHTLY").is_some() { 2_000 } else { 60 }))]

    #[test]
    fn the_journal_is_its_slow_model(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(&steps));
    }
}
