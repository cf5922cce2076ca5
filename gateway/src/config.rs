//! `sen.toml`: read once, checked as a whole, every fault reported with its key.
//!
//! Two steps: TOML into [`File`] (unknown keys refused by serde), then [`File::check`] into the typed [`Config`] that the
//! rest of the program trusts. Secrets print as `***` and can come from files.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::broker::identity::Files;

/// A secret. It never prints.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(s: String) -> Self {
        Self(s)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the journal lives.
    pub data_dir: PathBuf,
    /// The name of the installation, shown on the page and written as tag `coop`.
    pub name: String,
    /// How uplinks come in.
    pub broker: Broker,
    /// How often the log is folded.
    pub fold_every: Duration,
    /// Where readings go beside the journal.
    pub influx: Option<Influx>,
    /// The page and the API.
    pub web: SocketAddr,
}

/// How uplinks come in.
#[derive(Debug, Clone)]
pub enum Broker {
    /// Sen is the broker.
    Embedded {
        /// Where nodes connect in the open; `None`: nowhere.
        listen: Option<SocketAddr>,
        /// Where they connect by TLS 1.3.
        tls: Option<TlsDoor>,
        /// Lets clients in without credentials: the demonstration only, no configuration can say so.
        open: bool,
    },
    /// Another broker holds the connections.
    External(External),
}

/// The door for nodes with the gateway's key pinned.
#[derive(Debug, Clone)]
pub struct TlsDoor {
    /// Where nodes connect.
    pub listen: SocketAddr,
    /// Certificate and key of one's own; `None`: those in the data folder, made at the first start.
    pub files: Option<Files>,
}

/// An external broker.
#[derive(Debug, Clone)]
pub struct External {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// `mqtts://`: TLS, checked against `ca_file` or, without one, refused.
    pub tls: Option<PathBuf>,
    /// Stays the same over restarts, so that the broker keeps what came in between.
    pub client_id: String,
    /// User name and password.
    pub login: Option<(String, Secret)>,
}

/// An InfluxDB to write to.
#[derive(Debug, Clone)]
pub struct Influx {
    /// Base address; a path in it is kept.
    pub url: String,
    /// Which API, with what it needs.
    pub api: InfluxApi,
    /// Points a request carries at most.
    pub batch_points: usize,
    /// How long a reading waits for company.
    pub batch_age: Duration,
    /// After this a request counts as failed.
    pub timeout: Duration,
    /// How long a shutdown waits for what is left.
    pub drain: Duration,
    /// Readings that have waited longer are backlog: newer ones go first.
    pub backlog_after: Duration,
}

/// The two write APIs in use.
#[derive(Debug, Clone)]
pub enum InfluxApi {
    /// `/write?db=…`: InfluxDB 1, and most things that speak line protocol.
    V1 {
        /// Database.
        database: String,
        /// User name and password.
        login: Option<(String, Secret)>,
    },
    /// `/api/v2/write?org=…&bucket=…`: InfluxDB 2 and 3, VictoriaMetrics.
    V2 {
        /// Organisation.
        org: String,
        /// Bucket.
        bucket: String,
        /// API token.
        token: Secret,
    },
}

/// A configuration that can't be used: everything that is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{path} can't be used:\n{}", .faults.iter().map(|f| format!("  - {f}")).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// One line a fault: key, what is wrong, what to do.
    pub faults: Vec<String>,
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault at once.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let fail = |faults| ConfigError {
            path: path.to_path_buf(),
            faults,
        };
        let text = std::fs::read_to_string(path)
            .map_err(|e| fail(vec![format!("the file can't be read: {e}")]))?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("."))).map_err(fail)
    }

    /// Checks a configuration text. Relative paths in it count from `dir`.
    ///
    /// # Errors
    /// Every fault, a line each.
    pub fn parse(text: &str, dir: &Path) -> Result<Self, Vec<String>> {
        // Unknown keys are collected beside the typed faults, so that one run shows them all.
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
            vec![format!("not TOML: {}", e.to_string().trim_end())]
        })?;
        let mut faults = Faults::default();
        let file = Sections::take(table, &mut faults);
        let config = file.check(dir, &mut faults);
        match config {
            Some(config) if faults.0.is_empty() => Ok(config),
            _ => Err(faults.0),
        }
    }
}

#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, key: &str, what: impl fmt::Display) {
        self.0.push(format!("{key}: {what}"));
    }
}

/// One table of the file. Each key is taken once; what is left over is unknown.
struct Section<'f> {
    name: &'static str,
    table: toml::Table,
    faults: &'f mut Faults,
}

