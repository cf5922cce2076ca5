use std::time::Duration;

use super::*;
use crate::calendar::{QuietHours, TimeOfDay};
use crate::channel::Failure;
use crate::channel::fakes::message;
use crate::testing::AT;

const OFFSET: Offset = Offset(420);

fn open() -> Connection {
    let c = Connection::open_in_memory().unwrap();
    c.execute_batch(SQL).unwrap();
    c
}

fn stored(key: &str, give_up_s: i64) -> Message {
    Message {
        key: Key(key.into()),
        give_up: AT + give_up_s * 1000,
        ..message(Kind::Esms, "+84912345678")
    }
}

fn failed(retry: Retry) -> Outcome {
    Outcome::Failed(Failure {
        retry,
        why: "no".into(),
    })
}

fn take_one(c: &Connection, now: Millis) -> Option<Taken> {
    take(c, Kind::Esms, 1, OFFSET, now).unwrap().pop()
}

#[test]
fn a_key_is_there_once() {
    let c = open();
    let m = stored("k", 100);
    assert!(put(&c, &m, AT).unwrap());
    assert!(!put(&c, &m, AT + 5).unwrap());
    assert_eq!(
        take(&c, Kind::Esms, 9, OFFSET, AT).unwrap(),
        [Taken {
            message: m.clone(),
            attempt: 1
        }]
    );
    assert!(take_one(&c, AT + 10).is_none(), "it is being sent");
    settle(&c, &m.key, &Outcome::delivered(), AT, 0).unwrap();
    assert!(!put(&c, &m, AT + 20).unwrap(), "and delivered is for good");
}

#[test]
fn a_row_that_was_being_sent_in_a_crash_is_sent_again_under_the_same_key() {
    let c = open();
    put(&c, &stored("k", 100), AT).unwrap();
    take_one(&c, AT).unwrap();
    assert_eq!(recover(&c, AT + 1).unwrap(), 1);
    let again = take_one(&c, AT + 1).unwrap();
    assert_eq!((again.message.key.0.as_str(), again.attempt), ("k", 2));
}

#[test]
fn a_channel_that_is_down_for_a_day_loses_nothing() {
    let c = open();
    for n in 0..20 {
        put(&c, &stored(&format!("k{n}"), 48 * 3600), AT).unwrap();
    }
    let (mut now, mut tries) = (AT, 0u32);
    while now < AT + 86_400_000 {
        for t in take(&c, Kind::Esms, 4, OFFSET, now).unwrap() {
            settle(
                &c,
                &t.message.key,
                &failed(Retry::Later),
                now,
                (tries % 256) as u8,
            )
            .unwrap();
            tries += 1;
        }
        expire(&c, now).unwrap();
        now += 1000;
    }
    assert!(tries < 20 * 240, "{tries} tries: the pauses grow");
    assert_eq!(
        failures(&c, Some("an")).unwrap().len(),
        20,
        "and whoever set the policy sees it"
    );
    assert!(failures(&c, Some("binh")).unwrap().is_empty());
    let mut sent = 0;
    while now < AT + 86_400_000 + LONGEST_PAUSE {
        for t in take(&c, Kind::Esms, 4, OFFSET, now).unwrap() {
            settle(&c, &t.message.key, &Outcome::delivered(), now, 0).unwrap();
            sent += 1;
        }
        now += 1000;
    }
    assert_eq!(sent, 20, "all of them within the longest pause");
    assert!(failures(&c, None).unwrap().is_empty());
}

#[test]
fn what_is_given_up_is_failed_and_seen() {
    let c = open();
    put(&c, &stored("k", 10), AT).unwrap();
    let t = take_one(&c, AT).unwrap();
    assert_eq!(
        settle(&c, &t.message.key, &failed(Retry::Later), AT, 255).unwrap(),
        None
    );
    let t = take_one(&c, AT + 6_000).unwrap();
    assert_eq!(
        settle(&c, &t.message.key, &failed(Retry::Later), AT + 6_000, 255).unwrap(),
        Some(Fate::GivenUp)
    );
    let f = failures(&c, Some("an")).unwrap().remove(0);
    assert!(
        f.for_good && f.error == "given up after 2 tries: no",
        "{f:?}"
    );
    // One that no channel takes at all.
    put(
        &c,
        &Message {
            channel: Kind::Modem,
            ..stored("m", 10)
        },
        AT,
    )
    .unwrap();
    assert_eq!(expire(&c, AT + 10_000).unwrap(), [Key("m".into())]);
}

#[test]
fn retry_after_is_kept_and_not_beyond_reason() {
    let c = open();
    put(&c, &stored("k", 90_000), AT).unwrap();
    take_one(&c, AT).unwrap();
    let key = Key("k".into());
    settle(
        &c,
        &key,
        &failed(Retry::After(Duration::from_secs(100))),
        AT,
        255,
    )
    .unwrap();
    assert!(take_one(&c, AT + 100_000 - 1).is_none());
    take_one(&c, AT + 105_000).unwrap();
    settle(
        &c,
        &key,
        &failed(Retry::After(Duration::from_secs(u64::MAX))),
        AT,
        0,
    )
    .unwrap();
    assert!(take_one(&c, AT + LONGEST_ASKED).is_some());
}

