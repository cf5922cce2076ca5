//! The whole way: alarm, plan, outbox, worker, a fake over real HTTP; with crashes, and days that pass in a moment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;
use sen_notify::alarm::Level;
use sen_notify::channel::esms::Esms;
use sen_notify::channel::webhook::Webhook;
use sen_notify::channel::zalo::{AccessToken, Template, Zalo};
use sen_notify::channel::{Channel, Outcome, Secret};
use sen_notify::person::{Kind, Language, Receipt};
use sen_notify::plan::{Event, Trouble};
use sen_notify::policy::Book;
use sen_notify::text::Subject;
use sen_notify::worker::{Pace, SqliteStore, Store, Worker};
use sen_notify::{Millis, desk, outbox};
use tokio::sync::watch;

use crate::fakes::{AT, Answer, Fake, alarm, answer, book, until};

const PHONE: &str = "+84912345678";
const ESMS_OK: &str = r#"{"CodeResult":"100","SMSID":"s"}"#;

fn open(path: &Path) -> Connection {
    let c = Connection::open(path).unwrap();
    c.pragma_update(None, "journal_mode", "WAL").unwrap();
    let there: bool = c
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name = 'notify_outbox'",
            [],
            |r| r.get(0),
        )
        .unwrap();
    if !there {
        c.execute_batch(outbox::SQL).unwrap();
    }
    c
}

fn esms(url: &str) -> Arc<dyn Channel> {
    Arc::new(Esms::new(url, Secret::new("k"), Secret::new("s"), "SEN").unwrap())
}

fn zalo(url: &str) -> Arc<dyn Channel> {
    let t = Template {
        id: "7".into(),
        subject: Subject::Raised,
        language: Language::Vi,
        text: "<what>".into(),
    };
    Arc::new(Zalo::new(url, AccessToken::Fixed(Secret::new("t")), vec![t]).unwrap())
}

/// A gateway as far as this crate is concerned.
struct Gateway {
    connection: Arc<Mutex<Connection>>,
    store: SqliteStore,
    worker: Worker,
    clock: Arc<AtomicI64>,
    _book: watch::Sender<Arc<Book>>,
}

impl Gateway {
    fn start(
        path: &Path,
        book: &Book,
        channels: Vec<Arc<dyn Channel>>,
        clock: &Arc<AtomicI64>,
    ) -> Self {
        let connection = Arc::new(Mutex::new(open(path)));
        let (sender, receiver) = watch::channel(Arc::new(book.clone()));
        let now = clock.clone();
        let store = SqliteStore::new(
            connection.clone(),
            receiver,
            Arc::new(move || now.load(Ordering::SeqCst)),
        )
        .unwrap();
        let pace = Pace {
            every: Duration::from_millis(5),
            patience: Duration::from_secs(5),
            grace: Duration::from_secs(5),
        };
        let worker = Worker::start(Arc::new(store.clone()), channels, pace);
        Self {
            connection,
            store,
            worker,
            clock: clock.clone(),
            _book: sender,
        }
    }

    fn count(&self, state: &str) -> i64 {
        count(&self.connection.lock().unwrap(), state)
    }

    fn later(&self, s: i64) {
        self.clock.fetch_add(s * 1000, Ordering::SeqCst);
    }

    async fn raise(&self, id: &str, level: Level) {
        self.store
            .apply(Event::raised(alarm(id, level)))
            .await
            .unwrap();
        self.worker.wake();
    }
}

fn count(c: &Connection, state: &str) -> i64 {
    c.query_row(
        "SELECT count(*) FROM notify_outbox WHERE state = ?1",
        [state],
        |r| r.get(0),
    )
    .unwrap()
}

fn clock() -> Arc<AtomicI64> {
    Arc::new(AtomicI64::new(AT))
}

