//! Nodes with credentials of their own: made, claimed, revoked. The same functions serve the command line, which writes the
//! journal's file itself (also while a gateway runs, which follows it), and the API.
//!
//! A **password** is made here, shown once, and kept as a hash. A **claim code** is short, stands on the node's label, and
//! does one thing, once: it binds the node to a plot. It opens nothing, so it is kept as it is and can be printed again.
//!
//! A node that nobody has claimed yet stands on the plot [`UNCLAIMED`]: what it sends is stored from the first minute on.

use rusqlite::{Connection, OptionalExtension, params};
use sen_wire::id::check_id;
use sen_wire::limits::MAX_HELLO_TEXT;
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::Secret;
use crate::reading::{Millis, NodeNum};
use crate::registry::{changed, generate, hash};

pub mod code;
pub mod label;
pub mod orders;
pub mod plan;
pub mod raw;

/// Id of the plot, and of its farm, where nodes stand until they are claimed.
pub const UNCLAIMED: &str = "unclaimed";
/// Its name on the page. Words of the page's own language are the page's matter.
const UNCLAIMED_NAME: &str = "–";

/// A node can't be added or changed.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// No such node.
    #[error("no such node: `{0}`; `sen node list` shows them")]
    Unknown(String),
    /// There is one of that name.
    #[error("there is a node `{0}` already; `sen node password` gives it a new password")]
    Exists(String),
    /// Something in the request is wrong.
    #[error("{0}")]
    Fault(String),
    /// No node has this code.
    #[error("no node has the claim code {0}; look at the label again")]
    NoSuchCode(String),
    /// The code was used.
    #[error("the claim code {0} was used already; `sen node claim-code` makes a new one")]
    Used(String),
    /// Somebody else was faster.
    #[error(
        "changed meanwhile: version {in_force} is in force, the change was made from {base}; look again"
    )]
    Conflict {
        /// The newest version.
        in_force: u32,
        /// That of the request.
        base: u32,
    },
    /// The file can't be read or written.
    #[error("the registry can't be written")]
    Sqlite(#[from] rusqlite::Error),
}

/// What goes wrong in the file undoes the transaction; what is wrong with the request is an answer.
pub(crate) fn answer<T>(done: Result<T, NodeError>) -> rusqlite::Result<Result<T, NodeError>> {
    match done {
        Err(NodeError::Sqlite(e)) => Err(e),
        other => Ok(other),
    }
}

/// A node to be made.
#[derive(Debug, Clone, Default)]
pub struct NewNode {
    /// Its id.
    pub id: String,
    /// Its plot; `None`: it waits for its claim.
    pub plot: Option<String>,
    /// Its name; the id if left out.
    pub name: Option<String>,
    /// The board that it is.
    pub board: Option<String>,
}

/// What was made for a node. The password is shown now or never.
#[derive(Debug, Clone)]
pub struct Made {
    /// Its id.
    pub node: String,
    /// Its password.
    pub password: Secret,
    /// The code that claims it, if it has no plot.
    pub claim_code: Option<String>,
}

/// Makes a node.
///
/// # Errors
/// [`NodeError`].
pub fn add(c: &Connection, new: &NewNode, now: Millis) -> Result<Made, NodeError> {
    check_id(&new.id).map_err(|e| NodeError::Fault(format!("node `{}`: {e}", new.id)))?;
    if number(c, &new.id).is_ok() {
        return Err(NodeError::Exists(new.id.clone()));
    }
    if let Some(board) = &new.board {
        check_board(board)?;
    }
    let plot = match &new.plot {
        Some(plot) => existing_plot(c, plot)?,
        None => waiting_room(c)?,
    };
    let password = generate();
    c.execute(
        "INSERT INTO node (id, plot, name, secret, board) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            new.id,
            plot,
            new.name.as_deref().unwrap_or(&new.id),
            hash(password.reveal().as_bytes()),
            new.board
        ],
    )?;
    let claim_code = match new.plot {
        Some(_) => None,
        None => Some(new_code(c, number(c, &new.id)?, now)?),
    };
    changed(c)?;
    Ok(Made {
        node: new.id.clone(),
        password,
        claim_code,
    })
}

/// Gives a node a new password and lets it in again if it was revoked. The old one is worth nothing any more.
///
/// # Errors
/// [`NodeError`].
pub fn new_password(c: &Connection, id: &str) -> Result<Secret, NodeError> {
    let num = number(c, id)?;
    let password = generate();
    c.execute(
        "UPDATE node SET secret = ?2, revoked = NULL WHERE num = ?1",
        params![num, hash(password.reveal().as_bytes())],
    )?;
    changed(c)?;
    Ok(password)
}

/// Sets the board that a node is flashed for: its hello is checked against this.
///
/// # Errors
/// [`NodeError`].
pub fn set_board(c: &Connection, id: &str, board: &str) -> Result<(), NodeError> {
    let num = number(c, id)?;
    check_board(board)?;
    c.execute(
        "UPDATE node SET board = ?2 WHERE num = ?1",
        params![num, board],
    )?;
    changed(c)?;
    Ok(())
}

fn check_board(board: &str) -> Result<(), NodeError> {
    if (1..=MAX_HELLO_TEXT).contains(&board.len()) {
        return Ok(());
    }
    Err(NodeError::Fault(format!(
        "board: write 1 to {MAX_HELLO_TEXT} characters, as the board's firmware calls it"
    )))
}

