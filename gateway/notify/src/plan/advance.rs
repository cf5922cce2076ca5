//! What follows from the state as time passes: steps begin, holds end, calls go on, what is done is forgotten.

use std::collections::BTreeSet;

use super::{CallState, Case, Intent, Item, Phase, State, Trouble, call};
use crate::Millis;
use crate::alarm::AlarmId;
use crate::person::PersonId;
use crate::policy::{Book, Digest};
use crate::text::Subject;

/// How far back messages count.
const HOUR: Millis = 3_600_000;

pub(super) fn advance(state: &mut State, book: &Book, now: Millis, out: &mut Vec<Intent>) {
    // A step that reaches nobody ends at once, so one pass may open the next one: as many passes as the longest policy has
    // steps, and one.
    loop {
        let mut moved = false;
        let open: Vec<AlarmId> = state
            .cases
            .iter()
            .filter(|(_, c)| c.phase == Phase::Open)
            .map(|(id, _)| id.clone())
            .collect();
        for id in &open {
            moved |= begin(state, book, id, now, out);
        }
        let people: Vec<PersonId> = state.paces.keys().cloned().collect();
        for person in &people {
            release(state, book, person, now, out);
        }
        let calls: Vec<String> = state
            .calls
            .iter()
            .filter(|(_, c)| c.state == CallState::Calling)
            .map(|(id, _)| id.clone())
            .collect();
        for id in &calls {
            call::dial(state, book, id, now, out);
        }
        for id in &open {
            moved |= escalate(state, id, now, out);
        }
        if !moved {
            break;
        }
    }
    forget(state, now);
}

/// Asks the people of a step that has not begun.
fn begin(state: &mut State, book: &Book, id: &AlarmId, now: Millis, out: &mut Vec<Intent>) -> bool {
    let Some(case) = state.cases.get_mut(id).filter(|c| !c.begun) else {
        return false;
    };
    case.begun = true;
    let critical = case.critical(Subject::Raised);
    let step = case.step;
    let people: BTreeSet<PersonId> = case
        .policy
        .steps
        .get(step)
        .map(|s| s.people.iter().cloned().collect())
        .unwrap_or_default();
    for person in people {
        let item = Item {
            alarm: id.clone(),
            subject: Subject::Raised,
            step,
            since: now,
        };
        if critical {
            call::open(state, book, &person, vec![item], true, now, out);
        } else {
            state.paces.entry(person).or_default().held.push(item);
        }
    }
    true
}

/// Lets go of what a person was not told yet, if it is time.
fn release(state: &mut State, book: &Book, person: &PersonId, now: Millis, out: &mut Vec<Intent>) {
    let Some(mut pace) = state.paces.remove(person) else {
        return;
    };
    pace.recent.retain(|t| now - t < HOUR);
    // Over or acknowledged while it was held: not said at all.
    pace.held.retain(|i| state.wanted(i));
    let quiet = book
        .people
        .get(person)
        .and_then(|p| p.quiet)
        .and_then(|q| q.ends(now, book.offset))
        .is_some();
    let ready = match pace.held.first() {
        Some(first) if !quiet => {
            let limits = limits(state, &pace.held);
            let most = usize::from(limits.max_per_hour);
            let alone = pace.held.len() == 1 && pace.recent.len() < most.saturating_sub(1).max(1);
            let ripe = now - first.since >= Millis::from(limits.window_s) * 1000;
            (alone || ripe) && pace.recent.len() < most
        }
        _ => false,
    };
    let items = if ready {
        std::mem::take(&mut pace.held)
    } else {
        Vec::new()
    };
    if !(items.is_empty() && pace.held.is_empty() && pace.recent.is_empty()) {
        state.paces.insert(person.clone(), pace);
    }
    if !items.is_empty() {
        call::open(state, book, person, items, false, now, out);
    }
}

/// The strictest of what the policies of several alarms say.
pub(super) fn limits(state: &State, items: &[Item]) -> Digest {
    let all = items
        .iter()
        .filter_map(|i| state.cases.get(&i.alarm))
        .map(|c| c.policy.digest);
    all.reduce(|a, b| Digest {
        window_s: a.window_s.max(b.window_s),
        max_per_hour: a.max_per_hour.min(b.max_per_hour),
    })
    .unwrap_or_default()
}

/// Goes on to the next step when the wait is over, or at once when none of this one's people can be reached.
fn escalate(state: &mut State, id: &AlarmId, now: Millis, out: &mut Vec<Intent>) -> bool {
    let Some(case) = state
        .cases
        .get(id)
        .filter(|c| c.begun && c.phase == Phase::Open)
    else {
        return false;
    };
    let last = case.step + 1 >= case.policy.steps.len();
    let waited = case
        .policy
        .steps
        .get(case.step)
        .zip(case.started)
        .is_some_and(|(s, started)| now - started >= Millis::from(s.wait_s) * 1000);
    if last {
        // Somebody who was reached earlier, or may still be, will do; otherwise it has to be said that nobody was.
        if !case.given_up && hopeless(state, case, None) {
            let set_by = Some(case.policy.set_by.clone());
            out.push(Intent::Trouble {
                set_by,
                alarm: Some(id.clone()),
                what: Trouble::NobodyReached,
            });
            if let Some(case) = state.cases.get_mut(id) {
                case.given_up = true;
            }
        }
        return false;
    }
    if !waited && !hopeless(state, case, Some(case.step)) {
        return false;
    }
    if let Some(case) = state.cases.get_mut(id) {
        case.step += 1;
        case.begun = false;
        case.started = None;
    }
    true
}

/// None of a step's people (of all steps' if `step` is `None`) was reached or still may be.
fn hopeless(state: &State, case: &Case, step: Option<usize>) -> bool {
    let of = |i: &Item| {
        i.alarm == case.alarm.id && i.subject == Subject::Raised && step.is_none_or(|s| s == i.step)
    };
    let waits = state.paces.values().any(|p| p.held.iter().any(of));
    let calls = state
        .calls
        .values()
        .any(|c| c.state != CallState::Exhausted && c.items.iter().any(of));
    !waits && !calls
}

/// Drops what can't matter any more: calls that say nothing that is wanted and whose messages are settled or given up, and
/// cases that are closed and that no call or hold speaks of.
fn forget(state: &mut State, now: Millis) {
    let cases = &state.cases;
    state.calls.retain(|_, call| {
        let open = call
            .items
            .iter()
            .any(|i| cases.get(&i.alarm).is_some_and(|c| c.phase == Phase::Open));
        let over = call.items.iter().any(|i| i.subject == Subject::Over);
        let patience = call
            .items
            .iter()
            .filter_map(|i| cases.get(&i.alarm))
            .map(|c| c.policy.give_up_s)
            .max()
            .unwrap_or(0);
        let waits = |t: &super::Try| {
            !t.failed() && !t.received() && now - t.at < Millis::from(patience) * 1000 + HOUR
        };
        let unsaid = over && call.state == CallState::Calling && call.tries.is_empty();
        open || call.tries.iter().any(waits) || unsaid
    });
    let spoken: BTreeSet<&AlarmId> = state
        .calls
        .values()
        .flat_map(|c| &c.items)
        .chain(state.paces.values().flat_map(|p| &p.held))
        .map(|i| &i.alarm)
        .collect();
    state.cases.retain(|id, c| {
        c.phase == Phase::Open || spoken.contains(id) || matches!(c.phase, Phase::Acknowledged)
    });
}
