//! Two nodes that keep what was not acknowledged, as real ones do, and remember everything that they ever sent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sen_wire::{Channel, Decimal, Fault, Quantity};

use super::rng::Rng;
use crate::journal::days::{Books, books_of};
use crate::journal::writer::lock;
use crate::journal::{Files, Journal, StoreError, Stored, Uplink, cursor, dump};
use crate::reading::{DAY_MS, Day, HOUR_MS, Measured, Millis, NodeNum, Reading};
use crate::registry::{self, RegistryFile};

/// Numbers its readings.
pub(super) const NUMBERED: NodeNum = 1;
/// Does not.
pub(super) const PLAIN: NodeNum = 2;
pub(super) const BOOT: u64 = (7 << 32) | 3;
pub(super) const SINK: &str = "sink";
/// Runs at the same time: most of one is waiting for company in a commit.
pub(super) const AT_ONCE: usize = 8;
const START: Millis = 20_000 * DAY_MS + 21 * HOUR_MS;

/// A journal with two registered nodes, closed again, to start runs from.
pub(super) fn make(dir: &Path) {
    let c = Files::of(dir).migrated().unwrap();
    let file: RegistryFile = toml::from_str(
        r#"
        [[farm]]
        id = "f"
        name = "Farm"
        [[plot]]
        id = "p"
        farm = "f"
        name = "Plot"
        [[node]]
        id = "numbered"
        plot = "p"
        [[node]]
        id = "plain"
        plot = "p"
        "#,
    )
    .unwrap();
    registry::apply(&c, &file).unwrap();
}

/// A folder that is gone with the test; in memory where there is such a place, since thousands of runs sync.
pub(super) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// Runs it on this thread.
pub(super) fn block_on<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(what)
}

pub(super) fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// One reading that was sent. Node and instant say which.
#[derive(Debug, Clone)]
struct Sent {
    reading: Reading,
    seq: Option<u32>,
    /// A send of it was answered `Ok`.
    acked: bool,
    /// Sends that were not answered `Ok`, and may have come to the disk all the same if the power went then.
    unsure: u32,
}

/// The nodes' side of a run, and a sink's.
#[derive(Debug)]
pub(super) struct Farm {
    rng: Rng,
    clock: Millis,
    next_seq: u32,
    /// Numbered uplinks without an `Ok`: first sequence number and readings.
    outbox: Vec<(u32, Vec<Reading>)>,
    sent: BTreeMap<(NodeNum, Millis), Sent>,
    /// Places that some receipt named.
    receipted: BTreeSet<u32>,
    delivered: BTreeSet<(NodeNum, Millis)>,
    /// Where the sink's cursor was last confirmed.
    confirmed: i64,
}

