//! Retention against models: what goes, in which order, and that nothing else does.

use std::collections::BTreeMap;
use std::time::Instant;

use sen_wire::{Channel, Decimal};

use super::*;
use crate::journal::cursor::{self, Gap};
use crate::journal::ledger::Boot;
use crate::journal::{Folder, Uplink};
use crate::reading::{Measured, NodeNum, Reading};

const MB: u64 = 1_000_000;

fn random(seed: u32) -> impl FnMut(u32) -> u32 {
    let mut x = seed;
    move |n| {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 8) % n
    }
}

#[test]
fn the_rules_hold_for_any_figures() {
    let mut next = random(3);
    let mut seen = [0; 3];
    for _ in 0..2_000 {
        let keep = Keep {
            days: (next(2) == 0).then(|| 300 + next(500)),
            least_days: 20 + next(200),
            max_size: Some(u64::from(10 + next(50)) * MB),
            free: Some(u64::from(next(30)) * MB),
        };
        let limits = Limits::of(&keep, 1_000 * MB);
        // Each day of history and each chunk of rows has a size; what goes becomes room.
        let mut history: Vec<u64> = (0..next(900)).map(|_| u64::from(next(100_000))).collect();
        let mut rows: Vec<u64> = (0..next(60))
            .map(|_| u64::from(next(2 * MB as u32)))
            .collect();
        let mut room = u64::from(next(60)) * MB;
        let full = next(8) == 0;
        loop {
            let (stored, held) = (history.iter().sum::<u64>(), rows.iter().sum::<u64>());
            let days = i64::try_from(history.len()).unwrap();
            let scene = Scene {
                today: 20_000,
                oldest: (days > 0).then_some(20_001 - days),
                used: stored + held,
                room,
                held,
                full,
            };
            let step = plan::next(&limits, &scene);
            let short = (full || room < limits.keep_free) && scene.used > limits.share();
            let age = days - 1;
            seen[step as usize] += 1;
            match step {
                Step::Day => {
                    let old = limits.keep_days.is_some_and(|d| age > d);
                    let large = scene.used > limits.max_size && age > limits.least_days;
                    let own = stored > limits.max_size && age > plan::LAST_DAYS;
                    assert!(
                        old || large || own || (short && age > plan::LAST_DAYS),
                        "{scene:?}"
                    );
                    // Younger history goes only when no rows may any more, or when it is too large by itself.
                    if !old && age <= limits.least_days {
                        assert!(own || held <= limits.share(), "{scene:?}");
                    }
                    room += history.remove(0);
                }
                Step::Rows => {
                    // The floor: the file system is short, and all history down to the stated minimum is gone.
                    assert!(
                        short && held > limits.share() && age <= limits.least_days,
                        "{scene:?}"
                    );
                    room += rows.remove(0);
                }
                Step::Nothing => {
                    assert!(limits.keep_days.is_none_or(|d| age <= d));
                    assert!(
                        !short || (age <= plan::LAST_DAYS && held <= limits.share()),
                        "{scene:?}"
                    );
                    assert!(
                        stored <= limits.max_size || age <= plan::LAST_DAYS,
                        "{scene:?}"
                    );
                    break;
                }
            }
        }
    }
    assert!(seen.iter().all(|n| *n > 1_000), "{seen:?}");
}

#[test]
fn a_large_log_on_a_disk_with_room_loses_nothing() {
    let limits = Limits::of(&Keep::default(), 100_000 * MB);
    assert_eq!(limits.max_size, 4_000 * MB);
    let scene = Scene {
        today: 20_000,
        oldest: Some(19_700),
        used: 20_000 * MB,
        room: 60_000 * MB,
        held: 19_900 * MB,
        full: false,
    };
    assert_eq!(plan::next(&limits, &scene), Step::Nothing);
}

/// A journal whose clock is on day 1000, with one uplink of four readings a node and day.
struct Farm {
    dir: tempfile::TempDir,
    journal: Journal,
    at: BTreeMap<NodeNum, u32>,
}

