//! The books against a model, through folds, stops, crashes and failed commits.

use super::*;
use crate::journal::{Folder, Uplink, open_reader};
use crate::reading::{DAY_MS, day_start};
use sen_wire::{Channel, Decimal};
use std::path::Path;

const TODAY: Day = 20_000;

#[derive(Clone, Copy)]
struct Taken {
    at: Millis,
    received: Millis,
    refused: bool,
}

/// What must be in the books: one entry a place, the first to come.
#[derive(Default, Clone)]
struct Model {
    places: BTreeMap<(NodeNum, Boot, u32), Taken>,
    unnumbered: Vec<(NodeNum, Millis)>,
}

impl Model {
    fn take(&mut self, u: &Uplink) {
        for (i, r) in u.readings.iter().enumerate() {
            let Some((boot, seq)) = u.place else {
                self.unnumbered.push((u.node, r.at));
                continue;
            };
            let place = (u.node, boot, seq + i as u32);
            self.places.entry(place).or_insert(Taken {
                at: r.at,
                received: u.received,
                refused: r.what == Measured::Refused,
            });
        }
    }

    fn days(&self, node: NodeNum) -> BTreeMap<Day, Tally> {
        let mut days: BTreeMap<Day, Tally> = BTreeMap::new();
        for ((n, ..), t) in &self.places {
            if *n == node {
                let day = days
                    .entry((t.at + 7 * 3_600_000).div_euclid(86_400_000))
                    .or_default();
                day.received += 1;
                day.late += u64::from(t.received - t.at > 3_600_000);
                day.refused += u64::from(t.refused);
            }
        }
        for (n, at) in &self.unnumbered {
            if *n == node {
                days.entry((at + 7 * 3_600_000).div_euclid(86_400_000))
                    .or_default()
                    .unnumbered += 1;
            }
        }
        days
    }

    fn check(&self, books: &Books) {
        for node in 1..=3 {
            let book = books.get(&node).cloned().unwrap_or_default();
            assert_eq!(book.days, self.days(node), "node {node}");
            let places: Vec<(Boot, u32)> = self
                .places
                .keys()
                .filter(|p| p.0 == node)
                .map(|p| (p.1, p.2))
                .collect();
            let held: Vec<(Boot, u32)> = book
                .boots
                .iter()
                .flat_map(|(b, r)| {
                    r.as_slice()
                        .iter()
                        .flat_map(|s| (s.lo..=s.hi).map(|p| (*b, p)))
                })
                .collect();
            assert_eq!(held, places);
            let mut total = Tally::default();
            book.days.values().for_each(|t| total.add(t));
            assert_eq!(book.total, total);
            for (boot, ranges) in &book.boots {
                for s in ranges.as_slice() {
                    let edge = |place| self.places[&(node, *boot, place)];
                    // A refused record at an edge borrows its neighbour's time.
                    if !edge(s.lo).refused {
                        assert_eq!(s.lo_at, Some(edge(s.lo).at));
                    }
                    if !edge(s.hi).refused {
                        assert_eq!(s.hi_at, Some(edge(s.hi).at));
                    }
                }
            }
        }
    }
}

fn from_file(dir: &Path) -> Books {
    let c = open_reader(&dir.join("sen.db")).expect("reader");
    books_of(&c, None, Day::MIN / 2).expect("books")
}

async fn check(journal: &Journal, dir: &Path, model: &Model) {
    let books = journal.books(None, Day::MIN / 2).await.expect("books");
    model.check(&books);
    assert_eq!(from_file(dir), books);
}

fn uplink(next: &mut impl FnMut(u32) -> u32) -> Uplink {
    let mut at = day_start(TODAY) - DAY_MS / 2 + i64::from(next(3 * 86_400)) * 1_000;
    let received = at + i64::from(next(4)) * 1_800_000;
    let n = 1 + next(8);
    let readings = (0..n)
        .map(|_| {
            at += i64::from(next(3)) * 3_600_000;
            let refused = next(9) == 0;
            Reading {
                channel: (!refused).then(|| Channel::parse("ph")).flatten(),
                at: if refused { received } else { at },
                what: if refused {
                    Measured::Refused
                } else {
                    Measured::Value(Decimal::new(7, 0))
                },
                estimated: false,
            }
        })
        .collect();
    Uplink {
        node: 1 + next(3),
        received,
        place: (next(6) > 0).then(|| (u64::from(next(2)) + 5, next(60))),
        readings,
    }
}

