//! The two write APIs behind one call. All that is known of the servers' answers is here.
//!
//! `influxdb2` speaks v2; it knows neither time-outs nor compression, so the time-out is set in the HTTP client below it, and
//! its body is compressed beforehand. It does not show headers either: a server that is busy is asked once more with a
//! single line, by a plain request whose `Retry-After` can be read.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use influxdb2::api::write::TimestampPrecision;
use influxdb2::{ClientBuilder, RequestError};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, HeaderMap, HeaderValue, RETRY_AFTER};

use crate::config::{Influx, InfluxApi};

/// The HTTP client can't be made.
#[derive(Debug, thiserror::Error)]
#[error("influx: the HTTP client can't be made")]
pub struct BuildError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// A batch was not written.
#[derive(Debug)]
pub(super) enum WriteError {
    /// Something in it can't be written, ever.
    Refused(String),
    /// The server can't take it now.
    Later {
        /// For people.
        reason: String,
        /// What the server asked for.
        after: Option<Duration>,
    },
}

pub(super) enum Client {
    V1 {
        http: reqwest::Client,
        url: String,
        database: String,
        login: Option<(String, crate::config::Secret)>,
    },
    V2 {
        client: influxdb2::Client,
        org: String,
        bucket: String,
        /// For the question how long to wait.
        http: reqwest::Client,
        url: String,
        token: crate::config::Secret,
    },
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::V1 { .. } => "V1",
            Self::V2 { .. } => "V2",
        })
    }
}

impl Client {
    pub(super) fn new(config: &Influx) -> Result<Self, BuildError> {
        let http = || {
            let gzip = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
            reqwest::ClientBuilder::new()
                .default_headers(gzip)
                .timeout(config.timeout)
                .pool_max_idle_per_host(1)
        };
        let plain = http().build().map_err(|e| BuildError(e.into()))?;
        match &config.api {
            InfluxApi::V1 { database, login } => Ok(Self::V1 {
                http: plain,
                url: format!("{}/write", config.url),
                database: database.clone(),
                login: login.clone(),
            }),
            InfluxApi::V2 { org, bucket, token } => Ok(Self::V2 {
                client: ClientBuilder::with_builder(http(), &config.url, org, token.reveal())
                    .build()
                    .map_err(|e| BuildError(e.into()))?,
                org: org.clone(),
                bucket: bucket.clone(),
                http: plain,
                url: format!("{}/api/v2/write", config.url),
                token: token.clone(),
            }),
        }
    }

    /// Writes lines; `Ok` only when the server has taken all of them.
    pub(super) async fn write(&self, lines: &[String]) -> Result<(), WriteError> {
        let body = compress(lines);
        match self {
            Self::V1 {
                http,
                url,
                database,
                login,
            } => {
                let mut request = http
                    .post(url)
                    .query(&[("db", database.as_str()), ("precision", "ms")])
                    .body(body);
                if let Some((user, password)) = login {
                    request = request.basic_auth(user, Some(password.reveal()));
                }
                let answer = request.send().await.map_err(|e| unreachable(&e))?;
                let status = answer.status();
                if status.is_success() {
                    return Ok(());
                }
                let after = retry_after(answer.headers());
                Err(judge(
                    status,
                    &answer.text().await.unwrap_or_default(),
                    after,
                ))
            }
            Self::V2 {
                client,
                org,
                bucket,
                ..
            } => {
                match client
                    .write_line_protocol_with_precision(
                        org,
                        bucket,
                        body,
                        TimestampPrecision::Milliseconds,
                    )
                    .await
                {
                    Ok(()) => Ok(()),
                    // The crate takes 204 only; InfluxDB's relatives also answer 200.
                    Err(RequestError::Http { status, .. }) if status.is_success() => Ok(()),
                    Err(RequestError::Http { status, text }) => {
                        let after = self.asked_to_wait(status, lines).await;
                        Err(judge(status, &text, after))
                    }
                    Err(RequestError::ReqwestProcessing { source }) => Err(unreachable(&source)),
                    Err(e) => Err(WriteError::Later {
                        reason: e.to_string(),
                        after: None,
                    }),
                }
            }
        }
    }
}

impl Client {
    /// How long a busy server wants to be left alone: see the module's introduction. Writing the line twice leaves one.
    async fn asked_to_wait(&self, status: StatusCode, lines: &[String]) -> Option<Duration> {
        let Self::V2 {
            org,
            bucket,
            http,
            url,
            token,
            ..
        } = self
        else {
            return None;
        };
        let busy = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        if !busy.contains(&status) {
            return None;
        }
        let answer = http
            .post(url)
            .query(&[
                ("org", org.as_str()),
                ("bucket", bucket),
                ("precision", "ms"),
            ])
            .header(AUTHORIZATION, format!("Token {}", token.reveal()))
            .body(compress(lines.get(..1)?))
            .send()
            .await
            .ok()?;
        retry_after(answer.headers())
    }
}

/// RFC 9110, section 10.2.3: seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    date.duration_since(std::time::SystemTime::now()).ok()
}

/// 400, 413 and 422 speak of the points; anything else (no such bucket, wrong token, overload, fault) of the server or of
/// the configuration, where waiting loses nothing.
fn judge(status: StatusCode, text: &str, after: Option<Duration>) -> WriteError {
    let reason = format!(
        "the server answered {status}: {}",
        text.trim().chars().take(300).collect::<String>()
    );
    match status {
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => WriteError::Refused(reason),
        _ => WriteError::Later { reason, after },
    }
}

fn unreachable(e: &reqwest::Error) -> WriteError {
    let reason = if e.is_timeout() {
        "the server did not answer in time".to_owned()
    } else if e.is_connect() {
        "the server can't be reached".to_owned()
    } else {
        format!("the request failed: {}", e.without_url_text())
    };
    WriteError::Later {
        reason,
        after: None,
    }
}

trait WithoutUrl {
    fn without_url_text(&self) -> String;
}

impl WithoutUrl for reqwest::Error {
    /// The innermost cause: says what happened and never holds an address.
    fn without_url_text(&self) -> String {
        let mut e: &dyn std::error::Error = self;
        while let Some(inner) = e.source() {
            e = inner;
        }
        e.to_string()
    }
}

fn compress(lines: &[String]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::with_capacity(lines.len() * 16), Compression::fast());
    for line in lines {
        // Writing to a Vec can't fail.
        let _ = gz
            .write_all(line.as_bytes())
            .and_then(|()| gz.write_all(b"\n"));
    }
    gz.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let of = |text: &str| {
            let value = HeaderValue::from_str(text).unwrap();
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]))
        };
        assert_eq!(of("120"), Some(Duration::from_secs(120)));
        let soon = std::time::SystemTime::now() + Duration::from_secs(90);
        let soon = of(&httpdate::fmt_http_date(soon)).unwrap();
        assert!((80..=90).contains(&soon.as_secs()), "{soon:?}");
        for junk in ["", "soon", "-3", "Fri, 31 Dec 1999 23:59:59 GMT"] {
            assert_eq!(of(junk), None, "{junk}");
        }
    }
}