const TODAY: i64 = 1_000;
const NOW: Millis = TODAY * DAY_MS + DAY_MS / 2;
const BOOT: Boot = 1 << 32;

impl Farm {
    async fn new(cursors: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        journal.keep_cursors(cursors).await.unwrap();
        Self {
            dir,
            journal,
            at: BTreeMap::new(),
        }
    }

    async fn day(&mut self, node: NodeNum, day: i64) {
        let uplink = self.uplink(node, day);
        self.journal.append(uplink).await.unwrap();
    }

    fn uplink(&mut self, node: NodeNum, day: i64) -> Uplink {
        let seq = self.at.entry(node).or_default();
        let reading = |i: i64| Reading {
            channel: Channel::parse(["salinity", "ph"][i as usize % 2]),
            at: day * DAY_MS + i * 60_000,
            what: Measured::Value(Decimal::new(i, -1)),
            estimated: false,
        };
        let uplink = Uplink {
            node,
            received: day * DAY_MS + 300_000,
            place: Some((BOOT, *seq)),
            readings: (0..4).map(reading).collect(),
        };
        *seq += 4;
        uplink
    }

    async fn fold(&self) {
        let folder = Folder::new(self.journal.clone(), Duration::MAX);
        folder.fold_all().await.unwrap();
    }

    fn retention(&self, keep: Keep) -> Retention {
        let clock = Clock::from_fn(|| NOW, || 0);
        let status = SharedStatus::default();
        Retention::new(
            self.journal.clone(),
            self.dir.path(),
            keep,
            clock,
            status,
            &["watch"],
        )
        .unwrap()
    }

    async fn numbers(&self, sql: &'static str) -> Vec<i64> {
        let all = self.journal.read(move |c| {
            let mut select = c.prepare(sql)?;
            let all = select
                .query_map([], |r| r.get(0))?
                .collect::<Result<_, _>>()?;
            Ok(all)
        });
        all.await.unwrap()
    }

    async fn days(&self) -> Vec<i64> {
        self.numbers("SELECT DISTINCT day FROM block ORDER BY day")
            .await
    }
}

/// Room for everything.
fn scene() -> Scene {
    Scene {
        today: TODAY,
        oldest: None,
        used: 0,
        room: u64::MAX / 2,
        held: 0,
        full: false,
    }
}

#[tokio::test]
async fn age_takes_whole_days_and_the_ledger_keeps_them() {
    let mut farm = Farm::new(&[]).await;
    for day in TODAY - 40..=TODAY {
        farm.day(1, day).await;
        // A node that began later has its own first day.
        if day > TODAY - 15 {
            farm.day(2, day).await;
        }
    }
    farm.fold().await;
    let mut retention = farm.retention(Keep {
        days: Some(10),
        ..Keep::default()
    });
    let books = farm.journal.books(None, 0).await.unwrap();
    retention.round().await.unwrap();
    assert_eq!(farm.days().await, (TODAY - 10..=TODAY).collect::<Vec<_>>());
    assert_eq!(farm.journal.books(None, 0).await.unwrap(), books);
    assert_eq!(farm.journal.account(1).missing, 0);
    let deleted = farm.journal.read(|c| Ok(deleted_before(c)?)).await.unwrap();
    assert_eq!(deleted, Some((TODAY - 10) * DAY_MS));
    retention.round().await.unwrap();
    let status = retention.status.get();
    assert_eq!(status.deleted_before, deleted);
    assert_eq!(status.oldest_at, Some((TODAY - 10) * DAY_MS));
    assert!(status.problems.is_empty(), "{:?}", status.problems);
}

