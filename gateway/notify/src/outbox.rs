//! Messages on their way, in SQLite: durable, each under its idempotency key.
//!
//! ```text
//!            ┌────────── later, after a pause ──────────┐
//! waiting ─► sending ─► accepted ─► delivered           │
//!    │          ├───────────────────────────────────────┘
//!    │          └─► failed (refused, or given up)
//!    └─► withdrawn
//! ```
//!
//! A row that was being sent when the process died is sent again under the same key ([`recover`]). All functions take a
//! connection or a transaction: the caller owns the file and [`SQL`] is one migration of it.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::Millis;
use crate::calendar::Offset;
use crate::channel::{Outcome, Retry};
use crate::person::{Kind, PersonId, Receipt};
use crate::plan::{Fate, Key, Message};

/// The tables, as one migration.
pub const SQL: &str = include_str!("../notify.sql");
/// The first pause after a failure that may pass.
const FIRST_PAUSE: Millis = 5_000;
/// The longest. A channel that was away for a day is tried again within this.
const LONGEST_PAUSE: Millis = 15 * 60_000;
/// No `Retry-After` beyond this is believed.
const LONGEST_ASKED: Millis = 6 * 3_600_000;
/// How often the other side is asked what became of a message, at first; the pause doubles.
const FIRST_LOOK: Millis = 20_000;
/// What is settled is shown, and protects its key, for this long.
pub const KEPT: Millis = 30 * 86_400_000;

/// What went wrong with the outbox.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite.
    #[error("the notification tables could not be read or written")]
    Sqlite(#[from] rusqlite::Error),
    /// A row that this program did not write.
    #[error("a notification row can't be read: {0}")]
    Row(String),
}

pub(crate) fn unreadable(e: impl std::fmt::Display) -> Error {
    Error::Row(e.to_string())
}

/// A message, taken to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The message.
    pub message: Message,
    /// Which try this is, from 1.
    pub attempt: u32,
}

/// Puts a message in. One whose key is there already changes nothing: `false`.
///
/// # Errors
/// SQLite.
pub fn put(c: &Connection, m: &Message, now: Millis) -> Result<bool, Error> {
    let body = serde_json::to_string(m).map_err(unreadable)?;
    let n = c.execute(
        "INSERT INTO notify_outbox (key, channel, person, set_by, critical, state, created, changed, due, give_up, body)
         VALUES (?1, ?2, ?3, ?4, ?8, 'waiting', ?5, ?5, ?5, ?6, ?7) ON CONFLICT (key) DO NOTHING",
        params![m.key.0, m.channel.name(), m.person, m.set_by, now, m.give_up, body, m.critical],
    )?;
    Ok(n == 1)
}

/// Takes a message out. [`Fate::Withdrawn`] if it was never tried; [`Fate::GivenUp`] if a try may have arrived; `None` if it is
/// under way, settled or unknown.
///
/// # Errors
/// SQLite.
pub fn withdraw(c: &Connection, key: &Key, now: Millis) -> Result<Option<Fate>, Error> {
    let tries: Option<u32> = c
        .query_row(
            "UPDATE notify_outbox SET state = 'withdrawn', changed = ?2 WHERE key = ?1 AND state = 'waiting' RETURNING tries",
            params![key.0, now],
            |r| r.get(0),
        )
        .optional()?;
    Ok(tries.map(|n| {
        if n == 0 {
            Fate::Withdrawn
        } else {
            Fate::GivenUp
        }
    }))
}

/// Takes up to `most` messages of a channel that are due, critical ones and then the oldest first, and marks them as being sent. Those whose reader must not
/// be disturbed now are put off until the quiet hours end.
///
/// # Errors
/// SQLite, or a row that can't be read.
pub fn take(
    c: &Connection,
    channel: Kind,
    most: usize,
    offset: Offset,
    now: Millis,
) -> Result<Vec<Taken>, Error> {
    let mut taken = Vec::new();
    while taken.len() < most {
        let row: Option<(String, u32)> = c
            .query_row(
                "SELECT body, tries FROM notify_outbox WHERE channel = ?1 AND state = 'waiting' AND due <= ?2 AND give_up > ?2
                 ORDER BY critical DESC, due, created, key LIMIT 1",
                params![channel.name(), now],
                |r| Ok((r.get(0)?, r.get(1)?)),
            )
            .optional()?;
        let Some((body, tries)) = row else { break };
        let message: Message = serde_json::from_str(&body).map_err(unreadable)?;
        if let Some(end) = message.quiet.and_then(|q| q.ends(now, offset)) {
            c.execute(
                "UPDATE notify_outbox SET due = ?2 WHERE key = ?1",
                params![message.key.0, end],
            )?;
            continue;
        }
        c.execute(
            "UPDATE notify_outbox SET state = 'sending', tries = tries + 1, changed = ?2 WHERE key = ?1",
            params![message.key.0, now],
        )?;
        taken.push(Taken {
            message,
            attempt: tries + 1,
        });
    }
    Ok(taken)
}

