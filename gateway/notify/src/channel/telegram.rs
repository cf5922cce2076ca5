//! Telegram's Bot API: `sendMessage`, with a link to acknowledge. Free of charge. The address is a chat id.
//!
//! The bot's token is part of the URL's path, so no error may hold the URL; what is left is searched for the token all the same.
//! Telegram knows no idempotency key: after an answer that was lost, a message may come twice.

use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;

use super::{Channel, Failure, Outcome, Retry, Secret, http};
use crate::person::Kind;
use crate::plan::Message;

/// The Bot API.
#[derive(Debug)]
pub struct Telegram {
    client: reqwest::Client,
    base: String,
    token: Secret,
}

#[derive(Deserialize)]
struct Reply {
    ok: bool,
    #[serde(default)]
    description: String,
    result: Option<Sent>,
    parameters: Option<Parameters>,
}

#[derive(Deserialize)]
struct Sent {
    message_id: i64,
}

#[derive(Deserialize)]
struct Parameters {
    retry_after: Option<u64>,
}

impl Telegram {
    /// Where the Bot API is.
    pub const BASE: &str = "https://api.telegram.org";

    /// With the bot's token; `base` is [`Telegram::BASE`] or a Bot API server of one's own.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub fn new(base: &str, token: Secret) -> Result<Self, Failure> {
        Ok(Self {
            client: http::client()?,
            base: base.trim_end_matches('/').to_owned(),
            token,
        })
    }

    async fn try_send(&self, m: &Message) -> Result<Outcome, Failure> {
        let mut text = m.content.plain();
        if !m.content.link.is_empty() {
            text.push_str(&format!("\n{}: {}", m.content.link_words(), m.content.link));
        }
        let body = json!({
            "chat_id": m.address,
            "text": text,
            "disable_notification": false,
            "link_preview_options": { "is_disabled": true },
        });
        let url = format!("{}/bot{}/sendMessage", self.base, self.token.reveal());
        let answer = http::ask(self.client.post(url).json(&body)).await?;
        let Ok(reply) = serde_json::from_slice::<Reply>(&answer.body) else {
            // A proxy's page, or half an answer.
            let retry = if answer.status.is_success() {
                Retry::Later
            } else {
                answer.failure().retry
            };
            return Err(Failure {
                retry,
                why: format!(
                    "{}, and no answer of the Bot API: {}",
                    answer.status,
                    answer.excerpt()
                ),
            });
        };
        if reply.ok {
            return Ok(Outcome::accepted(
                reply.result.map(|r| r.message_id.to_string()),
            ));
        }
        let retry = match (
            answer.status.as_u16(),
            reply.parameters.and_then(|p| p.retry_after),
        ) {
            (_, Some(s)) => Retry::After(Duration::from_secs(s)),
            // Blocked by the user, or the user's account is gone; 401 is the token.
            (403, None) => Retry::AddressGone,
            _ => answer.failure().retry,
        };
        Err(Failure {
            retry,
            why: format!(
                "answered {}: {}",
                answer.status,
                crate::text::truncate(&reply.description, 160)
            ),
        })
    }
}

#[async_trait]
impl Channel for Telegram {
    fn kind(&self) -> Kind {
        Kind::Telegram
    }

    async fn send(&self, message: &Message) -> Outcome {
        match self.try_send(message).await {
            Ok(outcome) => outcome,
            Err(f) => Failure {
                why: self.token.redact(&f.why),
                ..f
            }
            .into(),
        }
    }
}
