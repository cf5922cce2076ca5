//! Zalo template messages (ZNS). About 200 to 300 đồng for each that is delivered. The address is a telephone number.
//!
//! A template is approved by Zalo beforehand, in one language, with at most 400 characters; its parameters are our facts by name:
//! `level`, `place`, `what`, `value`, `time`, and `key` for a button's link. `tracking_id` is the message's key and comes back in
//! the delivery webhook ([`receipt`]). Zalo does not remove duplicates by it: at least once.
//!
//! The access token lives for a day or so; whoever refreshes it writes it to the file that is named here, which is read for each
//! message. Error codes: <https://zalo.cloud/zns/guidelines/handle-error-code>.

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Channel, Failure, Outcome, Retry, Secret, http};
use crate::person::{Kind, Language};
use crate::phone::Phone;
use crate::plan::{Key, Message};
use crate::text::{Content, Subject, truncate};

/// What Zalo allows in a message.
const MOST_CHARS: usize = 400;

/// Where the access token comes from.
#[derive(Debug, Clone)]
pub enum AccessToken {
    /// It is this one.
    Fixed(Secret),
    /// It is what this file holds at the moment.
    File(PathBuf),
}

/// A template as it was approved.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Zalo's id of it.
    pub id: String,
    /// For which messages.
    pub subject: Subject,
    /// In which language.
    pub language: Language,
    /// Its text, with parameters as `<place>`: only to know how long it gets.
    pub text: String,
}

/// Template messages.
#[derive(Debug)]
pub struct Zalo {
    client: reqwest::Client,
    base: String,
    token: AccessToken,
    templates: BTreeMap<(Subject, Language), Template>,
}

/// What is wrong with the templates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// Longer than Zalo takes, before a single fact is in it.
    #[error("template {id} has {chars} characters without its parameters; Zalo takes {MOST_CHARS}")]
    TooLong {
        /// Which.
        id: String,
        /// How many characters.
        chars: usize,
    },
    /// A parameter that no fact fills.
    #[error(
        "template {id} has the parameter <{name}>; there are level, place, what, value, time and key"
    )]
    UnknownParameter {
        /// Which.
        id: String,
        /// The parameter.
        name: String,
    },
    /// TLS can't be set up.
    #[error("{0}")]
    Client(Failure),
}

#[derive(Deserialize)]
struct Reply {
    error: i64,
    #[serde(default)]
    message: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    msg_id: Option<String>,
}

impl Zalo {
    /// Where the API is.
    pub const BASE: &str = "https://business.openapi.zalo.me";

    /// With the templates that were approved.
    ///
    /// # Errors
    /// A template that can never be sent, or TLS can't be set up.
    pub fn new(
        base: &str,
        token: AccessToken,
        templates: Vec<Template>,
    ) -> Result<Self, BadTemplate> {
        for t in &templates {
            check(t)?;
        }
        let templates = templates
            .into_iter()
            .map(|t| ((t.subject, t.language), t))
            .collect();
        let client = http::client().map_err(BadTemplate::Client)?;
        Ok(Self {
            client,
            base: base.trim_end_matches('/').to_owned(),
            token,
            templates,
        })
    }

    async fn token(&self) -> Result<Secret, Failure> {
        match &self.token {
            AccessToken::Fixed(t) => Ok(t.clone()),
            AccessToken::File(path) => {
                let read = tokio::fs::read_to_string(path).await;
                let token = read.map_err(|e| Failure {
                    retry: Retry::Later,
                    why: format!("no access token in {}: {e}", path.display()),
                })?;
                Ok(Secret::new(token.trim()))
            }
        }
    }

    async fn try_send(&self, m: &Message, token: &Secret) -> Result<Outcome, Failure> {
        let never = |why: String| Failure {
            retry: Retry::Never,
            why,
        };
        let phone = Phone::parse(&m.address).map_err(|e| never(e.to_string()))?;
        let c = &m.content;
        let template = self
            .templates
            .get(&(c.subject, c.language))
            .ok_or_else(|| {
                never(
                    format!(
                        "there is no approved template for {:?} messages in {:?}",
                        c.subject, c.language
                    )
                    .to_lowercase(),
                )
            })?;
        let data = fill(template, c, &m.key).map_err(never)?;
        let body = json!({ "phone": phone.digits(), "template_id": template.id, "template_data": data, "tracking_id": m.key });
        let request = self
            .client
            .post(format!("{}/message/template", self.base))
            .header("access_token", token.reveal())
            .json(&body);
        let answer = http::ask(request).await?;
        if !answer.status.is_success() {
            return Err(answer.failure());
        }
        let reply: Reply = serde_json::from_slice(&answer.body).map_err(|_| Failure {
            retry: Retry::Later,
            why: format!("no answer of Zalo: {}", answer.excerpt()),
        })?;
        if reply.error == 0 {
            return Ok(Outcome::accepted(reply.data.and_then(|d| d.msg_id)));
        }
        Err(Failure {
            retry: meaning(reply.error),
            why: format!(
                "Zalo refused with {}: {}",
                reply.error,
                truncate(&reply.message, 160)
            ),
        })
    }
}