/// After a start: what was being sent when the process ended waits again, and is sent under the same key.
///
/// # Errors
/// SQLite.
pub fn recover(c: &Connection, now: Millis) -> Result<usize, Error> {
    Ok(c.execute(
        "UPDATE notify_outbox SET state = 'waiting', due = ?1 WHERE state = 'sending'",
        [now],
    )?)
}

/// The pause after the `attempt`th failure: it doubles from five seconds to a quarter of an hour, and is spread by `dice`
/// (0..=255) over its upper half, so that a channel that comes back is not met by all at once.
#[must_use]
pub fn pause(attempt: u32, dice: u8) -> Millis {
    let whole = FIRST_PAUSE
        .saturating_mul(1 << attempt.saturating_sub(1).min(12))
        .min(LONGEST_PAUSE);
    whole / 2 + whole / 2 * Millis::from(dice) / 255
}

/// Notes how a try went. What it means for the plan, or `None` if it means nothing yet (it is tried again, or was settled before).
///
/// # Errors
/// SQLite.
pub fn settle(
    c: &Connection,
    key: &Key,
    outcome: &Outcome,
    now: Millis,
    dice: u8,
) -> Result<Option<Fate>, Error> {
    let row: Option<(u32, Millis)> = c
        .query_row(
            "SELECT tries, give_up FROM notify_outbox WHERE key = ?1 AND state = 'sending'",
            [&key.0],
            |r| Ok((r.get(0)?, r.get(1)?)),
        )
        .optional()?;
    let Some((tries, give_up)) = row else {
        return Ok(None);
    };
    let end = |state: &str, error: Option<&str>, gone: bool| {
        c.execute(
            "UPDATE notify_outbox SET state = ?2, error = ?3, gone = ?4, changed = ?5 WHERE key = ?1",
            params![key.0, state, error, gone, now],
        )
    };
    match outcome {
        Outcome::Received { receipt, reference } => {
            let state = if *receipt == Receipt::Delivered {
                "delivered"
            } else {
                "accepted"
            };
            c.execute(
                "UPDATE notify_outbox SET state = ?2, reference = ?3, error = NULL, changed = ?4, due = ?5 WHERE key = ?1",
                params![key.0, state, reference, now, now + FIRST_LOOK],
            )?;
            Ok(Some(Fate::Received(*receipt)))
        }
        Outcome::Failed(f) => {
            let (wait, gone) = match f.retry {
                Retry::Never => (None, false),
                Retry::AddressGone => (None, true),
                Retry::Later => (Some(pause(tries, dice)), false),
                Retry::After(asked) => {
                    let asked = Millis::try_from(asked.as_millis())
                        .unwrap_or(LONGEST_ASKED)
                        .min(LONGEST_ASKED);
                    // Not all at the same instant, and never sooner than asked.
                    (Some(asked + FIRST_PAUSE * Millis::from(dice) / 255), false)
                }
            };
            match wait {
                None => {
                    end("failed", Some(&f.why), gone)?;
                    Ok(Some(Fate::Refused))
                }
                Some(wait) if now + wait >= give_up => {
                    end(
                        "failed",
                        Some(&format!("given up after {tries} tries: {}", f.why)),
                        false,
                    )?;
                    Ok(Some(Fate::GivenUp))
                }
                Some(wait) => {
                    c.execute(
                        "UPDATE notify_outbox SET state = 'waiting', due = ?2, error = ?3, changed = ?4 WHERE key = ?1",
                        params![key.0, now + wait, f.why, now],
                    )?;
                    Ok(None)
                }
            }
        }
    }
}

/// Notes a receipt that came by another way (a webhook, a look). What it means for the plan; `None` if it is no news.
///
/// # Errors
/// SQLite.
pub fn receipt(
    c: &Connection,
    key: &Key,
    outcome: &Outcome,
    now: Millis,
) -> Result<Option<Fate>, Error> {
    let (state, fate, error) = match outcome {
        Outcome::Received {
            receipt: Receipt::Delivered,
            ..
        } => ("delivered", Fate::Received(Receipt::Delivered), None),
        Outcome::Received { .. } => return Ok(None),
        Outcome::Failed(f) if matches!(f.retry, Retry::Never | Retry::AddressGone) => {
            ("failed", Fate::Refused, Some(f.why.as_str()))
        }
        Outcome::Failed(_) => return Ok(None),
    };
    // A receipt may overtake the answer to the request that it is for; then the row is still being sent.
    let n = c.execute(
        "UPDATE notify_outbox SET state = ?2, error = ?3, changed = ?4
         WHERE key = ?1 AND state IN ('sending', 'waiting', 'accepted') OR key = ?1 AND ?2 = 'delivered' AND state = 'failed'",
        params![key.0, state, error, now],
    )?;
    Ok((n == 1).then_some(fate))
}

