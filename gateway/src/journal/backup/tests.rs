use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::super::{Journal, Uplink};
use super::*;
use crate::reading::{Measured, Reading};

#[test]
fn sweeps_what_killed_backups_left_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::of(&dir.path().join("farm"), Path::new("/nonexistent")).unwrap();
    let now = std::time::SystemTime::now();
    for (name, age) in [
        (".farm.old.part", STALE * 2),
        (".farm.old.part-wal", STALE * 2),
        (".farm.new.part", STALE / 2),
        (".barn.old.part", STALE * 2),
        ("farm", STALE * 2),
    ] {
        let file = File::create(dir.path().join(name)).unwrap();
        file.set_modified(now - age).unwrap();
    }
    place.sweep();
    let mut left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, [".barn.old.part", ".farm.new.part", "farm"]);
}

fn uplink(seq: u32) -> Uplink {
    Uplink {
        node: 1,
        received: 1_790_000_000_000,
        place: Some(((1 << 32) | 1, seq)),
        readings: vec![Reading {
            channel: Some("sal".parse().unwrap()),
            at: 1_790_000_000_000 + i64::from(seq),
            what: Measured::Value("1.5".parse().unwrap()),
            estimated: false,
        }],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_one_instant_of_a_journal_that_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    // Many steps, so that commits fall between them.
    journal
        .write(|c| {
            c.execute_batch(
                "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 10000)
                 INSERT INTO set_aside (at, body) SELECT 0, randomblob(3000) FROM k",
            )
        })
        .await
        .unwrap();
    let (stored, stop) = (
        Arc::new(AtomicU32::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let writer = tokio::spawn({
        let (journal, stored, stop) = (journal.clone(), stored.clone(), stop.clone());
        async move {
            while !stop.load(Ordering::SeqCst) {
                let seq = stored.load(Ordering::SeqCst);
                assert_eq!(journal.append(uplink(seq)).await.unwrap().fresh, 1);
                stored.store(seq + 1, Ordering::SeqCst);
            }
        }
    });
    while stored.load(Ordering::SeqCst) < 10 {
        tokio::task::yield_now().await;
    }
    let before = stored.load(Ordering::SeqCst);
    let (from, to) = (dir.path().to_path_buf(), dir.path().join("copy"));
    let target = to.clone();
    // A copy that follows the writer never ends: then the writer does.
    let made = tokio::task::spawn_blocking(move || backup(&from, &target, false));
    let made = tokio::time::timeout(Duration::from_secs(20), made).await;
    let after = stored.load(Ordering::SeqCst);
    stop.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    let contents = made.unwrap().unwrap().unwrap();
    assert!(contents.readings >= u64::from(before), "{contents:?}");
    assert!(
        contents.readings < u64::from(after),
        "nothing was stored meanwhile: {contents:?}, {after}"
    );
    let c = Connection::open(&to).unwrap();
    let (places, last): (u64, u64) = c
        .query_row("SELECT count(*), max(seq) FROM log", [], |r| {
            Ok((r.get::<_, u32>(0)?.into(), r.get::<_, u32>(1)?.into()))
        })
        .unwrap();
    assert_eq!((places, last + 1), (contents.readings, contents.readings));
    assert!(!to.with_file_name("copy-wal").exists());
    journal.close().await;
}
