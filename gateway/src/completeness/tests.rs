//! Accounts against books that the tests write.

use super::*;
use crate::journal::ledger::Span;
use crate::reading::DAY_MS;

const NOW: Millis = 1_790_000_000_000;
const FARM: &str =
    "INSERT INTO farm VALUES ('f', 'F', NULL); INSERT INTO plot (id, farm, name) VALUES ('p', 'f', 'P');
     INSERT INTO node (num, id, plot, name, secret) VALUES (1, 'n', 'p', 'N', zeroblob(32));";

fn node() -> std::sync::Arc<Node> {
    let c = Connection::open_in_memory().expect("memory");
    for step in journal::MIGRATIONS {
        c.execute_batch(step).expect("schema");
    }
    c.execute_batch(FARM).expect("farm");
    let known = Registry::load(&c).expect("registry");
    known.node("n").expect("node").clone()
}

fn book(spans: &[(Boot, u32, u32, Millis)]) -> Book {
    let mut book = Book::default();
    for &(boot, lo, hi, at) in spans {
        book.boots.entry(boot).or_default().insert(Span {
            lo,
            hi,
            lo_at: Some(at),
            hi_at: Some(at),
        });
        let tally = Tally {
            received: u64::from(hi - lo) + 1,
            ..Tally::default()
        };
        book.total.add(&tally);
        book.days.entry(farm_day(at)).or_default().add(&tally);
    }
    book
}

fn said(boot: Boot, dropped: u32) -> Said {
    Said {
        boot: Some(boot),
        dropped: Some(dropped),
    }
}

#[test]
fn dropped_explains_no_more_than_its_own_incarnation_misses() {
    let (old, new) = (1 << 32, 2 << 32);
    // 4 missing in the old incarnation, 3 in the new one.
    let book = book(&[(old, 4, 5, NOW - 9), (new, 0, 0, NOW - 5), (new, 4, 5, NOW)]);
    let window = Window::last(14, NOW);
    let of = |said| One::of(&node(), &book, said, window, None, NOW).account;
    assert_eq!(of(said(new, 2)).missing, 7);
    for (dropped, explained, unseen) in [(0, 0, 0), (2, 2, 0), (3, 3, 0), (10, 3, 7)] {
        let account = of(said(new, dropped));
        assert_eq!(
            (account.missing_dropped, account.dropped_unseen),
            (explained, unseen)
        );
    }
    assert_eq!(of(Said::default()).dropped, None);
}

#[test]
fn lists_the_newest_ranges_of_the_days_and_counts_the_others() {
    // A hole an hour, for ten days; every other one in the window.
    let spans: Vec<_> = (0..240u32)
        .map(|i| (9, i * 2, i * 2, NOW - i64::from(239 - i) * DAY_MS / 24))
        .collect();
    let book = book(&spans);
    let one = One::of(
        &node(),
        &book,
        Said::default(),
        Window::last(5, NOW),
        None,
        NOW,
    );
    let account = &one.account;
    assert_eq!((account.received, account.missing), (240, 239));
    assert_eq!(account.days.len(), 5);
    assert_eq!(account.missing_ranges.len(), MANY_RANGES);
    assert_eq!(account.missing_ranges[0].from, 477);
    let begins = crate::reading::day_start(farm_day(NOW) - 4);
    let touching = spans.iter().filter(|s| s.3 >= begins).count();
    assert_eq!(MANY_RANGES + account.missing_ranges_left_off, touching);
    // What is missing in the days is what lies in them, within the one hole that crosses the edge.
    assert!(account.window_missing.abs_diff(touching as u64) <= 1);
    assert_eq!(account.percent, Some(50.1));
}

#[test]
fn a_deleted_day_says_so_and_is_not_missing() {
    use DayHistory::{Deleted, Kept, PartlyDeleted};
    let book = book(&[(9, 0, 99, NOW - 3 * DAY_MS), (9, 100, 199, NOW)]);
    // UTC days: the farm's day that begins seven hours before the boundary has lost its first hours.
    let today = farm_day(NOW);
    let boundary = (today - 1) * DAY_MS;
    let window = Window::last(5, NOW);
    let one = One::of(&node(), &book, Said::default(), window, Some(boundary), NOW);
    assert_eq!(one.heading.deleted_before, Some(boundary));
    let account = one.account;
    let history: Vec<_> = account.days.iter().map(|d| d.history).collect();
    assert_eq!(history, [Deleted, Deleted, Deleted, PartlyDeleted, Kept]);
    assert_eq!(
        (account.received, account.missing, account.window_missing),
        (200, 0, 0)
    );
    assert_eq!(account.days[1].received, 100);
    let whole = One::of(&node(), &book, Said::default(), window, None, NOW).account;
    assert!(whole.days.iter().all(|d| d.history == Kept));
}

#[test]
fn dates_and_times_are_the_farms() {
    assert_eq!(day("2026-11-24").map(date).as_deref(), Some("2026-11-24"));
    assert_eq!(day("2026-02-30"), None);
    // 17:00 UTC is midnight.
    let midnight = crate::reading::day_start(day("2026-11-24").expect("a day"));
    assert_eq!(midnight, 1_795_453_200_000);
    assert_eq!(farm_time(midnight), "2026-11-24 00:00");
    assert_eq!(date(farm_day(midnight - 1)), "2026-11-23");
    assert_eq!(Window::last(1, midnight).from, farm_day(midnight));
}

#[tokio::test]
async fn what_version_1_stored_is_in_the_sums_and_in_no_day() {
    let dir = tempfile::tempdir().expect("temp dir");
    let c = Connection::open(dir.path().join("sen.db")).expect("file");
    c.execute_batch(include_str!("../journal/schema.sql"))
        .expect("schema");
    c.execute_batch(FARM).expect("farm");
    c.execute_batch(
        "PRAGMA user_version = 1; UPDATE mark SET at = 8;
         INSERT INTO arrived VALUES (1, 5, 0, 9), (1, 5, 15, 20);",
    )
    .expect("rows");
    drop(c);
    let window = Window::last(14, NOW);
    let read = || from_file(dir.path(), Some("n"), window, NOW);
    assert!(matches!(read(), Err(FileError::Old(_))));
    let journal = journal::Journal::open(dir.path()).expect("brought up to date");
    let reading = crate::reading::Reading {
        channel: sen_wire::Channel::parse("ph"),
        at: NOW,
        what: crate::reading::Measured::Value(sen_wire::Decimal::new(7, 0)),
        estimated: false,
    };
    let uplink = journal::Uplink {
        node: 1,
        received: NOW,
        place: Some((5, 30)),
        readings: vec![reading],
    };
    journal.append(uplink).await.expect("stored");
    let Ok(FromFile::One(one)) = read() else {
        panic!("not read")
    };
    let account = one.account;
    assert_eq!((account.received, account.missing), (17, 14));
    let undated = Undated {
        received: 16,
        missing: 5,
    };
    assert_eq!(account.undated, undated);
    // The hole before the new reading has one side with a time.
    assert_eq!(account.window_missing, 9);
    let ranges: Vec<_> = account
        .missing_ranges
        .iter()
        .map(|r| (r.from, r.before))
        .collect();
    assert_eq!(ranges, vec![(21, Some(NOW)), (10, None)]);
}
