//! What each section must say, and what a key is worth that isn't there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keep;
use super::section::{Faults, Section};
use super::{Broker, Config, External, Influx, InfluxApi};

/// The tables of the file.
pub(super) struct Sections {
    top: toml::Table,
    broker: toml::Table,
    journal: toml::Table,
    influx: Option<toml::Table>,
    web: toml::Table,
}

impl Sections {
    pub(super) fn take(mut table: toml::Table, faults: &mut Faults) -> Self {
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

    pub(super) fn check(self, dir: &Path, faults: &mut Faults) -> Option<Config> {
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
        let keep = keep::take(&mut journal);
        journal.finish(&[&["fold_every"], &keep::KEYS[..]].concat());

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
            keep,
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
            let listen = s.address("listen", "0.0.0.0:1883");
            s.finish(&["mode", "listen"]);
            Some(Broker::Embedded {
                listen: listen?,
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
