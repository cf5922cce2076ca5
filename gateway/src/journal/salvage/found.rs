//! Finds what is whole: along the trees, then on pages that nothing leads to.

use std::collections::BTreeMap;

use rusqlite::types::Value::{self, Integer, Null, Text};
use rusqlite::{Connection, ffi, params_from_iter};

use super::super::MIGRATIONS;
use super::super::files::{AUTO_VACUUM, made_new};
use super::super::image::{Image, Record};
use super::Failed;
use super::tables::{self, Table, fits, key, table};
use crate::reading::NodeNum;

/// What was found. Rows of the large tables go into the new file at once, those of the small ones wait for each other.
pub(super) struct Found<'c> {
    pub(super) conn: &'c Connection,
    small: BTreeMap<&'static str, BTreeMap<String, Vec<Value>>>,
    /// Numbers of node ids, from the index of the table.
    pub(super) numbers: BTreeMap<String, i64>,
    /// Highest node number seen anywhere: none below it is given again.
    pub(super) highest_node: i64,
    /// Part of the readers' places can't be read, so that a gap that one has left may be among it.
    pub(super) cursors_broken: bool,
    pub(super) kept: u64,
    pub(super) broken: u64,
    /// The new file can't be written: nothing more is taken.
    pub(super) failed: Option<rusqlite::Error>,
}

impl<'c> Found<'c> {
    pub(super) fn in_image(image: &mut Image, conn: &'c Connection) -> Result<Self, Failed> {
        let mut found = Self {
            conn,
            small: BTreeMap::new(),
            numbers: BTreeMap::new(),
            highest_node: 0,
            cursors_broken: false,
            kept: 0,
            broken: 0,
            failed: None,
        };
        for (name, root) in roots(image)? {
            let broken = image.broken + found.broken;
            if let Some(table) = table(&name) {
                image.tree(root, table.is_index, &mut |record| {
                    found.broken += u64::from(!found.take(table, record));
                });
            } else if name == "sqlite_autoindex_node_1" {
                image.tree(root, true, &mut |(_, columns)| {
                    if let [Text(id), Integer(num)] = &columns[..] {
                        found.numbers.insert(id.clone(), *num);
                    }
                });
            } else if name == "sqlite_sequence" {
                image.tree(root, false, &mut |(_, columns)| {
                    if let [Text(_), Integer(num)] = &columns[..] {
                        found.saw_node(*num);
                    }
                });
            } else if name.starts_with("sqlite_autoindex_") {
                // Only so that its pages are not taken for strays.
                image.tree(root, true, &mut |_| {});
            }
            found.cursors_broken |= name == "cursor" && image.broken + found.broken > broken;
        }
        image.map();
        image.free();
        image.strays(&mut |(id, columns)| {
            if let Some(table) = tables::table_of(&columns) {
                found.take(table, (id, columns));
            }
        });
        match found.failed.take() {
            None => Ok(found),
            Some(e) => Err(e.into()),
        }
    }

    /// Takes a record for the table; false if it can't be one of the table's.
    pub(super) fn take(&mut self, table: &'static Table, (id, mut columns): Record) -> bool {
        let (least, most) = table.columns;
        if !(least..=most).contains(&columns.len()) {
            return false;
        }
        columns.resize(most, Null);
        if table.id_first {
            columns[0] = Integer(id);
        }
        if !fits(table.name, &columns) {
            return false;
        }
        match (table.name, &columns[..]) {
            ("node" | "block" | "arrived" | "day_account", [Integer(num), ..])
            | ("log", [_, Integer(num), ..]) => self.saw_node(*num),
            _ => {}
        }
        if !table.small {
            return self.insert(table, &columns);
        }
        let rows = self.small.entry(table.name).or_default();
        let row = rows
            .entry(key(table.name, &columns))
            .or_insert_with(|| columns.clone());
        // A second row under a key comes from a stale page: the tree's own was first. Counts only ever grow.
        if table.name == "day_account" && counted(&columns) > counted(row) {
            *row = columns;
        }
        true
    }

    /// Puts a row into the new file; false if the table does not take it.
    pub(super) fn insert(&mut self, table: &Table, columns: &[Value]) -> bool {
        if self.failed.is_some() {
            return true;
        }
        let places = vec!["?"; columns.len()].join(", ");
        let sql = format!("INSERT INTO {} VALUES ({places})", table.name);
        let inserted = self
            .conn
            .prepare_cached(&sql)
            .and_then(|mut insert| insert.execute(params_from_iter(columns)));
        match inserted {
            Ok(_) => self.kept += 1,
            Err(e) => match e.sqlite_error().map(|e| e.extended_code) {
                Some(ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID) => {}
                Some(code) if code & 0xff == ffi::SQLITE_CONSTRAINT => return false,
                _ => self.failed = Some(e),
            },
        }
        true
    }

    fn saw_node(&mut self, num: i64) {
        if num <= i64::from(NodeNum::MAX) {
            self.highest_node = self.highest_node.max(num);
        }
    }

    /// The rows of a small table.
    pub(super) fn table(&self, name: &str) -> impl Iterator<Item = &Vec<Value>> {
        self.small.get(name).into_iter().flat_map(BTreeMap::values)
    }

    pub(super) fn counter(&self, name: &str) -> Option<i64> {
        self.table("mark").find_map(|row| match &row[..] {
            [Text(n), Integer(at)] if n == name => Some(*at),
            _ => None,
        })
    }
}

/// What a row of `day_account` has counted.
fn counted(columns: &[Value]) -> i64 {
    match columns {
        [.., Integer(received), _, _, Integer(unnumbered)] => received.saturating_add(*unnumbered),
        _ => 0,
    }
}

/// Where each tree begins: as the file says, else as a file has it that was made new. That holds for the tables of the
/// first version only: those of later ones begin elsewhere in a file that was brought up to date, and their rows say by
/// themselves what they are.
fn roots(image: &mut Image) -> Result<BTreeMap<String, u32>, Failed> {
    // Files of early versions have no pointer map; with one, roots lie behind it.
    let pragma = if image.has_map() { AUTO_VACUUM } else { "" };
    let template = made_new(pragma, &MIGRATIONS)?;
    let names: Vec<String> = template
        .prepare("SELECT name FROM sqlite_schema WHERE rootpage > 0")?
        .query_map([], |r| r.get(0))?
        .collect::<Result<_, _>>()?;
    let mut roots: BTreeMap<String, u32> = made_new(pragma, &MIGRATIONS[..1])?
        .prepare("SELECT name, rootpage FROM sqlite_schema WHERE rootpage > 0")?
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<Result<_, _>>()?;
    image.tree(1, false, &mut |(_, columns)| {
        if let [Text(_), Text(name), Text(_), Integer(root), _] = &columns[..]
            && let Ok(root) = u32::try_from(*root)
            && names.contains(name)
        {
            roots.insert(name.clone(), root);
        }
    });
    Ok(roots)
}