#[tokio::test]
async fn size_takes_the_oldest_days_and_no_row_that_a_sink_needs() {
    let mut farm = Farm::new(&["influx"]).await;
    for day in TODAY - 60..=TODAY {
        farm.day(1, day).await;
        farm.day(2, day).await;
    }
    farm.fold().await;
    let log = farm.numbers("SELECT id FROM log ORDER BY id").await;
    assert_eq!(log.len(), 122, "the sink has sent nothing");
    let mut retention = farm.retention(Keep::default());
    let limits = Limits {
        keep_days: None,
        least_days: 30,
        max_size: 1_000,
        keep_free: 0,
    };
    let oldest = retention.look_up_oldest(NOW).await.unwrap();
    assert_eq!(oldest, Some(TODAY - 60));
    // One byte too much is one day; without an end it goes down to the stated minimum, and no further.
    let mut a_little = Scene {
        oldest,
        used: 1_001,
        held: 900,
        ..scene()
    };
    assert!(retention.clear(&limits, &mut a_little, NOW).await.unwrap());
    assert_eq!(farm.days().await, (TODAY - 59..=TODAY).collect::<Vec<_>>());
    let mut much = Scene {
        oldest: Some(TODAY - 59),
        used: 2 * MB,
        held: 2 * MB,
        ..scene()
    };
    assert!(retention.clear(&limits, &mut much, NOW).await.unwrap());
    assert_eq!(farm.days().await, (TODAY - 30..=TODAY).collect::<Vec<_>>());
    assert_eq!(farm.numbers("SELECT id FROM log ORDER BY id").await, log);
}

#[tokio::test]
async fn the_oldest_unsent_rows_are_given_up_with_an_exact_account() {
    let mut farm = Farm::new(&["influx", "other", "watch"]).await;
    for _ in 0..7 {
        // In one go, and in this order: one at a time each would be a commit of its own.
        let uplinks: Vec<Uplink> = (0..500)
            .flat_map(|_| [farm.uplink(1, TODAY - 1), farm.uplink(2, TODAY)])
            .collect();
        let appends = uplinks.into_iter().map(|u| farm.journal.append(u));
        for stored in futures::future::join_all(appends).await {
            stored.unwrap();
        }
    }
    farm.journal
        .write(|c| cursor::advance(c, "influx", 100))
        .await
        .unwrap();
    farm.fold().await;
    // Not folded: nobody may touch these.
    for _ in 0..50 {
        farm.day(3, TODAY).await;
    }
    let points = |node| {
        let journal = farm.journal.clone();
        let channel = Channel::parse("ph").unwrap();
        async move {
            journal
                .points(node, channel, 0, i64::MAX / 2)
                .await
                .unwrap()
        }
    };
    let history = (points(1).await, points(2).await);
    let mut retention = farm.retention(Keep::default());
    let limits = Limits {
        keep_days: None,
        least_days: 30,
        max_size: 80,
        keep_free: 1_000,
    };
    let short = Scene {
        used: MB,
        held: MB,
        room: 999,
        ..scene()
    };
    // Short by one byte: one step.
    assert!(
        retention
            .clear(&limits, &mut short.clone(), NOW)
            .await
            .unwrap()
    );
    let ids = farm.numbers("SELECT id FROM log ORDER BY id").await;
    assert_eq!(
        ids,
        (5_001..=7_050).collect::<Vec<_>>(),
        "the oldest, and only they"
    );
    let file = farm.journal.read(sql::measure).await.unwrap();
    let lost: Vec<_> = file
        .cursors
        .iter()
        .map(|c| {
            (
                c.name.as_str(),
                c.given_up.rows,
                c.given_up.readings,
                c.rows,
            )
        })
        .collect();
    assert_eq!(
        lost,
        [
            ("influx", 4_900, 19_600, 2_050),
            ("other", 5_000, 20_000, 2_050),
            ("watch", 5_000, 20_000, 2_050)
        ]
    );
    let given_up = file.cursors[0].given_up;
    assert_eq!(given_up.first_at, Some((TODAY - 1) * DAY_MS + 300_000));
    assert_eq!(given_up.last_at, Some(TODAY * DAY_MS + 300_000));
    assert_eq!(given_up.at, Some(NOW));
    // Without an end: what is not folded stays.
    let mut endless = Scene {
        used: u64::MAX / 4,
        held: u64::MAX / 4,
        room: 0,
        ..scene()
    };
    assert!(retention.clear(&limits, &mut endless, NOW).await.unwrap());
    let ids = farm.numbers("SELECT id FROM log ORDER BY id").await;
    assert_eq!(ids, (7_001..=7_050).collect::<Vec<_>>());
    let file = farm.journal.read(sql::measure).await.unwrap();
    assert_eq!(file.cursors[0].given_up.readings, 4 * 6_900);
    assert_eq!(farm.journal.rows_after(0, 10).await.unwrap()[0].id, 7_001);
    // It is all in the history, and it is said.
    assert_eq!((points(1).await, points(2).await), history);
    retention.round().await.unwrap();
    let status = retention.status.get();
    let said = |name: &str| {
        status
            .problems
            .iter()
            .any(|p| p.starts_with(name) && p.contains("given up"))
    };
    assert!(
        said("influx: 27600 readings") && said("other: 28000"),
        "{:?}",
        status.problems
    );
    // A reader within the gateway is no sink.
    let sinks: Vec<&str> = status.cursors.iter().map(|c| c.name.as_str()).collect();
    assert!(sinks == ["influx", "other"] && !said("watch"), "{sinks:?}");
    assert_eq!(farm.journal.account(1).missing, 0);
}