/// What an error code says about trying again.
fn meaning(code: i64) -> Retry {
    match code {
        // The number, the reader's Zalo or their settings: another channel has to do it, now.
        -108 | -110 | -114 | -118 | -119 | -139 | -141 => Retry::Never,
        // Template or parameters: this message will never be taken.
        -109 | -111 | -112 | -113 | -117 | -121 | -122 | -127 | -128 | -131 | -132 | -145
        | -146 => Retry::Never,
        // Not at night; the next channel takes over, and by the morning it is too late to be worth a try.
        -133 => Retry::Never,
        // Everything else (unknown error, token, quota, money) passes or is ours to put right.
        _ => Retry::Later,
    }
}

const PARAMETERS: [&str; 6] = ["level", "place", "what", "value", "time", "key"];

/// The parameters that a text names.
fn parameters(text: &str) -> impl Iterator<Item = &str> {
    text.split('<')
        .skip(1)
        .filter_map(|rest| rest.split_once('>'))
        .map(|(name, _)| name)
}

fn check(t: &Template) -> Result<(), BadTemplate> {
    let mut bare = t.text.clone();
    for name in parameters(&t.text) {
        if !PARAMETERS.contains(&name) {
            return Err(BadTemplate::UnknownParameter {
                id: t.id.clone(),
                name: name.to_owned(),
            });
        }
        bare = bare.replace(&format!("<{name}>"), "");
    }
    let chars = bare.chars().count();
    if chars > MOST_CHARS {
        Err(BadTemplate::TooLong {
            id: t.id.clone(),
            chars,
        })
    } else {
        Ok(())
    }
}

/// The facts as parameters, shortened until the whole fits: what is said first, then where.
fn fill(t: &Template, c: &Content, key: &Key) -> Result<BTreeMap<&'static str, String>, String> {
    let f = &c.facts;
    let value = |name: &str, cut: usize| match name {
        "level" => f.level.clone(),
        "place" => truncate(&f.place, cut.max(20)),
        "what" => truncate(&f.what.replace('\n', "; "), cut),
        "value" => f.value.clone(),
        "time" => f.time.clone(),
        _ => key.0.clone(),
    };
    for cut in [200, 100, 60, 30, 12] {
        let mut text = t.text.clone();
        let mut data = BTreeMap::new();
        for name in PARAMETERS {
            // A button's link is not part of the text, so its parameter is always given.
            if name == "key" || parameters(&t.text).any(|p| p == name) {
                let v = value(name, cut);
                text = text.replace(&format!("<{name}>"), &v);
                data.insert(name, v);
            }
        }
        if text.chars().count() <= MOST_CHARS {
            return Ok(data);
        }
    }
    Err(format!(
        "the message is longer than the {MOST_CHARS} characters of a template"
    ))
}

#[async_trait]
impl Channel for Zalo {
    fn kind(&self) -> Kind {
        Kind::Zalo
    }

    async fn send(&self, message: &Message) -> Outcome {
        let token = match self.token().await {
            Ok(token) => token,
            Err(f) => return f.into(),
        };
        match self.try_send(message, &token).await {
            Ok(outcome) => outcome,
            Err(f) => Failure {
                why: token.redact(&f.why),
                ..f
            }
            .into(),
        }
    }
}

/// Why a delivery webhook is not believed or not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadReceipt {
    /// Not JSON of the expected form.
    #[error("not a Zalo event")]
    Malformed,
    /// Not signed by Zalo for this Official Account.
    #[error("the signature does not fit")]
    Signature,
}

#[derive(Deserialize)]
struct Received {
    event_name: String,
    #[serde(deserialize_with = "text")]
    timestamp: String,
    message: Option<ReceivedMessage>,
}

#[derive(Deserialize)]
struct ReceivedMessage {
    tracking_id: Option<String>,
}

fn text<'de, D: serde::Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    Ok(match serde_json::Value::deserialize(d)? {
        serde_json::Value::String(s) => s,
        other => other.to_string(),
    })
}

/// Reads a delivery webhook: the key of the message that has reached the phone. `None` for other events. `signature` is the header
/// `X-ZEvent-Signature`: `mac=` and SHA-256 over application id, body, the body's timestamp and the Official Account's secret.
///
/// # Errors
/// See [`BadReceipt`].
pub fn receipt(
    body: &[u8],
    signature: &str,
    app_id: &str,
    secret: &Secret,
) -> Result<Option<(Key, Outcome)>, BadReceipt> {
    let event: Received = serde_json::from_slice(body).map_err(|_| BadReceipt::Malformed)?;
    let mut hash = Sha256::new();
    for part in [
        app_id.as_bytes(),
        body,
        event.timestamp.as_bytes(),
        secret.reveal().as_bytes(),
    ] {
        hash.update(part);
    }
    let ours: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    let theirs = signature
        .trim()
        .trim_start_matches("mac=")
        .trim()
        .to_ascii_lowercase();
    if !bool::from(ours.as_bytes().ct_eq(theirs.as_bytes())) {
        return Err(BadReceipt::Signature);
    }
    if event.event_name != "user_received_message" {
        return Ok(None);
    }
    Ok(event
        .message
        .and_then(|m| m.tracking_id)
        .map(|key| (Key(key), Outcome::delivered())))
}

#[cfg(test)]
mod tests;
