use super::*;

const BOOT: u64 = 9;

/// A session with the packs 0..=9, 10..=19 and 20..=29 in flight.
fn three_in_flight() -> Session {
    let mut session = Session::new("n1");
    session.connected(0, true);
    for first in [0, 10, 20] {
        session.sent(
            Ids {
                boot: BOOT,
                seq: first,
            },
            first + 9,
            1_000,
        );
    }
    session
}

fn receipt(from: u32, through: u32) -> Receipt {
    Receipt {
        boot: BOOT,
        from,
        through,
        time_ms: 0,
    }
}

#[test]
fn frees_from_the_front_only_and_catches_up() {
    let mut session = three_in_flight();
    let mut freed = |from, through| {
        session
            .receipt(2_000, &receipt(from, through))
            .freed
            .map(|ids| ids.seq)
    };
    assert_eq!(
        freed(10, 19),
        None,
        "out of turn: kept until those before it are named"
    );
    assert_eq!(freed(20, 24), None, "a part, and not the front's");
    assert_eq!(freed(0, 4), Some(4), "a part of the front");
    assert_eq!(freed(7, 9), None, "not the rest of it");
    assert_eq!(freed(5, 9), Some(19));
    assert_eq!(freed(0, 29), Some(29), "cumulative");
    assert_eq!(freed(0, 29), None, "doubled");
}

#[test]
fn waits_as_long_as_the_link_needs() {
    let mut session = Session::new("n1");
    session.connected(0, true);
    session.hello_sent();
    let mut round_trips = [100; 24];
    round_trips[23] = 4_000;
    let mut waits = round_trips.map(|round_trip| {
        session.sent(Ids { boot: BOOT, seq: 0 }, 9, 0);
        let wait = session.wake_at(None);
        session.receipt(round_trip, &receipt(0, 9));
        wait
    });
    assert_eq!(
        (waits[0], waits[1], waits[23]),
        (RESEND_MS, RESEND_MS - RESEND_MS / 8, RESEND_LEAST_MS)
    );
    waits.reverse();
    assert!(waits.is_sorted());
    session.sent(Ids { boot: BOOT, seq: 0 }, 9, 0);
    assert_eq!(session.wake_at(None), 16_000, "up at once");
}

#[test]
fn a_pack_that_was_overtaken_goes_again_soon() {
    let mut session = three_in_flight();
    session.hello_sent();
    session.receipt(2_000, &receipt(10, 19));
    assert_eq!(session.wake_at(None), 2_000 + OVERTAKEN_MS);
    assert_eq!(session.turn(2_000 + OVERTAKEN_MS, None), Turn::Again(0));
    session.sent_again(0, 0, 9, 3_000);
    let calmer = RESEND_MS - RESEND_MS / 8;
    assert_eq!(
        session.wake_at(None),
        3_000 + calmer,
        "the third was not overtaken"
    );
}

#[test]
fn a_receipt_of_another_boot_or_of_nothing_frees_nothing() {
    let mut session = three_in_flight();
    let other = Receipt {
        boot: BOOT + 1,
        ..receipt(0, 29)
    };
    assert_eq!(session.receipt(2_000, &other), Effect::default());
    assert_eq!(
        session.receipt(2_000, &Receipt::time_only(BOOT, 5)),
        Effect::default()
    );
}

#[test]
fn only_the_answer_to_a_pack_sent_once_and_just_now_is_fresh() {
    let mut session = three_in_flight();
    assert!(session.receipt(2_000, &receipt(0, 9)).fresh);
    assert!(
        !session.receipt(1_000 + RESEND_MS, &receipt(10, 19)).fresh,
        "it may have lain in a broker"
    );
    session.sent_again(0, 20, 29, 3_000);
    assert!(
        !session.receipt(3_001, &receipt(20, 29)).fresh,
        "it may answer the first time"
    );
}