impl Section<'_> {
    fn key(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }

    /// The value of a key as type `T`; a fault and `None` if it is something else.
    fn take<T: serde::de::DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        let value = self.table.remove(key)?;
        let shown = self.key(key);
        match value.try_into() {
            Ok(v) => Some(v),
            Err(e) => {
                self.faults.add(
                    &shown,
                    e.to_string()
                        .trim_end()
                        .lines()
                        .next()
                        .unwrap_or("wrong type"),
                );
                None
            }
        }
    }

    fn required(&mut self, key: &str, hint: &str) -> Option<String> {
        let there = self.table.contains_key(key);
        let value: Option<String> = self.take(key);
        if !there {
            let shown = self.key(key);
            self.faults.add(&shown, format!("missing; {hint}"));
        }
        value
    }

    fn address(&mut self, key: &str, default: &str) -> Option<SocketAddr> {
        let text: String = self.take(key).unwrap_or_else(|| default.to_owned());
        let shown = self.key(key);
        match text.parse() {
            Ok(a) => Some(a),
            Err(_) => {
                self.faults.add(
                    &shown,
                    format!("`{text}` is not an address; write IP:port, such as {default}"),
                );
                None
            }
        }
    }

    fn duration(&mut self, key: &str, default: Duration) -> Duration {
        let Some(text) = self.take::<String>(key) else {
            return default;
        };
        parse_duration(&text).unwrap_or_else(|| {
            let shown = self.key(key);
            self.faults.add(
                &shown,
                format!(
                    "`{text}` is not a duration; write a number with ms, s, m, h or d, such as 10s"
                ),
            );
            default
        })
    }

    /// A secret from `key` or from the file that `key_file` names.
    fn secret(&mut self, key: &str, dir: &Path) -> Option<Secret> {
        let inline: Option<Secret> = self.take(key);
        let file_key = format!("{key}_file");
        let file: Option<PathBuf> = self.take(&file_key);
        let shown = self.key(&file_key);
        match (inline, file) {
            (Some(_), Some(_)) => {
                self.faults
                    .add(&shown, format!("give either {key} or {file_key}, not both"));
                None
            }
            (Some(s), None) => Some(s),
            (None, Some(path)) => match std::fs::read_to_string(dir.join(&path)) {
                Ok(s) => Some(Secret(s.trim_end().to_owned())),
                Err(e) => {
                    self.faults
                        .add(&shown, format!("{} can't be read: {e}", path.display()));
                    None
                }
            },
            (None, None) => None,
        }
    }

    fn login(&mut self, dir: &Path) -> Option<(String, Secret)> {
        let user: Option<String> = self.take("username").filter(|u: &String| !u.is_empty());
        let password = self.secret("password", dir);
        match (user, password) {
            (Some(u), Some(p)) => Some((u, p)),
            (Some(_), None) => {
                let shown = self.key("password");
                self.faults.add(
                    &shown,
                    "missing beside username; set password or password_file",
                );
                None
            }
            _ => None,
        }
    }

    /// Certificate and key: both or none. The outer `None`: a fault.
    fn tls_files(&mut self, dir: &Path, tls: bool) -> Option<Option<Files>> {
        let certificate: Option<PathBuf> = self.take("tls_certificate_file");
        let key: Option<PathBuf> = self.take("tls_key_file");
        let files = match (certificate, key) {
            (None, None) => return Some(None),
            (Some(certificate), Some(key)) => Files {
                certificate: dir.join(certificate),
                key: dir.join(key),
            },
            _ => {
                let shown = self.key("tls_key_file");
                self.faults.add(
                    &shown,
                    "goes with tls_certificate_file; set both or neither",
                );
                return None;
            }
        };
        if !tls {
            let shown = self.key("tls_listen");
            self.faults.add(
                &shown,
                "missing beside tls_key_file; write \"0.0.0.0:8883\"",
            );
            return None;
        }
        Some(Some(files))
    }

    fn finish(self, known: &[&str]) {
        for key in self.table.keys() {
            let near = known
                .iter()
                .min_by_key(|k| distance(k, key))
                .filter(|k| distance(k, key) <= 3);
            let shown = if self.name.is_empty() {
                key.clone()
            } else {
                format!("{}.{key}", self.name)
            };
            match near {
                Some(k) => self
                    .faults
                    .0
                    .push(format!("{shown}: unknown key; did you mean `{k}`?")),
                None => self.faults.0.push(format!(
                    "{shown}: unknown key; known here: {}",
                    known.join(", ")
                )),
            }
        }
    }
}

/// Edit distance, for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let cost = before + usize::from(ca != *cb);
            before = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(before + 1);
        }
    }
    row[b.len()]
}

/// Reads `10s`, `250ms`, `5m`, `1h`, `7d`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let n: u64 = number.trim().parse().ok()?;
    let ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(n.checked_mul(ms)?))
}

struct Sections {
    top: toml::Table,
    broker: toml::Table,
    journal: toml::Table,
    influx: Option<toml::Table>,
    web: toml::Table,
}

