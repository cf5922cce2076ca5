//! The journal's tables as they lie in a file, and what their rows look like.

use rusqlite::types::Value::{self, Blob, Integer, Null, Real, Text};

use super::super::ledger::Boot;
use super::super::{block, record, retention};
use crate::reading::NodeNum;

/// A table as it lies in the file.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// How many columns a row has in the first version, and how many in this one: those that a migration has added are
    /// not there in the rows of before.
    pub(super) columns: (usize, usize),
    /// Kept as an index is: it has no row ids.
    pub(super) is_index: bool,
    /// The first column is the row id.
    pub(super) id_first: bool,
    /// Its rows fit in memory, and wait there until all are found.
    pub(super) small: bool,
}

impl Table {
    const fn of(name: &'static str, columns: usize) -> Self {
        Self {
            name,
            columns: (columns, columns),
            is_index: false,
            id_first: false,
            small: false,
        }
    }

    const fn small(self) -> Self {
        Self {
            small: true,
            ..self
        }
    }

    const fn id_first(self) -> Self {
        Self {
            id_first: true,
            ..self
        }
    }

    const fn index(self) -> Self {
        Self {
            is_index: true,
            ..self
        }
    }

    const fn grown_to(self, columns: usize) -> Self {
        Self {
            columns: (self.columns.0, columns),
            ..self
        }
    }
}

/// Places in [`TABLES`].
pub(super) const FARM: usize = 0;
pub(super) const PLOT: usize = 1;
pub(super) const NODE: usize = 2;
/// In an order in which references hold.
pub(super) static TABLES: [Table; 23] = [
    Table::of("farm", 3).small(),
    Table::of("plot", 5).grown_to(6).small(),
    Table::of("node", 5).grown_to(7).id_first().small(),
    Table::of("claim", 5).id_first().small(),
    Table::of("node_config", 5).index().small(),
    Table::of("refusal", 5).index().small(),
    Table::of("hello", 3).id_first(),
    Table::of("log", 7).id_first(),
    Table::of("block", 9).index(),
    Table::of("set_aside", 6).id_first(),
    Table::of("arrived", 4).grown_to(6).index().small(),
    Table::of("day_account", 6).index().small(),
    Table::of("cursor", 2).small(),
    Table::of("mark", 2).small(),
    Table::of("retained", 3),
    Table::of("dead_letter", 5).id_first(),
    Table::of("damage", 8).id_first(),
    Table::of("farm_group", 2).index().small(),
    Table::of("rule", 6).index().small(),
    Table::of("preset", 5).index().small(),
    Table::of("alarm_state", 2).id_first(),
    Table::of("alarm_event", 6).id_first(),
    Table::of("doubt", 5).index(),
];

pub(super) fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|t| t.name == name)
}

/// Before 1973 in ms, more than any count of readings: tells a time from a count.
const NO_COUNT: i64 = 100_000_000_000;

/// Which table a row belongs to that says by itself what it is; `fits` has the last word.
pub(super) fn table_of(columns: &[Value]) -> Option<&'static Table> {
    let time = |v: &Value| match v {
        Integer(at) => *at >= NO_COUNT,
        other => *other == Null,
    };
    let name = match columns {
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
        [Integer(_), Integer(_), Integer(_), Integer(_), first, last]
            if time(first) && time(last) =>
        {
            "arrived"
        }
        [
            Integer(_),
            Integer(_),
            Integer(_),
            Integer(_),
            Integer(_),
            Integer(_),
        ] => "day_account",
        [Null, Text(_), Text(_), Text(_), Blob(_)]
        | [
            Null,
            Text(_),
            Text(_),
            Text(_),
            Blob(_),
            Integer(_) | Null,
            Text(_) | Null,
        ] => "node",
        [Null, Text(_), Integer(_), Integer(_) | Null, Text(_) | Null] => "claim",
        [Integer(_), Integer(_), Integer(_), Text(_), Blob(_)] => "node_config",
        [Integer(_), Text(_), Text(_), Integer(_), Integer(_)] => "refusal",
        [
            Text(_),
            Text(_),
            Text(_),
            Text(_) | Null,
            Real(_) | Integer(_) | Null,
        ]
        | [
            Text(_),
            Text(_),
            Text(_),
            Text(_) | Null,
            Real(_) | Integer(_) | Null,
            Text(_) | Null,
        ] => "plot",
        [Text(_), Text(_)] => "farm_group",
        [
            Text(_),
            Integer(_),
            Integer(_),
            Text(_),
            Integer(_),
            Text(_) | Null,
        ] => "rule",
        [Text(_), Integer(_), Integer(_), Text(_), Text(_) | Null] => "preset",
        [Text(_), Text(_), Text(_) | Null] => "farm",
        [Text(name), Integer(_)]
            if ["head", "folded_upto", "ledger_upto", "registry"].contains(&name.as_str())
                || retention::is_mark(name) =>
        {
            "mark"
        }
        _ => return None,
    };
    table(name)
}

