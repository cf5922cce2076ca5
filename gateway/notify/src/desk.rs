//! Where plan and outbox meet: one event, one transaction. Either all of it is on disk (the plan's new state, the messages, the
//! troubles) or nothing is, and the caller says the event again.

use std::collections::{BTreeMap, VecDeque};

use rusqlite::{Connection, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Millis;
use crate::alarm::AlarmId;
use crate::channel::Outcome;
use crate::outbox::{self, Error, Failing, unreadable};
use crate::plan::{self, Event, Fate, Intent, Key, State, Trouble};
use crate::policy::Book;

/// Does what an event asks for. Within the transaction that the event itself belongs to, if it has one.
///
/// # Errors
/// SQLite, or rows that can't be read; the caller then rolls back.
pub fn apply(t: &Transaction<'_>, book: &Book, event: Event, now: Millis) -> Result<(), Error> {
    let mut queue = VecDeque::from([event]);
    if queue.front() == Some(&Event::Tick) {
        queue.extend(
            outbox::expire(t, now)?
                .into_iter()
                .map(|key| Event::Fate(key, Fate::GivenUp)),
        );
    }
    let mut stored = Parts::load(t)?;
    let mut state = stored.state()?;
    while let Some(event) = queue.pop_front() {
        for intent in plan::step(&mut state, book, event, now) {
            match intent {
                Intent::Send(m) => {
                    outbox::put(t, &m, now)?;
                }
                Intent::Withdraw(key) => {
                    queue
                        .extend(outbox::withdraw(t, &key, now)?.map(|fate| Event::Fate(key, fate)));
                }
                Intent::Trouble {
                    set_by,
                    alarm,
                    what,
                } => {
                    let body = serde_json::to_string(&what).map_err(unreadable)?;
                    t.execute(
                        "INSERT INTO notify_trouble (at, set_by, alarm, body) VALUES (?1, ?2, ?3, ?4)",
                        params![now, set_by, alarm, body],
                    )?;
                }
            }
        }
    }
    stored.store(t, &state)?;
    t.execute(
        "DELETE FROM notify_trouble WHERE at < ?1",
        [now - outbox::KEPT],
    )?;
    Ok(())
}

/// Notes how a try went, and lets the plan go on from there. `dice` spreads the pauses.
///
/// # Errors
/// As [`apply`].
pub fn settle(
    t: &Transaction<'_>,
    book: &Book,
    key: &Key,
    outcome: &Outcome,
    now: Millis,
    dice: u8,
) -> Result<(), Error> {
    match outbox::settle(t, key, outcome, now, dice)? {
        Some(fate) => apply(t, book, Event::Fate(key.clone(), fate), now),
        None => Ok(()),
    }
}

/// Notes a receipt that came by itself (Zalo's webhook) or was asked for. The same one twice changes nothing.
///
/// # Errors
/// As [`apply`].
pub fn receipt(
    t: &Transaction<'_>,
    book: &Book,
    key: &Key,
    outcome: &Outcome,
    now: Millis,
) -> Result<(), Error> {
    match outbox::receipt(t, key, outcome, now)? {
        Some(fate) => apply(t, book, Event::Fate(key.clone(), fate), now),
        None => Ok(()),
    }
}

/// The plan's state, for those who show it.
///
/// # Errors
/// SQLite, or rows that can't be read.
pub fn state(c: &Connection) -> Result<State, Error> {
    Parts::load(c)?.state()
}

/// Something that has gone wrong with telling people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// A message failed, or fails and is still tried.
    Message(Failing),
    /// The plan could not do what was asked of it.
    Plan {
        /// When.
        at: Millis,
        /// About which alarm.
        alarm: Option<AlarmId>,
        /// What.
        what: Trouble,
    },
}