impl Sections {
    fn take(mut table: toml::Table, faults: &mut Faults) -> Self {
        let mut section = |name: &str| match table.remove(name) {
            Some(toml::Value::Table(t)) => Some(t),
            Some(_) => {
                faults.add(
                    name,
                    format!("must be a table; write [{name}] above its keys"),
                );
                None
            }
            None => None,
        };
        let broker = section("broker").unwrap_or_default();
        let journal = section("journal").unwrap_or_default();
        let influx = section("influx");
        let web = section("web").unwrap_or_default();
        Self {
            top: table,
            broker,
            journal,
            influx,
            web,
        }
    }

    fn check(self, dir: &Path, faults: &mut Faults) -> Option<Config> {
        let mut top = Section {
            name: "",
            table: self.top,
            faults,
        };
        let data_dir = top.required(
            "data_dir",
            "say where the journal lives, such as \"/var/lib/sen\"",
        );
        let name = top.take("name").unwrap_or_else(|| "Sen".to_owned());
        top.finish(&["data_dir", "name", "broker", "journal", "influx", "web"]);

        let broker = check_broker(
            Section {
                name: "broker",
                table: self.broker,
                faults,
            },
            dir,
        );

        let mut journal = Section {
            name: "journal",
            table: self.journal,
            faults,
        };
        let fold_every = journal.duration("fold_every", Duration::from_secs(3600));
        if fold_every < Duration::from_secs(1) {
            journal
                .faults
                .add("journal.fold_every", "must be at least 1s");
        }
        journal.finish(&["fold_every"]);

        let influx = self.influx.map(|table| {
            check_influx(
                Section {
                    name: "influx",
                    table,
                    faults,
                },
                dir,
            )
        });

        let mut web = Section {
            name: "web",
            table: self.web,
            faults,
        };
        // Nobody signs in yet: only this machine may look, unless the operator opens it.
        let listen = web.address("listen", "127.0.0.1:8080");
        web.finish(&["listen"]);

        Some(Config {
            data_dir: dir.join(data_dir?),
            name,
            broker: broker?,
            fold_every,
            influx: match influx {
                Some(checked) => Some(checked?),
                None => None,
            },
            web: listen?,
        })
    }
}

fn check_broker(mut s: Section<'_>, dir: &Path) -> Option<Broker> {
    let mode: String = s.take("mode").unwrap_or_else(|| "embedded".to_owned());
    match mode.as_str() {
        "embedded" => {
            let tls = s
                .table
                .contains_key("tls_listen")
                .then(|| s.address("tls_listen", "0.0.0.0:8883"));
            let files = s.tls_files(dir, tls.is_some());
            // What is open to the network is what was asked for: beside TLS, the plain port is this machine's.
            let usual = if tls.is_some() {
                "127.0.0.1:1883"
            } else {
                "0.0.0.0:1883"
            };
            let off = s.table.get("listen").and_then(toml::Value::as_str) == Some("off");
            let listen = if off && tls.is_some() {
                s.table.remove("listen");
                None
            } else {
                Some(s.address("listen", usual))
            };
            s.finish(&[
                "mode",
                "listen",
                "tls_listen",
                "tls_certificate_file",
                "tls_key_file",
            ]);
            Some(Broker::Embedded {
                listen: match listen {
                    Some(address) => Some(address?),
                    None => None,
                },
                tls: match tls {
                    Some(address) => Some(TlsDoor {
                        listen: address?,
                        files: files?,
                    }),
                    None => None,
                },
                open: false,
            })
        }
        "external" => {
            let url = s.required(
                "url",
                "give the broker's address, such as \"mqtt://192.168.1.10:1883\"",
            );
            let ca: Option<PathBuf> = s.take("ca_file");
            let client_id = s.take("client_id").unwrap_or_else(|| "sen".to_owned());
            let login = s.login(dir);
            let place = url.and_then(|u| match broker_url(&u) {
                Ok(p) => Some(p),
                Err(e) => {
                    s.faults.add("broker.url", e);
                    None
                }
            });
            if let Some((_, _, true)) = place
                && ca.is_none()
            {
                s.faults.add("broker.ca_file", "missing; mqtts:// needs the certificate (PEM) that the broker's is checked against");
            }
            s.finish(&[
                "mode",
                "url",
                "ca_file",
                "client_id",
                "username",
                "password",
                "password_file",
            ]);
            let (host, port, tls) = place?;
            let tls = if tls { Some(dir.join(ca?)) } else { None };
            Some(Broker::External(External {
                host,
                port,
                tls,
                client_id,
                login,
            }))
        }
        other => {
            s.faults.add(
                "broker.mode",
                format!("`{other}` is not a mode; write \"embedded\" or \"external\""),
            );
            None
        }
    }
}

