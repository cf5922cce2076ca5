//! Who is known: farms, their plots, the nodes on them and each node's secret.
//!
//! The tables live in the journal's file. The command line writes them, also while a gateway runs; the gateway notices by
//! the counter `registry` in the `mark` table and takes the new snapshot. A snapshot is immutable and shared.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Secret;
use crate::journal::{Journal, ReadError};
use crate::reading::{Millis, NodeNum};

/// Shortest password that is taken: the stored hash is fast, so the password must not be guessable.
pub const MIN_PASSWORD: usize = 16;
/// How often the file is looked at for changes by another process.
const LOOK: Duration = Duration::from_secs(1);

/// A farm.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Farm {
    /// Id, as in topics and tags.
    pub id: String,
    /// Name, as people write it.
    pub name: String,
    /// Commune (xã, phường).
    pub commune: Option<String>,
    /// Groups that it belongs to: a cooperative, a canal.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// A plot of a farm.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plot {
    /// Id, as in topics and tags.
    pub id: String,
    /// The farm it belongs to.
    pub farm: String,
    /// Name, as people write it.
    pub name: String,
    /// What grows there.
    pub crop: Option<String>,
    /// Area in hectares.
    pub area_ha: Option<f64>,
    /// The day that its crop was sown, or its pond stocked.
    pub sown: Option<NaiveDate>,
}

/// A node on a plot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its number in the journal.
    pub num: NodeNum,
    /// Id; also MQTT client id and user name.
    pub id: String,
    /// The plot it stands on.
    pub plot: String,
    /// Name, as people write it.
    pub name: String,
    /// Since when it is refused; `None`: it is let in.
    pub revoked: Option<Millis>,
    /// The board that it was flashed for; `None`: any.
    pub board: Option<String>,
    /// What it was last told to do.
    pub config: Option<Configured>,
    secret: [u8; 32],
}

/// A configuration as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    /// Its version.
    pub version: u32,
    /// Its bytes on the wire.
    pub body: Arc<[u8]>,
}

impl Node {
    /// Whether this is the node's password. Takes the same time for every wrong one.
    ///
    /// A node's password is generated with 128 bits or at least [`MIN_PASSWORD`] characters long, so a fast hash is enough:
    /// after a power cut a thousand nodes come back at once, and a slow one (argon2, 30 ms) would keep them out for half a minute.
    #[must_use]
    pub fn is_password(&self, password: &[u8]) -> bool {
        hash(password).ct_eq(&self.secret).into()
    }
}

pub(crate) fn hash(password: &[u8]) -> [u8; 32] {
    Sha256::digest(password).into()
}

/// Everything known at one moment.
#[derive(Debug, Default)]
pub struct Registry {
    /// Farms by id, in order of id.
    pub farms: Vec<Farm>,
    /// Plots in order of farm and id.
    pub plots: Vec<Plot>,
    /// Nodes in order of id.
    pub nodes: Vec<Arc<Node>>,
    by_id: HashMap<String, Arc<Node>>,
    by_num: HashMap<NodeNum, Arc<Node>>,
}

