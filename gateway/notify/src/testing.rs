//! What the unit tests share.

use std::collections::{BTreeMap, BTreeSet};

use crate::alarm::{Alarm, Level};
use crate::person::{Contact, Kind, Language, Person};
use crate::policy::{Book, Digest, Policy, Scope, Step};

/// 2026-11-25T03:10+07:00.
pub(crate) const AT: crate::Millis = 1_795_551_000_000;

pub(crate) fn alarm(id: &str, level: Level) -> Alarm {
    Alarm {
        id: id.into(),
        coop: "c1".into(),
        farm: "f1".into(),
        groups: vec![],
        rule: "do-low".into(),
        level,
        place: "Ao 3".into(),
        what: "Oxy hòa tan thấp".into(),
        value: "2,8 mg/L".into(),
        since: AT,
        link: format!("https://sen.example/a/{id}"),
    }
}

pub(crate) fn person(id: &str, contacts: &[(Kind, &str)]) -> Person {
    let contact = |(k, a): &(Kind, &str)| Contact::new(*k, a, true).unwrap();
    Person {
        id: id.into(),
        name: id.into(),
        language: Language::Vi,
        contacts: contacts.iter().map(contact).collect(),
        quiet: None,
    }
}

/// "an" over Zalo, then SMS, then push; "binh" over Telegram only; first an, then binh.
pub(crate) fn book() -> Book {
    let an = person(
        "an",
        &[
            (Kind::Zalo, "+84912345678"),
            (Kind::Esms, "+84912345678"),
            (Kind::WebPush, "push"),
        ],
    );
    let binh = person("binh", &[(Kind::Telegram, "42")]);
    let step = |who: &str, wait_s| Step {
        people: vec![who.into()],
        wait_s,
    };
    Book {
        people: BTreeMap::from([("an".into(), an), ("binh".into(), binh)]),
        policies: vec![Policy {
            id: "all".into(),
            set_by: "an".into(),
            scope: Scope::default(),
            steps: vec![step("an", 900), step("binh", 900)],
            receipt_s: 180,
            say_when_over: false,
            digest: Digest::default(),
            give_up_s: 48 * 3600,
        }],
        channels: BTreeSet::from(Kind::ALL),
        ..Book::default()
    }
}
