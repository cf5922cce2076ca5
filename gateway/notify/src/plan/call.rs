//! One message to one person, over one channel after the other until there is a receipt.

use super::{Call, CallState, Fate, Intent, Item, Key, Message, State, Trouble, Try, advance};
use crate::Millis;
use crate::person::{Kind, Person, PersonId};
use crate::policy::Book;
use crate::text::{self, Content, Style, Subject};

/// Begins a call, and tries the first channel.
pub(super) fn open(
    state: &mut State,
    book: &Book,
    person: &PersonId,
    items: Vec<Item>,
    critical: bool,
    now: Millis,
    out: &mut Vec<Intent>,
) {
    let ways = book.people.get(person).map(|p| {
        p.contacts
            .iter()
            .filter(|c| c.verified && book.channels.contains(&c.channel))
            .map(|c| (c.channel, c.address.clone()))
            .collect()
    });
    let id = call_id(person, &items);
    let call = Call {
        person: person.clone(),
        items,
        critical,
        ways: ways.unwrap_or_default(),
        next: 0,
        tries: Vec::new(),
        state: CallState::Calling,
    };
    state.calls.entry(id.clone()).or_insert(call);
    dial(state, book, &id, now, out);
}

/// The items make it: each is asked of a person once, so no two calls have the same.
fn call_id(person: &PersonId, items: &[Item]) -> String {
    let mut id = person.clone();
    for i in items {
        let subject = match i.subject {
            Subject::Raised => "raised",
            Subject::Over => "over",
            Subject::Digest => "digest",
        };
        id.push_str(&format!("\u{1f}{}\u{1f}{subject}\u{1f}{}", i.alarm, i.step));
    }
    id
}

/// Goes on with a call if it is time: the next channel after a failure, or after the time without a receipt.
pub(super) fn dial(state: &mut State, book: &Book, id: &str, now: Millis, out: &mut Vec<Intent>) {
    let Some(mut call) = state.calls.remove(id) else {
        return;
    };
    while call.state == CallState::Calling && due(state, &call, now) {
        let Some((channel, address)) = call.ways.get(call.next).cloned() else {
            if call.tries.iter().all(Try::failed) {
                call.state = CallState::Exhausted;
                exhausted(state, &call, out);
            }
            break;
        };
        if !call.critical && !may_disturb(state, book, &call, now) {
            break;
        }
        let Some(message) = write(state, book, &call, id, (channel, address), now) else {
            call.state = CallState::Exhausted;
            exhausted(state, &call, out);
            break;
        };
        call.next += 1;
        if !pay(state, book, &call, &message, now, out) {
            continue;
        }
        told(state, &call, now);
        let paid = (message.cost_vnd, book.offset.month(now));
        call.tries.push(Try {
            key: message.key.clone(),
            channel,
            at: now,
            fate: None,
            paid,
        });
        out.push(Intent::Send(Box::new(message)));
    }
    state.calls.insert(id.to_owned(), call);
}

/// Whether the next channel is to be tried. Never once nothing of what it says is wanted any more.
fn due(state: &State, call: &Call, now: Millis) -> bool {
    if !call.items.iter().any(|i| state.wanted(i)) {
        return false;
    }
    let patience = call
        .items
        .iter()
        .filter_map(|i| state.cases.get(&i.alarm))
        .map(|c| c.policy.receipt_s)
        .min();
    call.tries
        .last()
        .is_none_or(|t| t.failed() || now - t.at >= Millis::from(patience.unwrap_or(0)) * 1000)
}

/// Not in quiet hours, and not more within an hour than was chosen.
fn may_disturb(state: &State, book: &Book, call: &Call, now: Millis) -> bool {
    let quiet = book
        .people
        .get(&call.person)
        .and_then(|p| p.quiet)
        .and_then(|q| q.ends(now, book.offset));
    let most = usize::from(advance::limits(state, &call.items).max_per_hour);
    let recent = state.paces.get(&call.person).map_or(0, |p| {
        p.recent.iter().filter(|t| now - **t < 3_600_000).count()
    });
    quiet.is_none() && recent < most
}

/// Writes the message; `None` if the person or all the alarms are gone.
fn write(
    state: &State,
    book: &Book,
    call: &Call,
    id: &str,
    way: (Kind, String),
    now: Millis,
) -> Option<Message> {
    let person = book.people.get(&call.person)?;
    let (channel, address) = way;
    let content = content(state, book, call, person, channel, now)?;
    let parts = if channel.is_sms() {
        text::sms_parts(&content.text())
    } else {
        1
    };
    let price = book.prices.0.get(&channel).copied().unwrap_or(0);
    let case = call.items.iter().find_map(|i| state.cases.get(&i.alarm))?;
    Some(Message {
        key: Key::of(id, call.next, channel),
        person: call.person.clone(),
        channel,
        address,
        content,
        critical: call.critical,
        quiet: person.quiet.filter(|_| !call.critical),
        cost_vnd: u64::from(price) * u64::from(parts),
        give_up: now + Millis::from(case.policy.give_up_s) * 1000,
        alarms: call.items.iter().map(|i| i.alarm.clone()).collect(),
        set_by: case.policy.set_by.clone(),
    })
}