impl Registry {
    pub(crate) fn load(c: &Connection) -> rusqlite::Result<Self> {
        let mut groups: HashMap<String, Vec<String>> = HashMap::new();
        let mut rows = c.prepare_cached("SELECT farm, name FROM farm_group ORDER BY farm, name")?;
        let mut rows = rows.query([])?;
        while let Some(r) = rows.next()? {
            groups.entry(r.get(0)?).or_default().push(r.get(1)?);
        }
        let farms = c
            .prepare_cached("SELECT id, name, commune FROM farm ORDER BY id")?
            .query_map([], |r| {
                let id: String = r.get(0)?;
                Ok(Farm {
                    groups: groups.remove(&id).unwrap_or_default(),
                    id,
                    name: r.get(1)?,
                    commune: r.get(2)?,
                })
            })?
            .collect::<Result<Vec<_>, _>>()?;
        let plots = c
            .prepare_cached(
                "SELECT id, farm, name, crop, area_ha, sown FROM plot ORDER BY farm, id",
            )?
            .query_map([], |r| {
                Ok(Plot {
                    id: r.get(0)?,
                    farm: r.get(1)?,
                    name: r.get(2)?,
                    crop: r.get(3)?,
                    area_ha: r.get(4)?,
                    sown: r
                        .get::<_, Option<String>>(5)?
                        .and_then(|day| day.parse().ok()),
                })
            })?
            .collect::<Result<Vec<_>, _>>()?;
        let nodes = c
            .prepare_cached(
                "SELECT num, id, plot, name, secret, revoked, board, version, body FROM node
                 LEFT JOIN node_config ON node = num AND version = (SELECT max(version) FROM node_config WHERE node = num)
                 ORDER BY id",
            )?
            .query_map([], |r| {
                let version: Option<u32> = r.get(7)?;
                let body: Option<Vec<u8>> = r.get(8)?;
                Ok(Arc::new(Node {
                    num: r.get(0)?,
                    id: r.get(1)?,
                    plot: r.get(2)?,
                    name: r.get(3)?,
                    secret: r.get(4)?,
                    revoked: r.get(5)?,
                    board: r.get(6)?,
                    config: version.zip(body).map(|(version, body)| Configured {
                        version,
                        body: body.into(),
                    }),
                }))
            })?
            .collect::<Result<Vec<_>, _>>()?;
        let by_id = nodes.iter().map(|n| (n.id.clone(), n.clone())).collect();
        let by_num = nodes.iter().map(|n| (n.num, n.clone())).collect();
        Ok(Self {
            farms,
            plots,
            nodes,
            by_id,
            by_num,
        })
    }

    /// The node of an id.
    #[must_use]
    pub fn node(&self, id: &str) -> Option<&Arc<Node>> {
        self.by_id.get(id)
    }

    /// The node of a number.
    #[must_use]
    pub fn node_num(&self, num: NodeNum) -> Option<&Arc<Node>> {
        self.by_num.get(&num)
    }

    /// The plot of an id.
    #[must_use]
    pub fn plot(&self, id: &str) -> Option<&Plot> {
        self.plots.iter().find(|p| p.id == id)
    }
}

/// The current snapshot, shared; follows the file.
#[derive(Debug, Clone)]
pub struct Known(watch::Sender<Arc<Registry>>);

impl Known {
    /// Loads the registry of a journal.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn load(journal: &Journal) -> Result<Self, ReadError> {
        let registry = journal.read(|c| Ok(Registry::load(c)?)).await?;
        Ok(Self(watch::Sender::new(Arc::new(registry))))
    }

    /// The snapshot of this moment.
    #[must_use]
    pub fn now(&self) -> Arc<Registry> {
        self.0.borrow().clone()
    }

    /// The snapshots from now on; the one of this moment counts as seen only once it was looked at.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<Registry>> {
        let mut changes = self.0.subscribe();
        changes.mark_changed();
        changes
    }

    fn replace(&self, registry: Registry) {
        self.0.send_replace(Arc::new(registry));
    }

    /// Takes the file's state at once, after a write of our own.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn refresh(&self, journal: &Journal) -> Result<(), ReadError> {
        self.replace(journal.read(|c| Ok(Registry::load(c)?)).await?);
        Ok(())
    }

    /// Follows changes by other processes until `stop`.
    pub async fn follow(self, journal: Journal, stop: CancellationToken) {
        let mut seen = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            // A cheap fingerprint: registry rows are only added or changed by id.
            let now = journal.read(|c| Ok(fingerprint(c)?)).await;
            match now {
                Ok(now) if seen.as_ref() != Some(&now) => match self.refresh(&journal).await {
                    Ok(()) => seen = Some(now),
                    Err(e) => tracing::warn!("registry not read again, trying later: {e}"),
                },
                Ok(_) => {}
                Err(e) => tracing::warn!("registry not looked at, trying later: {e}"),
            }
        }
    }
}

/// Changes whenever a registry table does.
fn fingerprint(c: &Connection) -> rusqlite::Result<i64> {
    c.prepare_cached("SELECT at FROM mark WHERE name = 'registry'")?
        .query_row([], |r| r.get(0))
        .optional()
        .map(Option::unwrap_or_default)
}

