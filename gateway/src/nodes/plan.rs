//! A node's configuration as people and programs give it, and its way onto the wire.

use sen_wire::calibration::{Calibration, Curve, Point};
use sen_wire::config::SendLimit;
use sen_wire::{Channel, Decimal, NodeConfig};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::reading::Millis;

/// What a node shall do. What is left out is as in a node that was never told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// Seconds from one sample to the next, 1 to 86 400.
    pub sample_every_s: u32,
    /// Seconds that a reading waits at most for others to travel with, 0 to 604 800.
    pub send_every_s: u32,
    /// What to sample, such as `salinity` or `ph_2`; empty: all that the board has.
    pub channels: Vec<String>,
    /// Seconds that the node listens once it has connected, 5 to 3 600; `null`: it stays connected.
    pub listen_s: Option<u16>,
    /// Calibrations, at most one a channel. Left out in a request: those in force stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibrations: Option<Vec<Calibrated>>,
    /// Limits at which the node sends at once.
    pub limits: Vec<Limit>,
}

/// One channel's calibration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Calibrated {
    /// Channel name.
    pub channel: String,
    /// `linear`, `offset`, `ph`, `conductivity`, `oxygen` or `capacitive`.
    pub curve: String,
    /// Rises with each calibration of this channel; given by the gateway.
    #[serde(default)]
    pub version: u32,
    /// When it was made, ms UTC.
    #[serde(default)]
    pub at: Millis,
    /// What was measured.
    pub points: Vec<Measured>,
}

/// One measurement beside a reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// What the probe gave: millivolts of an analog probe, else its own unit.
    #[schema(value_type = f64)]
    pub raw: serde_json::Number,
    /// What it was, in the channel's unit.
    #[schema(value_type = f64)]
    pub value: serde_json::Number,
    /// The temperature then, in degrees Celsius, where the curve takes one.
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    pub temperature: Option<serde_json::Number>,
}

/// A limit at which the node does not wait to send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Channel name.
    pub channel: String,
    /// Low below this.
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    pub below: Option<serde_json::Number>,
    /// High above this.
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    pub above: Option<serde_json::Number>,
}

impl Default for Plan {
    fn default() -> Self {
        let mut plan = Self::of(&NodeConfig::default());
        plan.calibrations = None;
        plan
    }
}

impl Plan {
    /// What a configuration says.
    #[must_use]
    pub fn of(config: &NodeConfig) -> Self {
        Self {
            sample_every_s: config.sample_every_s,
            send_every_s: config.send_every_s,
            channels: config.channels.iter().map(ToString::to_string).collect(),
            listen_s: config.listen_s,
            calibrations: Some(config.calibrations.iter().map(Calibrated::of).collect()),
            limits: config
                .limits
                .iter()
                .map(|l| Limit {
                    channel: l.channel.to_string(),
                    below: l.below.and_then(number),
                    above: l.above.and_then(number),
                })
                .collect(),
        }
    }

    /// The configuration of `version`, with the calibrations of `before` where none are given. Every fault at once.
    ///
    /// # Errors
    /// A line a fault.
    pub fn to_config(&self, version: u32, before: &NodeConfig) -> Result<NodeConfig, Vec<String>> {
        let mut faults = Vec::new();
        let mut config = NodeConfig {
            version,
            sample_every_s: self.sample_every_s,
            send_every_s: self.send_every_s,
            listen_s: self.listen_s,
            ..NodeConfig::default()
        };
        for name in &self.channels {
            if let Some(channel) = noted(&mut faults, channel(name))
                && config.channels.push(channel).is_err()
            {
                faults.push(format!("channels: at most {}", config.channels.capacity()));
                break;
            }
        }
        match &self.calibrations {
            None => config.calibrations = before.calibrations.clone(),
            Some(calibrations) => {
                for given in calibrations {
                    if let Some(read) = noted(&mut faults, given.to_calibration())
                        && config.calibrations.push(read).is_err()
                    {
                        faults.push(format!(
                            "calibrations: at most {}",
                            config.calibrations.capacity()
                        ));
                        break;
                    }
                }
            }
        }
        for given in &self.limits {
            if let Some(read) = noted(&mut faults, given.to_limit())
                && config.limits.push(read).is_err()
            {
                faults.push(format!("limits: at most {}", config.limits.capacity()));
                break;
            }
        }
        // What the node itself would refuse it for.
        config.faults(None, &mut |refusal| faults.push(refusal.to_string()));
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(faults)
        }
    }
}

impl Calibrated {
    /// What a calibration says.
    #[must_use]
    pub fn of(calibration: &Calibration) -> Self {
        Self {
            channel: calibration.channel.to_string(),
            curve: calibration.curve.name().to_owned(),
            version: calibration.version,
            at: calibration.at_ms,
            points: calibration
                .points
                .iter()
                .filter_map(|p| {
                    Some(Measured {
                        raw: number(p.raw)?,
                        value: number(p.value)?,
                        temperature: p.temperature.and_then(number),
                    })
                })
                .collect(),
        }
    }

    pub(super) fn to_calibration(&self) -> Result<Calibration, String> {
        let channel = channel(&self.channel)?;
        let about = |what: String| format!("{}: {what}", self.channel);
        let curve = Curve::from_name(&self.curve).ok_or_else(|| {
            let known: Vec<&str> = Curve::ALL.iter().map(|c| c.name()).collect();
            about(format!(
                "`{}` is no curve; known: {}",
                self.curve,
                known.join(", ")
            ))
        })?;
        let mut calibration = Calibration {
            channel,
            curve,
            version: self.version,
            at_ms: self.at,
            points: sen_wire::calibration::Points::new(),
        };
        for p in &self.points {
            let point = Point {
                raw: decimal(&p.raw).map_err(about)?,
                value: decimal(&p.value).map_err(about)?,
                temperature: p
                    .temperature
                    .as_ref()
                    .map(decimal)
                    .transpose()
                    .map_err(about)?,
            };
            calibration
                .points
                .push(point)
                .map_err(|_| about(format!("at most {} points", calibration.points.capacity())))?;
        }
        Ok(calibration)
    }
}

impl Limit {
    fn to_limit(&self) -> Result<SendLimit, String> {
        let side = |given: &Option<serde_json::Number>| given.as_ref().map(decimal).transpose();
        Ok(SendLimit {
            channel: channel(&self.channel)?,
            below: side(&self.below)?,
            above: side(&self.above)?,
        })
    }
}

fn noted<T>(faults: &mut Vec<String>, read: Result<T, String>) -> Option<T> {
    read.map_err(|fault| faults.push(fault)).ok()
}

/// A channel by its name.
pub(super) fn channel(name: &str) -> Result<Channel, String> {
    Channel::parse(name).ok_or_else(|| {
        format!("`{name}` is no channel; write a quantity such as salinity, or salinity_2 for the second one")
    })
}

/// Exactly what was written.
fn decimal(number: &serde_json::Number) -> Result<Decimal, String> {
    number
        .to_string()
        .parse()
        .map_err(|e| format!("{number}: {e}"))
}

fn number(decimal: Decimal) -> Option<serde_json::Number> {
    if decimal.exponent() >= 0
        && let Some(whole) = decimal.floor_at(0)
    {
        return Some(whole.into());
    }
    serde_json::Number::from_f64(decimal.to_f64())
}