fn broker_url(text: &str) -> Result<(String, u16, bool), String> {
    let url = reqwest::Url::parse(text)
        .map_err(|e| format!("`{text}` is not an address ({e}); write mqtt://host:1883"))?;
    let tls = match url.scheme() {
        "mqtt" => false,
        "mqtts" => true,
        other => {
            return Err(format!(
                "`{other}://` is not known; write mqtt:// or mqtts://"
            ));
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("has credentials in it; put them in username and password_file".to_owned());
    }
    let host = url
        .host_str()
        .filter(|h| !h.is_empty())
        .ok_or("has no host; write mqtt://host:1883")?;
    Ok((
        host.to_owned(),
        url.port().unwrap_or(if tls { 8883 } else { 1883 }),
        tls,
    ))
}

fn check_influx(mut s: Section<'_>, dir: &Path) -> Option<Influx> {
    let url = s.required("url", "give the server's address, such as \"http://127.0.0.1:8086\"").and_then(|u| match reqwest::Url::parse(&u) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => {
            if parsed.username().is_empty() && parsed.password().is_none() {
                Some(u.trim_end_matches('/').to_owned())
            } else {
                s.faults.add("influx.url", "has credentials in it; put them in username and password_file, or token_file");
                None
            }
        }
        _ => {
            s.faults.add("influx.url", format!("`{u}` is not an address; write http://host:8086"));
            None
        }
    });
    let batch_points: i64 = s.take("batch_points").unwrap_or(5_000);
    if !(1..=100_000).contains(&batch_points) {
        s.faults
            .add("influx.batch_points", "must be between 1 and 100000");
    }
    let batch_age = s.duration("batch_age", Duration::from_secs(1));
    let timeout = s.duration("timeout", Duration::from_secs(10));
    let drain = s.duration("drain", Duration::from_secs(5));
    let backlog_after = s.duration("backlog_after", Duration::from_secs(60));
    let mode = s.required(
        "api",
        "write \"v2\" (InfluxDB 2 and 3, VictoriaMetrics) or \"v1\" (InfluxDB 1)",
    );
    let common = [
        "api",
        "url",
        "batch_points",
        "batch_age",
        "timeout",
        "drain",
        "backlog_after",
    ];
    let api = match mode.as_deref() {
        Some("v1") => {
            let database = s.required("database", "name the database");
            let login = s.login(dir);
            s.finish(
                &[
                    &common[..],
                    &["database", "username", "password", "password_file"],
                ]
                .concat(),
            );
            database.map(|database| InfluxApi::V1 { database, login })
        }
        Some("v2") => {
            let org = s.required("org", "name the organisation");
            let bucket = s.required("bucket", "name the bucket");
            let token = s.secret("token", dir);
            if token.is_none() {
                s.faults
                    .add("influx.token_file", "missing; set token_file (or token)");
            }
            s.finish(&[&common[..], &["org", "bucket", "token", "token_file"]].concat());
            match (org, bucket, token) {
                (Some(org), Some(bucket), Some(token)) => {
                    Some(InfluxApi::V2 { org, bucket, token })
                }
                _ => None,
            }
        }
        Some(other) => {
            s.faults.add(
                "influx.api",
                format!("`{other}` is not known; write \"v1\" or \"v2\""),
            );
            None
        }
        None => None,
    };
    Some(Influx {
        url: url?,
        api: api?,
        batch_points: batch_points as usize,
        batch_age,
        timeout,
        drain,
        backlog_after,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_at_once_with_its_key() {
        let text = "datadir = \"x\"\n[broker]\nmode = \"external\"\nurl = \"http://b\"\n[influx]\napi = \"v3\"\nurl = \"nonsense\"\nbatch_age = \"soon\"\n[web]\nlisten = \"here\"\n[jurnal]\nfold = 1\n";
        let faults = Config::parse(text, Path::new(".")).expect_err("all of it is wrong");
        for key in [
            "data_dir: missing",
            "datadir: unknown key; did you mean `data_dir`",
            "broker.url",
            "influx.api",
            "influx.url",
            "influx.batch_age",
            "web.listen",
            "jurnal",
        ] {
            assert!(
                faults.iter().any(|f| f.contains(key)),
                "{key} not in {faults:#?}"
            );
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let text = "data_dir = \"d\"\n[influx]\napi = \"v2\"\nurl = \"http://h\"\norg = \"o\"\nbucket = \"b\"\ntoken = \"hush-hush\"\n";
        let config = Config::parse(text, Path::new(".")).expect("valid");
        assert!(!format!("{config:?}").contains("hush"), "{config:?}");
    }

    #[test]
    fn the_example_is_valid() {
        let dir = tempfile::tempdir().expect("temp dir");
        std::fs::write(dir.path().join("influx.token"), "t\n").expect("token file");
        Config::parse(include_str!("../sen.example.toml"), dir.path())
            .expect("the example file is valid");
    }
}
