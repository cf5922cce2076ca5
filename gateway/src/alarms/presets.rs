//! Presets that people have made their own: every version, with who and when. Those that Sen brings are in `sen-alerts`.

use rusqlite::{Connection, Row, params};
use sen_alerts::preset::{Preset, PresetProblem};
use serde::Serialize;

use crate::reading::Millis;

/// A version of a preset of people's own.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kept {
    /// When it was made, ms UTC.
    pub at: Millis,
    /// By whom.
    pub who: String,
    /// The preset; its version rises by one with each change.
    pub preset: Preset,
}

/// A preset was not changed.
#[derive(Debug, thiserror::Error)]
pub enum PresetError {
    /// Sen's own do not change.
    #[error("`{0}` comes with Sen and stays as it is: give your copy an id of its own")]
    Shipped(String),
    /// Somebody else changed it meanwhile.
    #[error("version {found} is in force by now: look at it, and change that one")]
    Conflict {
        /// The version in force.
        found: u32,
    },
    /// It makes no sense.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Problems(Vec<PresetProblem>),
    /// The id can't be one.
    #[error("`{0}` is no id: 1 to 32 of a-z, 0-9 and -")]
    Id(String),
    /// SQLite's.
    #[error("the preset can't be written")]
    Sqlite(#[from] rusqlite::Error),
}

/// Keeps a preset: a new one, or the one that was changed from the version it names.
///
/// # Errors
/// [`PresetError`].
pub fn put(
    c: &Connection,
    mut preset: Preset,
    who: String,
    now: Millis,
) -> Result<Kept, PresetError> {
    if sen_alerts::preset::find(&preset.id).is_some() {
        return Err(PresetError::Shipped(preset.id));
    }
    if sen_wire::id::check_id(&preset.id).is_err() {
        return Err(PresetError::Id(preset.id));
    }
    let problems = preset.problems();
    if !problems.is_empty() {
        return Err(PresetError::Problems(problems));
    }
    let found: u32 = c.query_row(
        "SELECT coalesce(max(version), 0) FROM preset WHERE id = ?1",
        [&preset.id],
        |r| r.get(0),
    )?;
    if found > 0 && preset.version != found {
        return Err(PresetError::Conflict { found });
    }
    preset.version = found + 1;
    let body = serde_json::to_string(&preset)
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
    c.execute(
        "INSERT INTO preset VALUES (?1, ?2, ?3, ?4, ?5)",
        params![preset.id, preset.version, now, who, body],
    )?;
    Ok(Kept {
        at: now,
        who,
        preset,
    })
}

/// The newest version of each, in order of id.
///
/// # Errors
/// SQLite's. One that can't be read is left out, and logged.
pub fn own(c: &Connection) -> rusqlite::Result<Vec<Kept>> {
    let all = c
        .prepare_cached(
            "SELECT id, max(version), at, who, body FROM preset GROUP BY id ORDER BY id",
        )?
        .query_map([], kept)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(all.into_iter().flatten().collect())
}

fn kept(r: &Row<'_>) -> rusqlite::Result<Option<Kept>> {
    let (id, body): (String, Option<String>) = (r.get(0)?, r.get(4)?);
    let preset = body.and_then(|body| {
        serde_json::from_str(&body)
            .inspect_err(|e| tracing::error!("preset `{id}` can't be read: {e}"))
            .ok()
    });
    let (at, who) = (r.get(2)?, r.get(3)?);
    Ok(preset.map(|preset| Kept { at, who, preset }))
}
