//! A real VictoriaMetrics (Debian's `victoria-metrics`), written through its InfluxDB 2 API.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::http::Http;
use crate::influxd::Points;
use crate::net::free_addr;
use crate::process::{Program, Running, TestDir};
use crate::wait;

/// A running server, empty.
#[derive(Debug)]
pub struct Victoria {
    // Declared before its folder: the process ends first.
    _process: Running,
    http: Http,
    _dir: TestDir,
}

impl Victoria {
    /// Starts one.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start() -> Result<Self> {
        let dir = TestDir::new()?;
        for _ in 0..5 {
            let addr = free_addr();
            let mut process = Program::new("victoria", "victoria-metrics")
                .arg(format!("-httpListenAddr={addr}"))
                .arg(format!("-storageDataPath={}/data", dir.path().display()))
                // The default keeps one month and drops what is older without a word.
                .arg("-retentionPeriod=100y")
                .arg("-search.latencyOffset=0s")
                .start(dir.path())?;
            let http = Http::new(format!("http://{addr}"));
            let up = wait::until("victoria-metrics", wait::PATIENCE, || {
                let ended = process.exited().is_some();
                let http = http.clone();
                async move {
                    if ended {
                        return Ok(Some(false));
                    }
                    let health = http.get("/health").await?;
                    Ok(health.status().is_success().then_some(true))
                }
            })
            .await?;
            if up {
                return Ok(Self {
                    _process: process,
                    http,
                    _dir: dir,
                });
            }
        }
        bail!("victoria-metrics found its port taken five times")
    }

    /// Its base address.
    #[must_use]
    pub fn url(&self) -> &str {
        self.http.base()
    }

    /// Everything stored under `reading_*`, by node, field and time.
    ///
    /// # Errors
    /// When the answer is not understood, or two series hold the same node, field and time.
    pub async fn points(&self) -> Result<Points> {
        // What was just written is searchable only after a flush.
        self.http.text("/internal/force_flush").await?;
        let answer = self
            .http
            .get_query(
                "/api/v1/export",
                &[("match[]", r#"{__name__=~"reading_.*"}"#)],
            )
            .await?
            .text()
            .await?;
        let mut points = Points::new();
        for line in answer.lines().filter(|l| !l.is_empty()) {
            let series: Value = serde_json::from_str(line)?;
            let metric = &series["metric"];
            let node = metric["node"].as_str().context("a series without a node")?;
            let field = metric["__name__"]
                .as_str()
                .and_then(|n| n.strip_prefix("reading_"))
                .context("a series without a name")?;
            let values = series["values"].as_array().context("no values")?;
            let times = series["timestamps"].as_array().context("no timestamps")?;
            for (value, at) in values.iter().zip(times) {
                let key = (
                    node.to_owned(),
                    field.to_owned(),
                    at.as_i64().context("time is no integer")?,
                );
                let value = value.as_f64().context("value is no number")?;
                if points.insert(key.clone(), value).is_some() {
                    bail!("two values for {key:?}");
                }
            }
        }
        Ok(points)
    }
}
