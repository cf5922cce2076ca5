//! The claim: a code on the node's label binds it to a plot, once.

use rusqlite::{Connection, OptionalExtension, params};

use super::{NodeError, code, existing_plot, number};
use crate::reading::{Millis, NodeNum};
use crate::registry::changed;

/// A new claim code in place of the old one: for a node that moves on, or a label that was seen by others.
///
/// # Errors
/// [`NodeError`].
pub fn new_claim_code(c: &Connection, id: &str, now: Millis) -> Result<String, NodeError> {
    let num = number(c, id)?;
    let code = new_code(c, num, now)?;
    changed(c)?;
    Ok(code)
}

/// Who claims a node, and where it shall stand.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The code on the label, in any spelling.
    pub code: String,
    /// The plot.
    pub plot: String,
    /// A new name; the old one stays if left out.
    pub name: Option<String>,
    /// Who says so.
    pub who: String,
}

/// Binds a node to a plot; answers the node's id. A code works once.
///
/// # Errors
/// [`NodeError`].
pub fn claim(c: &Connection, claim: &Claim, now: Millis) -> Result<String, NodeError> {
    let code = code::normal(&claim.code).ok_or_else(|| {
        NodeError::Fault("a claim code has eight letters and digits, such as 7K4M-Q2XD".to_owned())
    })?;
    let found: Option<(NodeNum, Option<Millis>)> = c
        .query_row(
            "SELECT node, used FROM claim WHERE code = ?1",
            [&code],
            |r| Ok((r.get(0)?, r.get(1)?)),
        )
        .optional()?;
    let num = match found {
        None => return Err(NodeError::NoSuchCode(code)),
        Some((_, Some(_))) => return Err(NodeError::Used(code)),
        Some((num, None)) => num,
    };
    let plot = existing_plot(c, &claim.plot)?;
    c.execute(
        "UPDATE node SET plot = ?2, name = coalesce(?3, name) WHERE num = ?1",
        params![num, plot, claim.name],
    )?;
    c.execute(
        "UPDATE claim SET used = ?2, who = ?3 WHERE node = ?1",
        params![num, now, claim.who],
    )?;
    changed(c)?;
    Ok(c.query_row("SELECT id FROM node WHERE num = ?1", [num], |r| r.get(0))?)
}

/// A code that no other node has.
pub(super) fn new_code(c: &Connection, num: NodeNum, now: Millis) -> rusqlite::Result<String> {
    loop {
        let code = code::generate();
        let taken = c
            .query_row("SELECT 1 FROM claim WHERE code = ?1", [&code], |_| Ok(()))
            .optional()?
            .is_some();
        if !taken {
            c.execute(
                "INSERT OR REPLACE INTO claim (node, code, made) VALUES (?1, ?2, ?3)",
                params![num, code, now],
            )?;
            return Ok(code);
        }
    }
}
