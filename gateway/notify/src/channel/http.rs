//! What the channels over HTTP share: the client, and what an answer means.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};

use super::{Failure, Retry};

/// No answer that matters is longer.
const MOST_BYTES: usize = 64 * 1024;

/// A client that follows no redirect (it would carry a secret or a person's message elsewhere), repeats nothing by itself (that is
/// the outbox's business), and trusts the roots of the web with ring.
///
/// # Errors
/// TLS can't be set up.
pub(super) fn client() -> Result<Client, Failure> {
    let fault = |e: &dyn std::fmt::Display| Failure {
        retry: Retry::Later,
        why: format!("TLS can't be set up: {e}"),
    };
    let roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .map_err(|e| fault(&e))?
    .with_root_certificates(roots)
    .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(20))
        .user_agent(concat!("sen/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| fault(&e))
}

/// An answer, read whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Sends, and reads the answer. No error of it holds the URL: that may hold a secret.
pub(super) async fn ask(request: reqwest::RequestBuilder) -> Result<Answer, Failure> {
    let later = |e: reqwest::Error| Failure {
        retry: Retry::Later,
        why: words(e),
    };
    let response = request.send().await.map_err(later)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = read(response).await.map_err(later)?;
    Ok(Answer {
        status,
        headers,
        body,
    })
}

async fn read(mut r: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = r.chunk().await? {
        let room = MOST_BYTES.saturating_sub(body.len());
        body.extend(chunk.iter().take(room));
        if body.len() >= MOST_BYTES {
            break;
        }
    }
    Ok(body)
}

/// The error and what caused it, without the URL.
fn words(e: reqwest::Error) -> String {
    let e = e.without_url();
    let mut words = e.to_string();
    let mut source = e.source();
    while let Some(s) = source {
        words.push_str(&format!(": {s}"));
        source = s.source();
    }
    words
}

impl Answer {
    /// A short excerpt for people.
    pub(super) fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let text: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        crate::text::truncate(text.trim(), 160)
    }

    /// What a status other than success means for this message.
    pub(super) fn failure(&self) -> Failure {
        let s = self.status;
        let ours = [
            StatusCode::UNAUTHORIZED,
            StatusCode::PAYMENT_REQUIRED,
            StatusCode::FORBIDDEN,
            StatusCode::REQUEST_TIMEOUT,
        ];
        let retry = if let Some(wait) = self.retry_after() {
            Retry::After(wait)
        } else if s.is_server_error()
            || ours.contains(&s)
            || s == StatusCode::TOO_MANY_REQUESTS
            || s == StatusCode::TOO_EARLY
        {
            Retry::Later
        } else {
            Retry::Never
        };
        let what = if s.is_redirection() {
            "a redirect, which is not followed".to_owned()
        } else {
            self.excerpt()
        };
        Failure {
            retry,
            why: format!("answered {s}: {what}"),
        }
    }

    /// `Retry-After` of an answer that may have one: seconds or a date (RFC 9110 section 10.2.3).
    fn retry_after(&self) -> Option<Duration> {
        if !(self.status == StatusCode::TOO_MANY_REQUESTS
            || self.status == StatusCode::SERVICE_UNAVAILABLE)
        {
            return None;
        }
        let value = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(s) = value.parse() {
            return Some(Duration::from_secs(s));
        }
        let at = httpdate::parse_http_date(value).ok()?;
        Some(at.duration_since(SystemTime::now()).unwrap_or_default())
    }
}

/// An address that is a URL: https, and http only if that was chosen.
pub(super) fn address(url: &str, plain_http: bool) -> Result<reqwest::Url, Failure> {
    let never = |why: &str| Failure {
        retry: Retry::Never,
        why: why.to_owned(),
    };
    let url = reqwest::Url::parse(url).map_err(|_| never("the address is not a URL"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if plain_http => Ok(url),
        _ => Err(never("the address is not an https URL")),
    }
}