/// All that has gone wrong within thirty days, newest first, at most 400: of one who sets policies (with what is nobody's, such as
/// an alarm that no policy is for), or of all.
///
/// # Errors
/// SQLite, or rows that can't be read.
pub fn troubles(c: &Connection, set_by: Option<&str>) -> Result<Vec<Wrong>, Error> {
    let mut s = c.prepare_cached(
        "SELECT at, alarm, body FROM notify_trouble WHERE ?1 IS NULL OR set_by IS NULL OR set_by = ?1 ORDER BY id DESC LIMIT 200",
    )?;
    let rows = s.query_map([set_by], |r| {
        Ok((
            r.get::<_, Millis>(0)?,
            r.get::<_, Option<String>>(1)?,
            r.get::<_, String>(2)?,
        ))
    })?;
    let mut all: Vec<(Millis, Wrong)> = Vec::new();
    for row in rows {
        let (at, alarm, body) = row?;
        let what = serde_json::from_str(&body).map_err(unreadable)?;
        all.push((at, Wrong::Plan { at, alarm, what }));
    }
    all.extend(
        outbox::failures(c, set_by)?
            .into_iter()
            .map(|f| (f.at, Wrong::Message(f))),
    );
    all.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    Ok(all.into_iter().map(|(_, w)| w).collect())
}

/// The state as it lies on disk: one row for each entry of its maps.
struct Parts(BTreeMap<(String, String), String>);

impl Parts {
    fn load(c: &Connection) -> Result<Self, Error> {
        let mut s = c.prepare_cached("SELECT part, id, body FROM notify_state")?;
        let rows = s.query_map([], |r| Ok(((r.get(0)?, r.get(1)?), r.get(2)?)))?;
        Ok(Self(rows.collect::<Result<_, _>>()?))
    }

    fn state(&self) -> Result<State, Error> {
        let mut state = State::default();
        for ((part, id), body) in &self.0 {
            match part.as_str() {
                "case" => insert(&mut state.cases, id, body)?,
                "call" => insert(&mut state.calls, id, body)?,
                "pace" => insert(&mut state.paces, id, body)?,
                "spent" => insert(&mut state.spent, id, body)?,
                other => {
                    return Err(Error::Row(format!(
                        "a part of the plan's state is called {other:?}"
                    )));
                }
            }
        }
        Ok(state)
    }

    fn of(state: &State) -> Result<Self, Error> {
        let mut parts = BTreeMap::new();
        write(&mut parts, "case", &state.cases)?;
        write(&mut parts, "call", &state.calls)?;
        write(&mut parts, "pace", &state.paces)?;
        write(&mut parts, "spent", &state.spent)?;
        Ok(Self(parts))
    }

    /// Writes what is different.
    fn store(&mut self, t: &Transaction<'_>, state: &State) -> Result<(), Error> {
        let new = Self::of(state)?;
        for ((part, id), body) in new.0.iter().filter(|(k, v)| self.0.get(*k) != Some(*v)) {
            t.execute(
                "INSERT INTO notify_state (part, id, body) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET body = excluded.body",
                params![part, id, body],
            )?;
        }
        for (part, id) in self.0.keys().filter(|k| !new.0.contains_key(*k)) {
            t.execute(
                "DELETE FROM notify_state WHERE part = ?1 AND id = ?2",
                params![part, id],
            )?;
        }
        *self = new;
        Ok(())
    }
}

fn insert<T: DeserializeOwned>(
    map: &mut BTreeMap<String, T>,
    id: &str,
    body: &str,
) -> Result<(), Error> {
    map.insert(
        id.to_owned(),
        serde_json::from_str(body).map_err(unreadable)?,
    );
    Ok(())
}

fn write<T: Serialize>(
    parts: &mut BTreeMap<(String, String), String>,
    part: &str,
    map: &BTreeMap<String, T>,
) -> Result<(), Error> {
    for (id, entry) in map {
        parts.insert(
            (part.to_owned(), id.clone()),
            serde_json::to_string(entry).map_err(unreadable)?,
        );
    }
    Ok(())
}
