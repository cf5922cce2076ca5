//! A real InfluxDB 1.6 (Debian's `influxdb`), the v1 API.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::http::Http;
use crate::net::free_addr;
use crate::process::{Program, Running, TestDir};
use crate::wait;

/// The database that [`Influxd::start`] creates.
pub const DATABASE: &str = "sen";

/// Points by (node, field, time in ms UTC).
pub type Points = BTreeMap<(String, String, i64), f64>;

/// A running server with an empty database [`DATABASE`].
#[derive(Debug)]
pub struct Influxd {
    process: Running,
    program: Program,
    http: Http,
    addr: SocketAddr,
    dir: TestDir,
}

impl Influxd {
    /// Starts one.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start() -> Result<Self> {
        let dir = TestDir::new()?;
        for _ in 0..5 {
            let addr = free_addr();
            let config = dir.path().join("influxd.toml");
            fs::write(&config, config_text(dir.path(), addr, free_addr()))?;
            let program = Program::new("influxd", "influxd")
                .arg("-config")
                .arg(config);
            let mut process = program.start(dir.path())?;
            let http = Http::new(format!("http://{addr}"));
            if up(&mut process, &http).await? {
                let create = format!("CREATE DATABASE {DATABASE}");
                http.post_form("/query", &[("q", &create)]).await?;
                return Ok(Self {
                    process,
                    program,
                    http,
                    addr,
                    dir,
                });
            }
        }
        bail!("influxd found its port taken five times")
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its base address.
    #[must_use]
    pub fn url(&self) -> &str {
        self.http.base()
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
            bail!("influxd ended: {}", self.process.stderr());
        }
        Ok(())
    }

    /// Runs an InfluxQL query; times come back in ms.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn query(&self, q: &str) -> Result<Value> {
        let answer = self
            .http
            .get_query("/query", &[("db", DATABASE), ("epoch", "ms"), ("q", q)])
            .await?;
        let value: Value = answer.json().await?;
        if let Some(error) = value
            .get("error")
            .or_else(|| value.pointer("/results/0/error"))
        {
            bail!("{q}: {error}");
        }
        Ok(value)
    }

    /// How many values a field of `reading` has.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn count(&self, field: &str) -> Result<u64> {
        let value = self
            .query(&format!("SELECT count(\"{field}\") FROM reading"))
            .await?;
        Ok(value
            .pointer("/results/0/series/0/values/0/1")
            .and_then(Value::as_u64)
            .unwrap_or(0))
    }

    /// Every field of one node's points, with its time: numbers and text.
    ///
    /// # Errors
    /// When the answer is not understood.
    pub async fn fields_of(&self, node: &str) -> Result<Vec<(String, i64, Value)>> {
        let value = self
            .query(&format!(
                "SELECT * FROM reading WHERE node = '{node}' GROUP BY *"
            ))
            .await?;
        let mut fields = Vec::new();
        let empty = Vec::new();
        // One series a tag set; a second one would show as readings that are there twice.
        for one in value
            .pointer("/results/0/series")
            .and_then(Value::as_array)
            .unwrap_or(&empty)
        {
            let columns = one["columns"].as_array().context("no columns")?;
            for row in one["values"].as_array().context("no values")? {
                let row = row.as_array().context("a row is no array")?;
                let at = row[0].as_i64().context("time is no integer")?;
                for (column, cell) in columns.iter().zip(row).skip(1) {
                    if !cell.is_null() {
                        let column = column.as_str().context("a column without a name")?;
                        fields.push((column.to_owned(), at, cell.clone()));
                    }
                }
            }
        }
        Ok(fields)
    }

    /// How many series there are in the database.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn count_series(&self) -> Result<usize> {
        let value = self.query("SHOW SERIES").await?;
        Ok(value
            .pointer("/results/0/series/0/values")
            .and_then(Value::as_array)
            .map_or(0, Vec::len))
    }

    /// Everything numeric in `reading`, by node, field and time.
    ///
    /// # Errors
    /// When the answer is not understood, or two tag sets hold the same node, field and time.
    pub async fn points(&self) -> Result<Points> {
        let value = self.query("SELECT * FROM reading GROUP BY node").await?;
        let mut points = Points::new();
        let empty = Vec::new();
        let series = value
            .pointer("/results/0/series")
            .and_then(Value::as_array)
            .unwrap_or(&empty);
        for one in series {
            let node = one
                .pointer("/tags/node")
                .and_then(Value::as_str)
                .context("a series without a node")?;
            let columns: Vec<&str> = one["columns"]
                .as_array()
                .context("no columns")?
                .iter()
                .filter_map(Value::as_str)
                .collect();
            for row in one["values"].as_array().context("no values")? {
                let row = row.as_array().context("a row is no array")?;
                let at = row[0].as_i64().context("time is no integer")?;
                for (column, cell) in columns.iter().zip(row).skip(1) {
                    if let Some(number) = cell.as_f64() {
                        let key = (node.to_owned(), (*column).to_owned(), at);
                        if points.insert(key.clone(), number).is_some() {
                            bail!("two values for {key:?}");
                        }
                    }
                }
            }
        }
        Ok(points)
    }
}

async fn up(process: &mut Running, http: &Http) -> Result<bool> {
    wait::until("influxd", wait::PATIENCE, || {
        let ended = process.exited().is_some();
        async move {
            if ended {
                return Ok(Some(false));
            }
            let ping = http.get("/ping").await?;
            Ok(ping.status().is_success().then_some(true))
        }
    })
    .await
}

fn config_text(dir: &std::path::Path, http: SocketAddr, backup: SocketAddr) -> String {
    let dir = dir.display();
    // Monitoring writes points of its own and the other listeners have fixed ports: all off.
    format!(
        r#"reporting-disabled = true
bind-address = "{backup}"
[meta]
dir = "{dir}/meta"
[data]
dir = "{dir}/data"
wal-dir = "{dir}/wal"
query-log-enabled = false
[monitor]
store-enabled = false
[subscriber]
enabled = false
[continuous_queries]
enabled = false
[http]
bind-address = "{http}"
log-enabled = false
"#
    )
}

/// How long a batch may take to show up in a query.
pub const VISIBLE: Duration = Duration::from_secs(60);