/// Folded rows 1 to 40 and ten more; the sink is at the end and has left the rows 11 to 20 and 31 to 45.
async fn with_gaps() -> Farm {
    let mut farm = Farm::new(&["influx"]).await;
    for i in 0..40 {
        farm.day(1, TODAY - 40 + i).await;
    }
    farm.fold().await;
    for _ in 0..10 {
        farm.day(2, TODAY).await;
    }
    let gaps = |c: &rusqlite::Connection| {
        cursor::advance(c, "influx", 50)?;
        cursor::set_gap(c, "influx", Gap { at: 10, upto: 20 })?;
        cursor::set_gap(c, "influx", Gap { at: 30, upto: 45 })
    };
    farm.journal.write(gaps).await.unwrap();
    farm
}

#[tokio::test]
async fn what_lies_in_a_gap_is_waited_for_and_what_lies_between_is_not() {
    let farm = with_gaps().await;
    assert!(farm.journal.read(sql::measure).await.unwrap().passed);
    while farm.journal.trim().await.unwrap() {}
    let file = farm.journal.read(sql::measure).await.unwrap();
    assert!(!file.passed);
    let ids = farm.numbers("SELECT id FROM log ORDER BY id").await;
    let expected: Vec<i64> = (11..=20).chain(31..=50).collect();
    assert_eq!(ids, expected);
    assert_eq!(file.cursors.len(), 1, "a gap is no reader of its own");
    assert_eq!(file.cursors[0].rows, 25);
    // Folded and waited for: 11 to 20 and 31 to 40.
    let body: i64 = farm.numbers("SELECT max(length(body)) FROM log").await[0];
    let most = 20 * (body.unsigned_abs() + 24);
    assert!((most / 2..=most).contains(&file.held()), "{}", file.held());
}

#[tokio::test]
async fn gaps_are_given_up_with_an_exact_account_and_only_when_nothing_else_is_left() {
    let farm = with_gaps().await;
    let mut retention = farm.retention(Keep {
        max_size: Some(1),
        free: Some(u64::MAX / 4),
        least_days: 400,
        days: None,
    });
    // The file system is always short: a round trims what nobody waits for, then gives up what is folded.
    retention.round().await.unwrap();
    let ids = farm.numbers("SELECT id FROM log ORDER BY id").await;
    assert_eq!(ids, (41..=50).collect::<Vec<_>>());
    let file = farm.journal.read(sql::measure).await.unwrap();
    let given_up = file.cursors[0].given_up;
    assert_eq!((given_up.rows, given_up.readings), (20, 80));
    assert_eq!(given_up.first_at, Some((TODAY - 30) * DAY_MS + 300_000));
    assert_eq!(given_up.last_at, Some((TODAY - 1) * DAY_MS + 300_000));
    let gaps = farm.journal.gaps("influx").await.unwrap();
    assert_eq!(
        gaps,
        [Gap { at: 40, upto: 45 }],
        "the rest is still to be sent"
    );
    assert_eq!(farm.journal.cursor("influx").await.unwrap(), 50);
    let status = retention.status.get();
    assert_eq!(
        (status.cursors[0].name.as_str(), status.cursors[0].rows),
        ("influx", 5)
    );
    assert_eq!(status.cursors[0].given_up, given_up);
}

