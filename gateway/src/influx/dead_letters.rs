//! Points that the server refused for good, with its reason: kept to look at, and to send again once the cause is mended.

use std::sync::Arc;

use rusqlite::{Connection, params};

use super::client::{Client, WriteError};
use super::halving::{Verdict, halve};
use super::line::{self, Point};
use super::{CURSOR, Trouble, cut};
use crate::journal::{Journal, ReadError};
use crate::reading::Millis;

/// Letters that one call sends at most.
const AT_ONCE: usize = 5_000;

/// The dead letters of the sink.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    journal: Journal,
    client: Arc<Client>,
}

/// A point that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its number.
    pub id: i64,
    /// When it was refused first.
    pub since: Millis,
    /// The point in line protocol, as it was sent.
    pub line: String,
    /// The server's reason.
    pub reason: String,
}

impl Letter {
    /// What the point says; `None` if its line is not one of this version's.
    #[must_use]
    pub fn point(&self) -> Option<Point> {
        line::read(&self.line)
    }
}

/// The letters with one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// The server's words.
    pub reason: String,
    /// How many letters have it.
    pub total: u64,
    /// When the first of them was refused.
    pub since: Millis,
}

/// Which letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The oldest of all.
    Oldest,
    /// Those with these numbers.
    Ids(Vec<i64>),
    /// The oldest with this reason.
    Reason(String),
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
    pub(super) fn new(journal: Journal, client: Arc<Client>) -> Self {
        Self { journal, client }
    }

    /// Sends letters again, 5000 at most. Letters that the server takes are gone from the list; those that it refuses stay,
    /// with its new reason. Numbers that are not there are passed over.
    ///
    /// # Errors
    /// When the journal can't be read or written; what the server took may then still be listed, and can be sent again
    /// without harm.
    pub async fn resend(&self, which: Which) -> Result<Resent, LettersError> {
        let letters = self
            .wanted(which)
            .await
            .map_err(|e| LettersError(e.into()))?;
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

    async fn wanted(&self, which: Which) -> Result<Vec<Letter>, ReadError> {
        self.journal
            .read(move |c| {
                let ids = match which {
                    Which::Oldest => {
                        return select(
                            c,
                            "SELECT id, at, line, reason FROM dead_letter ORDER BY id LIMIT ?1",
                            params![AT_ONCE as i64],
                        );
                    }
                    Which::Reason(reason) => {
                        return select(
                            c,
                            "SELECT id, at, line, reason FROM dead_letter WHERE reason = ?1 ORDER BY id LIMIT ?2",
                            params![reason, AT_ONCE as i64],
                        );
                    }
                    Which::Ids(ids) => ids,
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
        let refused: Vec<(i64, String)> = refused
            .into_iter()
            .map(|(letter, reason)| (letter.id, cut(&reason)))
            .collect();
        let write = self.journal.write(move |c| {
            let mut update =
                c.prepare_cached("UPDATE dead_letter SET reason = ?2 WHERE id = ?1")?;
            refused
                .iter()
                .try_for_each(|(id, reason)| update.execute(params![id, reason]).map(drop))
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

/// The reasons there are, the most frequent first, at most `limit`.
///
/// # Errors
/// [`ReadError`].
pub async fn kinds(journal: &Journal, limit: u32) -> Result<Vec<Kind>, ReadError> {
    journal
        .read(move |c| {
            let mut select = c.prepare_cached(
                "SELECT reason, count(*) AS total, min(at) FROM dead_letter GROUP BY reason ORDER BY total DESC, reason LIMIT ?1",
            )?;
            let kinds = select.query_map([limit], |r| {
                Ok(Kind {
                    reason: r.get(0)?,
                    total: r.get::<_, i64>(1)?.unsigned_abs(),
                    since: r.get(2)?,
                })
            })?;
            Ok(kinds.collect::<Result<_, _>>()?)
        })
        .await
}

/// The newest letters with a number below `before`, of one reason or of all, at most `limit`.
///
/// # Errors
/// [`ReadError`].
pub async fn letters(
    journal: &Journal,
    reason: Option<String>,
    before: i64,
    limit: u32,
) -> Result<Vec<Letter>, ReadError> {
    journal
        .read(move |c| {
            select(
                c,
                "SELECT id, at, line, reason FROM dead_letter WHERE id < ?1 AND (?3 IS NULL OR reason = ?3) ORDER BY id DESC LIMIT ?2",
                params![before, limit, reason],
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
            since: r.get(1)?,
            line: r.get(2)?,
            reason: r.get(3)?,
        })
    })?;
    Ok(letters.collect::<Result<_, _>>()?)
}
