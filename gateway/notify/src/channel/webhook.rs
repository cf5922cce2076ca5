//! HTTP POST to somebody's own server. Free of charge. The address is an https URL.
//!
//! `Idempotency-Key` is the message's key; `Sen-Signature: t=<seconds>,v1=<hex>` is HMAC-SHA256 over `<seconds>.<body>` with the
//! shared secret: the receiver checks it, refuses what is old, and does nothing for a key it knows.

use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use hmac::{Hmac, Mac};
use serde_json::json;
use sha2::Sha256;

use super::{Channel, Failure, Outcome, Retry, Secret, http};
use crate::person::Kind;
use crate::plan::Message;

/// Posts to a server of the reader's own.
#[derive(Debug)]
pub struct Webhook {
    client: reqwest::Client,
    secret: Secret,
    plain_http: bool,
}

/// `t=<seconds>,v1=<hex>`.
#[must_use]
pub fn signature(secret: &Secret, at_s: u64, body: &[u8]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else {
        return String::new();
    };
    mac.update(at_s.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    let hex: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    format!("t={at_s},v1={hex}")
}

impl Webhook {
    /// With the secret that the receivers share. `plain_http` lets http URLs pass: within a house's own network only.
    ///
    /// # Errors
    /// TLS can't be set up, or the secret is empty.
    pub fn new(secret: Secret, plain_http: bool) -> Result<Self, Failure> {
        if secret.reveal().is_empty() {
            return Err(Failure {
                retry: Retry::Never,
                why: "the secret that signs webhooks is empty".into(),
            });
        }
        Ok(Self {
            client: http::client()?,
            secret,
            plain_http,
        })
    }

    async fn try_send(&self, m: &Message) -> Result<Outcome, Failure> {
        let url = http::address(&m.address, self.plain_http)?;
        let c = &m.content;
        let body = json!({
            "key": m.key,
            "subject": c.subject,
            "critical": m.critical,
            "alarms": m.alarms,
            "title": c.title,
            "body": c.body,
            "link": c.link,
            "facts": c.facts,
        })
        .to_string();
        let at_s = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs());
        let request = self
            .client
            .post(url)
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", &m.key.0)
            .header(
                "Sen-Signature",
                signature(&self.secret, at_s, body.as_bytes()),
            )
            .body(body);
        let answer = http::ask(request).await?;
        match answer.status.as_u16() {
            200..=299 => Ok(Outcome::accepted(None)),
            410 => Err(Failure {
                retry: Retry::AddressGone,
                ..answer.failure()
            }),
            _ => Err(answer.failure()),
        }
    }
}

#[async_trait]
impl Channel for Webhook {
    fn kind(&self) -> Kind {
        Kind::Webhook
    }

    async fn send(&self, message: &Message) -> Outcome {
        self.try_send(message).await.unwrap_or_else(Into::into)
    }
}
