use super::*;
use crate::calendar::TimeOfDay;
use crate::policy::{Budget, Digest};
use crate::testing::{AT, alarm, book};

struct Bench {
    state: State,
    book: Book,
    now: Millis,
}

impl Bench {
    fn new(book: Book) -> Self {
        Self {
            state: State::default(),
            book,
            now: AT,
        }
    }

    fn event(&mut self, event: Event) -> Vec<Intent> {
        step(&mut self.state, &self.book, event, self.now)
    }

    fn raise(&mut self, id: &str, level: Level) -> Vec<Message> {
        let out = self.event(Event::raised(alarm(id, level)));
        sends(out)
    }

    fn after(&mut self, s: i64) -> Vec<Message> {
        self.now += s * 1000;
        sends(self.event(Event::Tick))
    }

    fn fate(&mut self, m: &Message, fate: Fate) -> Vec<Message> {
        sends(self.event(Event::Fate(m.key.clone(), fate)))
    }

    fn quiet(&mut self, who: &str) {
        let q = QuietHours {
            from: TimeOfDay::new(22, 0).unwrap(),
            to: TimeOfDay::new(6, 0).unwrap(),
        };
        self.book.people.get_mut(who).unwrap().quiet = Some(q);
    }
}

fn sends(out: Vec<Intent>) -> Vec<Message> {
    out.into_iter()
        .filter_map(|i| {
            if let Intent::Send(m) = i {
                Some(*m)
            } else {
                None
            }
        })
        .collect()
}

fn to(messages: &[Message]) -> Vec<(&str, Kind)> {
    messages
        .iter()
        .map(|m| (m.person.as_str(), m.channel))
        .collect()
}

const DELIVERED: Fate = Fate::Received(Receipt::Delivered);
const ACCEPTED: Fate = Fate::Received(Receipt::Accepted);

#[test]
fn the_first_person_is_told_over_their_first_channel_and_the_next_one_when_nobody_acknowledges() {
    let mut b = Bench::new(book());
    let first = b.raise("a", Level::Critical);
    assert_eq!(to(&first), [("an", Kind::Zalo)]);
    assert!(b.fate(&first[0], DELIVERED).is_empty());
    assert!(b.after(899).is_empty());
    assert_eq!(to(&b.after(1)), [("binh", Kind::Telegram)]);
    assert!(b.after(86_400).is_empty(), "the last step asks nobody else");
}

#[test]
fn an_acknowledgement_ends_the_escalation_and_withdraws_what_has_not_left() {
    let mut b = Bench::new(book());
    let first = b.raise("a", Level::Critical);
    let out = b.event(Event::Acknowledged("a".into()));
    assert_eq!(out, [Intent::Withdraw(first[0].key.clone())]);
    assert!(b.after(3600).is_empty());
}

#[test]
fn without_a_receipt_the_next_channel_is_tried_and_a_late_receipt_ends_it() {
    let mut b = Bench::new(book());
    let zalo = b.raise("a", Level::Critical);
    assert!(
        b.fate(&zalo[0], ACCEPTED).is_empty(),
        "accepted is not received, for Zalo"
    );
    assert!(b.after(179).is_empty());
    let sms = b.after(1);
    assert_eq!(to(&sms), [("an", Kind::Esms)]);
    let out = b.event(Event::Fate(zalo[0].key.clone(), DELIVERED));
    assert_eq!(out, [Intent::Withdraw(sms[0].key.clone())]);
    assert!(b.after(600).is_empty());
}

#[test]
fn a_refusal_is_followed_by_the_next_channel_at_once_and_the_last_by_the_next_step() {
    let mut b = Bench::new(book());
    let zalo = b.raise("a", Level::Critical);
    let sms = b.fate(&zalo[0], Fate::Refused);
    assert_eq!(to(&sms), [("an", Kind::Esms)]);
    let push = b.fate(&sms[0], Fate::GivenUp);
    assert_eq!(to(&push), [("an", Kind::WebPush)]);
    let out = b.event(Event::Fate(push[0].key.clone(), Fate::Refused));
    assert!(matches!(&out[0], Intent::Trouble { what: Trouble::Unreachable(p), .. } if p == "an"));
    let binh = sends(out);
    assert_eq!(
        to(&binh),
        [("binh", Kind::Telegram)],
        "nobody of the first step can be reached, so its wait is pointless"
    );
    let out = b.event(Event::Fate(binh[0].key.clone(), Fate::Refused));
    assert!(out.iter().any(|i| matches!(
        i,
        Intent::Trouble {
            what: Trouble::NobodyReached,
            ..
        }
    )));
    assert!(b.event(Event::Tick).is_empty(), "said once");
}

#[test]
fn quiet_hours_hold_a_warning_until_they_end_and_not_what_is_critical() {
    let mut b = Bench::new(book());
    b.quiet("an");
    assert!(b.raise("w", Level::Warning).is_empty());
    assert!(
        b.after(3600).is_empty(),
        "and the next step waits too: its clock runs from the first message"
    );
    assert_eq!(b.raise("c", Level::Critical).len(), 1);
    // 04:10 now; 06:00 is 110 minutes on.
    assert!(b.after(109 * 60).iter().all(|m| m.critical));
    let morning = b.after(60);
    assert_eq!(to(&morning), [("an", Kind::Zalo)]);
    assert_eq!(morning[0].alarms, ["w"]);
    assert!(morning[0].quiet.is_some());
}

#[test]
fn what_ended_while_it_was_held_is_not_said() {
    let mut b = Bench::new(book());
    b.quiet("an");
    b.raise("w", Level::Warning);
    b.event(Event::Resolved("w".into()));
    assert!(b.after(12 * 3600).is_empty());
    assert_eq!(b.state, State::default(), "and nothing is left of it");
}