#[test]
fn who_waits_for_what_is_what_a_slow_model_says() {
    let mut next = random(17);
    for _ in 0..3_000 {
        let mut rows = Vec::new();
        for name in ["a", "b"].iter().take(next(3) as usize) {
            let live = i64::from(next(30));
            rows.push(((*name).to_owned(), live));
            for _ in 0..next(3) {
                let at = i64::from(next(30));
                let upto = at + 1 + i64::from(next(8));
                rows.push((format!("{name}/gap/{upto}"), at));
            }
        }
        let readers = cursor::readers(rows.clone());
        let settled = i64::from(next(40));
        let waited = |id: i64| {
            rows.iter().any(|(name, at)| {
                let upto = name
                    .rsplit_once("/gap/")
                    .map(|(_, u)| u.parse::<i64>().unwrap());
                id > *at && upto.is_none_or(|u| id <= u)
            })
        };
        let within = |gaps: &[Gap], id| gaps.iter().filter(|g| id > g.at && id <= g.upto).count();
        let waits = cursor::waited_for(&readers, settled);
        let passed = cursor::passed(&readers, settled);
        for id in 1..=settled {
            assert_eq!(within(&waits, id), usize::from(waited(id)), "{id} {rows:?}");
            assert_eq!(
                within(&passed, id),
                usize::from(!waited(id)),
                "{id} {rows:?}"
            );
        }
        assert!(waits.iter().chain(&passed).all(|g| g.upto <= settled));
    }
}

#[tokio::test]
async fn a_lag_is_warned_about_long_before() {
    let farm = Farm::new(&["influx"]).await;
    let mut retention = farm.retention(Keep::default());
    let file = farm.journal.read(sql::measure).await.unwrap();
    let limits = Limits {
        keep_days: None,
        least_days: 30,
        max_size: 1_000 * MB,
        keep_free: 100 * MB,
    };
    let mut report = |held: u64, room: u64, at: Millis| {
        let scene = Scene {
            used: held,
            held,
            room,
            ..scene()
        };
        retention.report(&file, &scene, &limits, true, at).unwrap();
        retention.status.get()
    };
    // The disk is smaller than max_size: what counts is how much may still come.
    let status = report(200 * MB, 400 * MB, NOW);
    assert_eq!((status.cursors[0].room_pct, status.problems.len()), (40, 0));
    let status = report(250 * MB, 350 * MB, NOW + HOUR_MS);
    assert_eq!(status.cursors[0].room_pct, 50);
    assert_eq!(
        status.cursors[0].hours_left,
        Some(5),
        "50 MB an hour, 250 MB left"
    );
    assert!(
        status.problems[0].contains("50 %") && status.problems[0].contains("5 h"),
        "{:?}",
        status.problems
    );
    let status = report(400 * MB, 200 * MB, NOW + 4 * HOUR_MS);
    assert!(status.problems[0].contains("80 %"), "{:?}", status.problems);
    // It catches up.
    let status = report(100 * MB, 500 * MB, NOW + 5 * HOUR_MS);
    assert_eq!(
        (status.cursors[0].hours_left, status.problems.len()),
        (None, 0)
    );
}