impl Farm {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            clock: START,
            next_seq: 0,
            outbox: Vec::new(),
            sent: BTreeMap::new(),
            receipted: BTreeSet::new(),
            delivered: BTreeSet::new(),
            confirmed: 0,
        }
    }

    fn readings(&mut self, n: u64) -> Vec<Reading> {
        let channels = [Quantity::ALL[0], Quantity::ALL[1]].map(Channel::first);
        (0..n)
            .map(|_| {
                // Every instant is taken once, so that a reading is known by it. Days pass at noon.
                self.clock += 1_000 + self.rng.below(2 * HOUR_MS as u64) as i64;
                let late = if self.rng.one_in(6) { DAY_MS } else { 0 };
                Reading {
                    channel: Some(channels[self.rng.below(2) as usize]),
                    at: self.clock - late,
                    what: if self.rng.one_in(8) {
                        Measured::Fault(Fault::Timeout)
                    } else {
                        Measured::Value(Decimal::new(self.rng.below(100_000) as i64, -2))
                    },
                    estimated: self.rng.one_in(5),
                }
            })
            .filter(|r| {
                !self.sent.contains_key(&(NUMBERED, r.at))
                    && !self.sent.contains_key(&(PLAIN, r.at))
            })
            .collect()
    }

    fn remember(&mut self, node: NodeNum, seq: Option<u32>, readings: &[Reading]) {
        for (i, r) in (0..).zip(readings) {
            let sent = Sent {
                reading: *r,
                seq: seq.map(|s| s + i),
                acked: false,
                unsure: 0,
            };
            assert!(self.sent.insert((node, r.at), sent).is_none());
        }
    }

    fn answered(
        &mut self,
        node: NodeNum,
        readings: &[Reading],
        answer: &Result<Stored, StoreError>,
    ) {
        for r in readings {
            let sent = self.sent.get_mut(&(node, r.at)).expect("it was sent");
            match answer {
                Ok(_) => sent.acked = true,
                Err(_) => sent.unsure += 1,
            }
        }
        if let Ok(Stored {
            receipt: Some((lo, hi)),
            ..
        }) = answer
        {
            self.receipted.extend(*lo..=*hi);
        }
    }

    /// The numbered node takes a few readings and sends what it has not had an answer for, up to the first failure.
    pub(super) async fn numbered(&mut self, journal: &Journal) -> Result<(), StoreError> {
        let n = 1 + self.rng.below(3);
        let fresh = self.readings(n);
        if !fresh.is_empty() {
            self.remember(NUMBERED, Some(self.next_seq), &fresh);
            let seq = self.next_seq;
            self.next_seq += fresh.len() as u32;
            self.outbox.push((seq, fresh));
        }
        self.resend(journal).await
    }

    /// Sends what is in the outbox, now and then together with what came before it.
    pub(super) async fn resend(&mut self, journal: &Journal) -> Result<(), StoreError> {
        while let Some((seq, readings)) = self.outbox.first().cloned() {
            let answer = journal.append(numbered(seq, &readings)).await;
            self.answered(NUMBERED, &readings, &answer);
            if let Ok(stored) = &answer {
                assert_eq!((stored.fresh + stored.repeated) as usize, readings.len());
                let (lo, hi) = stored.receipt.expect("numbered");
                assert!(lo <= seq && seq + readings.len() as u32 - 1 <= hi);
            }
            answer?;
            self.outbox.remove(0);
        }
        Ok(())
    }

    /// A message that had its answer comes again, as after a lost PUBACK.
    pub(super) async fn repeat(&mut self, journal: &Journal) -> Result<(), StoreError> {
        let acked: Vec<Sent> = self
            .sent
            .values()
            .filter(|s| s.acked && s.seq.is_some())
            .cloned()
            .collect();
        let Some(again) = acked.get(self.rng.below(acked.len().max(1) as u64) as usize) else {
            return Ok(());
        };
        let seq = again.seq.expect("filtered");
        let stored = journal.append(numbered(seq, &[again.reading])).await?;
        assert_eq!(
            (stored.fresh, stored.repeated),
            (0, 1),
            "place {seq} is new again"
        );
        Ok(())
    }

    /// The other node sends once, and again if that fails.
    pub(super) async fn plain(&mut self, journal: &Journal) -> Result<(), StoreError> {
        let n = 1 + self.rng.below(2);
        let readings = self.readings(n);
        if readings.is_empty() {
            return Ok(());
        }
        self.remember(PLAIN, None, &readings);
        for last in [false, true] {
            let answer = journal.append(plain(&readings)).await;
            self.answered(PLAIN, &readings, &answer);
            if last || answer.is_ok() {
                return answer.map(drop);
            }
        }
        Ok(())
    }

    /// A sink takes what is new and says how far it has come.
    pub(super) async fn sink(&mut self, journal: &Journal) -> Result<(), StoreError> {
        let Ok(at) = journal.cursor(SINK).await else {
            return Ok(());
        };
        assert!(
            at >= self.confirmed,
            "the cursor went back from {} to {at}",
            self.confirmed
        );
        let Ok(rows) = journal.rows_after(at, 4).await else {
            return Ok(());
        };
        let Some(last) = rows.last().map(|r| r.id) else {
            return Ok(());
        };
        for row in &rows {
            self.delivered
                .extend(row.readings.iter().map(|r| (row.node, r.at)));
        }
        journal
            .write(move |c| cursor::advance(c, SINK, last))
            .await?;
        self.confirmed = last;
        Ok(())
    }

    /// Whether the journal in `dir`, closed or torn, is what it promised to be; then goes on with it.
    pub(super) async fn check(&mut self, dir: &Path) {
        let journal = Journal::open(dir).expect("the start is not held up");
        // A power cut is not damage.
        assert_eq!(journal.damage(), vec![]);
        let whole: String = journal
            .read(|c| Ok(c.query_row("PRAGMA quick_check", [], |r| r.get(0))?))
            .await
            .unwrap();
        assert_eq!(whole, "ok");
        let there = dumped(dir);
        self.compare(&there, false);
        // The ledger is exactly what is there: nothing that it lacks, nothing that it makes up.
        let places: BTreeSet<u32> = there.keys().filter_map(|key| self.sent[key].seq).collect();
        let ledger: BTreeSet<u32> = lock(&journal.0.shared.ledger)
            .boot(NUMBERED, BOOT)
            .map(|r| r.as_slice().iter().flat_map(|s| s.lo..=s.hi).collect())
            .unwrap_or_default();
        assert_eq!(ledger, places, "ledger and data differ");
        let books = same_books(&journal, dir).await;
        let counted = books.get(&NUMBERED).map_or(0, |b| b.total.received);
        assert_eq!(counted, places.len() as u64, "days and places differ");
        assert!(
            self.receipted.is_subset(&places),
            "a receipt named what is not there"
        );
        // A sink that goes on from its cursor has had, or gets, everything that was acknowledged.
        if let Ok(at) = journal.cursor(SINK).await {
            assert!(at >= self.confirmed);
            let rows = journal.rows_after(at, usize::MAX >> 1).await.unwrap();
            let rest = rows
                .iter()
                .flat_map(|row| row.readings.iter().map(|r| (row.node, r.at)));
            let got: BTreeSet<_> = rest.chain(self.delivered.iter().copied()).collect();
            for (key, _) in self.sent.iter().filter(|(_, s)| s.acked) {
                assert!(got.contains(key), "the sink misses {key:?}");
            }
        } else {
            // Made before anything is taken in.
            assert!(self.sent.values().all(|s| !s.acked), "the cursor is gone");
            journal.keep_cursors(&[SINK]).await.unwrap();
        }
        // It goes on: what was not acknowledged comes again, and something new.
        self.resend(&journal).await.unwrap();
        self.numbered(&journal).await.unwrap();
        self.plain(&journal).await.unwrap();
        self.repeat(&journal).await.unwrap();
        super::super::Folder::new(journal.clone(), std::time::Duration::ZERO)
            .fold_all()
            .await
            .unwrap();
        self.compare(&dumped(dir), true);
        same_books(&journal, dir).await;
        journal.close().await;
    }

    /// Every acknowledged reading is there once, and nothing that was never sent. Before folding, a reading of the node
    /// without numbers may be there once for each time that it was sent.
    fn compare(&self, there: &BTreeMap<(NodeNum, Millis), Vec<Line>>, folded: bool) {
        for (key, lines) in there {
            let sent = self
                .sent
                .get(key)
                .unwrap_or_else(|| panic!("{key:?} was never sent"));
            assert!(
                lines.iter().all(|l| l.is(&sent.reading)),
                "{lines:?} is not {sent:?}"
            );
            let most = if sent.seq.is_some() || folded {
                1
            } else {
                sent.unsure + u32::from(sent.acked)
            };
            assert!(
                lines.len() <= most as usize,
                "{key:?} is there {} times",
                lines.len()
            );
        }
        for (key, sent) in self.sent.iter().filter(|(_, s)| s.acked) {
            assert!(
                there.contains_key(key),
                "{key:?} was acknowledged and is not there: {sent:?}"
            );
        }
    }
}

