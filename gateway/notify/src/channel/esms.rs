//! SMS under a registered brand name through eSMS (<https://developers.esms.vn>). About 500 to 700 đồng a part.
//!
//! `RequestId` is the message's key: eSMS refuses a second one for a day (`CodeResult` 124), which means that the first arrived
//! there. 100 says that eSMS has it, not that the phone has; the status query says what the operator said. The wording of a brand
//! name's messages has to be registered beforehand (146 otherwise).

use async_trait::async_trait;
use serde::{Deserialize, Deserializer};
use serde_json::json;

use super::{Channel, Failure, Outcome, Retry, Secret, http};
use crate::person::Kind;
use crate::phone::Phone;
use crate::plan::Message;

/// eSMS.
#[derive(Debug)]
pub struct Esms {
    client: reqwest::Client,
    base: String,
    api_key: Secret,
    secret_key: Secret,
    brand: String,
}

/// A code comes as text, and from some of their servers as a number.
fn code<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    Ok(match serde_json::Value::deserialize(d)? {
        serde_json::Value::String(s) => s,
        other => other.to_string(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reply {
    #[serde(deserialize_with = "code")]
    code_result: String,
    #[serde(rename = "SMSID")]
    sms_id: Option<String>,
    error_message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    #[serde(deserialize_with = "code")]
    code_response: String,
    #[serde(default)]
    send_status: i64,
    #[serde(default)]
    send_success: i64,
    #[serde(default)]
    send_failed: i64,
}

impl Esms {
    /// Where the API is.
    pub const BASE: &str = "https://rest.esms.vn/MainService.svc/json";

    /// With the account's keys and the brand name that messages come from.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub fn new(
        base: &str,
        api_key: Secret,
        secret_key: Secret,
        brand: &str,
    ) -> Result<Self, Failure> {
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self {
            client: http::client()?,
            base,
            api_key,
            secret_key,
            brand: brand.to_owned(),
        })
    }

    async fn try_send(&self, m: &Message) -> Result<Outcome, Failure> {
        let phone = Phone::parse(&m.address).map_err(|e| Failure {
            retry: Retry::Never,
            why: e.to_string(),
        })?;
        let text = m.content.text();
        let body = json!({
            "ApiKey": self.api_key.reveal(),
            "SecretKey": self.secret_key.reveal(),
            "Phone": phone.digits(),
            "Content": text,
            "Brandname": self.brand,
            "SmsType": "2",
            "IsUnicode": if text.is_ascii() { "0" } else { "1" },
            "RequestId": m.key,
        });
        let url = format!("{}/SendMultipleMessage_V4_post_json/", self.base);
        let answer = http::ask(self.client.post(url).json(&body)).await?;
        if !answer.status.is_success() {
            return Err(answer.failure());
        }
        let reply: Reply = serde_json::from_slice(&answer.body).map_err(|_| Failure {
            retry: Retry::Later,
            why: format!("no answer of eSMS: {}", answer.excerpt()),
        })?;
        let retry = match reply.code_result.as_str() {
            "100" => return Ok(Outcome::accepted(reply.sms_id)),
            // It has this RequestId already: an earlier try arrived, and only its answer was lost.
            "124" => return Ok(Outcome::accepted(reply.sms_id)),
            // Number blocked, malformed; wording not registered; network not registered for the brand.
            "99" | "108" | "146" | "177" => Retry::Never,
            // Keys, balance, brand name, address not allowed, and all that is not in the list: ours to put right.
            _ => Retry::Later,
        };
        let words = reply.error_message.unwrap_or_default();
        Err(Failure {
            retry,
            why: format!(
                "eSMS refused with {}: {}",
                reply.code_result,
                crate::text::truncate(&words, 160)
            ),
        })
    }

    async fn status(&self, id: &str) -> Result<Option<Outcome>, Failure> {
        // Their query wants the keys in the URL; `http::ask` lets no URL into an error.
        let mut url = http::address(&format!("{}/GetSendStatus", self.base), true)?;
        url.query_pairs_mut()
            .append_pair("RefId", id)
            .append_pair("ApiKey", self.api_key.reveal())
            .append_pair("SecretKey", self.secret_key.reveal());
        let answer = http::ask(self.client.get(url)).await?;
        let Ok(s) = serde_json::from_slice::<Status>(&answer.body) else {
            return Ok(None);
        };
        Ok(match s {
            Status { code_response, .. } if code_response != "100" => None,
            Status {
                send_failed: 1.., ..
            } => Some(Outcome::never(
                "eSMS says that the operator did not deliver it",
            )),
            Status {
                send_status: 5,
                send_success: 1..,
                ..
            } => Some(Outcome::delivered()),
            _ => None,
        })
    }

    fn redact(&self, why: &str) -> String {
        self.secret_key.redact(&self.api_key.redact(why))
    }
}

#[async_trait]
impl Channel for Esms {
    fn kind(&self) -> Kind {
        Kind::Esms
    }

    async fn send(&self, message: &Message) -> Outcome {
        match self.try_send(message).await {
            Ok(outcome) => outcome,
            Err(f) => Failure {
                why: self.redact(&f.why),
                ..f
            }
            .into(),
        }
    }

    async fn look(&self, reference: &str) -> Option<Outcome> {
        match self.status(reference).await {
            Ok(outcome) => outcome,
            Err(f) => {
                tracing::debug!(
                    "eSMS could not be asked for a receipt: {}",
                    self.redact(&f.why)
                );
                None
            }
        }
    }

    fn can_look(&self) -> bool {
        true
    }
}
