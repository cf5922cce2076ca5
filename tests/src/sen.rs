//! The gateway under test: configuration, registry, start, crash, restart.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::fake_influx::{self, FakeInflux};
use crate::http::Http;
use crate::mosquitto;
use crate::mqtt::Who;
use crate::net::free_addr;
use crate::process::{Finished, Program, Running, TestDir, tail};
use crate::wait;

/// The `sen` binary: `SEN_BIN`, or the one beside the test in the target folder.
///
/// # Errors
/// When there is none.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("SEN_BIN") {
        return Ok(path.into());
    }
    let test = std::env::current_exe()?;
    test.ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join("sen"))
        .find(|path| path.is_file())
        .context("no sen binary: cargo build -p sen-gateway, or set SEN_BIN")
}

/// The broker that the gateway uses.
#[derive(Debug, Clone)]
pub enum Broker {
    /// Its own, on a port that the harness chooses.
    Embedded,
    /// One outside.
    External(SocketAddr),
    /// One outside on that port of localhost, by TLS, with the certificate to check against.
    ExternalTls(u16, PathBuf),
}

/// Where it writes.
#[derive(Debug, Clone)]
pub enum Influx {
    /// Nowhere: no `[influx]` table.
    None,
    /// `/write`, at this base address.
    V1(String),
    /// `/api/v2/write`, at this base address, with the fake's organisation, bucket and token.
    V2(String),
}

impl From<&FakeInflux> for Influx {
    fn from(fake: &FakeInflux) -> Self {
        Self::V2(fake.url())
    }
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Broker.
    pub broker: Broker,
    /// InfluxDB.
    pub influx: Influx,
    /// `[influx]` keys beside the address, as TOML lines.
    pub influx_extra: String,
    /// Nodes, dealt to two farms with two plots each.
    pub nodes: Vec<String>,
    /// In place of `data` in the test's folder.
    pub data_dir: Option<PathBuf>,
    /// More TOML at the end of the configuration.
    pub extra: String,
}

impl Setup {
    /// Own broker, no InfluxDB, and `nodes` nodes called `node-01`, `node-02`, …
    #[must_use]
    pub fn new(nodes: usize) -> Self {
        Self {
            broker: Broker::Embedded,
            influx: Influx::None,
            influx_extra: "batch_age = \"200ms\"\ntimeout = \"3s\"\ndrain = \"3s\"\n".to_owned(),
            nodes: (1..=nodes).map(|i| format!("node-{i:02}")).collect(),
            data_dir: None,
            extra: String::new(),
        }
    }

    /// With an InfluxDB.
    #[must_use]
    pub fn influx(mut self, influx: Influx) -> Self {
        self.influx = influx;
        self
    }

    /// With a broker outside.
    #[must_use]
    pub fn external(mut self, addr: SocketAddr) -> Self {
        self.broker = Broker::External(addr);
        self
    }

    /// With a broker outside that is reached by TLS, its certificate checked against that of `ca_file`.
    #[must_use]
    pub fn external_tls(mut self, addr: SocketAddr, ca_file: PathBuf) -> Self {
        self.broker = Broker::ExternalTls(addr.port(), ca_file);
        self
    }
}

/// The password that the harness gives a node.
#[must_use]
pub fn password(node: &str) -> String {
    format!("password-of-{node}-0123")
}

/// Credentials of a node.
#[must_use]
pub fn who(node: &str) -> Who {
    Who::node(node, &password(node))
}

/// The registry file for these nodes.
#[must_use]
pub fn registry(nodes: &[String]) -> String {
    let mut text = String::new();
    for farm in ["binh", "hoa"] {
        // Writing to a String never fails.
        let _ = writeln!(
            text,
            "[[farm]]\nid = \"{farm}\"\nname = \"Hộ {farm}\"\ncommune = \"Tân Thuận Đông\""
        );
        for plot in ["ao", "ruong"] {
            let _ = writeln!(
                text,
                "[[plot]]\nid = \"{farm}-{plot}\"\nfarm = \"{farm}\"\nname = \"{plot}\"\n\
                 crop = \"rice\"\narea_ha = 0.5"
            );
        }
    }
    let plots = ["binh-ao", "binh-ruong", "hoa-ao", "hoa-ruong"];
    for (i, node) in nodes.iter().enumerate() {
        let _ = writeln!(
            text,
            "[[node]]\nid = \"{node}\"\nplot = \"{}\"\nname = \"Nút {node}\"\npassword = \"{}\"",
            plots[i % plots.len()],
            password(node)
        );
    }
    text
}