#[test]
fn everything_goes_again_after_a_reconnect_and_after_a_time_out() {
    let mut session = three_in_flight();
    session.hello_sent();
    assert_eq!(session.turn(1_001, None), Turn::Nothing);
    assert_eq!(session.wake_at(None), 1_000 + RESEND_MS);
    assert_eq!(session.turn(1_000 + RESEND_MS, None), Turn::Again(0));
    session.disconnected(2_000, None);
    assert_eq!(session.turn(3_000_000, Some(0)), Turn::Nothing);
    session.connected(3_000, true);
    assert_eq!(session.turn(3_000, None), Turn::Hello);
    session.hello_sent();
    for place in 0..3 {
        assert_eq!(session.turn(3_000, None), Turn::Again(place));
        session.sent_again(place, 10 * place as u32, 10 * place as u32 + 9, 3_000);
    }
    assert_eq!(session.turn(3_000, Some(3_000)), Turn::New);
}

#[test]
fn reconnects_ever_more_slowly_and_spread() {
    let waits = |salt| {
        let mut session = Session::new(salt);
        [0; 9].map(|_| {
            session.disconnected(0, None);
            session.connect_at(None, false).expect("not connected")
        })
    };
    let (a, b) = (waits("n1"), waits("n2"));
    assert_ne!(a, b);
    for (tries, wait) in a.into_iter().enumerate() {
        let base = (RECONNECT_MS << tries.min(6)).min(RECONNECT_MAX_MS);
        assert!((base..base + base / 2).contains(&wait), "{wait}");
    }
}

#[test]
fn rests_when_the_window_is_over_and_all_is_receipted() {
    let mut session = Session::new("n1");
    session.connected(1_000, true);
    assert_eq!(
        session.rest_at(20_000, None),
        Some(21_000 + OVERTIME_MS),
        "no hello yet"
    );
    session.hello_sent();
    assert_eq!(session.rest_at(20_000, None), Some(21_000));
    assert_eq!(
        session.rest_at(20_000, Some(900_000)),
        Some(21_000),
        "not due in the window"
    );
    assert_eq!(
        session.rest_at(20_000, Some(5_000)),
        Some(21_000 + OVERTIME_MS)
    );
    session.sent(Ids { boot: BOOT, seq: 0 }, 9, 2_000);
    assert_eq!(session.rest_at(20_000, None), Some(21_000 + OVERTIME_MS));
    session.receipt(3_000, &receipt(0, 9));
    session.rested(21_000, 3_600_000);
    assert!(session.is_resting());
    assert_eq!(
        session.connect_at(None, false),
        Some(u64::MAX),
        "nothing to send"
    );
    let at = session
        .connect_at(Some(900_000), false)
        .expect("not connected");
    assert!((900_000..900_000 + SPREAD_MS).contains(&at), "{at}");
    assert_eq!(session.connect_at(Some(0), true), Some(21_000), "at once");
    session.connected(22_000, true);
    assert!(!session.is_resting());
}

#[test]
fn a_rest_without_receipts_is_a_failure_and_failures_make_patient() {
    let mut session = Session::new("n1");
    session.connected(0, true);
    session.hello_sent();
    session.sent(Ids { boot: BOOT, seq: 0 }, 9, 0);
    let mut waits = [0, 1, 2, 3, 4].map(|_| {
        session.rested(0, 3_600_000);
        assert!(!session.is_resting());
        session.connect_at(Some(0), false).expect("not connected")
    });
    assert!(waits[..3].iter().all(|wait| *wait < 10_000), "{waits:?}");
    waits.rotate_left(3);
    assert!(
        waits[..2]
            .iter()
            .all(|wait| (3_600_000..3_700_000).contains(wait)),
        "{waits:?}"
    );
    let hurried = session.connect_at(Some(0), true).expect("not connected");
    assert!(
        hurried < 100_000,
        "what can't wait does not wait for an hour: {hurried}"
    );
}
