//! `sen.toml`: read once, checked as a whole, every fault reported with its key.
//!
//! What a checked configuration holds is here. TOML goes through `section` (one table, each key taken once, unknown ones
//! refused) and `check` (what a section must say, and what it is worth when it doesn't) into the typed [`Config`] that the
//! rest of the program trusts. Secrets print as `***` and can come from files.

mod check;
mod keep;
mod section;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use check::Sections;
pub use keep::{Keep, parse_size};
use section::Faults;
pub use section::parse_duration;

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
    /// How long and how much the journal keeps.
    pub keep: Keep,
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
        /// Where nodes connect.
        listen: SocketAddr,
        /// Lets clients in without credentials: the demonstration only, no configuration can say so.
        open: bool,
    },
    /// Another broker holds the connections.
    External(External),
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