/// One reading as `sen journal dump` prints it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Dumped {
    /// Node.
    pub node: String,
    /// Boot, null for devices without one.
    pub boot: Option<u64>,
    /// Place in the boot's sequence.
    pub seq: Option<u32>,
    /// Channel, as text.
    pub channel: String,
    /// ms UTC.
    pub at: i64,
    /// Value.
    #[serde(default)]
    pub value: Option<f64>,
    /// Fault.
    #[serde(default)]
    pub fault: Option<serde_json::Value>,
    /// The time was worked out afterwards.
    #[serde(default)]
    pub estimated: bool,
}

/// A gateway.
#[derive(Debug)]
pub struct Sen {
    process: Option<Running>,
    config: PathBuf,
    mqtt: Option<SocketAddr>,
    web: SocketAddr,
    http: Http,
    dir: TestDir,
}

impl Sen {
    /// Writes configuration and registry, and starts it.
    ///
    /// # Errors
    /// When it does not say `ready`.
    pub async fn start(setup: &Setup) -> Result<Self> {
        let mut sen = Self::prepare(setup)?;
        sen.restart().await?;
        Ok(sen)
    }

    /// Writes configuration and registry, and applies the registry; starts nothing.
    ///
    /// # Errors
    /// When `sen registry apply` fails.
    pub fn prepare(setup: &Setup) -> Result<Self> {
        let dir = TestDir::new()?;
        let (mqtt, web) = (free_addr(), free_addr());
        let embedded = matches!(setup.broker, Broker::Embedded);
        let config = dir.path().join("sen.toml");
        fs::write(&config, config_text(setup, dir.path(), mqtt, web))?;
        let registry_file = dir.path().join("registry.toml");
        fs::write(&registry_file, registry(&setup.nodes))?;
        let sen = Self {
            process: None,
            config,
            mqtt: embedded.then_some(mqtt),
            web,
            http: Http::new(format!("http://{web}")),
            dir,
        };
        sen.run(&["registry", "apply", &registry_file.display().to_string()])?
            .success()
            .context("sen registry apply")?;
        Ok(sen)
    }

    /// Runs another `sen` command with this configuration to its end.
    ///
    /// # Errors
    /// When it can't be started, or takes longer than a minute.
    pub fn run(&self, args: &[&str]) -> Result<Finished> {
        self.run_within(args, wait::PATIENCE)
    }

    /// [`Sen::run`] for what takes longer.
    ///
    /// # Errors
    /// When it can't be started, or takes longer than `limit`.
    pub fn run_within(&self, args: &[&str], limit: Duration) -> Result<Finished> {
        Program::new(&format!("sen-{}", args[0]), binary()?)
            .args(args)
            .arg("--config")
            .arg(&self.config)
            .run(self.dir.path(), limit)
    }

