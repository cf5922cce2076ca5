//! What must hold whatever happens: random events against a model that knows only what was sent.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::calendar::TimeOfDay;
use crate::policy::{Budget, Digest, Step};
use crate::testing::{AT, alarm, book, person};

#[derive(Debug, Clone)]
enum Move {
    Raise(u8, u8),
    Resolve(u8),
    Acknowledge(u8),
    Fate(u8, u8),
    Wait(u32),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        3 => (0..12u8, 0..3u8).prop_map(|(a, l)| Move::Raise(a, l)),
        1 => (0..12u8).prop_map(Move::Resolve),
        1 => (0..12u8).prop_map(Move::Acknowledge),
        4 => (any::<u8>(), 0..5u8).prop_map(|(k, f)| Move::Fate(k, f)),
        3 => prop_oneof![1..600u32, 600..20_000u32].prop_map(Move::Wait),
    ];
    proptest::collection::vec(one, 1..80)
}

#[derive(Debug, Clone)]
struct Setting {
    book: Book,
    max: u16,
    budget: Option<u64>,
    critical_passes: bool,
    over: bool,
}

fn settings() -> impl Strategy<Value = Setting> {
    let quiet = proptest::option::of((0..24u16, 0..24u16));
    (
        quiet,
        1..5u16,
        0..1200u32,
        proptest::option::of(0..4000u64),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(quiet, max, window_s, budget, critical_passes, over)| {
            let mut book = book();
            let carol = person(
                "carol",
                &[
                    (Kind::Modem, "+84912345679"),
                    (Kind::Email, "c@sen.example"),
                ],
            );
            book.people.insert("carol".into(), carol);
            let quiet = quiet.and_then(|(f, t)| {
                Some(QuietHours {
                    from: TimeOfDay::new(f, 0)?,
                    to: TimeOfDay::new(t, 0)?,
                })
            });
            book.people.values_mut().for_each(|p| p.quiet = quiet);
            let p = &mut book.policies[0];
            p.digest = Digest {
                window_s,
                max_per_hour: max,
            };
            p.say_when_over = over;
            p.steps.insert(
                1,
                Step {
                    people: vec!["binh".into(), "carol".into(), "an".into()],
                    wait_s: 300,
                },
            );
            if let Some(monthly_vnd) = budget {
                book.budgets.insert(
                    "c1".into(),
                    Budget {
                        monthly_vnd,
                        critical_passes,
                    },
                );
            }
            Setting {
                book,
                max,
                budget,
                critical_passes,
                over,
            }
        })
}

/// What is known from outside only.
#[derive(Default)]
struct Model {
    sent: Vec<(Millis, Message)>,
    settled: BTreeMap<Key, Fate>,
    over: BTreeSet<AlarmId>,
    acknowledged: BTreeSet<AlarmId>,
    raised: BTreeSet<AlarmId>,
}

impl Model {
    fn spent(&self, month: u32, offset: crate::calendar::Offset) -> u64 {
        let free = |m: &Message| {
            matches!(
                self.settled.get(&m.key),
                Some(Fate::Refused | Fate::Withdrawn)
            )
        };
        self.sent
            .iter()
            .filter(|(at, m)| offset.month(*at) == month && !free(m))
            .map(|(_, m)| m.cost_vnd)
            .sum()
    }
}

