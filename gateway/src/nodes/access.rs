//! How nodes stand with the gateway: let in or not, claimed or not.

use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;

use super::{NodeError, UNCLAIMED};
use crate::reading::Millis;

/// How a node stands with the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Access {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Farm; `null` until it is claimed.
    pub farm: Option<String>,
    /// Plot; `null` until it is claimed.
    pub plot: Option<String>,
    /// The board that it was flashed for.
    pub board: Option<String>,
    /// Since when it is refused, ms UTC.
    pub revoked_at: Option<Millis>,
    /// The claim code that still works.
    pub claim_code: Option<String>,
    /// When it was claimed by a code, ms UTC.
    pub claimed_at: Option<Millis>,
    /// By whom.
    pub claimed_by: Option<String>,
    /// Version of the configuration that it should have.
    pub config_version: Option<u32>,
}

/// All nodes, in order of id.
///
/// # Errors
/// What SQLite says.
pub fn list(c: &Connection) -> rusqlite::Result<Vec<Access>> {
    c.prepare_cached(
        "SELECT node.id, node.name, plot.farm, plot.id, board, revoked, code, used, who,
                (SELECT max(version) FROM node_config WHERE node_config.node = num)
         FROM node LEFT JOIN plot ON plot.id = node.plot LEFT JOIN claim ON claim.node = num ORDER BY node.id",
    )?
    .query_map([], |r| {
        let place = |value: Option<String>| value.filter(|v| v != UNCLAIMED);
        let used: Option<Millis> = r.get(7)?;
        Ok(Access {
            id: r.get(0)?,
            name: r.get(1)?,
            farm: place(r.get(2)?),
            plot: place(r.get(3)?),
            board: r.get(4)?,
            revoked_at: r.get(5)?,
            claim_code: r.get::<_, Option<String>>(6)?.filter(|_| used.is_none()),
            claimed_at: used,
            claimed_by: r.get(8)?,
            config_version: r.get(9)?,
        })
    })?
    .collect()
}

/// One node.
///
/// # Errors
/// [`NodeError`].
pub fn access(c: &Connection, id: &str) -> Result<Access, NodeError> {
    list(c)?
        .into_iter()
        .find(|n| n.id == id)
        .ok_or_else(|| NodeError::Unknown(id.to_owned()))
}