fn content(
    state: &State,
    book: &Book,
    call: &Call,
    person: &Person,
    kind: Kind,
    now: Millis,
) -> Option<Content> {
    let style = Style {
        language: person.language,
        kind,
        sms_diacritics: book.sms_diacritics,
        offset: book.offset,
    };
    let cases = call
        .items
        .iter()
        .filter_map(|i| Some((i.subject, state.cases.get(&i.alarm)?)));
    let all: Vec<_> = cases
        .clone()
        .map(|(subject, c)| (&c.alarm, subject))
        .collect();
    match all.as_slice() {
        [] => None,
        [(alarm, subject)] => {
            let over = cases.map(|(_, c)| c.phase).find_map(|p| {
                if let super::Phase::Over(at) = p {
                    Some(at)
                } else {
                    None
                }
            });
            Some(text::about(alarm, *subject, over.unwrap_or(now), style))
        }
        many => Some(text::digest(many, now, style)),
    }
}

/// Counts what it costs; `false` if the budget does not allow it.
fn pay(
    state: &mut State,
    book: &Book,
    call: &Call,
    message: &Message,
    now: Millis,
    out: &mut Vec<Intent>,
) -> bool {
    if message.cost_vnd == 0 {
        return true;
    }
    let Some(case) = call.items.iter().find_map(|i| state.cases.get(&i.alarm)) else {
        return false;
    };
    let coop = case.alarm.coop.clone();
    let month = book.offset.month(now);
    let spent = state.spent.entry(coop.clone()).or_default();
    if spent.month != month {
        *spent = super::Spent {
            month,
            ..super::Spent::default()
        };
    }
    if let Some(budget) = book.budgets.get(&coop) {
        let fits = spent.vnd + message.cost_vnd <= budget.monthly_vnd;
        if !fits && !spent.said {
            spent.said = true;
            let set_by = Some(case.policy.set_by.clone());
            out.push(Intent::Trouble {
                set_by,
                alarm: None,
                what: Trouble::BudgetSpent { coop, month },
            });
        }
        let passes = call.critical && budget.critical_passes;
        if !fits && !passes {
            return false;
        }
    }
    spent.vnd += message.cost_vnd;
    true
}

/// Notes that the person was told: the step's clock runs, and the hour's count.
fn told(state: &mut State, call: &Call, now: Millis) {
    for item in &call.items {
        if let Some(case) = state.cases.get_mut(&item.alarm) {
            case.told.insert(call.person.clone());
            if item.subject == Subject::Raised && item.step == case.step {
                case.started.get_or_insert(now);
            }
        }
    }
    if !call.critical {
        state
            .paces
            .entry(call.person.clone())
            .or_default()
            .recent
            .push(now);
    }
}

fn exhausted(state: &State, call: &Call, out: &mut Vec<Intent>) {
    for item in &call.items {
        if let Some(case) = state.cases.get(&item.alarm) {
            out.push(Intent::Trouble {
                set_by: Some(case.policy.set_by.clone()),
                alarm: Some(item.alarm.clone()),
                what: Trouble::Unreachable(call.person.clone()),
            });
        }
    }
}

/// Takes note of what became of a message. The same twice, or a receipt after a failure, is fine: the better news stays.
pub(super) fn fate(state: &mut State, key: &Key, fate: Fate, out: &mut Vec<Intent>) {
    let found = state
        .calls
        .values_mut()
        .find(|c| c.tries.iter().any(|t| t.key == *key));
    let Some(call) = found else { return };
    let items = call.items.clone();
    let Some(tried) = call.tries.iter_mut().find(|t| t.key == *key) else {
        return;
    };
    let news = match (tried.fate, fate) {
        (None, _) => true,
        (Some(Fate::Received(old)), Fate::Received(new)) => new > old,
        // After "accepted" a failure is news: an operator that can't deliver. After the best receipt it is none.
        (Some(Fate::Received(_)), _) => !tried.received(),
        (Some(_), Fate::Received(_)) => true,
        (Some(_), _) => false,
    };
    if !news {
        return;
    }
    let was_failed = tried.failed();
    tried.fate = Some(fate);
    let refund =
        (!was_failed && matches!(fate, Fate::Refused | Fate::Withdrawn)).then_some(tried.paid);
    if tried.received() {
        call.state = CallState::Reached;
        // What else was on its way to the same person need not arrive.
        out.extend(
            call.tries
                .iter()
                .filter(|t| t.fate.is_none())
                .map(|t| Intent::Withdraw(t.key.clone())),
        );
    }
    if let Some((vnd, month)) = refund
        && let Some(case) = items.iter().find_map(|i| state.cases.get(&i.alarm))
        && let Some(spent) = state.spent.get_mut(&case.alarm.coop)
        && spent.month == month
    {
        spent.vnd = spent.vnd.saturating_sub(vnd);
    }
}
