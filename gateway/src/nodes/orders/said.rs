//! What a node says of its configuration, in its hello.

use rusqlite::{Connection, OptionalExtension};
use sen_wire::{Hello, NodeConfig};
use serde::Serialize;
use utoipa::ToSchema;

use super::versions;
use crate::nodes::{NodeError, number};
use crate::reading::NodeNum;

/// A refusal of the node's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Refused {
    /// The version, if the node could read it.
    pub version: Option<u32>,
    /// Stable, for programs.
    pub reason: &'static str,
    /// The channel at fault.
    pub channel: Option<String>,
    /// For people.
    pub message: String,
}

/// The configuration that the node says it runs; `None` if it has not said, or this journal does not have that version.
///
/// # Errors
/// [`NodeError`].
pub fn running(c: &Connection, id: &str) -> Result<Option<NodeConfig>, NodeError> {
    let num = number(c, id)?;
    Ok(match Said::of(c, num)?.running {
        None => None,
        Some(0) => Some(NodeConfig::default()),
        Some(running) => versions(c, num, u32::MAX)?
            .into_iter()
            .find(|row| row.version == running)
            .and_then(|row| row.config),
    })
}

/// What the node said in its last hello.
pub(super) struct Said {
    pub(super) running: Option<u32>,
    pub(super) refused: Option<Refused>,
    pub(super) format: Option<u8>,
}

impl Said {
    pub(super) fn of(c: &Connection, num: NodeNum) -> rusqlite::Result<Self> {
        let body: Option<Vec<u8>> = c
            .query_row("SELECT body FROM hello WHERE node = ?1", [num], |r| {
                r.get(0)
            })
            .optional()?;
        let hello = body.as_deref().and_then(|body| Hello::decode(body).ok());
        Ok(Self {
            running: hello.as_ref().and_then(|h| h.config_version),
            refused: hello.as_ref().and_then(Hello::refusal).map(|r| Refused {
                version: r.version,
                reason: r.reason.reason(),
                channel: r.channel.map(|c| c.to_string()),
                message: r.to_string(),
            }),
            format: hello.map(|h| h.config_format.unwrap_or(1)),
        })
    }
}