/// A registry file: what `sen registry apply` takes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryFile {
    /// Farms.
    #[serde(default)]
    pub farm: Vec<Farm>,
    /// Plots.
    #[serde(default)]
    pub plot: Vec<Plot>,
    /// Nodes.
    #[serde(default)]
    pub node: Vec<NodeEntry>,
}

/// A node as the command line gives it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeEntry {
    /// Id.
    pub id: String,
    /// The plot it stands on.
    pub plot: String,
    /// Name; the id if left out.
    pub name: Option<String>,
    /// Password; a new node without one gets a generated one, a known node keeps its own.
    pub password: Option<Secret>,
}

/// The registry was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// What is wrong, a line each.
    #[error("nothing was changed:\n{}", .0.iter().map(|f| format!("  - {f}")).collect::<Vec<_>>().join("\n"))]
    Faults(Vec<String>),
    /// The file can't be written.
    #[error("the registry can't be written")]
    Sqlite(#[from] rusqlite::Error),
}

/// A password that was generated, to be shown once.
#[derive(Debug)]
pub struct Generated {
    /// The node's id.
    pub node: String,
    /// Its password.
    pub password: Secret,
}

/// Adds or changes everything that the file names, or nothing. Leaves alone what it does not name.
///
/// # Errors
/// [`RegistryError`] with every fault at once.
pub fn apply(c: &Connection, file: &RegistryFile) -> Result<Vec<Generated>, RegistryError> {
    let mut faults = check(c, file)?;
    if !faults.is_empty() {
        faults.sort();
        return Err(RegistryError::Faults(faults));
    }
    let mut generated = Vec::new();
    for f in &file.farm {
        c.execute(
            "INSERT INTO farm (id, name, commune) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET name = ?2, commune = ?3",
            params![f.id, f.name, f.commune],
        )?;
        c.execute("DELETE FROM farm_group WHERE farm = ?1", [&f.id])?;
        for group in &f.groups {
            c.execute(
                "INSERT OR IGNORE INTO farm_group VALUES (?1, ?2)",
                [&f.id, group],
            )?;
        }
    }
    for p in &file.plot {
        c.execute(
            "INSERT INTO plot (id, farm, name, crop, area_ha, sown) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO UPDATE SET farm = ?2, name = ?3, crop = ?4, area_ha = ?5, sown = ?6",
            params![p.id, p.farm, p.name, p.crop, p.area_ha, p.sown.map(|day| day.to_string())],
        )?;
    }
    for n in &file.node {
        let known: Option<i64> = c
            .query_row("SELECT num FROM node WHERE id = ?1", [&n.id], |r| r.get(0))
            .optional()?;
        let name = n.name.as_deref().unwrap_or(&n.id);
        let password = match (&n.password, known) {
            (Some(p), _) => Some(p.clone()),
            (None, Some(_)) => None,
            (None, None) => {
                let password = generate();
                generated.push(Generated {
                    node: n.id.clone(),
                    password: password.clone(),
                });
                Some(password)
            }
        };
        let secret = password.map(|p| hash(p.reveal().as_bytes()));
        c.execute(
            "INSERT INTO node (id, plot, name, secret) VALUES (?1, ?2, ?3, coalesce(?4, x''))
             ON CONFLICT (id) DO UPDATE SET plot = ?2, name = ?3, secret = coalesce(?4, secret)",
            params![n.id, n.plot, name, secret],
        )?;
    }
    changed(c)?;
    Ok(generated)
}

/// Tells every process that follows the registry that it is another one now.
pub(crate) fn changed(c: &Connection) -> rusqlite::Result<()> {
    c.execute(
        "INSERT INTO mark VALUES ('registry', 1) ON CONFLICT (name) DO UPDATE SET at = at + 1",
        [],
    )
    .map(drop)
}