/// What is known of completeness, which has to be the same from memory and from the file.
pub(super) async fn same_books(journal: &Journal, dir: &Path) -> Books {
    let books = journal.books(None, Day::MIN).await.unwrap();
    let file = Files::of(dir).reader().unwrap();
    assert_eq!(books_of(&file, None, Day::MIN).unwrap(), books);
    books
}

pub(super) fn numbered(seq: u32, readings: &[Reading]) -> Uplink {
    Uplink {
        node: NUMBERED,
        received: START + 7,
        place: Some((BOOT, seq)),
        readings: readings.to_vec(),
    }
}

fn plain(readings: &[Reading]) -> Uplink {
    Uplink {
        node: PLAIN,
        received: START + 7,
        place: None,
        readings: readings.to_vec(),
    }
}

/// A line of the dump.
#[derive(Debug, Clone, serde::Deserialize)]
pub(super) struct Line {
    pub(super) node: String,
    pub(super) channel: Option<String>,
    pub(super) at: Millis,
    pub(super) value: Option<f64>,
    pub(super) fault: Option<String>,
    pub(super) estimated: bool,
}

impl Line {
    pub(super) fn is(&self, r: &Reading) -> bool {
        let fault = match r.what {
            Measured::Value(_) => None,
            Measured::Fault(f) => Some(f.name()),
            Measured::Refused => Some("refused"),
        };
        self.channel == r.channel.map(|c| c.to_string())
            && self.at == r.at
            && self.value == r.value()
            && self.fault.as_deref() == fault
            && self.estimated == r.estimated
    }
}

/// What `sen journal dump` prints.
pub(super) fn lines(dir: &Path) -> Vec<Line> {
    let mut out = Vec::new();
    dump::all(dir, &mut out).unwrap();
    String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

fn dumped(dir: &Path) -> BTreeMap<(NodeNum, Millis), Vec<Line>> {
    let mut out: BTreeMap<_, Vec<Line>> = BTreeMap::new();
    for line in lines(dir) {
        let node = match line.node.as_str() {
            "numbered" | "removed-1" => NUMBERED,
            "plain" | "removed-2" => PLAIN,
            other => panic!("no such node: {other}"),
        };
        out.entry((node, line.at)).or_default().push(line);
    }
    out
}
