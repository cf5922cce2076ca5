//! E-mail over SMTP. Free of charge. The `Message-ID` is made of the message's key, so that a mailbox that looks at it shows a repeat
//! once.

use std::time::Duration;

use async_trait::async_trait;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, header};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::{Channel, Failure, Outcome, Retry, Secret};
use crate::person::Kind;
use crate::plan::Message;

/// How the connection is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// TLS from the first byte (port 465).
    Tls,
    /// STARTTLS, required (port 587).
    StartTls,
    /// None: only for a relay on the same machine. Credentials are refused with it.
    None,
}

/// A mail server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How.
    pub security: Security,
    /// User and password, if it wants them.
    pub login: Option<(String, Secret)>,
    /// `Sen <sen@farm.example>`.
    pub from: String,
    /// How long a server may take for anything.
    pub timeout: Duration,
}

/// Mail.
pub struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    login: Option<Secret>,
}

impl Email {
    /// # Errors
    /// The sender is no address, credentials would go unencrypted, or TLS can't be set up.
    pub fn new(s: Settings) -> Result<Self, Failure> {
        let fault = |why: String| Failure {
            retry: Retry::Never,
            why,
        };
        let from = s
            .from
            .parse()
            .map_err(|e| fault(format!("the sender {:?} is no mail address: {e}", s.from)))?;
        let builder = match s.security {
            Security::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(&s.server)
                .map_err(|e| fault(e.to_string()))?,
            Security::StartTls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&s.server)
                .map_err(|e| fault(e.to_string()))?,
            Security::None if s.login.is_some() => {
                return Err(fault(
                    "a password is not sent over a connection without TLS".into(),
                ));
            }
            Security::None => AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&s.server),
        };
        let mut builder = builder.port(s.port).timeout(Some(s.timeout));
        if let Some((user, password)) = &s.login {
            builder =
                builder.credentials(Credentials::new(user.clone(), password.reveal().to_owned()));
        }
        Ok(Self {
            transport: builder.build(),
            from,
            login: s.login.map(|(_, p)| p),
        })
    }

    fn compose(&self, m: &Message) -> Result<lettre::Message, String> {
        let to: Mailbox = m
            .address
            .parse()
            .map_err(|e| format!("{:?} is no mail address: {e}", m.address))?;
        let c = &m.content;
        let mut text = format!("{}\n\n{}\n", c.title, c.body);
        if !c.link.is_empty() {
            text.push_str(&format!("\n{}: {}\n", c.link_words(), c.link));
        }
        let id = format!("<{}@{}>", m.key, self.from.email.domain());
        lettre::Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(c.title.clone())
            .header(header::MessageId::from(id))
            // RFC 3834: no vacation notice is to come back.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".into(),
            ))
            .header(ContentType::TEXT_PLAIN)
            .body(text)
            .map_err(|e| format!("the mail can't be written: {e}"))
    }
}

#[async_trait]
impl Channel for Email {
    fn kind(&self) -> Kind {
        Kind::Email
    }

    async fn send(&self, message: &Message) -> Outcome {
        let mail = match self.compose(message) {
            Ok(mail) => mail,
            Err(why) => return Outcome::never(why),
        };
        match self.transport.send(mail).await {
            Ok(_) => Outcome::accepted(None),
            Err(e) => {
                let why = self
                    .login
                    .as_ref()
                    .map_or_else(|| words(&e), |p| p.redact(&words(&e)));
                // 530, 534, 535, 538: the login (RFC 4954 section 6); ours to put right. Other 5xx: this mail.
                let ours = e.status().is_some_and(|c| {
                    matches!(c.to_string().as_str(), "530" | "534" | "535" | "538")
                });
                if e.is_permanent() && !ours {
                    Outcome::never(why)
                } else {
                    Outcome::later(why)
                }
            }
        }
    }
}

fn words(e: &lettre::transport::smtp::Error) -> String {
    crate::text::truncate(&e.to_string().replace(char::is_control, " "), 240)
}