/// Refuses a node from now on. A running gateway ends its connection. Its readings stay.
///
/// # Errors
/// [`NodeError`].
pub fn revoke(c: &Connection, id: &str, now: Millis) -> Result<(), NodeError> {
    let num = number(c, id)?;
    c.execute(
        "UPDATE node SET revoked = coalesce(revoked, ?2) WHERE num = ?1",
        params![num, now],
    )?;
    changed(c)?;
    Ok(())
}

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

/// Text within HTML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

pub(crate) fn number(c: &Connection, id: &str) -> Result<NodeNum, NodeError> {
    c.query_row("SELECT num FROM node WHERE id = ?1", [id], |r| r.get(0))
        .optional()?
        .ok_or_else(|| NodeError::Unknown(id.to_owned()))
}

fn existing_plot<'p>(c: &Connection, plot: &'p str) -> Result<&'p str, NodeError> {
    let there = plot != UNCLAIMED
        && c.query_row("SELECT 1 FROM plot WHERE id = ?1", [plot], |_| Ok(()))
            .optional()?
            .is_some();
    there.then_some(plot).ok_or_else(|| {
        NodeError::Fault(format!(
            "plot `{plot}` is not known; add it with `sen registry apply`"
        ))
    })
}

fn waiting_room(c: &Connection) -> rusqlite::Result<&'static str> {
    c.execute(
        "INSERT OR IGNORE INTO farm (id, name) VALUES (?1, ?2)",
        params![UNCLAIMED, UNCLAIMED_NAME],
    )?;
    c.execute(
        "INSERT OR IGNORE INTO plot (id, farm, name) VALUES (?1, ?1, ?2)",
        params![UNCLAIMED, UNCLAIMED_NAME],
    )?;
    Ok(UNCLAIMED)
}

fn new_code(c: &Connection, num: NodeNum, now: Millis) -> rusqlite::Result<String> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Registry, RegistryFile, apply, open};

    fn fresh() -> (tempfile::TempDir, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let c = open(dir.path()).unwrap();
        let farm: RegistryFile =
            toml::from_str("[[farm]]\nid='f'\nname='F'\n[[plot]]\nid='p'\nfarm='f'\nname='P'\n")
                .unwrap();
        apply(&c, &farm).unwrap();
        (dir, c)
    }

    fn new(id: &str) -> NewNode {
        NewNode {
            id: id.to_owned(),
            board: Some("esp32c3".to_owned()),
            ..NewNode::default()
        }
    }

    #[test]
    fn a_node_waits_for_its_claim_and_a_code_works_once() {
        let (_dir, c) = fresh();
        let made = add(&c, &new("n"), 1).unwrap();
        let code = made.claim_code.unwrap();
        assert_eq!(access(&c, "n").unwrap().plot, None);
        let request = |code: &str| Claim {
            code: code.to_owned(),
            plot: "p".to_owned(),
            name: Some("Ao 3".to_owned()),
            who: "technician".to_owned(),
        };
        let sloppy = code.to_lowercase().replace('-', " ");
        assert_eq!(claim(&c, &request(&sloppy), 2).unwrap(), "n");
        let after = access(&c, "n").unwrap();
        assert_eq!(
            (after.plot.as_deref(), after.farm.as_deref()),
            (Some("p"), Some("f"))
        );
        assert_eq!((after.claimed_at, after.claim_code), (Some(2), None));
        assert!(matches!(
            claim(&c, &request(&code), 3),
            Err(NodeError::Used(_))
        ));
        assert!(matches!(
            claim(&c, &request("0000-0000"), 3),
            Err(NodeError::NoSuchCode(_))
        ));
        assert!(matches!(
            claim(&c, &request("0000"), 3),
            Err(NodeError::Fault(_))
        ));
        let again = new_claim_code(&c, "n", 4).unwrap();
        assert_ne!(again, code);
        assert!(claim(&c, &request(&again), 5).is_ok());
    }

    #[test]
    fn a_new_password_ends_the_old_one_and_a_revocation() {
        let (_dir, c) = fresh();
        let made = add(&c, &new("n"), 1).unwrap();
        revoke(&c, "n", 7).unwrap();
        revoke(&c, "n", 9).unwrap();
        assert_eq!(
            access(&c, "n").unwrap().revoked_at,
            Some(7),
            "the first time counts"
        );
        let password = new_password(&c, "n").unwrap();
        let registry = Registry::load(&c).unwrap();
        let node = registry.node("n").unwrap();
        assert!(node.is_password(password.reveal().as_bytes()) && node.revoked.is_none());
        assert!(!node.is_password(made.password.reveal().as_bytes()));
    }

    #[test]
    fn what_can_not_be_is_refused_before_anything_is_written() {
        let (_dir, c) = fresh();
        add(&c, &new("n"), 1).unwrap();
        assert!(matches!(add(&c, &new("n"), 1), Err(NodeError::Exists(_))));
        assert!(matches!(add(&c, &new("N"), 1), Err(NodeError::Fault(_))));
        let nowhere = NewNode {
            plot: Some("q".to_owned()),
            ..new("m")
        };
        assert!(matches!(add(&c, &nowhere, 1), Err(NodeError::Fault(_))));
        let there = NewNode {
            plot: Some("p".to_owned()),
            ..new("m")
        };
        assert_eq!(add(&c, &there, 1).unwrap().claim_code, None);
        assert!(matches!(revoke(&c, "x", 1), Err(NodeError::Unknown(_))));
        assert_eq!(list(&c).unwrap().len(), 2);
    }
}
