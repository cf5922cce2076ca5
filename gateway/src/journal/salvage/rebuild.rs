//! Writes the new journal from what was found, and what that implies.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rusqlite::Connection;
use rusqlite::types::Value::{self, Blob, Integer, Null, Text};

use super::super::cursor::{self, Gap};
use super::super::ledger::{Boot, Ranges, Span};
use super::super::{block, days, record};
use super::found::Found;
use super::tables::{FARM, NODE, PLOT, TABLES};
use super::{Damage, Failed};
use crate::clock::Clock;
use crate::reading::{DAY_MS, Millis, NodeNum};

/// Farm of plots whose own farm is lost.
const NO_FARM: &str = "salvaged";

/// Arrived places of every boot.
type Arrived = BTreeMap<(NodeNum, Boot), Ranges>;

impl Found<'_> {
    /// Adds what the rows that are left imply. Answers the nodes whose row is lost.
    fn complete(&mut self) -> Vec<String> {
        let text = |row: &[Value], i: usize| match row.get(i) {
            Some(Text(t)) => t.clone(),
            _ => String::new(),
        };
        let known: BTreeSet<String> = self.table("node").map(|row| text(row, 1)).collect();
        let plots: Vec<String> = self.table("plot").map(|row| text(row, 0)).collect();
        let a_plot = plots.first().cloned().unwrap_or_else(|| NO_FARM.into());
        let lost: Vec<(String, i64)> = self
            .numbers
            .iter()
            .filter(|(id, _)| !known.contains(*id))
            .map(|(id, num)| (id.clone(), *num))
            .collect();
        for (id, num) in &lost {
            // No password has this hash: the node stays out until it is given one, and keeps its number, its history.
            let secret = Blob(vec![0; 32]);
            let row = vec![
                Integer(*num),
                Text(id.clone()),
                Text(a_plot.clone()),
                Text(id.clone()),
                secret,
            ];
            self.take(&TABLES[NODE], (*num, row));
        }
        let named: BTreeSet<String> = self.table("node").map(|row| text(row, 2)).collect();
        let farms: BTreeSet<String> = self.table("farm").map(|row| text(row, 0)).collect();
        let a_farm = farms.first().cloned().unwrap_or_else(|| NO_FARM.into());
        for plot in named.into_iter().filter(|p| !plots.contains(p)) {
            let row = vec![
                Text(plot.clone()),
                Text(a_farm.clone()),
                Text(plot),
                Null,
                Null,
                Null,
            ];
            self.take(&TABLES[PLOT], (0, row));
        }
        let named: BTreeSet<String> = self.table("plot").map(|row| text(row, 1)).collect();
        for farm in named.into_iter().filter(|f| !farms.contains(f)) {
            self.take(
                &TABLES[FARM],
                (0, vec![Text(farm.clone()), Text(farm), Null]),
            );
        }
        lost.into_iter().map(|(id, _)| id).collect()
    }

    /// Writes the small tables, and says what went into the new file. File and reason are the caller's to add.
    pub(super) fn write(mut self) -> Result<Damage, Failed> {
        let nodes_without_secret = self.complete();
        let readers: Vec<(String, i64)> = self
            .table("cursor")
            .filter_map(|row| match &row[..] {
                [Text(name), Integer(at)] => Some((name.clone(), *at)),
                _ => None,
            })
            .collect();
        let cursors: Vec<i64> = readers.iter().map(|r| r.1).collect();
        let (folded, ledger) = (self.counter("folded_upto"), self.counter("ledger_upto"));
        let newest = self
            .conn
            .query_row("SELECT max(id) FROM log", [], |r| r.get(0))?;
        // Ids never repeat: no reader may stand beyond the head, or it would miss what comes.
        let head = [newest, self.counter("head"), folded, ledger]
            .into_iter()
            .flatten()
            .chain(cursors.iter().copied())
            .max()
            .unwrap_or(0);
        // Rows up to here may have been deleted in good order; behind it each id was a row that is not folded yet, or for
        // which a reader waits.
        let trimmed = [folded, ledger]
            .into_iter()
            .map(|at| at.unwrap_or(head))
            .chain(cursors)
            .min()
            .unwrap_or(head);
        let settled = [folded, ledger]
            .into_iter()
            .map(|at| at.unwrap_or(trimmed))
            .min()
            .unwrap_or(trimmed);
        let mut expected = cursor::waited_for(&cursor::readers(readers), settled);
        expected.push(Gap {
            at: settled,
            upto: head,
        });
        let mut lost = 0;
        for Gap { at, upto } in expected {
            let there: i64 = self.conn.query_row(
                "SELECT count(*) FROM log WHERE id > ?1 AND id <= ?2",
                [at, upto],
                |r| r.get(0),
            )?;
            lost += (upto - at - there).max(0).unsigned_abs();
        }

        // The main place of a reader without the gaps that it has left would pass those over: it begins anew, and its
        // server has the same points twice.
        let skipped = |name: &str| name == "arrived" || name == "cursor" && self.cursors_broken;
        let tables: Vec<_> = TABLES
            .iter()
            .filter(|t| t.small && !skipped(t.name))
            .collect();
        for table in tables {
            let rows: Vec<Vec<Value>> = self.table(table.name).cloned().collect();
            for row in rows {
                self.broken += u64::from(!self.insert(table, &row));
            }
        }
        if let Some(e) = self.failed.take() {
            return Err(e.into());
        }
        let mut arrived = self.arrived();
        let ledger = match ledger {
            Some(upto) => upto,
            None => covered(self.conn, &arrived, head)?,
        };
        add_log(self.conn, ledger, &mut arrived)?;
        self.kept += write_arrived(self.conn, &arrived)?;
        let folded = match folded {
            Some(upto) => upto,
            None => in_blocks(self.conn, head)?,
        };
        for (name, at) in [
            ("head", head),
            ("folded_upto", folded),
            ("ledger_upto", ledger),
        ] {
            self.conn.execute(
                "INSERT INTO mark VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET at = ?2",
                (name, at),
            )?;
        }
        self.conn
            .execute("DELETE FROM sqlite_sequence WHERE name = 'node'", [])?;
        self.conn.execute(
            "INSERT INTO sqlite_sequence VALUES ('node', ?1)",
            [self.highest_node],
        )?;
        Ok(Damage {
            at: Clock::system().now(),
            file: std::path::PathBuf::new(),
            noticed: String::new(),
            kept: self.kept,
            lost,
            broken: self.broken,
            nodes_without_secret,
        })
    }

    /// The ledger's ranges, joined: from a stale page they are true as well, since a place that has arrived stays so.
    fn arrived(&self) -> Arrived {
        let mut arrived = Arrived::new();
        for row in self.table("arrived") {
            let [
                Integer(node),
                Integer(boot),
                Integer(lo),
                Integer(hi),
                lo_at,
                hi_at,
            ] = &row[..]
            else {
                continue;
            };
            let time = |v: &Value| match v {
                Integer(at) => Some(*at),
                _ => None,
            };
            if let (Ok(node), Ok(lo), Ok(hi)) = (
                NodeNum::try_from(*node),
                u32::try_from(*lo),
                u32::try_from(*hi),
            ) {
                let (lo_at, hi_at) = (time(lo_at), time(hi_at));
                let ranges = arrived.entry((node, *boot as Boot)).or_default();
                ranges.insert(Span {
                    lo,
                    hi,
                    lo_at,
                    hi_at,
                });
            }
        }
        arrived
    }
}