fn run(setting: &Setting, moves: Vec<Move>) -> Result<(), TestCaseError> {
    let book = &setting.book;
    let mut state = State::default();
    let mut model = Model::default();
    let mut now = AT;
    for m in moves {
        let event = match m {
            Move::Raise(a, l) => {
                let id = format!("a{a}");
                // An id is for ever: what is over does not come again under it.
                if model.over.contains(&id) {
                    continue;
                }
                model.raised.insert(id.clone());
                Event::raised(alarm(
                    &id,
                    [Level::Info, Level::Warning, Level::Critical][usize::from(l)],
                ))
            }
            Move::Resolve(a) => {
                let id = format!("a{a}");
                model.over.insert(id.clone());
                Event::Resolved(id)
            }
            Move::Acknowledge(a) => {
                let id = format!("a{a}");
                if model.raised.contains(&id) && !model.over.contains(&id) {
                    model.acknowledged.insert(id.clone());
                }
                Event::Acknowledged(id)
            }
            Move::Fate(k, f) => {
                let Some((_, m)) = model.sent.get(usize::from(k) % model.sent.len().max(1)) else {
                    continue;
                };
                let fate = [
                    Fate::Received(Receipt::Accepted),
                    Fate::Received(Receipt::Delivered),
                    Fate::Refused,
                    Fate::GivenUp,
                    Fate::Received(Receipt::Delivered),
                ][usize::from(f)];
                // One failure a message, and none after a receipt: channels contradict themselves in other tests.
                if fate == Fate::Refused || fate == Fate::GivenUp {
                    if model.settled.contains_key(&m.key) {
                        continue;
                    }
                    model.settled.insert(m.key.clone(), fate);
                } else if matches!(
                    model.settled.get(&m.key),
                    Some(Fate::Refused | Fate::GivenUp | Fate::Withdrawn)
                ) {
                    continue;
                } else {
                    model.settled.insert(m.key.clone(), fate);
                }
                Event::Fate(m.key.clone(), fate)
            }
            Move::Wait(s) => {
                now += Millis::from(s) * 1000;
                Event::Tick
            }
        };
        let mut queue = vec![event];
        while let Some(event) = queue.pop() {
            let out = step(&mut state, book, event, now);
            for intent in out {
                match intent {
                    Intent::Send(m) => check_send(setting, &mut model, *m, now)?,
                    Intent::Withdraw(key) => {
                        prop_assert!(
                            !model.settled.contains_key(&key),
                            "what is settled is not withdrawn"
                        );
                        model.settled.insert(key.clone(), Fate::Withdrawn);
                        queue.push(Event::Fate(key, Fate::Withdrawn));
                    }
                    Intent::Trouble { .. } => {}
                }
            }
        }
        let json = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(&serde_json::from_str::<State>(&json).unwrap(), &state);
    }
    // All over, and time enough: nothing is kept for ever.
    for id in model.raised.clone() {
        step(&mut state, book, Event::Resolved(id), now);
    }
    // (Ten days: quiet for 23 hours of each, a channel a day, and each of them may answer for two days.)
    for _ in 0..10 * 144 {
        if state.cases.is_empty() && state.calls.is_empty() {
            break;
        }
        now += 600_000;
        step(&mut state, book, Event::Tick, now);
    }
    prop_assert_eq!(state.cases.len(), 0);
    prop_assert_eq!(state.calls.len(), 0);
    Ok(())
}

fn check_send(
    setting: &Setting,
    model: &mut Model,
    m: Message,
    now: Millis,
) -> Result<(), TestCaseError> {
    let offset = setting.book.offset;
    prop_assert!(
        model.sent.iter().all(|(_, s)| s.key != m.key),
        "a key is sent once"
    );
    let same = |s: &Message| {
        s.person == m.person
            && s.channel == m.channel
            && s.alarms == m.alarms
            && s.content == m.content
    };
    let asked = model.sent.iter().filter(|(_, s)| same(s)).count();
    prop_assert!(
        asked < 3,
        "an, the only one in two steps, is told the same twice at most, and once that it is over"
    );
    let says_over = m.content.subject != Subject::Raised;
    if !says_over {
        for a in &m.alarms {
            prop_assert!(!model.over.contains(a), "nothing of an alarm that is over");
            prop_assert!(
                !model.acknowledged.contains(a),
                "nothing of an alarm that is acknowledged"
            );
        }
    }
    prop_assert!(
        setting.over || m.content.subject != Subject::Over,
        "not asked"
    );
    if m.critical {
        prop_assert!(m.quiet.is_none());
    } else {
        let person = &setting.book.people[&m.person];
        prop_assert!(
            person.quiet.and_then(|q| q.ends(now, offset)).is_none(),
            "quiet hours hold"
        );
        let lately = model
            .sent
            .iter()
            .filter(|(at, s)| !s.critical && s.person == m.person && now - at < 3_600_000)
            .count();
        prop_assert!(
            lately < usize::from(setting.max),
            "no more than {} an hour",
            setting.max
        );
    }
    model.sent.push((now, m.clone()));
    if let Some(budget) = setting.budget
        && m.cost_vnd > 0
        && !(m.critical && setting.critical_passes)
    {
        let spent = model.spent(offset.month(now), offset);
        prop_assert!(spent <= budget, "{spent} of {budget}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_happens_the_promises_hold(setting in settings(), moves in moves()) {
        run(&setting, moves)?;
    }

    #[test]
    fn what_is_critical_is_told_at_once_whatever_the_hour_and_the_burst(setting in settings(), noise in moves()) {
        let mut state = State::default();
        let mut now = AT;
        for m in noise {
            let event = match m {
                Move::Raise(a, _) => Event::raised(alarm(&format!("w{a}"), Level::Warning)),
                Move::Wait(s) => { now += Millis::from(s) * 1000; Event::Tick }
                _ => Event::Tick,
            };
            step(&mut state, &setting.book, event, now);
        }
        let out = step(&mut state, &setting.book, Event::raised(alarm("c", Level::Critical)), now);
        prop_assert!(out.iter().any(|i| matches!(i, Intent::Send(m) if m.person == "an" && m.critical)));
    }
}
