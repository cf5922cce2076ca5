//! What is whole in a damaged journal goes into a new one; the damaged one is set aside.
//!
//! Trees are followed from their roots as far as they lead. Then every page that nothing leads to is looked at: a log row
//! or a block found there is taken if its checksum says that it is one, a registry row if it looks like one, so that a
//! damaged page costs what was on it and not what it led to. What can be worked out is: a plot that a node names, the
//! number of a node from the index of its ids, how far the log had come.
//!
//! The new file is built and synced beside the old one, then both are renamed. A start that finds this half done
//! finishes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::types::Value::{self, Blob, Integer, Null, Real, Text};
use rusqlite::{Connection, ffi, params_from_iter};

use super::files::{Files, migrate};
use super::image::{Image, Record};
use super::ledger::{Boot, Ranges};
use super::{OpenError, block, record, wal};
use crate::reading::NodeNum;

/// A table as it lies in the file.
struct Table {
    name: &'static str,
    columns: usize,
    /// Kept as an index is: it has no row ids.
    is_index: bool,
    /// The first column is the row id.
    id_first: bool,
    /// Its rows fit in memory, and wait there until all are found.
    small: bool,
}

const fn table(
    name: &'static str,
    columns: usize,
    is_index: bool,
    id_first: bool,
    small: bool,
) -> Table {
    Table {
        name,
        columns,
        is_index,
        id_first,
        small,
    }
}

/// Places in [`TABLES`].
const FARM: usize = 0;
const PLOT: usize = 1;
const NODE: usize = 2;
/// In an order in which references hold.
static TABLES: [Table; 12] = [
    table("farm", 3, false, false, true),
    table("plot", 5, false, false, true),
    table("node", 5, false, true, true),
    table("hello", 3, false, true, false),
    table("log", 7, false, true, false),
    table("block", 9, true, false, false),
    table("set_aside", 6, false, true, false),
    table("arrived", 4, true, false, true),
    table("cursor", 2, false, false, true),
    table("mark", 2, false, false, true),
    table("retained", 3, false, false, false),
    table("dead_letter", 5, false, true, false),
];
/// Farm of plots whose own farm is lost.
const NO_FARM: &str = "salvaged";

/// A journal that was damaged, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The damaged file, kept to look at.
    pub file: PathBuf,
    /// How it was noticed.
    pub noticed: String,
    /// Rows that were kept: uplinks in the log, blocks, everything of the registry.
    pub kept: u64,
    /// Rows that are known to be lost. More may be: nothing says how many blocks there were.
    pub lost: u64,
    /// Places in the file where something was and can't be read.
    pub broken: u64,
    /// Nodes whose row was lost but for id and number: they need a new password.
    pub nodes_without_secret: Vec<String>,
}

impl Damage {
    /// A journal that was here and is gone, or empty.
    pub(super) fn of_nothing(file: PathBuf) -> Self {
        let noticed = "it was here before, and is gone or empty";
        tracing::error!("{}: {noticed}; a new one is made", file.display());
        Self {
            file,
            noticed: noticed.into(),
            kept: 0,
            lost: 0,
            broken: 1,
            nodes_without_secret: Vec::new(),
        }
    }
}

/// Why a damaged journal could not be salvaged. It is where it was.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Schema(#[from] rusqlite_migration::Error),
}

/// The new file while it is built.
fn building(files: &Files) -> PathBuf {
    files.path.with_extension("db.building")
}

