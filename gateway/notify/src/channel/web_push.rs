//! Web Push (RFC 8030) to a browser or an installed page: encrypted (RFC 8291) and signed (RFC 8292, VAPID). Free of charge.
//!
//! The address is the subscription's JSON as the browser gives it. The key is the message's `Topic`, so that a repeat replaces what
//! the push service has not delivered yet, and the notification's tag, so that the page shows it once.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::json;
use web_push_native::jwt_simple::algorithms::{ECDSAP256PublicKeyLike as _, ES256KeyPair};
use web_push_native::{Auth, WebPushBuilder, p256};

use super::{Channel, Failure, Outcome, Retry, Secret, http};
use crate::person::Kind;
use crate::plan::Message;

/// How long the push service keeps what it can't deliver.
const KEPT: Duration = Duration::from_secs(12 * 3600);

/// Sends to push services.
pub struct WebPush {
    client: reqwest::Client,
    key: ES256KeyPair,
    contact: String,
    plain_http: bool,
}

#[derive(Deserialize)]
struct Subscription {
    endpoint: String,
    keys: Keys,
}

#[derive(Deserialize)]
struct Keys {
    p256dh: String,
    auth: String,
}

impl WebPush {
    /// With the VAPID private key (32 bytes, base64url) and a contact (`mailto:` or https) for the push services.
    ///
    /// # Errors
    /// The key is none, or TLS can't be set up.
    pub fn new(key: &Secret, contact: &str, plain_http: bool) -> Result<Self, Failure> {
        let bad = |_| Failure {
            retry: Retry::Never,
            why: "the VAPID key is not 32 bytes in base64url".into(),
        };
        let bytes = URL_SAFE_NO_PAD
            .decode(key.reveal().trim_end_matches('='))
            .map_err(|e| bad(e.to_string()))?;
        let key = ES256KeyPair::from_bytes(&bytes).map_err(|e| bad(e.to_string()))?;
        Ok(Self {
            client: http::client()?,
            key,
            contact: contact.to_owned(),
            plain_http,
        })
    }

    /// What the page needs to subscribe: `applicationServerKey`, base64url.
    #[must_use]
    pub fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.public_key().public_key().to_bytes_uncompressed())
    }

    async fn try_send(&self, m: &Message) -> Result<Outcome, Failure> {
        let request = self.request(m)?;
        let answer = http::ask(request).await?;
        match answer.status.as_u16() {
            200..=299 => {
                let place = answer
                    .headers
                    .get("Location")
                    .and_then(|l| l.to_str().ok())
                    .map(str::to_owned);
                Ok(Outcome::accepted(place))
            }
            // The subscription has expired or was taken back (RFC 8030 section 7.3).
            404 | 410 => Err(Failure {
                retry: Retry::AddressGone,
                ..answer.failure()
            }),
            _ => Err(answer.failure()),
        }
    }

    fn request(&self, m: &Message) -> Result<reqwest::RequestBuilder, Failure> {
        let never = |why: &str| Failure {
            retry: Retry::Never,
            why: why.to_owned(),
        };
        let sub: Subscription = serde_json::from_str(&m.address)
            .map_err(|_| never("the address is no push subscription"))?;
        let decode = |s: &str| URL_SAFE_NO_PAD.decode(s.trim_end_matches('='));
        let public = decode(&sub.keys.p256dh)
            .ok()
            .and_then(|k| p256::PublicKey::from_sec1_bytes(&k).ok());
        let auth = decode(&sub.keys.auth).ok().filter(|a| a.len() == 16);
        let (Some(public), Some(auth)) = (public, auth) else {
            return Err(never("the push subscription's keys are damaged"));
        };
        let url = http::address(&sub.endpoint, self.plain_http)?;
        let endpoint = sub
            .endpoint
            .parse()
            .map_err(|_| never("the push subscription's endpoint is not a URL"))?;
        let c = &m.content;
        let body = json!({ "title": c.title, "body": c.body, "link": c.link, "tag": m.key, "critical": m.critical });
        let built = WebPushBuilder::new(endpoint, public, Auth::clone_from_slice(&auth))
            .with_valid_duration(KEPT)
            .with_vapid(&self.key, &self.contact)
            .build(body.to_string())
            .map_err(|e| never(&format!("could not be encrypted: {e}")))?;
        let (parts, body) = built.into_parts();
        let urgency = if m.critical { "high" } else { "normal" };
        let request = self.client.post(url).headers(parts.headers);
        Ok(request
            .header("Topic", &m.key.0)
            .header("Urgency", urgency)
            .body(body))
    }
}

#[async_trait]
impl Channel for WebPush {
    fn kind(&self) -> Kind {
        Kind::WebPush
    }

    async fn send(&self, message: &Message) -> Outcome {
        self.try_send(message).await.unwrap_or_else(Into::into)
    }
}