fn check(c: &Connection, file: &RegistryFile) -> rusqlite::Result<Vec<String>> {
    let mut faults = Vec::new();
    let known = |table: &str, id: &str| -> rusqlite::Result<bool> {
        c.query_row(
            &format!("SELECT 1 FROM {table} WHERE id = ?1"),
            [id],
            |_| Ok(()),
        )
        .optional()
        .map(|r| r.is_some())
    };
    let ids = file
        .farm
        .iter()
        .map(|f| ("farm", &f.id))
        .chain(file.plot.iter().map(|p| ("plot", &p.id)))
        .chain(file.node.iter().map(|n| ("node", &n.id)));
    let mut seen = std::collections::HashSet::new();
    for (kind, id) in ids {
        if let Err(e) = sen_wire::id::check_id(id) {
            faults.push(format!("{kind} `{id}`: {e}"));
        }
        if !seen.insert((kind, id)) {
            faults.push(format!("{kind} `{id}`: named twice"));
        }
    }
    for p in &file.plot {
        if !file.farm.iter().any(|f| f.id == p.farm) && !known("farm", &p.farm)? {
            faults.push(format!(
                "plot `{}`: farm `{}` is not known; add a [[farm]] for it",
                p.id, p.farm
            ));
        }
        if p.area_ha.is_some_and(|a| !(a > 0.0 && a < 100_000.0)) {
            faults.push(format!(
                "plot `{}`: area_ha must be a number of hectares above 0",
                p.id
            ));
        }
    }
    for n in &file.node {
        if !file.plot.iter().any(|p| p.id == n.plot) && !known("plot", &n.plot)? {
            faults.push(format!(
                "node `{}`: plot `{}` is not known; add a [[plot]] for it",
                n.id, n.plot
            ));
        }
        if n.password
            .as_ref()
            .is_some_and(|p| p.reveal().len() < MIN_PASSWORD)
        {
            faults.push(format!("node `{}`: the password is shorter than {MIN_PASSWORD} characters; leave it out to have one generated", n.id));
        }
    }
    Ok(faults)
}

/// 130 random bits in letters that nobody confuses (no 0, O, 1, l, I).
pub(crate) fn generate() -> Secret {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789A";
    let mut random = [0u8; 26];
    getrandom::fill(&mut random).expect("the system's random source works");
    Secret::from(
        random
            .iter()
            .map(|b| char::from(LETTERS[usize::from(b & 31)]))
            .collect::<String>(),
    )
}

/// Opens the journal's file for the command line, making it if there is none yet.
///
/// # Errors
/// [`crate::journal::OpenError`].
pub fn open(dir: &Path) -> Result<Connection, crate::journal::OpenError> {
    crate::journal::open_tables(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[[farm]]\nid='f'\nname='Trại'\n[[plot]]\nid='p'\nfarm='f'\nname='Ao'\n[[node]]\nid='n'\nplot='p'\n";

    fn fresh() -> (tempfile::TempDir, Connection) {
        let dir = tempfile::tempdir().expect("temp dir");
        let c = open(dir.path()).expect("journal");
        (dir, c)
    }

    #[test]
    fn applying_twice_changes_nothing_and_keeps_the_password() {
        let (_dir, c) = fresh();
        let file: RegistryFile = toml::from_str(FILE).expect("file");
        let first = apply(&c, &file).expect("applies");
        assert_eq!(first.len(), 1);
        assert!(apply(&c, &file).expect("applies again").is_empty());
        let registry = Registry::load(&c).expect("loads");
        let node = registry.node("n").expect("node");
        assert!(node.is_password(first[0].password.reveal().as_bytes()));
        assert!(!node.is_password(b""));
    }

    #[test]
    fn faults_come_together_and_nothing_is_written() {
        let (_dir, c) = fresh();
        let file: RegistryFile =
            toml::from_str("[[plot]]\nid='P'\nfarm='f'\nname=''\narea_ha=-1\n[[node]]\nid='n'\nplot='q'\npassword='short'\n").expect("file");
        let Err(RegistryError::Faults(faults)) = apply(&c, &file) else {
            panic!("must be refused")
        };
        assert_eq!(faults.len(), 5, "{faults:#?}");
        assert!(Registry::load(&c).expect("loads").plots.is_empty());
    }
}