/// The new file once it is whole.
fn whole(files: &Files) -> PathBuf {
    files.path.with_extension("db.salvaged")
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Finishes a salvage that a stop of the process cut short.
pub(super) fn finish(files: &Files) -> io::Result<()> {
    if whole(files).exists() {
        put_in_place(files)?;
    }
    Ok(())
}

/// Renames the damaged file and its log, then the new one.
fn put_in_place(files: &Files) -> io::Result<PathBuf> {
    let dir = files.path.parent().unwrap_or(Path::new("."));
    let aside = if files.path.exists() {
        unused(files)
    } else {
        // Cut short between the renames: the newest is the one.
        newest_aside(files)?.unwrap_or_else(|| unused(files))
    };
    let sync = || File::open(dir)?.sync_all();
    sync()?;
    // The log goes with its file: left behind, it would be taken for the new one's.
    for suffix in ["", "-wal"] {
        match fs::rename(beside(&files.path, suffix), beside(&aside, suffix)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    let _ = fs::remove_file(beside(&files.path, "-shm"));
    sync()?;
    fs::rename(whole(files), &files.path)?;
    sync()?;
    Ok(aside)
}

/// A name for the damaged file that nothing has yet.
fn unused(files: &Files) -> PathBuf {
    let now: String = Connection::open_in_memory()
        .and_then(|c| c.query_row("SELECT strftime('%Y%m%dT%H%M%SZ')", [], |r| r.get(0)))
        .unwrap_or_else(|_| "unknown".into());
    let mut path = beside(&files.path, &format!(".damaged-{now}"));
    while path.exists() {
        path = beside(&path, "-again");
    }
    path
}

fn newest_aside(files: &Files) -> io::Result<Option<PathBuf>> {
    let dir = files.path.parent().unwrap_or(Path::new("."));
    let prefix = format!(
        "{}.damaged-",
        files.path.file_name().unwrap_or_default().to_string_lossy()
    );
    let mut found: Vec<PathBuf> = fs::read_dir(dir)?
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| {
            let name = p.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&prefix) && !name.ends_with("-wal")
        })
        .collect();
    found.sort();
    Ok(found.pop())
}

/// Makes a new journal from what is whole in the damaged one, and puts it in its place.
pub(super) fn salvage(files: &Files, noticed: &str) -> Result<Damage, OpenError> {
    try_salvage(files, noticed).map_err(|e| OpenError::Damaged {
        path: files.path.clone(),
        noticed: noticed.to_owned(),
        source: Box::new(e),
    })
}

fn try_salvage(files: &Files, noticed: &str) -> Result<Damage, Failed> {
    tracing::error!(
        "{} is damaged ({noticed}); what is whole goes into a new file",
        files.path.display()
    );
    let log = wal::read(&beside(&files.path, "-wal"), true)?;
    let mut image = Image::open(&files.path, log)?;
    let building = building(files);
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(beside(&building, suffix));
    }
    let conn = Connection::open(&building)?;
    // Nobody reads it before it is whole and synced, so it needs no journal of its own.
    conn.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
    let conn = migrate(conn)?;
    conn.execute_batch("PRAGMA foreign_keys = OFF; BEGIN; DELETE FROM mark;")?;
    let mut damage = Found::in_image(&mut image, &conn)?.write()?;
    conn.execute_batch("COMMIT")?;
    conn.close().map_err(|(_, e)| e)?;
    File::open(&building)?.sync_all()?;
    fs::rename(&building, whole(files))?;

    damage.broken += image.broken;
    drop(image);
    damage.noticed = noticed.to_owned();
    damage.file = put_in_place(files)?;
    tracing::error!(
        "the damaged journal is kept as {}: {} rows went into the new one, {} are known to be lost, {} places can't be read",
        damage.file.display(),
        damage.kept,
        damage.lost,
        damage.broken
    );
    for node in &damage.nodes_without_secret {
        tracing::error!(
            "node `{node}` needs a new password: sen registry apply with its plot and password"
        );
    }
    Ok(damage)
}

/// What was found. Rows of the large tables go into the new file at once, those of the small ones wait for each other.
struct Found<'c> {
    conn: &'c Connection,
    small: BTreeMap<&'static str, BTreeMap<String, Vec<Value>>>,
    /// Numbers of node ids, from the index of the table.
    numbers: BTreeMap<String, i64>,
    /// Highest node number seen anywhere: none below it is given again.
    highest_node: i64,
    kept: u64,
    broken: u64,
    /// The new file can't be written: nothing more is taken.
    failed: Option<rusqlite::Error>,
}