#[test]
fn a_refusal_is_for_good_and_an_address_that_is_gone_is_told() {
    let c = open();
    put(&c, &stored("k", 100), AT).unwrap();
    take_one(&c, AT).unwrap();
    assert_eq!(
        settle(&c, &Key("k".into()), &failed(Retry::AddressGone), AT, 0).unwrap(),
        Some(Fate::Refused)
    );
    assert_eq!(
        gone(&c).unwrap(),
        [("an".into(), Kind::Esms, "+84912345678".into())]
    );
}

#[test]
fn a_retry_does_not_fall_into_quiet_hours() {
    let c = open();
    // AT is 03:10.
    let quiet = QuietHours {
        from: TimeOfDay::new(22, 0).unwrap(),
        to: TimeOfDay::new(6, 0).unwrap(),
    };
    put(
        &c,
        &Message {
            quiet: Some(quiet),
            ..stored("k", 90_000)
        },
        AT,
    )
    .unwrap();
    assert!(take_one(&c, AT).is_none());
    assert!(take_one(&c, AT + 170 * 60_000 - 1).is_none());
    assert!(take_one(&c, AT + 170 * 60_000).is_some());
}

#[test]
fn a_receipt_may_come_before_the_answer_late_or_twice() {
    let c = open();
    for k in ["early", "late", "gone"] {
        put(&c, &stored(k, 100), AT).unwrap();
        take_one(&c, AT).unwrap();
    }
    let early = Key("early".into());
    let delivered = Some(Fate::Received(Receipt::Delivered));
    assert_eq!(
        receipt(&c, &early, &Outcome::delivered(), AT).unwrap(),
        delivered
    );
    assert_eq!(
        settle(&c, &early, &Outcome::accepted(None), AT, 0).unwrap(),
        None
    );
    assert_eq!(
        receipt(&c, &early, &Outcome::delivered(), AT).unwrap(),
        None
    );
    let late = Key("late".into());
    settle(&c, &late, &Outcome::accepted(Some("ref".into())), AT, 0).unwrap();
    assert_eq!(referred(&c, Kind::Esms, "ref").unwrap(), Some(late.clone()));
    assert_eq!(
        receipt(&c, &late, &failed(Retry::Never), AT).unwrap(),
        Some(Fate::Refused)
    );
    assert_eq!(
        receipt(&c, &late, &Outcome::delivered(), AT).unwrap(),
        delivered,
        "the better news stays"
    );
    assert_eq!(receipt(&c, &late, &failed(Retry::Never), AT).unwrap(), None);
    assert_eq!(
        receipt(&c, &Key("unknown".into()), &Outcome::delivered(), AT).unwrap(),
        None
    );
}

#[test]
fn looks_grow_rarer_and_end() {
    let c = open();
    put(&c, &stored("k", 100), AT).unwrap();
    take_one(&c, AT).unwrap();
    settle(
        &c,
        &Key("k".into()),
        &Outcome::accepted(Some("r".into())),
        AT,
        0,
    )
    .unwrap();
    let mut at = Vec::new();
    for s in 0..2 * 86_400 {
        if !looks(&c, Kind::Esms, 5, AT + s * 1000).unwrap().is_empty() {
            at.push(s);
        }
    }
    assert_eq!(at.first(), Some(&20));
    assert!(at.len() < 16, "{at:?}");
}

#[test]
fn withdrawn_before_the_first_try_costs_nothing() {
    let c = open();
    for k in ["new", "tried"] {
        put(&c, &stored(k, 1000), AT).unwrap();
    }
    let (new, tried) = (Key("new".into()), Key("tried".into()));
    assert_eq!(withdraw(&c, &new, AT).unwrap(), Some(Fate::Withdrawn));
    take_one(&c, AT).unwrap();
    assert_eq!(withdraw(&c, &tried, AT).unwrap(), None, "it is under way");
    settle(&c, &tried, &failed(Retry::Later), AT, 0).unwrap();
    assert_eq!(withdraw(&c, &tried, AT).unwrap(), Some(Fate::GivenUp));
    assert!(take_one(&c, AT + 900_000).is_none());
}

#[test]
fn pauses_grow_to_a_bound_and_are_spread() {
    assert_eq!((pause(1, 0), pause(1, 255)), (2_500, 5_000));
    assert_eq!(
        (pause(30, 0), pause(30, 255)),
        (LONGEST_PAUSE / 2, LONGEST_PAUSE)
    );
    assert!((1..40).all(|n| pause(n, 7) <= pause(n + 1, 7)));
}

#[test]
fn what_is_critical_does_not_wait_behind_a_backlog() {
    let c = open();
    for n in 0..9 {
        put(
            &c,
            &Message {
                critical: false,
                ..stored(&format!("k{n}"), 100)
            },
            AT,
        )
        .unwrap();
    }
    put(&c, &stored("critical", 100), AT + 1000).unwrap();
    assert_eq!(take_one(&c, AT + 1000).unwrap().message.key.0, "critical");
}
