//! Journals as the released versions wrote them still open, and everything in them is still there.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::reading::{Day, Measured, Reading};
use crate::registry::Registry;

fn fixture(version: usize, kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("src/journal/released/version_{version}.{kind}"))
}

/// A copy in a folder of its own, and what its version said that it holds.
pub(super) fn unpacked(version: usize) -> (TempDir, Value) {
    let dir = tempfile::tempdir().unwrap();
    let packed = File::open(fixture(version, "db.gz")).unwrap();
    let mut file = File::create(dir.path().join("sen.db")).unwrap();
    std::io::copy(&mut flate2::read::GzDecoder::new(packed), &mut file).unwrap();
    let expected = std::fs::read_to_string(fixture(version, "json")).unwrap();
    (dir, serde_json::from_str(&expected).unwrap())
}

fn rows(c: &Connection, sql: &str, columns: usize) -> rusqlite::Result<Value> {
    let row = |r: &rusqlite::Row<'_>| {
        (0..columns)
            .map(|i| {
                Ok(match r.get::<_, rusqlite::types::Value>(i)? {
                    rusqlite::types::Value::Integer(n) => json!(n),
                    rusqlite::types::Value::Text(text) => json!(text),
                    other => json!(format!("{other:?}")),
                })
            })
            .collect::<rusqlite::Result<Vec<Value>>>()
    };
    let rows: Vec<_> = c
        .prepare(sql)?
        .query_map([], row)?
        .collect::<Result<_, _>>()?;
    Ok(json!(rows))
}