    /// Starts it (again) and waits until it is ready, on the same ports and data as before.
    ///
    /// # Errors
    /// When it ends or does not get ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill9();
        let process = Program::new("sen", binary()?)
            .arg("serve")
            .arg("--config")
            .arg(&self.config)
            .env("RUST_BACKTRACE", "1")
            .start(self.dir.path())?;
        let process = self.process.insert(process);
        let bound = ready(process).await?;
        anyhow::ensure!(
            bound.mqtt == self.mqtt && bound.web == Some(self.web),
            "configured {:?} and {}, says that it listens on {bound:?}",
            self.mqtt,
            self.web
        );
        Ok(())
    }

    /// Starts it without waiting, for starts that have to fail.
    ///
    /// # Errors
    /// When the process can't be made.
    pub fn spawn(&mut self) -> Result<&mut Running> {
        let process = Program::new("sen", binary()?)
            .arg("serve")
            .arg("--config")
            .arg(&self.config)
            .start(self.dir.path())?;
        Ok(self.process.insert(process))
    }

    /// `SIGKILL`; nothing happens when it does not run.
    pub fn kill9(&mut self) {
        if let Some(process) = &mut self.process {
            process.kill9();
        }
    }

    /// `SIGTERM`, and waits for the end: how long it took and what it had said on stderr.
    ///
    /// # Errors
    /// When it does not end within `limit` or fails.
    pub fn terminate(&mut self, limit: Duration) -> Result<(Duration, String)> {
        let process = self.process.as_mut().context("does not run")?;
        let started = std::time::Instant::now();
        process.signal("TERM")?;
        let status = process.wait_exit(limit)?;
        let said = process.stderr();
        anyhow::ensure!(status.success(), "{status}: {}", tail(&said, 20));
        Ok((started.elapsed(), said))
    }

    /// The running process.
    ///
    /// # Panics
    /// When it was never started.
    pub fn process(&mut self) -> &mut Running {
        self.process.as_mut().expect("started")
    }

    /// Where its broker listens.
    ///
    /// # Panics
    /// When it uses a broker outside.
    #[must_use]
    pub fn mqtt(&self) -> SocketAddr {
        self.mqtt.expect("an embedded broker")
    }

    /// Where its web server listens.
    #[must_use]
    pub fn web(&self) -> SocketAddr {
        self.web
    }

    /// Its HTTP API.
    #[must_use]
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// Its configuration file.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The test's folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Every reading in the journal.
    ///
    /// # Errors
    /// When `sen journal dump` fails or prints something else.
    pub fn dump(&self) -> Result<Vec<Dumped>> {
        let finished = self
            .run_within(&["journal", "dump"], 10 * wait::PATIENCE)?
            .success()?;
        finished
            .out
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("dump: {line}")))
            .collect()
    }

    /// Waits until the log is folded to the end. The journal must fold often: `fold_every = "1s"`.
    ///
    /// # Errors
    /// When it takes too long or the journal can't be dumped.
    pub async fn folded(&self) -> Result<()> {
        wait::until("everything to be folded", wait::PATIENCE, || async {
            let folded = self.dump()?.iter().all(|r| r.boot.is_none());
            Ok(folded.then_some(()))
        })
        .await
    }

    /// Stops it, and has it fold once an hour from the next start on: what comes then stays in the log.
    ///
    /// # Errors
    /// When it does not stop or its configuration can't be written.
    pub fn stop_folding(&mut self) -> Result<()> {
        self.terminate(wait::PATIENCE)?;
        let config = std::fs::read_to_string(self.config())?.replace("\"1s\"", "\"1h\"");
        Ok(std::fs::write(self.config(), config)?)
    }

    /// Makes the stopped gateway's log one that was received `ms` later, as if its clock had been ahead.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub fn received_later(&self, ms: i64) -> Result<()> {
        let database = rusqlite::Connection::open(self.dir().join("data/sen.db"))?;
        // Rows without checksum, as the first version wrote them: with one they would be taken for damaged.
        database.execute(
            "UPDATE log SET received = received + ?1, body = substr(body, 2, length(body) - 5)",
            [ms],
        )?;
        Ok(())
    }

    /// One node from `/api/v1/nodes`.
    ///
    /// # Errors
    /// When it is not listed.
    pub async fn node(&self, id: &str) -> Result<serde_json::Value> {
        let nodes = self.http.json("/api/v1/nodes").await?;
        nodes
            .as_array()
            .into_iter()
            .flatten()
            .find(|n| n["id"] == id)
            .cloned()
            .with_context(|| format!("no node {id} in {nodes}"))
    }

    /// Readings in the journal that the InfluxDB sink has not written yet.
    ///
    /// # Errors
    /// When `/api/v1/health` does not say.
    pub async fn lag(&self) -> Result<u64> {
        let health = self.http.json("/api/v1/health").await?;
        health
            .pointer("/sinks/0/lag_readings")
            .and_then(serde_json::Value::as_u64)
            .with_context(|| format!("no lag in {health}"))
    }

    /// Waits until the InfluxDB sink has written everything.
    ///
    /// # Errors
    /// When it has not within `limit`.
    pub async fn drained(&self, limit: Duration) -> Result<()> {
        wait::until("the sink to have written everything", limit, || async {
            let lag = self.lag().await?;
            anyhow::ensure!(lag == 0, "{lag} readings left");
            Ok(Some(()))
        })
        .await
    }
}

