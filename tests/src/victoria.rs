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
    process: Running,
    program: Program,
    http: Http,
    dir: TestDir,
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
            let program = Program::new("victoria", "victoria-metrics")
                .arg(format!("-httpListenAddr={addr}"))
                .arg(format!("-storageDataPath={}/data", dir.path().display()))
                // The default keeps one month and drops what is older without a word.
                .arg("-retentionPeriod=100y")
                // By default it keeps a sample that was written twice twice: a batch whose answer got lost.
                .arg("-dedup.minScrapeInterval=1ms")
                .arg("-search.latencyOffset=0s");
            let mut process = program.start(dir.path())?;
            let http = Http::new(format!("http://{addr}"));
            if up(&mut process, &http).await? {
                return Ok(Self {
                    process,
                    program,
                    http,
                    dir,
                });
            }
        }
        bail!("victoria-metrics found its port taken five times")
    }

    /// The process, for signals and figures.
    pub fn process(&mut self) -> &mut Running {
        &mut self.process
    }

    /// Ends it in an orderly way.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> Result<()> {
        self.process.signal("TERM")?;
        self.process.wait_exit(wait::PATIENCE)?;
        Ok(())
    }

    /// Starts it again on the same data and the same port.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restart(&mut self) -> Result<()> {
        self.process.kill9();
        self.process = self.program.start(self.dir.path())?;
        if !up(&mut self.process, &self.http).await? {
            bail!("victoria-metrics ended: {}", self.process.stderr());
        }
        Ok(())
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

async fn up(process: &mut Running, http: &Http) -> Result<bool> {
    wait::until("victoria-metrics", wait::PATIENCE, || {
        let ended = process.exited().is_some();
        async move {
            if ended {
                return Ok(Some(false));
            }
            let health = http.get("/health").await?;
            Ok(health.status().is_success().then_some(true))
        }
    })
    .await
}