#[tokio::test]
async fn what_is_put_aside_is_bounded_by_count_and_age() {
    let farm = Farm::new(&[]).await;
    let fill = |c: &rusqlite::Connection| {
        let mut insert = c.prepare(
            "INSERT INTO dead_letter (at, sink, line, reason) VALUES (?1, 'influx', 'l', 'r')",
        )?;
        for i in 0..12_500 {
            // The first hundred are more than a year old.
            let at = if i < 100 { NOW - 400 * DAY_MS } else { NOW };
            insert.execute([at])?;
        }
        c.execute("DELETE FROM dead_letter WHERE id BETWEEN 200 AND 12400", [])
            .map(drop)
    };
    farm.journal.write(fill).await.unwrap();
    let retention = farm.retention(Keep::default());
    retention.bound_letters(NOW).await.unwrap();
    // Few rows, far apart: only the old ones go.
    let ids = farm.numbers("SELECT id FROM dead_letter ORDER BY id").await;
    let expected: Vec<i64> = (101..200).chain(12_401..=12_500).collect();
    assert_eq!(ids, expected);
    farm.journal.write(fill).await.unwrap();
    farm.journal.write(|c| {
        for _ in 0..11_000 {
            c.execute("INSERT INTO dead_letter (at, sink, line, reason) VALUES (?1, 'influx', 'l', 'r')", [NOW])?;
        }
        Ok(())
    }).await.unwrap();
    retention.bound_letters(NOW).await.unwrap();
    let ids = farm.numbers("SELECT id FROM dead_letter ORDER BY id").await;
    assert_eq!(ids.len(), 10_000);
    assert_eq!(ids.last(), Some(&36_000), "the newest stay");
}

#[tokio::test]
async fn a_new_file_shrinks_in_steps_that_hold_nobody_up() {
    let farm = Farm::new(&[]).await;
    let fill = |c: &rusqlite::Connection| {
        let mut insert =
            c.prepare("INSERT INTO set_aside (at, body) VALUES (0, zeroblob(3000))")?;
        for _ in 0..15_000 {
            insert.execute([])?;
        }
        Ok(())
    };
    farm.journal.write(fill).await.unwrap();
    farm.journal
        .write(|c| c.execute("DELETE FROM set_aside", []).map(drop))
        .await
        .unwrap();
    let before = farm.journal.read(sql::measure).await.unwrap();
    assert!(before.incremental);
    assert!(before.spare() > 40 * MB, "{before:?}");
    let mut longest = Duration::ZERO;
    for _ in 0..before.spare() / before.page_size / sql::PAGES {
        let started = Instant::now();
        farm.journal.write(sql::vacuum).await.unwrap();
        longest = longest.max(started.elapsed());
    }
    eprintln!("longest step: {longest:?}");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    let path = farm.dir.path().join("sen.db");
    sql::checkpoint(&path, false).unwrap();
    let after = farm.journal.read(sql::measure).await.unwrap();
    assert!(after.spare() < 2 * MB, "{after:?}");
    assert!(std::fs::metadata(path).unwrap().len() < 3 * MB);
}

#[tokio::test]
async fn a_full_disk_holds_readings_off_until_the_reserve_is_back() {
    let mut farm = Farm::new(&[]).await;
    let mut retention = farm.retention(Keep::default());
    assert!(retention.reserve.is_taken());
    farm.day(1, TODAY).await;
    retention.hold_off();
    assert!(!retention.reserve.is_taken());
    assert_eq!(farm.journal.failing(), Some(StoreError::Full));
    let uplink = Uplink {
        node: 1,
        received: NOW,
        place: Some((BOOT, 4)),
        readings: vec![Reading {
            channel: Channel::parse("ph"),
            at: NOW,
            what: Measured::Value(Decimal::new(7, 0)),
            estimated: false,
        }],
    };
    assert_eq!(farm.journal.append(uplink).await, Err(StoreError::Full));
    // What makes room goes on, and a commit of it does not look like the end of it.
    farm.journal.write(|_| Ok(())).await.unwrap();
    assert_eq!(farm.journal.failing(), Some(StoreError::Full));
    // There is room here: the next look lets readings in.
    retention.round().await.unwrap();
    assert!(retention.reserve.is_taken());
    assert_eq!(farm.journal.failing(), None);
    farm.day(1, TODAY).await;
}
