//! Rules as they are kept: every version, with who and when.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sen_alerts::Rule;
use serde::Serialize;

use crate::reading::Millis;
use crate::registry;

/// A version of a rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kept {
    /// The rule's id.
    pub id: String,
    /// 1 for the first.
    pub version: u32,
    /// When it was made, ms UTC.
    pub at: Millis,
    /// By whom.
    pub who: String,
    /// Whether it is switched on.
    pub awake: bool,
    /// `None`: deleted with this version.
    pub rule: Option<Rule>,
}

/// A rule was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// There is none of that id.
    #[error("there is no rule `{0}`")]
    Unknown(String),
    /// Somebody else changed it meanwhile.
    #[error("version {found} is in force by now: look at it, and change that one")]
    Conflict {
        /// The version in force.
        found: u32,
    },
    /// SQLite's.
    #[error("the rule can't be written")]
    Sqlite(#[from] rusqlite::Error),
}

/// A change of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What it shall be: checked.
    pub rule: Rule,
    /// Whether it is switched on.
    pub awake: bool,
    /// The version that the change was made from; `None`: whatever is there.
    pub base: Option<u32>,
    /// Who changes it.
    pub who: String,
}

/// Keeps a new version.
///
/// # Errors
/// [`RuleError`].
pub fn put(c: &Connection, change: Change, now: Millis) -> Result<Kept, RuleError> {
    let rule = change.rule;
    let kept = Kept {
        id: rule.id.clone(),
        version: next(c, &rule.id, change.base)?,
        at: now,
        who: change.who,
        awake: change.awake,
        rule: Some(rule),
    };
    insert(c, &kept)?;
    Ok(kept)
}

/// Deletes a rule: its versions stay.
///
/// # Errors
/// [`RuleError`].
pub fn delete(
    c: &Connection,
    id: &str,
    base: Option<u32>,
    who: String,
    now: Millis,
) -> Result<Kept, RuleError> {
    if newest(c, id)?.is_none_or(|kept| kept.rule.is_none()) {
        return Err(RuleError::Unknown(id.to_owned()));
    }
    let kept = Kept {
        id: id.to_owned(),
        version: next(c, id, base)?,
        at: now,
        who,
        awake: false,
        rule: None,
    };
    insert(c, &kept)?;
    Ok(kept)
}

/// The newest version of every rule that is not deleted, in order of id.
///
/// # Errors
/// SQLite's.
pub fn in_force(c: &Connection) -> rusqlite::Result<Vec<Kept>> {
    c.prepare_cached(
        "SELECT id, max(version), at, who, awake, body FROM rule GROUP BY id ORDER BY id",
    )?
    .query_map([], kept)?
    .filter(|kept| kept.as_ref().is_ok_and(|kept| kept.rule.is_some()) || kept.is_err())
    .collect()
}

/// Every version of a rule, the newest first, 100 at most.
///
/// # Errors
/// [`RuleError::Unknown`], or SQLite's.
pub fn versions(c: &Connection, id: &str) -> Result<Vec<Kept>, RuleError> {
    let all = c
        .prepare_cached(
            "SELECT id, version, at, who, awake, body FROM rule WHERE id = ?1 ORDER BY version DESC LIMIT 100",
        )?
        .query_map([id], kept)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    if all.is_empty() {
        return Err(RuleError::Unknown(id.to_owned()));
    }
    Ok(all)
}

fn newest(c: &Connection, id: &str) -> rusqlite::Result<Option<Kept>> {
    c.prepare_cached(
        "SELECT id, version, at, who, awake, body FROM rule WHERE id = ?1 ORDER BY version DESC LIMIT 1",
    )?
    .query_row([id], kept)
    .optional()
}

fn next(c: &Connection, id: &str, base: Option<u32>) -> Result<u32, RuleError> {
    let found = newest(c, id)?.map_or(0, |kept| kept.version);
    match base {
        Some(base) if base != found => Err(RuleError::Conflict { found }),
        _ => Ok(found + 1),
    }
}

fn insert(c: &Connection, kept: &Kept) -> Result<(), RuleError> {
    let body = kept.rule.as_ref().map(|rule| {
        serde_json::to_string(rule).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
    });
    c.prepare_cached("INSERT INTO rule VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            kept.id,
            kept.version,
            kept.at,
            kept.who,
            kept.awake,
            body.transpose()?
        ])?;
    // Whoever follows the registry follows its rules too.
    registry::changed(c)?;
    Ok(())
}

fn kept(r: &Row<'_>) -> rusqlite::Result<Kept> {
    let (id, body): (String, Option<String>) = (r.get(0)?, r.get(5)?);
    let rule = body.and_then(|body| {
        serde_json::from_str(&body)
            .inspect_err(|e| tracing::error!("rule `{id}` can't be read and is not watched: {e}"))
            .ok()
    });
    Ok(Kept {
        id,
        version: r.get(1)?,
        at: r.get(2)?,
        who: r.get(3)?,
        awake: r.get(4)?,
        rule,
    })
}
