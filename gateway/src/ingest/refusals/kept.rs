//! What nodes were refused for, kept over a restart: whoever comes to look at a node that is silent may come days later.
//!
//! A row a node and reason. A reason that is new is written within seconds; one that goes on, as with a node that tries every few
//! seconds for days, each ten minutes and at the stop, so that it costs the disk nothing.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, params};
use tokio_util::sync::CancellationToken;

use super::{Noted, OfNode, QUIET_MS, Refusals};
use crate::clock::Clock;
use crate::journal::{Journal, ReadError};
use crate::reading::Millis;

/// Pause between looks for what is new.
const LOOK: Duration = Duration::from_secs(5);

type Row = (String, OfNode);

impl Refusals {
    /// Those of before.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn load(journal: &Journal) -> Result<Self, ReadError> {
        let all = Self::default();
        let rows = journal.read(|c| Ok(read(c)?)).await?;
        let mut kept = all.lock();
        for (node, what) in rows {
            let noted = Noted {
                written: Some(what.at),
                what,
            };
            kept.by_node
                .entry(node)
                .or_default()
                .insert(noted.what.reason.clone(), noted);
        }
        drop(kept);
        Ok(all)
    }

    /// Writes what is new until `stop`, and all of it then.
    pub async fn run(self: Arc<Self>, journal: Journal, clock: Clock, stop: CancellationToken) {
        loop {
            let stopped = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            let rows = self.unwritten((!stopped).then(|| clock.now()));
            if !rows.is_empty() {
                let copy = rows.clone();
                match journal.write(move |c| write(c, &copy)).await {
                    Ok(()) => self.written(&rows),
                    // A full disk: tried again at the next look.
                    Err(e) => tracing::debug!("refusals not written, trying later: {e}"),
                }
            }
            if stopped {
                return;
            }
        }
    }

    /// What the journal does not have. `now`: only what it never had, or had long ago.
    fn unwritten(&self, now: Option<Millis>) -> Vec<Row> {
        let is_due = |noted: &Noted| match (now, noted.written) {
            (Some(now), Some(at)) => !(at..at + QUIET_MS).contains(&now),
            _ => true,
        };
        self.lock()
            .by_node
            .iter()
            .flat_map(|(node, reasons)| reasons.values().map(move |noted| (node, noted)))
            .filter(|(_, noted)| noted.is_unwritten() && is_due(noted))
            .map(|(node, noted)| (node.clone(), noted.what.clone()))
            .collect()
    }

    fn written(&self, rows: &[Row]) {
        let mut kept = self.lock();
        for (node, what) in rows {
            let reasons = kept.by_node.get_mut(node);
            if let Some(noted) = reasons.and_then(|reasons| reasons.get_mut(&what.reason)) {
                noted.written = Some(what.at);
            }
        }
    }
}

fn read(c: &Connection) -> rusqlite::Result<Vec<Row>> {
    c.prepare(
        "SELECT node.id, reason, detail, at, count FROM refusal JOIN node ON node.num = refusal.node",
    )?
    .query_map([], |r| {
        let what = OfNode {
            reason: Cow::Owned(r.get(1)?),
            detail: r.get(2)?,
            at: r.get(3)?,
            count: r.get::<_, i64>(4)?.unsigned_abs(),
        };
        Ok((r.get(0)?, what))
    })?
    .collect()
}

/// Nodes that are not known have no rows.
fn write(c: &Connection, rows: &[Row]) -> rusqlite::Result<()> {
    let mut insert = c.prepare_cached(
        "INSERT OR REPLACE INTO refusal (node, reason, detail, at, count)
         SELECT num, ?2, ?3, ?4, ?5 FROM node WHERE id = ?1",
    )?;
    for (node, what) in rows {
        insert.execute(params![
            node,
            what.reason,
            what.detail,
            what.at,
            i64::try_from(what.count).unwrap_or(i64::MAX)
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::refusals::Refusal;
    use crate::nodes::{NewNode, add};

    #[tokio::test]
    async fn what_a_node_was_refused_for_outlives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let node = NewNode {
            id: "n".to_owned(),
            ..NewNode::default()
        };
        journal
            .write(move |c| crate::nodes::answer(add(c, &node, 1)))
            .await
            .unwrap()
            .unwrap();
        let all = Arc::new(Refusals::load(&journal).await.unwrap());
        let refuse = |at, reason| {
            all.connection(
                at,
                None,
                Some("n"),
                true,
                &Refusal::new(reason, "what to do"),
            );
        };
        refuse(10, "revoked");
        refuse(20, "wrong_password");
        refuse(30, "wrong_password");
        // At the stop all is written, whenever it was written last.
        let stop = CancellationToken::new();
        stop.cancel();
        let run = all
            .clone()
            .run(journal.clone(), Clock::system(), stop.clone());
        run.await;
        assert_eq!(all.unwritten(None), []);
        let again = Refusals::load(&journal).await.unwrap();
        let said: Vec<_> = again
            .of_node("n")
            .into_iter()
            .map(|r| (r.reason.into_owned(), r.at, r.count, r.detail))
            .collect();
        let what = || "what to do".to_owned();
        assert_eq!(
            said,
            [
                ("wrong_password".to_owned(), 30, 2, what()),
                ("revoked".to_owned(), 10, 1, what())
            ]
        );
        journal.close().await;
    }

    #[test]
    fn what_goes_on_is_written_now_and_then_only() {
        let all = Refusals::default();
        let refuse = |at| all.remark(at, "n", &Refusal::new("other_board", "flash it"));
        refuse(1_000);
        let first = all.unwritten(Some(1_000));
        assert_eq!(first.len(), 1);
        all.written(&first);
        refuse(2_000);
        assert_eq!(all.unwritten(Some(2_000)), []);
        assert_eq!(all.unwritten(Some(1_000 + QUIET_MS)).len(), 1);
        assert_eq!(all.unwritten(None).len(), 1, "at the stop");
    }
}
