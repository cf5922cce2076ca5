//! What nodes were told to do, version by version: who changed what and when. A version is never changed; the highest one is
//! in force, is published retained, and the node says in its hello whether it took it.

use rusqlite::{Connection, OptionalExtension, params};
use sen_wire::limits::MAX_CONFIG_BYTES;
use sen_wire::{Channel, Hello, NodeConfig};
use serde::Serialize;
use utoipa::ToSchema;

use super::plan::{Calibrated, Measured, Plan};
use super::{NodeError, number};
use crate::reading::{Millis, NodeNum};
use crate::registry::changed;

/// Most versions that a history shows.
const SHOWN: u32 = 100;

/// One version.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Order {
    /// Its version; 0: the node was never told.
    pub version: u32,
    /// When, ms UTC.
    pub at: Option<Millis>,
    /// Who.
    pub who: Option<String>,
    /// What.
    pub config: Plan,
}

/// How the newest version and the node stand to each other.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct State {
    /// The newest version.
    pub wanted: Order,
    /// `never_told`, `waiting` (the node has not said hello since), `in_force`, `refused`, or `ahead` (the node has a newer
    /// one than this gateway knows of: the journal was restored from a backup).
    pub state: &'static str,
    /// The version that the node says it runs.
    pub running: Option<u32>,
    /// Why the node refused a version, if it did.
    pub refused: Option<Refused>,
    /// The newest format of configurations that its firmware reads.
    pub format: Option<u8>,
}

/// A refusal of the node's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Refused {
    /// The version, if the node could read it.
    pub version: Option<u32>,
    /// Stable, for programs.
    pub reason: &'static str,
    /// The channel at fault.
    pub channel: Option<String>,
    /// For people.
    pub message: String,
}

/// A change of a node's configuration.
#[derive(Debug, Clone)]
pub struct Change {
    /// What it shall do.
    pub plan: Plan,
    /// The version that the change was made from; refused if another one is in force. `None`: whichever.
    pub base: Option<u32>,
    /// Who changes it.
    pub who: String,
}

/// Writes a new version; answers it.
///
/// # Errors
/// [`NodeError`], with every fault at once.
pub fn change(c: &Connection, id: &str, change: &Change, now: Millis) -> Result<Order, NodeError> {
    let num = number(c, id)?;
    let before = newest(c, num)?;
    if let Some(base) = change.base
        && base != before.version
    {
        return Err(NodeError::Conflict {
            in_force: before.version,
            base,
        });
    }
    let said = Said::of(c, num)?;
    // Above what the node has seen too: a restored journal may know less than the node.
    let seen = [said.running, said.refused.as_ref().and_then(|r| r.version)];
    let version = seen
        .into_iter()
        .flatten()
        .chain([before.version])
        .max()
        .unwrap_or(0)
        .checked_add(1)
        .ok_or_else(|| NodeError::Fault("the versions of this node are used up".to_owned()))?;
    let config = change
        .plan
        .to_config(version, &before)
        .map_err(|faults| NodeError::Fault(faults.join("; ")))?;
    if let Some(reads) = said.format
        && config.format() > reads
    {
        return Err(NodeError::Fault(format!(
            "the node's firmware reads configurations of format {reads} only, and this one needs {}: update the firmware, or leave out listen_s, limits and calibrations",
            config.format()
        )));
    }
    let mut buffer = [0; MAX_CONFIG_BYTES];
    let body = config.encode(&mut buffer).map_err(|_| {
        NodeError::Fault(format!(
            "the configuration takes more than {MAX_CONFIG_BYTES} bytes: leave something out"
        ))
    })?;
    c.execute(
        "INSERT INTO node_config (node, version, at, who, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![num, version, now, change.who, body],
    )?;
    changed(c)?;
    Ok(Order {
        version,
        at: Some(now),
        who: Some(change.who.clone()),
        config: Plan::of(&config),
    })
}

