//! One table of the file, taken key by key; what is wrong is collected with the key's full name.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Secret;

/// Everything that is wrong, in the order it was found.
#[derive(Default)]
pub(super) struct Faults(pub(super) Vec<String>);

impl Faults {
    pub(super) fn add(&mut self, key: &str, what: impl fmt::Display) {
        self.0.push(format!("{key}: {what}"));
    }
}

/// One table of the file. Each key is taken once; what is left over is unknown.
pub(super) struct Section<'f> {
    pub(super) name: &'static str,
    pub(super) table: toml::Table,
    pub(super) faults: &'f mut Faults,
}

impl Section<'_> {
    pub(super) fn key(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }

    /// The value of a key as type `T`; a fault and `None` if it is something else.
    pub(super) fn take<T: serde::de::DeserializeOwned>(&mut self, key: &str) -> Option<T> {
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

    pub(super) fn required(&mut self, key: &str, hint: &str) -> Option<String> {
        let there = self.table.contains_key(key);
        let value: Option<String> = self.take(key);
        if !there {
            let shown = self.key(key);
            self.faults.add(&shown, format!("missing; {hint}"));
        }
        value
    }

    pub(super) fn address(&mut self, key: &str, default: &str) -> Option<SocketAddr> {
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

    pub(super) fn duration(&mut self, key: &str, default: Duration) -> Duration {
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
    pub(super) fn secret(&mut self, key: &str, dir: &Path) -> Option<Secret> {
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

    pub(super) fn login(&mut self, dir: &Path) -> Option<(String, Secret)> {
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

    pub(super) fn finish(self, known: &[&str]) {
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