/// Up to which row the ledger's tables had counted, if its mark is lost: to before the first row that they lack.
fn covered(c: &Connection, arrived: &Arrived, head: i64) -> rusqlite::Result<i64> {
    let mut log = c.prepare(
        "SELECT id, node, received, boot, seq, n FROM log WHERE boot IS NOT NULL ORDER BY id",
    )?;
    let mut rows = log.query([])?;
    while let Some(r) = rows.next()? {
        let key = record::Key::read(r)?;
        let Some((boot, seq)) = key.place else {
            continue;
        };
        let last = seq.saturating_add(key.n.saturating_sub(1));
        let ranges = arrived.get(&(key.node, boot));
        if ranges.is_none_or(|ranges| !ranges.missing_in(seq, last).is_empty()) {
            return Ok(key.id - 1);
        }
    }
    Ok(head)
}

/// Up to which row the log was folded, if its mark is lost: to before the first row with a reading that no block has. Folding
/// goes on from there; what it finds in a block already stays there once.
fn in_blocks(c: &Connection, head: i64) -> rusqlite::Result<i64> {
    let mut blocks: HashMap<block::Key, HashSet<Millis>> = HashMap::new();
    let mut select =
        c.prepare("SELECT body FROM block WHERE node = ?1 AND channel = ?2 AND day = ?3")?;
    let mut log =
        c.prepare("SELECT id, node, received, boot, seq, n, body FROM log ORDER BY id")?;
    let mut rows = log.query([])?;
    while let Some(r) = rows.next()? {
        let key = record::Key::read(r)?;
        let body = r.get_ref(6)?.as_blob().unwrap_or_default();
        for reading in record::decode(&key, body).unwrap_or_default() {
            let Some(channel) = reading.channel else {
                continue;
            };
            let of = (key.node, channel.to_u16(), reading.at.div_euclid(DAY_MS));
            if let Entry::Vacant(unread) = blocks.entry(of) {
                let mut times = HashSet::new();
                let mut found = select.query(of)?;
                while let Some(block) = found.next()? {
                    let body = block.get_ref(0)?.as_blob().unwrap_or_default();
                    let points = block::decode(of, body).unwrap_or_default();
                    times.extend(points.iter().map(|p| p.at));
                }
                unread.insert(times);
            }
            if !blocks
                .get(&of)
                .is_some_and(|times| times.contains(&reading.at))
            {
                return Ok(key.id - 1);
            }
        }
    }
    Ok(head)
}

