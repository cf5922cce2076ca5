//! Every reading of a journal as lines of JSON, read beside a gateway that may be running.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use rusqlite::Connection;
use sen_wire::Channel;
use serde_json::json;

use super::contents::{self, Unusable};
use super::files::Files;
use super::{ReadError, block, cursor, mark};
use crate::reading::{Measured, NodeNum};

/// The dump stopped.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// Reading.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// SQLite.
    #[error("the journal can't be read")]
    Sqlite(#[from] rusqlite::Error),
    /// Its schema is a newer one.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// Writing to the output.
    #[error("the output can't be written")]
    Output(#[from] std::io::Error),
}

/// Writes one line a reading: `{node, boot, seq, channel, at, value | fault, estimated}`. Folded readings no longer carry
/// boot and seq.
///
/// # Errors
/// [`DumpError`].
pub fn all(dir: &Path, out: &mut impl Write) -> Result<(), DumpError> {
    let files = Files::of(dir);
    let c = files.reader()?;
    c.execute_batch("BEGIN")?;
    let version = c.query_row("PRAGMA user_version", [], |r| r.get(0))?;
    contents::not_newer(version, &files.path)?;
    let names: HashMap<NodeNum, String> = c
        .prepare("SELECT num, id FROM node")?
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let name = |num: NodeNum| {
        names
            .get(&num)
            .cloned()
            .unwrap_or_else(|| format!("removed-{num}"))
    };
    blocks(&c, &name, out)?;
    let mut at = mark(&c, "folded_upto")?;
    loop {
        let rows = cursor::rows_after(&c, at, 1_000)?;
        let Some(last) = rows.last() else { break };
        at = last.id;
        for row in &rows {
            for (i, r) in row.readings.iter().enumerate() {
                let seq = row.place.map(|p| u64::from(p.1) + i as u64);
                let fault = match r.what {
                    Measured::Value(_) => None,
                    Measured::Fault(f) => Some(f.name()),
                    Measured::Refused => Some("refused"),
                };
                let line = json!({"node": name(row.node), "boot": row.place.map(|p| p.0), "seq": seq, "channel": r.channel.map(|c| c.to_string()),
                    "at": r.at, "value": r.value(), "fault": fault, "estimated": r.estimated});
                writeln!(out, "{line}")?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

fn blocks(
    c: &Connection,
    name: &impl Fn(NodeNum) -> String,
    out: &mut impl Write,
) -> Result<(), DumpError> {
    let mut select =
        c.prepare("SELECT node, channel, day, body FROM block ORDER BY node, channel, day")?;
    let mut rows = select.query([])?;
    while let Some(r) = rows.next()? {
        let key: block::Key = (r.get(0)?, r.get(1)?, r.get(2)?);
        let (node, channel) = (key.0, Channel::from_u16(key.1));
        let points = match block::decode(key, r.get_ref(3)?.as_blob().unwrap_or_default()) {
            Ok(points) => points,
            // One block must not keep back those behind it.
            Err(e) => {
                tracing::error!("block of {}, day {}: {e}; left out", name(node), key.2);
                continue;
            }
        };
        for p in points {
            let line = json!({"node": name(node), "boot": null, "seq": null, "channel": channel.map(|c| c.to_string()), "at": p.at,
                "value": p.what.ok().map(|v| v.to_f64()), "fault": p.what.err().map(|f| f.name()), "estimated": p.estimated});
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}
