//! A small HTTP client for the tests: JSON, text, and Prometheus metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// A server's base address.
#[derive(Debug, Clone)]
pub struct Http {
    base: String,
    client: reqwest::Client,
}

impl Http {
    /// `base` without a trailing slash, e.g. `http://127.0.0.1:8080`.
    ///
    /// # Panics
    /// When the client can't be built, which needs no network.
    #[must_use]
    pub fn new(base: impl Into<String>) -> Self {
        Self {
            base: base.into(),
            client: reqwest::Client::builder()
                .timeout(Duration::from_secs(30))
                .no_proxy()
                .build()
                .expect("a client without certificates"),
        }
    }

    /// The base address.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// GET, any status.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn get(&self, path: &str) -> Result<reqwest::Response> {
        let url = format!("{}{path}", self.base);
        self.client
            .get(&url)
            .send()
            .await
            .with_context(|| format!("GET {url}"))
    }

    /// GET with query parameters, any status.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn get_query(&self, path: &str, query: &[(&str, &str)]) -> Result<reqwest::Response> {
        let url = format!("{}{path}", self.base);
        self.client
            .get(&url)
            .query(query)
            .send()
            .await
            .with_context(|| format!("GET {url}"))
    }

    /// GET that has to give 2xx and JSON.
    ///
    /// # Errors
    /// When it does not.
    pub async fn json(&self, path: &str) -> Result<Value> {
        let text = self.text(path).await?;
        serde_json::from_str(&text).with_context(|| format!("GET {path}: not JSON: {text}"))
    }

    /// GET that has to give 2xx.
    ///
    /// # Errors
    /// When it does not.
    pub async fn text(&self, path: &str) -> Result<String> {
        checked(self.get(path).await?, path).await
    }

    /// POST JSON that has to give 2xx and JSON.
    ///
    /// # Errors
    /// When it does not.
    pub async fn post_json(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}{path}", self.base);
        let answer = self.client.post(url).json(body).send().await?;
        let text = checked(answer, path).await?;
        serde_json::from_str(&text).with_context(|| format!("POST {path}: not JSON: {text}"))
    }

    /// Any method with JSON, any status; `token`: an operator's.
    ///
    /// # Errors
    /// When no answer comes, or no JSON.
    pub async fn send_json(
        &self,
        method: reqwest::Method,
        path: &str,
        body: &Value,
        token: Option<&str>,
    ) -> Result<(u16, Value)> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.text().await?;
        let json = serde_json::from_str(&text).with_context(|| format!("{path}: {text}"))?;
        Ok((status, json))
    }

    /// POST a form, has to give 2xx.
    ///
    /// # Errors
    /// When it does not.
    pub async fn post_form(&self, path: &str, form: &[(&str, &str)]) -> Result<String> {
        let answer = self
            .client
            .post(format!("{}{path}", self.base))
            .form(form)
            .send()
            .await?;
        checked(answer, path).await
    }

    /// All samples of `GET /metrics`, by name with labels as written.
    ///
    /// # Errors
    /// When there is no such page.
    pub async fn metrics(&self) -> Result<Metrics> {
        Ok(Metrics::parse(&self.text("/metrics").await?))
    }
}

async fn checked(answer: reqwest::Response, path: &str) -> Result<String> {
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status.is_success(), "{path}: {status}: {text}");
    Ok(text)
}

/// Samples of a Prometheus page.
#[derive(Debug, Default)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Reads the text format; comments are skipped.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(
            text.lines()
                .filter(|l| !l.starts_with('#'))
                .filter_map(|l| {
                    let (name, value) = l.rsplit_once(' ')?;
                    Some((name.to_owned(), value.parse().ok()?))
                })
                .collect(),
        )
    }

    /// Sum over all label sets of a metric whose labels contain every one of `labels`
    /// (each written as on the page: `reason="malformed"`).
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        self.0
            .iter()
            .filter(|(key, _)| {
                let (bare, rest) = key.split_once('{').unwrap_or((key, ""));
                bare == name && labels.iter().all(|l| rest.contains(l))
            })
            .map(|(_, value)| value)
            .sum()
    }

    /// All samples.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(k, v)| (k.as_str(), *v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_over_labels() {
        let page = "# HELP x\nx{a=\"1\",b=\"2\"} 3\nx{a=\"2\"} 4\nxy 9\n";
        let metrics = Metrics::parse(page);
        assert_eq!(metrics.sum("x", &[]), 7.0);
        assert_eq!(metrics.sum("x", &["a=\"1\""]), 3.0);
    }
}
