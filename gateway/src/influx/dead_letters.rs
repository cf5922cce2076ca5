//! Points that the server refused for good, with its reason: kept to look at, and to send again once the cause is mended.

use std::sync::Arc;

use rusqlite::{Connection, params};

use super::client::{Client, WriteError};
use super::halving::{Verdict, halve};
use super::{CURSOR, Trouble, cut};
use crate::clock::Clock;
use crate::journal::{Journal, ReadError};
use crate::reading::Millis;

/// Letters that one call sends at most.
const AT_ONCE: usize = 5_000;

/// The dead letters of the sink.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    journal: Journal,
    client: Arc<Client>,
    clock: Clock,
}

/// A point that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its number.
    pub id: i64,
    /// When it was refused, the last time.
    pub at: Millis,
    /// The point in line protocol, as it was sent.
    pub line: String,
    /// The server's reason.
    pub reason: String,
}

/// What became of letters that were sent again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resent {
    /// The server has them now.
    pub sent: u64,
    /// It refused them again; its reason is in the letter.
    pub refused: u64,
    /// Not tried, because the server could not be asked.
    pub left: u64,
    /// Why it could not.
    pub problem: Option<String>,
}

/// The dead letters can't be reached.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct LettersError(#[from] Trouble);

impl DeadLetters {
    pub(super) fn new(journal: Journal, client: Arc<Client>, clock: Clock) -> Self {
        Self {
            journal,
            client,
            clock,
        }
    }

    /// Sends letters again: those named, or the oldest of all when none is. Letters that the server takes are gone from the
    /// list; those that it refuses stay, with its new reason. Numbers that are not there are passed over.
    ///
    /// # Errors
    /// When the journal can't be read or written; what the server took may then still be listed, and can be sent again
    /// without harm.
    pub async fn resend(&self, ids: Option<Vec<i64>>) -> Result<Resent, LettersError> {
        let letters = self.wanted(ids).await.map_err(|e| LettersError(e.into()))?;
        let halved = halve(&letters, |part: &[Letter]| async move {
            let lines: Vec<String> = part.iter().map(|l| l.line.clone()).collect();
            match self.client.write(&lines).await {
                Ok(()) => {
                    self.forget(part.iter().map(|l| l.id).collect()).await?;
                    Ok(Verdict::Taken)
                }
                Err(WriteError::Refused(reason)) => Ok(Verdict::Refused(reason)),
                Err(WriteError::Later { reason, .. }) => Err(Untried::Server(reason)),
            }
        })
        .await;
        let mut done = Resent {
            refused: halved.refused.len() as u64,
            ..Resent::default()
        };
        self.renew(halved.refused).await?;
        match halved.undecided {
            None => {}
            Some((left, Untried::Server(reason))) => {
                done.left = left.len() as u64;
                done.problem = Some(reason);
            }
            Some((_, Untried::Journal(e))) => return Err(e),
        }
        done.sent = letters.len() as u64 - done.refused - done.left;
        Ok(done)
    }

    async fn wanted(&self, ids: Option<Vec<i64>>) -> Result<Vec<Letter>, ReadError> {
        self.journal
            .read(move |c| {
                let Some(ids) = ids else {
                    return select(
                        c,
                        "SELECT id, at, line, reason FROM dead_letter ORDER BY id LIMIT ?1",
                        params![AT_ONCE as i64],
                    );
                };
                let mut letters = Vec::new();
                for id in ids.iter().take(AT_ONCE) {
                    letters.extend(select(
                        c,
                        "SELECT id, at, line, reason FROM dead_letter WHERE id = ?1",
                        params![id],
                    )?);
                }
                Ok(letters)
            })
            .await
    }

    async fn forget(&self, ids: Vec<i64>) -> Result<(), LettersError> {
        let write = self.journal.write(move |c| {
            let mut delete = c.prepare_cached("DELETE FROM dead_letter WHERE id = ?1")?;
            ids.iter().try_for_each(|id| delete.execute([id]).map(drop))
        });
        write.await.map_err(|e| LettersError(e.into()))
    }

    async fn renew(&self, refused: Vec<(&Letter, String)>) -> Result<(), LettersError> {
        let now = self.clock.now();
        let refused: Vec<(i64, String)> = refused
            .into_iter()
            .map(|(letter, reason)| (letter.id, cut(&reason)))
            .collect();
        let write = self.journal.write(move |c| {
            let mut update =
                c.prepare_cached("UPDATE dead_letter SET at = ?2, reason = ?3 WHERE id = ?1")?;
            refused
                .iter()
                .try_for_each(|(id, reason)| update.execute(params![id, now, reason]).map(drop))
        });
        write.await.map_err(|e| LettersError(e.into()))
    }
}

/// Why letters could not be tried.
enum Untried {
    /// The server can't take them now, for this reason.
    Server(String),
    Journal(LettersError),
}

impl From<LettersError> for Untried {
    fn from(e: LettersError) -> Self {
        Self::Journal(e)
    }
}

/// How many letters there are.
///
/// # Errors
/// [`ReadError`].
pub async fn dead_letters(journal: &Journal) -> Result<u64, ReadError> {
    journal
        .read(|c| {
            let total: i64 = c.query_row("SELECT count(*) FROM dead_letter", [], |r| r.get(0))?;
            Ok(total.unsigned_abs())
        })
        .await
}

/// The newest letters with a number below `before`, at most `limit`.
///
/// # Errors
/// [`ReadError`].
pub async fn letters(journal: &Journal, before: i64, limit: u32) -> Result<Vec<Letter>, ReadError> {
    journal
        .read(move |c| {
            select(
                c,
                "SELECT id, at, line, reason FROM dead_letter WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
                params![before, limit],
            )
        })
        .await
}

/// Puts refused lines with their reasons away, within a [`Journal::write`].
pub(super) fn keep(c: &Connection, now: Millis, dead: &[(String, String)]) -> rusqlite::Result<()> {
    if dead.is_empty() {
        return Ok(());
    }
    let mut insert = c.prepare_cached(
        "INSERT INTO dead_letter (at, sink, line, reason) VALUES (?1, ?2, ?3, ?4)",
    )?;
    dead.iter()
        .try_for_each(|(line, reason)| insert.execute(params![now, CURSOR, line, reason]).map(drop))
}

fn select(
    c: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<Letter>, ReadError> {
    let mut select = c.prepare_cached(sql)?;
    let letters = select.query_map(params, |r| {
        Ok(Letter {
            id: r.get(0)?,
            at: r.get(1)?,
            line: r.get(2)?,
            reason: r.get(3)?,
        })
    })?;
    Ok(letters.collect::<Result<_, _>>()?)
}