/// Adds the places of the log rows that the tables had counted: some of those may have been on a page that is lost.
fn add_log(c: &Connection, upto: i64, arrived: &mut Arrived) -> rusqlite::Result<()> {
    let mut log = c.prepare(
        "SELECT id, node, received, boot, seq, n, body FROM log WHERE boot IS NOT NULL AND id <= ?1 ORDER BY id",
    )?;
    let mut rows = log.query([upto])?;
    while let Some(r) = rows.next()? {
        let key = record::Key::read(r)?;
        let Some((boot, seq)) = key.place else {
            continue;
        };
        let body = r.get_ref(6)?.as_blob().unwrap_or_default();
        let readings = record::decode(&key, body).unwrap_or_default();
        let last = seq.saturating_add(key.n.saturating_sub(1));
        let ranges = arrived.entry((key.node, boot)).or_default();
        for (lo, hi) in ranges.missing_in(seq, last) {
            let part = readings.get((lo - seq) as usize..=(hi - seq) as usize);
            ranges.insert(Span {
                hi,
                ..days::span(lo, part.unwrap_or_default())
            });
        }
    }
    Ok(())
}

fn write_arrived(c: &Connection, arrived: &Arrived) -> rusqlite::Result<u64> {
    let mut kept = 0;
    let mut insert = c.prepare(
        "INSERT INTO arrived (node, boot, lo, hi, lo_at, hi_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for ((node, boot), ranges) in arrived {
        for r in ranges.as_slice() {
            insert.execute((node, *boot as i64, r.lo, r.hi, r.lo_at, r.hi_at))?;
            kept += 1;
        }
    }
    Ok(kept)
}