/// A calibration of one channel, measured by `who`: a new version of the configuration with this in it.
///
/// # Errors
/// [`NodeError`]: points that make no sense are refused by name.
pub fn calibrate(
    c: &Connection,
    id: &str,
    given: &Calibrated,
    who: &str,
    now: Millis,
) -> Result<Order, NodeError> {
    let num = number(c, id)?;
    let mut calibration = given.to_calibration().map_err(NodeError::Fault)?;
    calibration.at_ms = now;
    calibration
        .check()
        .map_err(|e| NodeError::Fault(format!("{}: {e}", calibration.channel)))?;
    let earlier = calibrations(c, id, calibration.channel)?;
    calibration.version = earlier.iter().map(|e| e.version).max().unwrap_or(0) + 1;
    let mut config = newest(c, num)?;
    config
        .calibrations
        .retain(|other| other.channel != calibration.channel);
    config.calibrations.push(calibration).map_err(|_| {
        NodeError::Fault(format!(
            "at most {} channels of a node are calibrated",
            config.calibrations.capacity()
        ))
    })?;
    change(
        c,
        id,
        &Change {
            plan: Plan::of(&config),
            base: Some(config.version),
            who: who.to_owned(),
        },
        now,
    )
}

/// One calibration of a channel, as it was made.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Earlier {
    /// Version of the calibration.
    pub version: u32,
    /// The curve.
    pub curve: String,
    /// When it was made, ms UTC.
    pub at: Millis,
    /// By whom.
    pub who: String,
    /// The configuration that brought it.
    pub config_version: u32,
    /// What was measured.
    pub points: Vec<Measured>,
}

/// Every calibration that a channel had, the newest first.
///
/// # Errors
/// [`NodeError`].
pub fn calibrations(c: &Connection, id: &str, channel: Channel) -> Result<Vec<Earlier>, NodeError> {
    let mut found: Vec<Earlier> = Vec::new();
    let num = number(c, id)?;
    for (version, who, config) in versions(c, num, u32::MAX)?
        .into_iter()
        .rev()
        .filter_map(|row| Some((row.version, row.who, row.config?)))
    {
        if let Some(calibration) = config.calibration(channel)
            && found
                .first()
                .is_none_or(|f| f.version != calibration.version)
        {
            let Calibrated { curve, points, .. } = Calibrated::of(calibration);
            found.insert(
                0,
                Earlier {
                    version: calibration.version,
                    curve,
                    at: calibration.at_ms,
                    who,
                    config_version: version,
                    points,
                },
            );
        }
    }
    Ok(found)
}

/// The configuration that the node says it runs; `None` if it has not said, or this journal does not have that version.
///
/// # Errors
/// [`NodeError`].
pub fn running(c: &Connection, id: &str) -> Result<Option<NodeConfig>, NodeError> {
    let num = number(c, id)?;
    Ok(match Said::of(c, num)?.running {
        None => None,
        Some(0) => Some(NodeConfig::default()),
        Some(running) => versions(c, num, u32::MAX)?
            .into_iter()
            .find(|row| row.version == running)
            .and_then(|row| row.config),
    })
}

/// The newest version and what the node says of it.
///
/// # Errors
/// [`NodeError`].
pub fn state(c: &Connection, id: &str) -> Result<State, NodeError> {
    let num = number(c, id)?;
    let said = Said::of(c, num)?;
    let wanted = history(c, id)?.into_iter().next().unwrap_or_else(|| Order {
        version: 0,
        at: None,
        who: None,
        config: Plan::of(&NodeConfig::default()),
    });
    let refused_this = said
        .refused
        .as_ref()
        .is_some_and(|r| r.version.is_none_or(|v| v == wanted.version));
    let state = match said.running {
        _ if wanted.version == 0 && said.running.unwrap_or(0) == 0 => "never_told",
        Some(running) if running > wanted.version => "ahead",
        Some(running) if running == wanted.version => "in_force",
        _ if refused_this => "refused",
        _ => "waiting",
    };
    Ok(State {
        wanted,
        state,
        running: said.running,
        refused: said.refused,
        format: said.format,
    })
}

/// The last versions, the newest first.
///
/// # Errors
/// [`NodeError`].
pub fn history(c: &Connection, id: &str) -> Result<Vec<Order>, NodeError> {
    let num = number(c, id)?;
    Ok(versions(c, num, SHOWN)?
        .into_iter()
        .map(|row| Order {
            version: row.version,
            at: Some(row.at),
            who: Some(row.who),
            config: Plan::of(&row.config.unwrap_or_default()),
        })
        .collect())
}