#[test]
fn the_end_is_said_to_those_who_were_told_if_asked() {
    let mut b = Bench::new(book());
    b.book.policies[0].say_when_over = true;
    let first = b.raise("a", Level::Critical);
    b.fate(&first[0], DELIVERED);
    b.now += 60_000;
    let over = sends(b.event(Event::Resolved("a".into())));
    assert_eq!(to(&over), [("an", Kind::Zalo)]);
    assert_eq!(over[0].content.subject, Subject::Over);
    b.fate(&over[0], DELIVERED);
    b.after(1);
    assert!(b.state.cases.is_empty() && b.state.calls.is_empty());
    let mut silent = Bench::new(book());
    silent.raise("a", Level::Critical);
    assert!(silent.event(Event::Resolved("a".into())).is_empty());
}

#[test]
fn a_burst_becomes_a_digest() {
    let mut b = Bench::new(book());
    b.book.policies[0].steps.truncate(1);
    b.book.policies[0].digest = Digest {
        window_s: 600,
        max_per_hour: 3,
    };
    let mut all = Vec::new();
    for n in 0..20 {
        let sent = b.raise(&format!("a{n:02}"), Level::Warning);
        for m in &sent {
            b.fate(m, DELIVERED);
        }
        all.extend(sent);
        all.extend(b.after(10));
    }
    assert_eq!(all.len(), 2, "two alone, the others gather");
    let digest = b.after(600);
    assert_eq!(digest.len(), 1);
    assert_eq!(digest[0].alarms.len(), 18);
    assert_eq!(digest[0].content.subject, Subject::Digest);
    b.fate(&digest[0], DELIVERED);
    assert_eq!(
        b.raise("c", Level::Critical).len(),
        1,
        "what is critical is never held"
    );
}

#[test]
fn when_the_budget_is_spent_only_free_channels_and_what_is_critical_go_on() {
    let mut b = Bench::new(book());
    b.book.budgets.insert(
        "c1".into(),
        Budget {
            monthly_vnd: 700,
            critical_passes: true,
        },
    );
    let m = b.raise("a", Level::Warning);
    assert_eq!((m[0].channel, m[0].cost_vnd), (Kind::Zalo, 300));
    b.fate(&m[0], DELIVERED);
    let m = b.raise("b", Level::Warning);
    b.fate(&m[0], ACCEPTED);
    // 600 spent: an SMS at 700 does not fit, the free push does.
    b.now += 180_000;
    let out = b.event(Event::Tick);
    assert!(out.iter().any(|i| matches!(i, Intent::Trouble { set_by: Some(p), what: Trouble::BudgetSpent { coop, month: 202_611 }, .. } if p == "an" && coop == "c1")));
    assert_eq!(to(&sends(out)), [("an", Kind::WebPush)]);
    assert_eq!(to(&b.raise("c", Level::Warning)), [("an", Kind::WebPush)]);
    let critical = b.raise("d", Level::Critical);
    assert_eq!(to(&critical), [("an", Kind::Zalo)]);
    assert_eq!(b.state.spent_vnd("c1", 202_611), 900);
    b.fate(&critical[0], Fate::Refused);
    b.book.budgets.insert(
        "c1".into(),
        Budget {
            monthly_vnd: 700,
            critical_passes: false,
        },
    );
    assert_eq!(to(&b.raise("e", Level::Critical)), [("an", Kind::WebPush)]);
}

#[test]
fn a_refusal_costs_nothing() {
    let mut b = Bench::new(book());
    let m = b.raise("a", Level::Critical);
    assert_eq!(b.state.spent_vnd("c1", 202_611), 300);
    b.fate(&m[0], Fate::Refused);
    assert_eq!(
        b.state.spent_vnd("c1", 202_611),
        700,
        "the SMS that followed"
    );
}

#[test]
fn an_alarm_that_no_policy_is_for_is_trouble() {
    let mut b = Bench::new(Book::default());
    let out = b.event(Event::raised(alarm("a", Level::Critical)));
    assert!(matches!(
        &out[..],
        [Intent::Trouble {
            what: Trouble::NoPolicy,
            ..
        }]
    ));
}

#[test]
fn the_same_event_twice_changes_nothing() {
    let mut b = Bench::new(book());
    let m = b.raise("a", Level::Critical);
    assert!(b.raise("a", Level::Critical).is_empty());
    b.fate(&m[0], DELIVERED);
    let before = b.state.clone();
    assert!(b.fate(&m[0], DELIVERED).is_empty());
    assert!(b.fate(&m[0], ACCEPTED).is_empty());
    assert!(b.fate(&m[0], Fate::Refused).is_empty());
    assert!(
        b.fate(
            &Message {
                key: Key("unknown".into()),
                ..m[0].clone()
            },
            DELIVERED
        )
        .is_empty()
    );
    assert_eq!(b.state, before);
}

#[test]
fn keys_are_stable_and_fit_every_channel() {
    let (mut b, mut c) = (Bench::new(book()), Bench::new(book()));
    let key = b.raise("a", Level::Critical)[0].key.clone();
    assert_eq!(key, c.raise("a", Level::Critical)[0].key);
    assert_eq!(key.0.len(), 32);
}

#[test]
fn the_state_survives_its_own_json() {
    let mut b = Bench::new(book());
    b.raise("a", Level::Critical);
    b.raise("b", Level::Warning);
    let json = serde_json::to_string(&b.state).unwrap();
    assert_eq!(serde_json::from_str::<State>(&json).unwrap(), b.state);
}