/// Addresses that a gateway printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bound {
    /// Broker.
    pub mqtt: Option<SocketAddr>,
    /// Web server.
    pub web: Option<SocketAddr>,
}

impl Bound {
    /// Reads the `listening …` lines of a gateway's standard output; none until it said `ready`.
    ///
    /// # Errors
    /// When a line is not as documented.
    pub fn parse(stdout: &str) -> Result<Option<Self>> {
        let mut bound = Self::default();
        for line in stdout.lines() {
            if line == "ready" {
                return Ok(Some(bound));
            }
            let mut words = line.split_whitespace();
            if words.next() != Some("listening") {
                continue;
            }
            match (words.next(), words.next()) {
                (Some("mqtt"), Some(addr)) => bound.mqtt = Some(addr.parse()?),
                (Some("web"), Some(url)) => {
                    let addr = url.strip_prefix("http://").context("no http address")?;
                    bound.web = Some(addr.trim_end_matches('/').parse()?);
                }
                _ => bail!("unknown listener: {line}"),
            }
        }
        Ok(None)
    }
}

/// Waits until a gateway says `ready`.
///
/// # Errors
/// When it ends or takes too long.
pub async fn ready(process: &mut Running) -> Result<Bound> {
    let found = wait::until("sen to be ready", wait::PATIENCE, || {
        let ended = process.exited();
        let found = Bound::parse(&process.stdout());
        async move {
            match (found?, ended) {
                (Some(bound), _) => Ok(Some(Ok(bound))),
                (None, Some(status)) => Ok(Some(Err(status))),
                (None, None) => Ok(None),
            }
        }
    })
    .await?;
    found.map_err(|status| anyhow::anyhow!("sen ended: {status}\n{}", tail(&process.stderr(), 20)))
}

fn external(place: &str) -> String {
    format!(
        "mode = \"external\"\n{place}\nusername = \"{}\"\npassword = \"{}\"\nclient_id = \"sen\"",
        mosquitto::GATEWAY_USER,
        mosquitto::GATEWAY_PASSWORD
    )
}

fn config_text(setup: &Setup, dir: &Path, mqtt: SocketAddr, web: SocketAddr) -> String {
    let default = dir.join("data");
    let data = setup.data_dir.as_ref().unwrap_or(&default).display();
    let broker = match &setup.broker {
        Broker::Embedded => format!("mode = \"embedded\"\nlisten = \"{mqtt}\""),
        Broker::External(addr) => external(&format!("url = \"mqtt://{addr}\"")),
        // The name that is in the certificate.
        Broker::ExternalTls(port, ca_file) => external(&format!(
            "url = \"mqtts://localhost:{port}\"\nca_file = \"{}\"",
            ca_file.display()
        )),
    };
    let influx = match &setup.influx {
        Influx::None => String::new(),
        Influx::V1(url) => format!(
            "[influx]\napi = \"v1\"\nurl = \"{url}\"\ndatabase = \"{}\"\n{}",
            crate::influxd::DATABASE,
            setup.influx_extra
        ),
        Influx::V2(url) => format!(
            "[influx]\napi = \"v2\"\nurl = \"{url}\"\norg = \"{}\"\nbucket = \"{}\"\n\
             token = \"{}\"\n{}",
            fake_influx::ORG,
            fake_influx::BUCKET,
            fake_influx::TOKEN,
            setup.influx_extra
        ),
    };
    format!(
        "data_dir = \"{data}\"\n\n[broker]\n{broker}\n\n[web]\nlisten = \"{web}\"\n\n{influx}\n{}",
        setup.extra
    )
}