fn random() -> impl FnMut(u32) -> u32 {
    let mut x = 5u32;
    move |n| {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 8) % n
    }
}

#[tokio::test]
async fn counts_every_reading_once_through_folds_stops_and_crashes() {
    let dir = tempfile::tempdir().expect("temp dir");
    let (mut next, mut model) = (random(), Model::default());
    let mut journal = Journal::open(dir.path()).expect("journal");
    for _ in 0..300 {
        let u = uplink(&mut next);
        model.take(&u);
        journal.append(u).await.expect("stored");
        match next(12) {
            0 => {
                let folder = Folder::new(journal.clone(), std::time::Duration::MAX);
                folder.fold_all().await.expect("folds");
            }
            1 => {
                journal.close().await;
                drop(journal);
                journal = Journal::open(dir.path()).expect("journal");
            }
            2 => {
                // Without a close the ledger is not written out: as after a crash.
                drop(journal);
                journal = Journal::open(dir.path()).expect("journal");
            }
            _ => {}
        }
        check(&journal, dir.path(), &model).await;
    }
}

#[tokio::test]
async fn a_commit_that_fails_leaves_the_books_as_they_were() {
    let dir = tempfile::tempdir().expect("temp dir");
    let (mut next, mut model) = (random(), Model::default());
    let mut journal = Journal::open(dir.path()).expect("journal");
    for _ in 0..60 {
        let u = uplink(&mut next);
        model.take(&u);
        journal.append(u).await.expect("stored");
        // One group: the writer is held until all of it waits.
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let held = journal.write(move |_| {
            let _ = gate.recv();
            Ok(())
        });
        let (a, b, c) = (uplink(&mut next), uplink(&mut next), uplink(&mut next));
        let group = async {
            tokio::join!(
                biased;
                journal.append(a),
                journal.trim(),
                journal.append(b),
                journal.trim(),
                journal.append(c),
                journal.write(|c| c.execute_batch("ROLLBACK")),
                async { go.send(()).expect("the writer waits") },
            )
        };
        let (_, (a, trimmed, b, ..)) = tokio::join!(biased; held, group);
        assert!(a.is_err() && b.is_err() && trimmed.is_err());
        check(&journal, dir.path(), &model).await;
        // What the next write-out leaves in the tables is whole, too.
        journal.close().await;
        drop(journal);
        journal = Journal::open(dir.path()).expect("journal");
        check(&journal, dir.path(), &model).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_and_days_agree_while_the_ledger_is_being_written_out() {
    let dir = tempfile::tempdir().expect("temp dir");
    let journal = Journal::open(dir.path()).expect("journal");
    let writer = tokio::spawn({
        let journal = journal.clone();
        async move {
            for seq in 0..400 {
                let mut u = uplink(&mut random());
                u.node = 1;
                u.place = Some((1, seq));
                u.readings.truncate(1);
                let (stored, trimmed) = tokio::join!(journal.append(u), async {
                    if seq % 2 == 0 {
                        journal.trim().await
                    } else {
                        Ok(false)
                    }
                });
                assert!(stored.is_ok() && trimmed.is_ok());
            }
        }
    });
    let mut looks = 0;
    let mut before = 0;
    while !writer.is_finished() {
        for books in [
            journal.books(Some(1), 0).await.expect("books"),
            from_file(dir.path()),
        ] {
            let book = books.get(&1).cloned().unwrap_or_default();
            let places: u64 = book.boots.values().map(Ranges::received).sum();
            assert_eq!(book.total.received, places);
            // The file may be a commit behind memory, never more.
            assert!(places + 1 >= before, "{places} after {before}");
            before = before.max(places);
        }
        looks += 1;
    }
    writer.await.expect("written");
    assert!(looks > 3, "{looks} looks");
}
