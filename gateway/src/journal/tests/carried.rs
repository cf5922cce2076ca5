//! A salvage of a file without a bad bit carries everything over, from every released schema.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::farm;
use crate::journal::released::unpacked;
use crate::journal::{Files, Journal, MIGRATIONS, cursor, salvage};

const TABLES: [&str; 21] = [
    "farm",
    "plot",
    "node",
    "claim",
    "node_config",
    "refusal",
    "hello",
    "log",
    "block",
    "set_aside",
    "arrived",
    "day_account",
    "cursor",
    "retained",
    "dead_letter",
    "farm_group",
    "rule",
    "preset",
    "alarm_state",
    "alarm_event",
    "doubt",
];

/// Something in the tables that the released journals leave empty; the gap that it made, of rows that the log still has.
fn fill(dir: &Path, version: usize) -> cursor::Gap {
    let c = Connection::open(dir.join("sen.db")).unwrap();
    c.execute_batch(
        "INSERT INTO hello VALUES (1, 5, x'0102'), (2, 6, x'03');
         INSERT INTO set_aside VALUES (4, 7, 1, 17, 20000, x'ff');
         INSERT INTO retained VALUES ('sen/1/node-01/config', 1, x'a1');",
    )
    .unwrap();
    let gap = c
        .query_row("SELECT min(id), max(id) FROM log", [], |r| {
            Ok(cursor::Gap {
                at: r.get(0)?,
                upto: r.get(1)?,
            })
        })
        .unwrap();
    cursor::set_gap(&c, "influx", gap).unwrap();
    if version >= 2 {
        c.execute_batch("INSERT OR IGNORE INTO day_account VALUES (1, 20001, 5, 2, 1, 0)")
            .unwrap();
    }
    if version >= 4 {
        c.execute_batch(
            "UPDATE node SET revoked = 9, board = 'esp32c3' WHERE num = 1;
             INSERT INTO claim VALUES (1, '7K4MQ2XD', 3, NULL, NULL), (2, 'AAAABBBB', 3, 4, 'a technician');
             INSERT INTO refusal VALUES (1, 'wrong_password', 'flash it again', 9, 3), (2, 'revoked', 'it was revoked', 8, 1);",
        )
        .unwrap();
        let mut body = [0; sen_wire::limits::MAX_CONFIG_BYTES];
        let len = sen_wire::config::NodeConfig::default()
            .encode(&mut body)
            .unwrap()
            .len();
        for of in [1, 2] {
            c.execute(
                "INSERT INTO node_config VALUES (1, ?1, 5, 'a cooperative', ?2)",
                rusqlite::params![of, &body[..len]],
            )
            .unwrap();
        }
    }
    if version >= 5 {
        c.execute_batch(
            "UPDATE plot SET sown = '2026-11-01';
             INSERT INTO farm_group SELECT id, 'a canal' FROM farm;
             INSERT INTO rule VALUES ('salt', 1, 5, 'a cooperative', 1, '{}'), ('salt', 2, 6, 'a cooperative', 0, NULL);
             INSERT INTO preset VALUES ('rice-own', 1, 5, 'a cooperative', '{}');
             INSERT INTO alarm_state VALUES (900, '{}'), (901, '{}');
             INSERT INTO alarm_event VALUES (7, 5, 6, 'salt', 1, '{}'), (8, 5, 6, NULL, NULL, '{}');
             INSERT OR IGNORE INTO doubt VALUES (1, 17, 5, 4, 0), (1, 17, 6, 16, 1);",
        )
        .unwrap();
    }
    gap
}

/// The version that has the table.
fn since(table: &str) -> usize {
    match table {
        "day_account" => 2,
        "claim" | "node_config" | "refusal" => 4,
        "farm_group" | "rule" | "preset" | "alarm_state" | "alarm_event" | "doubt" => 5,
        _ => 1,
    }
}

fn rows(c: &Connection, sql: &str) -> Vec<Vec<Value>> {
    let mut select = c.prepare(sql).unwrap();
    let columns = select.column_count();
    let row = |r: &rusqlite::Row<'_>| (0..columns).map(|i| r.get(i)).collect();
    let rows = select.query_map([], row).unwrap();
    let mut rows = rows.collect::<Result<Vec<Vec<Value>>, _>>().unwrap();
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

#[test]
fn a_salvage_carries_everything_of_every_released_schema() {
    for version in 1..=MIGRATIONS.len() {
        let (salvaged, _) = unpacked(version);
        let gap = fill(salvaged.path(), version);
        let plain = farm::scratch();
        farm::copy(salvaged.path(), plain.path());
        let before = Files::of(plain.path()).migrated().unwrap();

        let damage = salvage::salvage(&Files::of(salvaged.path()), "for the test").unwrap();
        assert_eq!((damage.lost, damage.broken), (0, 0), "version {version}");
        let after = Files::of(salvaged.path()).migrated().unwrap();
        for table in TABLES {
            let sql = format!("SELECT * FROM {table}");
            assert_eq!(
                rows(&after, &sql),
                rows(&before, &sql),
                "{table} of version {version}"
            );
            if version >= since(table) {
                assert_ne!(rows(&after, &sql), Vec::<Vec<Value>>::new(), "{table}");
            }
        }
        let marks = "SELECT name, at FROM mark WHERE name <> 'head' ORDER BY 1";
        assert_eq!(rows(&after, marks), rows(&before, marks));
        drop(after);
        let journal = Journal::open(salvaged.path()).unwrap();
        assert_eq!(journal.damage(), [damage]);
        let gaps = farm::block_on(journal.gaps("influx")).unwrap();
        assert_eq!(gaps, [gap]);
        farm::block_on(journal.close());
    }
}

/// The counts of days are added to: what they cover must not be counted a second time when the mark that says so is lost.
#[test]
fn a_lost_mark_of_the_ledger_is_worked_out() {
    for version in 2..=MIGRATIONS.len() {
        let (dir, _) = unpacked(version);
        let c = Files::of(dir.path()).migrated().unwrap();
        let marks = "SELECT at FROM mark WHERE name = 'ledger_upto'";
        let before = rows(&c, marks);
        c.execute_batch(
            "DELETE FROM mark WHERE name = 'ledger_upto'; PRAGMA wal_checkpoint(TRUNCATE)",
        )
        .unwrap();
        drop(c);
        salvage::salvage(&Files::of(dir.path()), "for the test").unwrap();
        let after = Files::of(dir.path()).reader().unwrap();
        assert_eq!(rows(&after, marks), before, "version {version}");
    }
}