/// The key of the message that the other side calls `reference`.
///
/// # Errors
/// SQLite.
pub fn referred(c: &Connection, channel: Kind, reference: &str) -> Result<Option<Key>, Error> {
    let sql = "SELECT key FROM notify_outbox WHERE channel = ?1 AND reference = ?2 ORDER BY changed DESC LIMIT 1";
    Ok(
        c.query_row(sql, params![channel.name(), reference], |r| r.get(0))
            .optional()?
            .map(Key),
    )
}

/// Accepted messages of a channel whose receipt is to be asked for, with what the other side calls them. The next look is put off,
/// twice as long each time; after a day nobody asks any more.
///
/// # Errors
/// SQLite.
pub fn looks(
    c: &Connection,
    channel: Kind,
    most: usize,
    now: Millis,
) -> Result<Vec<(Key, String)>, Error> {
    let sql = "UPDATE notify_outbox SET due = ?2 + max(?3, ?2 - changed) WHERE key IN (
                 SELECT key FROM notify_outbox WHERE channel = ?1 AND state = 'accepted' AND due <= ?2
                   AND reference IS NOT NULL AND changed > ?2 - 86400000 ORDER BY due LIMIT ?4)
               RETURNING key, reference";
    let mut s = c.prepare_cached(sql)?;
    let rows = s.query_map(
        params![
            channel.name(),
            now,
            FIRST_LOOK,
            i64::try_from(most).unwrap_or(i64::MAX)
        ],
        |r| Ok((Key(r.get(0)?), r.get(1)?)),
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Gives up what has waited until its time ran out (a channel that is not there any more, a row put off over the end), and drops
/// what is settled and old. The plan has to hear of each key that is given up.
///
/// # Errors
/// SQLite.
pub fn expire(c: &Connection, now: Millis) -> Result<Vec<Key>, Error> {
    c.execute(
        "DELETE FROM notify_outbox WHERE state NOT IN ('waiting', 'sending') AND changed < ?1",
        [now - KEPT],
    )?;
    let mut s = c.prepare_cached(
        "UPDATE notify_outbox SET state = 'failed', changed = ?1, error = 'given up after ' || tries || ' tries: ' || coalesce(error, 'the channel took nothing')
         WHERE state = 'waiting' AND give_up <= ?1 RETURNING key",
    )?;
    let rows = s.query_map([now], |r| Ok(Key(r.get(0)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A message that failed, or that has been failing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Failing {
    /// Its key.
    pub key: Key,
    /// To whom.
    pub person: PersonId,
    /// Over what.
    pub channel: Kind,
    /// For good, or still being tried.
    pub for_good: bool,
    /// The address is not there any more: the contact should be taken away.
    pub gone: bool,
    /// How often it was tried.
    pub tries: u32,
    /// When it was last touched.
    pub at: Millis,
    /// What the other side, or the network, said.
    pub error: String,
}

fn failing(r: &Row<'_>) -> rusqlite::Result<Failing> {
    let channel: String = r.get(2)?;
    let bad =
        || rusqlite::Error::InvalidColumnType(2, "channel".into(), rusqlite::types::Type::Text);
    Ok(Failing {
        key: Key(r.get(0)?),
        person: r.get(1)?,
        channel: Kind::named(&channel).ok_or_else(bad)?,
        for_good: r.get(3)?,
        gone: r.get(4)?,
        tries: r.get(5)?,
        at: r.get(6)?,
        error: r.get(7)?,
    })
}

/// What failed, and what has failed and is still being tried, newest first, at most 200; of one who sets policies, or of all.
///
/// # Errors
/// SQLite.
pub fn failures(c: &Connection, set_by: Option<&str>) -> Result<Vec<Failing>, Error> {
    let mut s = c.prepare_cached(
        "SELECT key, person, channel, state = 'failed', gone, tries, changed, error FROM notify_outbox
         WHERE error IS NOT NULL AND state IN ('failed', 'waiting', 'sending') AND (?1 IS NULL OR set_by = ?1)
         ORDER BY changed DESC LIMIT 200",
    )?;
    let rows = s.query_map([set_by], failing)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Addresses that a channel has said are gone for good: `(person, channel, address)`. The contact should be taken away.
///
/// # Errors
/// SQLite, or a row that can't be read.
pub fn gone(c: &Connection) -> Result<Vec<(PersonId, Kind, String)>, Error> {
    let mut s = c.prepare_cached("SELECT body FROM notify_outbox WHERE gone = 1")?;
    let rows = s.query_map([], |r| r.get::<_, String>(0))?;
    rows.map(|body| {
        let m: Message = serde_json::from_str(&body?).map_err(unreadable)?;
        Ok((m.person, m.channel, m.address))
    })
    .collect()
}

/// How many rows are in which state, of which channel.
///
/// # Errors
/// SQLite.
pub fn counts(c: &Connection) -> Result<Vec<(String, String, i64)>, Error> {
    let mut s = c.prepare_cached(
        "SELECT channel, state, count(*) FROM notify_outbox GROUP BY 1, 2 ORDER BY 1, 2",
    )?;
    let rows = s.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests;