fn dumped(dir: &Path) -> Vec<Value> {
    let mut out = Vec::new();
    dump::all(dir, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

/// Later versions may say more of a reading, never less or something else.
fn assert_says(now: &[Value], then: &Value) {
    let then = then.as_array().unwrap();
    assert_eq!(now.len(), then.len());
    for (now, then) in now.iter().zip(then) {
        for (key, value) in then.as_object().unwrap() {
            assert_eq!(&now[key], value, "{key} of {then}");
        }
    }
}

fn user_version(path: &Path) -> i64 {
    Connection::open(path)
        .unwrap()
        .query_row("PRAGMA user_version", [], |r| r.get(0))
        .unwrap()
}

#[test]
fn every_released_schema_has_a_fixture() {
    for version in 1..=MIGRATIONS.len() {
        for kind in ["db.gz", "json"] {
            let path = fixture(version, kind);
            assert!(
                path.exists(),
                "no {}: a new schema needs one, released/README.md says how it is made",
                path.display()
            );
        }
    }
}

#[tokio::test]
async fn every_released_schema_opens_whole_and_goes_on() {
    for version in 1..=MIGRATIONS.len() {
        let (dir, expected) = unpacked(version);
        let path = dir.path().join("sen.db");
        assert_eq!(user_version(&path), version as i64);
        assert!(std::fs::metadata(fixture(version, "db.gz")).unwrap().len() < 100_000);

        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(user_version(&path), MIGRATIONS.len() as i64);
        assert_says(&dumped(dir.path()), &expected["dump"]);
        let known = journal.read(|c| Ok(Registry::load(c)?)).await.unwrap();
        for said in expected["accounts"].as_array().unwrap() {
            let node = known.node(said[0].as_str().unwrap()).unwrap();
            let account = journal.account(node.num);
            assert_eq!(&json!([node.id, account.received, account.missing]), said);
        }
        let from_tables = journal
            .read(|c| {
                Ok(json!({
                    "nodes": rows(c, "SELECT node.num, node.id, node.plot, node.name, plot.farm FROM node JOIN plot ON plot.id = node.plot ORDER BY num", 5)?,
                    "secrets": rows(c, "SELECT id, hex(secret) FROM node ORDER BY num", 2)?,
                    "cursors": rows(c, "SELECT name, at FROM cursor ORDER BY name", 2)?,
                    "dead_letters": rows(c, "SELECT sink, line, reason FROM dead_letter ORDER BY id", 3)?,
                }))
            })
            .await
            .unwrap();
        for (table, now) in from_tables.as_object().unwrap() {
            assert_eq!(now, &expected[table], "{table} of version {version}");
        }
        let head = *journal.head().borrow();
        assert_eq!(json!([[head]]), expected["head"]);
        // What the sink has not sent yet is still before it.
        let at = journal.cursor("influx").await.unwrap();
        assert!(at < head);
        assert!(!journal.rows_after(at, 100).await.unwrap().is_empty());

        if version as i64 >= LEDGER_VERSION {
            let books = journal.books(None, Day::MIN).await.unwrap();
            let total = |id| books[&known.node(id).unwrap().num].total;
            let (one, three) = (total("node-01"), total("node-03"));
            assert_eq!((one.received, one.refused), (24, 1));
            assert_eq!((three.received, three.unnumbered), (0, 8));
        }

        goes_on(&journal, known.node("node-01").unwrap().num).await;
        journal.close().await;
        drop(journal);
        let again = Journal::open(dir.path()).unwrap();
        assert_eq!(
            dumped(dir.path()).len(),
            expected["dump"].as_array().unwrap().len() + 1
        );
        again.close().await;
    }
}

/// Its last boot has the places 0 to 7: a repeat is one, and the next is new.
async fn goes_on(journal: &Journal, node: NodeNum) {
    let uplink = |seq| Uplink {
        node,
        received: 1_790_000_000_000,
        place: Some(((7 << 32) | 2, seq)),
        readings: vec![Reading {
            channel: Some("sal".parse().unwrap()),
            at: 1_790_000_000_000,
            what: Measured::Value("1.5".parse().unwrap()),
            estimated: false,
        }],
    };
    let before = journal.account(node);
    let repeated = journal.append(uplink(7)).await.unwrap();
    assert_eq!((repeated.fresh, repeated.repeated), (0, 1));
    let new = journal.append(uplink(8)).await.unwrap();
    assert_eq!((new.fresh, new.receipt), (1, Some((0, 8))));
    let after = journal.account(node);
    assert_eq!(after.received, before.received + 1);
    assert_eq!(after.missing, before.missing);
}

#[test]
fn every_released_schema_is_backed_up_and_restored() {
    for version in 1..=MIGRATIONS.len() {
        let (old, expected) = unpacked(version);
        let file = old.path().join("copy");
        let copied = backup::backup(old.path(), &file, false).unwrap();
        assert_eq!(user_version(&file), version as i64);
        let new = tempfile::tempdir().unwrap();
        let done = restore::restore(&file, new.path(), false, 0).unwrap();
        let older = version < MIGRATIONS.len();
        assert_eq!(done.migrated_from, older.then_some(version as i64));
        assert_eq!(done.contents.readings, copied.readings);
        assert_eq!(done.contents.range, copied.range);
        let path = new.path().join("sen.db");
        assert_eq!(user_version(&path), MIGRATIONS.len() as i64);
        assert_says(&dumped(new.path()), &expected["dump"]);
    }
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let (dir, _) = unpacked(MIGRATIONS.len());
    let path = dir.path().join("sen.db");
    let newer = MIGRATIONS.len() as i64 + 1;
    let c = Connection::open(&path).unwrap();
    c.execute_batch("CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT")
        .unwrap();
    c.pragma_update(None, "user_version", newer).unwrap();
    drop(c);
    let refused = dump::all(dir.path(), &mut Vec::new()).unwrap_err();
    assert!(refused.to_string().contains("schema version"), "{refused}");
    let refused = Journal::open(dir.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Schema { .. }), "{refused}");
    assert!(refused.to_string().contains("or a newer one"), "{refused}");
    assert_eq!(user_version(&path), newer);
}

/// A damaged version number is told from a newer version by the tables that come with one.
#[test]
fn every_schema_has_tables_of_its_own() {
    let c = Connection::open_in_memory().unwrap();
    let mut before = files::schema_of(&c).unwrap();
    for sql in MIGRATIONS {
        c.execute_batch(sql).unwrap();
        let now = files::schema_of(&c).unwrap();
        assert_ne!(now, before);
        before = now;
    }
}