#[tokio::test]
async fn without_a_receipt_the_next_channel_takes_over_and_a_receipt_that_comes_twice_ends_it() {
    let (z, s) = (
        Fake::start(answer(200, r#"{"error":0,"data":{"msg_id":"z"}}"#)).await,
        Fake::start(answer(200, ESMS_OK)).await,
    );
    let dir = tempfile::tempdir().unwrap();
    let g = Gateway::start(
        &dir.path().join("n.db"),
        &book(&[(Kind::Zalo, PHONE), (Kind::Esms, PHONE)]),
        vec![zalo(&z.url), esms(&s.url)],
        &clock(),
    );
    g.raise("a", Level::Critical).await;
    until("Zalo has it", || z.asked().len() == 1).await;
    until("it is noted", || g.count("accepted") == 1).await;
    g.later(170);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(s.asked().is_empty());
    // Zalo lost it.
    g.later(20);
    until("the SMS follows", || {
        s.asked().iter().any(|a| a.uri.path().contains("Send"))
    })
    .await;
    let key = sen_notify::plan::Key(
        s.asked()
            .iter()
            .find(|a| a.method == "POST")
            .unwrap()
            .json()["RequestId"]
            .as_str()
            .unwrap()
            .into(),
    );
    for _ in 0..2 {
        g.store
            .receipt(
                key.clone(),
                Outcome::Received {
                    receipt: Receipt::Delivered,
                    reference: None,
                },
            )
            .await
            .unwrap();
    }
    assert_eq!(g.count("delivered"), 1);
    g.later(3600);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(
        (
            z.asked().len(),
            s.asked().iter().filter(|a| a.method == "POST").count()
        ),
        (1, 1)
    );
    assert!(g.worker.stop().await.is_empty());
}

#[tokio::test]
async fn a_channel_that_is_down_for_a_day_delivers_all_of_it_and_is_seen_meanwhile() {
    let s = Fake::start(answer(503, "down")).await;
    let dir = tempfile::tempdir().unwrap();
    let g = Gateway::start(
        &dir.path().join("n.db"),
        &book(&[(Kind::Esms, PHONE)]),
        vec![esms(&s.url)],
        &clock(),
    );
    for n in 0..6 {
        g.raise(&format!("a{n}"), Level::Critical).await;
    }
    for _ in 0..72 {
        g.later(1200);
        let before = s.asked().len();
        until("it is tried", || s.asked().len() > before).await;
    }
    let troubles = desk::troubles(&g.connection.lock().unwrap(), Some("an")).unwrap();
    assert_eq!(troubles.len(), 6, "{troubles:?}");
    s.answers(answer(200, ESMS_OK));
    let clock = g.clock.clone();
    until("all are delivered", || {
        clock.fetch_add(60_000, Ordering::SeqCst);
        g.count("accepted") == 6
    })
    .await;
    let keys: BTreeSet<String> = s
        .asked()
        .iter()
        .filter(|a| a.method == "POST")
        .map(|a| a.json()["RequestId"].to_string())
        .collect();
    assert_eq!(keys.len(), 6, "each of them under one key");
    assert!(
        desk::troubles(&g.connection.lock().unwrap(), None)
            .unwrap()
            .is_empty()
    );
    g.worker.stop().await;
}

#[tokio::test]
async fn a_channel_that_hangs_holds_up_no_other() {
    let slow = Fake::start(Answer {
        after: Duration::from_secs(60),
        ..answer(200, "")
    })
    .await;
    let s = Fake::start(answer(200, ESMS_OK)).await;
    let hook = Arc::new(Webhook::new(Secret::new("x"), true).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let mut b = book(&[(Kind::Webhook, &slow.url)]);
    let mut binh = book(&[(Kind::Esms, PHONE)]).people.remove("an").unwrap();
    binh.id = "binh".into();
    b.people.insert("binh".into(), binh);
    b.policies[0].steps[0].people.push("binh".into());
    let g = Gateway::start(
        &dir.path().join("n.db"),
        &b,
        vec![hook, esms(&s.url)],
        &clock(),
    );
    for n in 0..20 {
        g.raise(&format!("a{n}"), Level::Critical).await;
    }
    until("every SMS is sent", || {
        s.asked().iter().filter(|a| a.method == "POST").count() == 20
    })
    .await;
    assert!(
        slow.asked().len() <= 4,
        "and no more than four at once wait for the one that hangs"
    );
    // What hangs is named at the latest when the grace is over.
    let late = tokio::time::timeout(Duration::from_secs(20), g.worker.stop())
        .await
        .unwrap();
    assert!(late.iter().all(|k| *k == Kind::Webhook), "{late:?}");
}

#[tokio::test]
async fn a_message_that_takes_too_long_is_tried_again_under_its_key() {
    let s = Fake::start(Answer {
        after: Duration::from_secs(60),
        ..answer(200, ESMS_OK)
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let (connection, clock) = (
        Arc::new(Mutex::new(open(&dir.path().join("n.db")))),
        clock(),
    );
    let (_sender, receiver) = watch::channel(Arc::new(book(&[(Kind::Esms, PHONE)])));
    let now = clock.clone();
    let store = SqliteStore::new(
        connection.clone(),
        receiver,
        Arc::new(move || now.load(Ordering::SeqCst)),
    )
    .unwrap();
    let pace = Pace {
        every: Duration::from_millis(5),
        patience: Duration::from_millis(100),
        grace: Duration::from_secs(5),
    };
    let worker = Worker::start(Arc::new(store.clone()), vec![esms(&s.url)], pace);
    store
        .apply(Event::raised(alarm("a", Level::Critical)))
        .await
        .unwrap();
    until("it is asked", || s.asked().len() == 1).await;
    until("it waits again", || {
        count(&connection.lock().unwrap(), "waiting") == 1
    })
    .await;
    s.answers(answer(200, ESMS_OK));
    clock.fetch_add(60_000, Ordering::SeqCst);
    until("it is accepted", || {
        count(&connection.lock().unwrap(), "accepted") == 1
    })
    .await;
    let keys: BTreeSet<String> = s
        .asked()
        .iter()
        .filter(|a| a.method == "POST")
        .map(|a| a.json()["RequestId"].to_string())
        .collect();
    assert_eq!(keys.len(), 1);
    worker.stop().await;
}

/// Everything in memory goes, the file is opened again; after each of the steps in turn, and within each transaction.
#[tokio::test]
async fn a_crash_between_any_two_steps_costs_no_message_and_makes_no_second_one() {
    let mut at = 0;
    loop {
        let fake = Fake::start(answer(200, ESMS_OK)).await;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n.db");
        let crashed = three_alarms(&path, &fake, at).await;
        let keys: Vec<String> = fake
            .asked()
            .iter()
            .map(|a| a.json()["RequestId"].to_string())
            .collect();
        let told: BTreeMap<String, BTreeSet<String>> =
            fake.asked().iter().fold(BTreeMap::new(), |mut map, a| {
                let text = a.json()["Content"].as_str().unwrap().to_owned();
                map.entry(text)
                    .or_default()
                    .insert(a.json()["RequestId"].to_string());
                map
            });
        assert_eq!(told.len(), 3, "crash {at}: every alarm reaches the person");
        assert!(
            told.values().all(|k| k.len() == 1),
            "crash {at}: none under two keys: {keys:?}"
        );
        assert!(
            keys.len() <= 4,
            "crash {at}: at most the one that was under way is repeated: {keys:?}"
        );
        if !crashed {
            assert!(at > 15, "only {at} crashes");
            return;
        }
        at += 1;
    }
}

/// Three alarms by hand, with a crash at the `at`th possible point; whether there was one.
async fn three_alarms(path: &Path, fake: &Fake, at: usize) -> bool {
    let b = book(&[(Kind::Esms, PHONE)]);
    let channel = esms(&fake.url);
    let mut c = open(path);
    let (mut point, mut crashed) = (0, false);
    let mut now: Millis = AT;
    let mut crash = |c: Connection, now: Millis| -> (Connection, bool) {
        point += 1;
        if point - 1 != at {
            return (c, false);
        }
        crashed = true;
        drop(c);
        let c = open(path);
        outbox::recover(&c, now).unwrap();
        (c, true)
    };
    let mut n = 0;
    while n < 3 {
        let t = c.transaction().unwrap();
        desk::apply(
            &t,
            &b,
            Event::raised(alarm(&format!("a{n}"), Level::Critical)),
            now,
        )
        .unwrap();
        drop(t);
        // Not committed: whoever raised it says it again.
        let hit;
        (c, hit) = crash(c, now);
        if hit {
            continue;
        }
        let t = c.transaction().unwrap();
        desk::apply(
            &t,
            &b,
            Event::raised(alarm(&format!("a{n}"), Level::Critical)),
            now,
        )
        .unwrap();
        t.commit().unwrap();
        n += 1;
        (c, _) = crash(c, now);
    }
    loop {
        now += 1000;
        let t = c.transaction().unwrap();
        let taken = outbox::take(&t, Kind::Esms, 1, b.offset, now).unwrap();
        t.commit().unwrap();
        let Some(taken) = taken.into_iter().next() else {
            break;
        };
        let mut hit;
        (c, hit) = crash(c, now);
        if hit {
            continue;
        }
        let outcome = channel.send(&taken.message).await;
        (c, hit) = crash(c, now);
        if hit {
            continue;
        }
        let t = c.transaction().unwrap();
        desk::settle(&t, &b, &taken.message.key, &outcome, now, 0).unwrap();
        drop(t);
        (c, hit) = crash(c, now);
        if hit {
            continue;
        }
        let t = c.transaction().unwrap();
        desk::settle(&t, &b, &taken.message.key, &outcome, now, 0).unwrap();
        t.commit().unwrap();
        (c, _) = crash(c, now);
    }
    assert_eq!(count(&c, "accepted"), 3);
    crashed
}

#[tokio::test]
async fn a_worker_that_is_killed_at_any_moment_loses_nothing() {
    let fake = Fake::start(Answer {
        after: Duration::from_millis(10),
        ..answer(200, ESMS_OK)
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n.db");
    let (b, clock) = (book(&[(Kind::Esms, PHONE)]), clock());
    for round in 0..20u64 {
        let g = Gateway::start(&path, &b, vec![esms(&fake.url)], &clock);
        for n in 0..3 {
            g.raise(&format!("a{round}-{n}"), Level::Critical).await;
        }
        tokio::time::sleep(Duration::from_millis(round * 3 % 23)).await;
        // Dropping it aborts its tasks wherever they are; a statement that runs already ends first, as nothing of a process
        // outlives it.
        let connection = Arc::downgrade(&g.connection);
        drop(g);
        until("nothing of it runs", || connection.strong_count() == 0).await;
    }
    let g = Gateway::start(&path, &b, vec![esms(&fake.url)], &clock);
    until("all are sent", || g.count("accepted") == 60).await;
    let keys: BTreeSet<String> = fake
        .asked()
        .iter()
        .filter(|a| a.method == "POST")
        .map(|a| a.json()["RequestId"].to_string())
        .collect();
    assert_eq!(keys.len(), 60);
    assert!(g.worker.stop().await.is_empty());
}

#[tokio::test]
async fn a_gateway_without_the_channel_gives_up_in_the_end_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let g = Gateway::start(
        &dir.path().join("n.db"),
        &book(&[(Kind::Modem, PHONE)]),
        vec![],
        &clock(),
    );
    g.raise("a", Level::Critical).await;
    g.later(48 * 3600);
    until("it is given up", || g.count("failed") == 1).await;
    until("and said", || {
        let all = desk::troubles(&g.connection.lock().unwrap(), Some("an")).unwrap();
        let plan = |w: &desk::Wrong, what: &Trouble| matches!(w, desk::Wrong::Plan { what: is, .. } if is == what);
        all.iter().any(|w| plan(w, &Trouble::NobodyReached)) && all.iter().any(|w| plan(w, &Trouble::Unreachable("an".into())))
    })
    .await;
    g.worker.stop().await;
}