impl<'c> Found<'c> {
    fn in_image(image: &mut Image, conn: &'c Connection) -> Result<Self, Failed> {
        let mut found = Self {
            conn,
            small: BTreeMap::new(),
            numbers: BTreeMap::new(),
            highest_node: 0,
            kept: 0,
            broken: 0,
            failed: None,
        };
        for (name, root) in roots(image)? {
            if let Some(table) = TABLES.iter().find(|t| t.name == name) {
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
        }
        image.free();
        image.strays(&mut |record| found.take_stray(record));
        match found.failed.take() {
            None => Ok(found),
            Some(e) => Err(e.into()),
        }
    }

    /// Takes a record that a table's tree leads to; false if it can't be one of the table's.
    fn take(&mut self, table: &'static Table, (id, mut columns): Record) -> bool {
        if columns.len() != table.columns {
            return false;
        }
        if table.id_first {
            columns[0] = Integer(id);
        }
        if !fits(table.name, &columns) {
            return false;
        }
        match (table.name, &columns[..]) {
            ("node" | "block" | "arrived", [Integer(num), ..]) | ("log", [_, Integer(num), ..]) => {
                self.saw_node(*num)
            }
            _ => {}
        }
        // A second row under a key comes from a stale page: the tree's own was first.
        if table.small {
            let rows = self.small.entry(table.name).or_default();
            rows.entry(key(table.name, &columns)).or_insert(columns);
            true
        } else {
            self.insert(table, &columns)
        }
    }

    /// Puts a row into the new file; false if the table does not take it.
    fn insert(&mut self, table: &Table, columns: &[Value]) -> bool {
        if self.failed.is_some() {
            return true;
        }
        let places = vec!["?"; table.columns].join(", ");
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

    /// Takes a record from a page that nothing leads to, if it says by itself what it is.
    fn take_stray(&mut self, (id, columns): Record) {
        let name = match &columns[..] {
            [Null, Integer(_), Integer(_), _, _, Integer(_), Blob(_)] => "log",
            [
                Integer(_),
                Integer(_),
                Integer(_),
                Integer(_),
                Integer(_),
                _,
                _,
                _,
                Blob(_),
            ] => "block",
            [Integer(_), Integer(_), Integer(_), Integer(_)] => "arrived",
            [Null, Text(_), Text(_), Text(_), Blob(_)] => "node",
            [
                Text(_),
                Text(_),
                Text(_),
                Text(_) | Null,
                Real(_) | Integer(_) | Null,
            ] => "plot",
            [Text(_), Text(_), Text(_) | Null] => "farm",
            [Text(name), Integer(_)]
                if ["head", "folded_upto", "ledger_upto", "registry"].contains(&name.as_str()) =>
            {
                "mark"
            }
            _ => return,
        };
        if let Some(table) = TABLES.iter().find(|t| t.name == name) {
            self.take(table, (id, columns));
        }
    }

    fn saw_node(&mut self, num: i64) {
        if num <= i64::from(NodeNum::MAX) {
            self.highest_node = self.highest_node.max(num);
        }
    }

    /// The rows of a small table.
    fn table(&self, name: &str) -> impl Iterator<Item = &Vec<Value>> {
        self.small.get(name).into_iter().flat_map(BTreeMap::values)
    }

    fn counter(&self, name: &str) -> Option<i64> {
        self.table("mark").find_map(|row| match &row[..] {
            [Text(n), Integer(at)] if n == name => Some(*at),
            _ => None,
        })
    }

    /// Adds what the rows that are left imply.
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

    /// Writes the small tables.
    fn write(mut self) -> Result<Damage, Failed> {
        let nodes_without_secret = self.complete();
        let cursors: Vec<i64> = self
            .table("cursor")
            .filter_map(|row| match row[1] {
                Integer(at) => Some(at),
                _ => None,
            })
            .collect();
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
        // Rows up to here may have been deleted in good order; behind it each id was a row.
        let trimmed = [folded, ledger]
            .into_iter()
            .map(|at| at.unwrap_or(head))
            .chain(cursors)
            .min()
            .unwrap_or(head);
        let there: i64 =
            self.conn
                .query_row("SELECT count(*) FROM log WHERE id > ?1", [trimmed], |r| {
                    r.get(0)
                })?;
        let lost = (head - trimmed - there).max(0).unsigned_abs();

        for table in TABLES.iter().filter(|t| t.small && t.name != "arrived") {
            let rows: Vec<Vec<Value>> = self.table(table.name).cloned().collect();
            for row in rows {
                self.broken += u64::from(!self.insert(table, &row));
            }
        }
        if let Some(e) = self.failed.take() {
            return Err(e.into());
        }
        self.kept += self.write_arrived()?;
        // A counter that is lost begins again: what it covered is done a second time, to the same end.
        for (name, at) in [
            ("head", head),
            ("folded_upto", folded.unwrap_or(0)),
            ("ledger_upto", ledger.unwrap_or(0)),
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
            file: PathBuf::new(),
            noticed: String::new(),
            kept: self.kept,
            lost,
            broken: self.broken,
            nodes_without_secret,
        })
    }

    /// The ledger's ranges, joined: from a stale page they are true as well, since a place that has arrived stays so.
    fn write_arrived(&self) -> rusqlite::Result<u64> {
        let mut ranges: BTreeMap<(i64, Boot), Ranges> = BTreeMap::new();
        for row in self.table("arrived") {
            if let [Integer(node), Integer(boot), Integer(lo), Integer(hi)] = row[..]
                && let (Ok(lo), Ok(hi)) = (u32::try_from(lo), u32::try_from(hi))
                && lo <= hi
            {
                ranges
                    .entry((node, boot as Boot))
                    .or_default()
                    .insert(lo, hi);
            }
        }
        let mut kept = 0;
        let mut insert = self
            .conn
            .prepare("INSERT INTO arrived VALUES (?1, ?2, ?3, ?4)")?;
        for ((node, boot), ranges) in ranges {
            for (lo, hi) in ranges.as_slice() {
                insert.execute((node, boot as i64, lo, hi))?;
                kept += 1;
            }
        }
        Ok(kept)
    }
}

/// Where each tree begins: as the file says, else as a new file has it, since the schema is made in one way only.
fn roots(image: &mut Image) -> Result<BTreeMap<String, u32>, Failed> {
    let template = migrate(Connection::open_in_memory()?)?;
    let mut roots: BTreeMap<String, u32> = template
        .prepare("SELECT name, rootpage FROM sqlite_schema WHERE rootpage > 0")?
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<Result<_, _>>()?;
    image.tree(1, false, &mut |(_, columns)| {
        if let [Text(_), Text(name), Text(_), Integer(root), _] = &columns[..]
            && let Ok(root) = u32::try_from(*root)
            && let Some(at) = roots.get_mut(name)
        {
            *at = root;
        }
    });
    Ok(roots)
}

/// Whether these columns can be a row of the table: its types, and the checksum where there is one.
fn fits(name: &str, columns: &[Value]) -> bool {
    match (name, columns) {
        (
            "log",
            [
                Integer(id),
                Integer(node),
                Integer(received),
                boot,
                seq,
                Integer(n),
                Blob(body),
            ],
        ) => {
            let place = match (boot, seq) {
                (Integer(boot), Integer(seq)) => {
                    u32::try_from(*seq).ok().map(|s| Some((*boot as Boot, s)))
                }
                (Null, Null) => Some(None),
                _ => None,
            };
            let (node, n) = (NodeNum::try_from(*node), u32::try_from(*n));
            if let (Ok(node), Ok(n), Some(place)) = (node, n, place) {
                let key = record::Key {
                    id: *id,
                    node,
                    received: *received,
                    place,
                    n,
                };
                record::decode(&key, body).is_ok()
            } else {
                false
            }
        }
        (
            "block",
            [
                Integer(node),
                Integer(channel),
                Integer(day),
                ..,
                Blob(body),
            ],
        ) => match (NodeNum::try_from(*node), u16::try_from(*channel)) {
            (Ok(node), Ok(channel)) => block::decode((node, channel, *day), body).is_ok(),
            _ => false,
        },
        ("node", [Integer(num), Text(id), Text(plot), Text(_), Blob(secret)]) => {
            *num > 0
                && secret.len() == 32
                && sen_wire::id::check_id(id).is_ok()
                && sen_wire::id::check_id(plot).is_ok()
        }
        (
            "plot",
            [
                Text(id),
                Text(farm),
                Text(_),
                Text(_) | Null,
                Real(_) | Integer(_) | Null,
            ],
        ) => sen_wire::id::check_id(id).is_ok() && sen_wire::id::check_id(farm).is_ok(),
        ("farm", [Text(id), Text(_), Text(_) | Null]) => sen_wire::id::check_id(id).is_ok(),
        ("arrived", [Integer(node), Integer(boot), Integer(lo), Integer(hi)]) => {
            NodeNum::try_from(*node).is_ok()
                && *boot >= 0
                && (0..=i64::from(u32::MAX)).contains(lo)
                && lo <= hi
        }
        ("cursor" | "mark", [Text(_), Integer(at)]) => *at >= 0,
        ("log" | "block" | "node" | "plot" | "farm" | "arrived" | "cursor" | "mark", _) => false,
        // The rest is not relied upon; the new table's own types decide.
        _ => true,
    }
}

fn key(name: &str, columns: &[Value]) -> String {
    let n = match name {
        "block" | "arrived" => 3,
        _ => 1,
    };
    columns
        .iter()
        .take(n)
        .map(|c| match c {
            // Ordered as numbers are.
            Integer(i) => format!("{:020}|", (*i as u64) ^ (1 << 63)),
            Text(t) => format!("{t}|"),
            other => format!("{other:?}|"),
        })
        .collect()
}