/// The columns of a log row beside its body.
pub(super) fn log_key(columns: &[Value]) -> Option<record::Key> {
    let [
        Integer(id),
        Integer(node),
        Integer(received),
        boot,
        seq,
        Integer(n),
        _,
    ] = columns
    else {
        return None;
    };
    let place = match (boot, seq) {
        (Integer(boot), Integer(seq)) => Some((*boot as Boot, u32::try_from(*seq).ok()?)),
        (Null, Null) => None,
        _ => return None,
    };
    Some(record::Key {
        id: *id,
        node: NodeNum::try_from(*node).ok()?,
        received: *received,
        place,
        n: u32::try_from(*n).ok()?,
    })
}

/// Whether these columns can be a row of the table: its types, and the checksum where there is one.
pub(super) fn fits(name: &str, columns: &[Value]) -> bool {
    match (name, columns) {
        ("log", [.., Blob(body)]) => {
            log_key(columns).is_some_and(|key| record::decode(&key, body).is_ok())
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
        (
            "node",
            [
                Integer(num),
                Text(id),
                Text(plot),
                Text(_),
                Blob(secret),
                Integer(_) | Null,
                Text(_) | Null,
            ],
        ) => {
            *num > 0
                && secret.len() == 32
                && sen_wire::id::check_id(id).is_ok()
                && sen_wire::id::check_id(plot).is_ok()
        }
        (
            "claim",
            [
                Integer(num),
                Text(code),
                Integer(_),
                Integer(_) | Null,
                Text(_) | Null,
            ],
        ) => *num > 0 && code.len() == 8 && code.bytes().all(|b| b.is_ascii_alphanumeric()),
        (
            "node_config",
            [
                Integer(num),
                Integer(version),
                Integer(_),
                Text(_),
                Blob(body),
            ],
        ) => {
            NodeNum::try_from(*num).is_ok()
                && u32::try_from(*version).is_ok()
                && sen_wire::config::NodeConfig::decode(body).is_ok()
        }
        ("refusal", [Integer(node), Text(_), Text(_), Integer(_), Integer(count)]) => {
            NodeNum::try_from(*node).is_ok() && (1..NO_COUNT).contains(count)
        }
        (
            "plot",
            [
                Text(id),
                Text(farm),
                Text(_),
                Text(_) | Null,
                Real(_) | Integer(_) | Null,
                Text(_) | Null,
            ],
        ) => sen_wire::id::check_id(id).is_ok() && sen_wire::id::check_id(farm).is_ok(),
        ("farm", [Text(id), Text(_), Text(_) | Null]) => sen_wire::id::check_id(id).is_ok(),
        (
            "arrived",
            [
                Integer(node),
                Integer(boot),
                Integer(lo),
                Integer(hi),
                Integer(_) | Null,
                Integer(_) | Null,
            ],
        ) => {
            NodeNum::try_from(*node).is_ok()
                && *boot >= 0
                && (0..=i64::from(u32::MAX)).contains(lo)
                && (*lo..=i64::from(u32::MAX)).contains(hi)
        }
        (
            "day_account",
            [
                Integer(node),
                Integer(_),
                Integer(received),
                Integer(late),
                Integer(refused),
                Integer(unnumbered),
            ],
        ) => {
            NodeNum::try_from(*node).is_ok()
                && (0..NO_COUNT).contains(received)
                && (0..=*received).contains(late)
                && (0..=*received).contains(refused)
                && (0..NO_COUNT).contains(unnumbered)
        }
        ("cursor" | "mark", [Text(_), Integer(at)]) => *at >= 0,
        (
            "log" | "block" | "node" | "claim" | "node_config" | "refusal" | "plot" | "farm"
            | "arrived" | "day_account" | "cursor" | "mark",
            _,
        ) => false,
        // The rest is not relied upon; the new table's own types decide.
        _ => true,
    }
}

/// What a row is known by within its table, in the order of the table's own key.
pub(super) fn key(name: &str, columns: &[Value]) -> String {
    let n = match name {
        "arrived" => 3,
        "day_account" | "node_config" | "refusal" | "farm_group" | "rule" | "preset" => 2,
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
