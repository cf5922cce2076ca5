//! A web server that keeps what it was sent and answers as it is told to, and the people of the tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use sen_notify::Millis;
use sen_notify::alarm::{Alarm, Level};
use sen_notify::calendar::Offset;
use sen_notify::person::{Contact, Kind, Language, Person};
use sen_notify::plan::{Key, Message};
use sen_notify::policy::{Book, Digest, Policy, Scope, Step};
use sen_notify::text::{self, Style, Subject};

/// 2026-11-25T03:10+07:00.
pub(crate) const AT: Millis = 1_795_551_000_000;

#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    pub(crate) after: Duration,
}

pub(crate) fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status,
        headers: vec![],
        body: body.into(),
        after: Duration::ZERO,
    }
}

#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    answer: Arc<Mutex<Answer>>,
}

impl Fake {
    pub(crate) async fn start(first: Answer) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self {
            url,
            asked: Arc::default(),
            answer: Arc::new(Mutex::new(first)),
        };
        let app = Router::new().fallback(serve).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        fake
    }

    pub(crate) fn answers(&self, a: Answer) {
        *self.answer.lock().unwrap() = a;
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Asked {
        self.asked().pop().expect("nothing was asked")
    }
}

async fn serve(
    State(fake): State<Fake>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let a = fake.answer.lock().unwrap().clone();
    fake.asked.lock().unwrap().push(Asked {
        method,
        uri,
        headers,
        body: body.to_vec(),
    });
    tokio::time::sleep(a.after).await;
    let mut r = (StatusCode::from_u16(a.status).unwrap(), a.body).into_response();
    for (name, value) in a.headers {
        r.headers_mut().insert(name, value.parse().unwrap());
    }
    r
}

/// A port on which nobody listens.
pub(crate) fn nobody() -> String {
    let l = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", l.local_addr().unwrap())
}

/// Waits until it holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(
            std::time::Instant::now() < end,
            "{what} did not come to pass within a minute"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

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

pub(crate) fn message(channel: Kind, address: &str) -> Message {
    let style = Style {
        language: Language::Vi,
        kind: channel,
        sms_diacritics: false,
        offset: Offset::default(),
    };
    Message {
        key: Key("0123456789abcdef0123456789abcdef".into()),
        person: "an".into(),
        channel,
        address: address.into(),
        content: text::about(&alarm("a", Level::Critical), Subject::Raised, AT, style),
        critical: true,
        quiet: None,
        cost_vnd: 0,
        give_up: AT + 1000,
        alarms: vec!["a".into()],
        set_by: "an".into(),
    }
}

/// One person with these contacts, told of everything, without a second step.
pub(crate) fn book(contacts: &[(Kind, &str)]) -> Book {
    let contacts = contacts
        .iter()
        .map(|(k, a)| Contact::new(*k, a, true).unwrap())
        .collect();
    let an = Person {
        id: "an".into(),
        name: "an".into(),
        language: Language::Vi,
        contacts,
        quiet: None,
    };
    Book {
        people: BTreeMap::from([("an".into(), an)]),
        policies: vec![Policy {
            id: "all".into(),
            set_by: "an".into(),
            scope: Scope::default(),
            steps: vec![Step {
                people: vec!["an".into()],
                wait_s: 900,
            }],
            receipt_s: 180,
            say_when_over: false,
            digest: Digest::default(),
            give_up_s: 48 * 3600,
        }],
        channels: BTreeSet::from(Kind::ALL),
        ..Book::default()
    }
}