struct Row {
    version: u32,
    at: Millis,
    who: String,
    config: Option<NodeConfig>,
}

/// The newest first.
fn versions(c: &Connection, num: NodeNum, most: u32) -> rusqlite::Result<Vec<Row>> {
    c.prepare_cached(
        "SELECT version, at, who, body FROM node_config WHERE node = ?1 ORDER BY version DESC LIMIT ?2",
    )?
    .query_map(params![num, most], |r| {
        let body: Vec<u8> = r.get(3)?;
        Ok(Row {
            version: r.get(0)?,
            at: r.get(1)?,
            who: r.get(2)?,
            config: NodeConfig::decode(&body).ok(),
        })
    })?
    .collect()
}

fn newest(c: &Connection, num: NodeNum) -> Result<NodeConfig, NodeError> {
    Ok(versions(c, num, 1)?
        .into_iter()
        .find_map(|row| row.config)
        .unwrap_or_default())
}

/// What the node said in its last hello.
struct Said {
    running: Option<u32>,
    refused: Option<Refused>,
    format: Option<u8>,
}

impl Said {
    fn of(c: &Connection, num: NodeNum) -> rusqlite::Result<Self> {
        let body: Option<Vec<u8>> = c
            .query_row("SELECT body FROM hello WHERE node = ?1", [num], |r| {
                r.get(0)
            })
            .optional()?;
        let hello = body.as_deref().and_then(|body| Hello::decode(body).ok());
        Ok(Self {
            running: hello.as_ref().and_then(|h| h.config_version),
            refused: hello.as_ref().and_then(Hello::refusal).map(|r| Refused {
                version: r.version,
                reason: r.reason.reason(),
                channel: r.channel.map(|c| c.to_string()),
                message: r.to_string(),
            }),
            format: hello.map(|h| h.config_format.unwrap_or(1)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodes::{NewNode, add};
    use crate::registry::{Registry, open};

    fn fresh() -> (tempfile::TempDir, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let c = open(dir.path()).unwrap();
        let node = NewNode {
            id: "n".to_owned(),
            ..NewNode::default()
        };
        add(&c, &node, 1).unwrap();
        (dir, c)
    }

    fn plan(json: &str) -> Plan {
        serde_json::from_str(json).unwrap()
    }

    fn by(plan: Plan, base: Option<u32>) -> Change {
        Change {
            plan,
            base,
            who: "linh".to_owned(),
        }
    }

    fn says(c: &Connection, hello: &Hello<'_>) {
        let mut buffer = [0; 160];
        let body = hello.encode(&mut buffer).unwrap();
        let num = number(c, "n").unwrap();
        c.execute(
            "INSERT OR REPLACE INTO hello VALUES (?1, 1, ?2)",
            params![num, body],
        )
        .unwrap();
    }

    #[test]
    fn versions_rise_and_old_ones_are_kept_with_who_and_when() {
        let (_dir, c) = fresh();
        assert_eq!(state(&c, "n").unwrap().state, "never_told");
        let first = by(
            plan(r#"{"sample_every_s": 300, "channels": ["salinity", "ph"]}"#),
            None,
        );
        assert_eq!(change(&c, "n", &first, 10).unwrap().version, 1);
        let second = by(
            plan(r#"{"limits": [{"channel": "salinity", "above": 4.5}]}"#),
            Some(1),
        );
        assert_eq!(change(&c, "n", &second, 20).unwrap().version, 2);
        assert!(matches!(
            change(&c, "n", &second, 30),
            Err(NodeError::Conflict {
                in_force: 2,
                base: 1
            })
        ));
        let all = history(&c, "n").unwrap();
        assert_eq!(
            all.iter().map(|o| (o.version, o.at)).collect::<Vec<_>>(),
            [(2, Some(20)), (1, Some(10))]
        );
        assert_eq!(all[1].config.channels, ["salinity", "ph"]);
        assert_eq!(all[0].config.limits, second.plan.limits);
        // What is published is what was asked for.
        let registry = Registry::load(&c).unwrap();
        let told = registry.node("n").unwrap().config.clone().unwrap();
        assert_eq!(
            Plan::of(&NodeConfig::decode(&told.body).unwrap()),
            all[0].config
        );
    }

    #[test]
    fn the_node_has_the_last_word() {
        let (_dir, c) = fresh();
        change(&c, "n", &by(Plan::default(), None), 10).unwrap();
        let hello = |version| Hello {
            config_version: Some(version),
            config_format: Some(2),
            ..Hello::default()
        };
        says(&c, &hello(0));
        assert_eq!(state(&c, "n").unwrap().state, "waiting");
        says(
            &c,
            &Hello {
                refused_version: Some(1),
                refused_reason: Some(sen_wire::RefusalReason::NotOnBoard),
                refused_channel: Some("ph"),
                ..hello(0)
            },
        );
        let now = state(&c, "n").unwrap();
        let refused = now.refused.unwrap();
        assert_eq!((now.state, refused.reason), ("refused", "not_on_board"));
        assert_eq!(refused.channel.as_deref(), Some("ph"));
        says(&c, &hello(1));
        assert_eq!(state(&c, "n").unwrap().state, "in_force");
        // A node that knows of more than a restored journal: the next version is above that too.
        says(&c, &hello(9));
        assert_eq!(state(&c, "n").unwrap().state, "ahead");
        assert_eq!(
            change(&c, "n", &by(Plan::default(), None), 20)
                .unwrap()
                .version,
            10
        );
    }

    #[test]
    fn faults_come_together_and_nothing_is_written() {
        let (_dir, c) = fresh();
        let wrong = plan(
            r#"{"sample_every_s": 0, "channels": ["salt", "ph", "ph"], "listen_s": 1,
                "limits": [{"channel": "salinity", "below": 9, "above": 1}]}"#,
        );
        let Err(NodeError::Fault(said)) = change(&c, "n", &by(wrong, None), 1) else {
            panic!("must be refused")
        };
        for part in [
            "`salt`",
            "sample interval",
            "listen window",
            "ph: names a channel twice",
            "salinity",
        ] {
            assert!(said.contains(part), "{part} not in {said}");
        }
        assert!(history(&c, "n").unwrap().is_empty());
    }

    #[test]
    fn an_old_firmware_is_not_sent_what_it_can_not_read() {
        let (_dir, c) = fresh();
        says(&c, &Hello::default());
        let newer = plan(r#"{"listen_s": 30}"#);
        let Err(NodeError::Fault(said)) = change(&c, "n", &by(newer, None), 1) else {
            panic!("must be refused")
        };
        assert!(said.contains("format 1"), "{said}");
        assert!(change(&c, "n", &by(plan(r#"{"sample_every_s": 60}"#), None), 1).is_ok());
    }

    #[test]
    fn calibrations_have_versions_of_their_own_and_senseless_points_are_refused() {
        let (_dir, c) = fresh();
        let ph = |raw: f64| {
            serde_json::from_value::<Calibrated>(serde_json::json!({
                "channel": "ph", "curve": "ph",
                "points": [{"raw": 1500, "value": 7, "temperature": 25}, {"raw": raw, "value": 4, "temperature": 25}],
            }))
            .unwrap()
        };
        let Err(NodeError::Fault(said)) = calibrate(&c, "n", &ph(1400.0), "linh", 1) else {
            panic!("the wrong way")
        };
        assert!(said.contains("wrong way"), "{said}");
        calibrate(&c, "n", &ph(2032.44), "linh", 10).unwrap();
        // A change of something else leaves the calibration alone.
        change(&c, "n", &by(plan(r#"{"sample_every_s": 60}"#), None), 20).unwrap();
        calibrate(&c, "n", &ph(2000.0), "hoa", 30).unwrap();
        let all = calibrations(&c, "n", Channel::parse("ph").unwrap()).unwrap();
        assert_eq!(
            all.iter()
                .map(|e| (e.version, e.at, e.who.as_str(), e.config_version))
                .collect::<Vec<_>>(),
            [(2, 30, "hoa", 3), (1, 10, "linh", 1)]
        );
        assert_eq!(all[1].points[1].raw.as_f64(), Some(2032.44));
        assert_eq!(history(&c, "n").unwrap()[0].config.sample_every_s, 60);
    }
}
