//! Who may change something, until people sign in: whoever is on this machine, or shows the operator's token.
//!
//! The token stands in `operator.token` in the data folder (0600), made at the first start. "On this machine" means a
//! connection from loopback that names a loopback host and was not handed on by a proxy: a page of another site that
//! resolves its own name to 127.0.0.1, or a reverse proxy here, does not count. A proxy has to pass the token on.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use subtle::ConstantTimeEq;

use super::Web;
use super::model::ApiError;
use crate::config::Secret;
use crate::{files, registry};

/// The token's file in the data folder.
const FILE: &str = "operator.token";
/// Shortest token that is taken from the file.
const LEAST: usize = 16;

/// What an operator shows.
#[derive(Debug)]
pub struct OperatorToken(Secret);

impl OperatorToken {
    /// Reads the token's file, or makes it.
    ///
    /// # Errors
    /// What the system says; a token that is too short to be one.
    pub fn load_or_make(dir: &Path) -> std::io::Result<Self> {
        let path = dir.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) if text.trim().len() >= LEAST => Ok(Self(text.trim().to_owned().into())),
            Ok(_) => Err(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                format!(
                    "{FILE} is shorter than {LEAST} characters; remove it, and a new one is made"
                ),
            )),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let token = registry::generate();
                files::write_whole(&path, format!("{}\n", token.reveal()).as_bytes(), 0o600)?;
                Ok(Self(token))
            }
            Err(e) => Err(e),
        }
    }

    fn is(&self, shown: &str) -> bool {
        self.0.reveal().as_bytes().ct_eq(shown.as_bytes()).into()
    }
}

/// A request that may change something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operator {
    who: &'static str,
}

impl Operator {
    /// Whoever shows the token.
    pub(super) fn with(token: &OperatorToken, shown: &str) -> Option<Self> {
        token.is(shown).then_some(Self { who: "operator" })
    }

    /// Who is written down as the author: the name given, or how the request came.
    pub(super) fn signs(self, name: Option<String>) -> String {
        name.map(|n| n.trim().chars().take(80).collect::<String>())
            .filter(|n| !n.is_empty())
            .unwrap_or_else(|| self.who.to_owned())
    }
}

impl FromRequestParts<Web> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, ApiError> {
        let refused =
            |message: &str| ApiError::new(StatusCode::FORBIDDEN, "operator_only", message);
        if let Some(shown) = bearer(&parts.headers) {
            return Self::with(&web.operator, shown).ok_or_else(|| {
                refused("not the operator's token; it stands in operator.token in the data folder")
            });
        }
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        if peer.is_some_and(|ConnectInfo(a)| a.ip().to_canonical().is_loopback())
            && is_local(&parts.headers)
        {
            return Ok(Self { who: "loopback" });
        }
        Err(refused(
            "only from this machine itself, or with the token in operator.token of the data folder as `Authorization: Bearer …`",
        ))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    text.strip_prefix("Bearer ").map(str::trim)
}

/// Names this machine, comes from no other site's page, and through no proxy.
fn is_local(headers: &HeaderMap) -> bool {
    let proxied = ["forwarded", "x-forwarded-for", "x-real-ip", "via"]
        .iter()
        .any(|name| headers.contains_key(*name));
    let text = |name| headers.get(name).map(|v| v.to_str().unwrap_or_default());
    let host = text(header::HOST).is_some_and(is_loopback);
    let origin = text(header::ORIGIN).is_none_or(|o| {
        o.split_once("://")
            .is_some_and(|(_, host)| is_loopback(host))
    });
    !proxied && host && origin
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn local_is_what_names_this_machine_and_comes_straight() {
        for good in [
            headers(&[("host", "127.0.0.1:8080")]),
            headers(&[("host", "localhost")]),
            headers(&[("host", "[::1]:8080"), ("origin", "http://localhost:8080")]),
        ] {
            assert!(is_local(&good), "{good:?}");
        }
        for bad in [
            headers(&[]),
            headers(&[("host", "sen.example")]),
            headers(&[("host", "127.0.0.1.example:8080")]),
            headers(&[("host", "127.0.0.1"), ("origin", "https://example.org")]),
            headers(&[("host", "127.0.0.1"), ("origin", "null")]),
            headers(&[("host", "127.0.0.1"), ("x-forwarded-for", "192.0.2.1")]),
        ] {
            assert!(!is_local(&bad), "{bad:?}");
        }
    }

    #[test]
    fn the_token_is_made_once_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let first = OperatorToken::load_or_make(dir.path()).unwrap();
        let again = OperatorToken::load_or_make(dir.path()).unwrap();
        assert!(again.is(first.0.reveal()) && !again.is("") && !again.is("x"));
        let path = dir.path().join(FILE);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(path, "\n").unwrap();
        assert!(OperatorToken::load_or_make(dir.path()).is_err());
    }
}
