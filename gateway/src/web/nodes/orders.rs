//! What nodes shall do: their configuration and its history, and the calibration of their channels.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use sen_wire::config::companions;
use sen_wire::{Channel, Decimal};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answer, Id, change as write, id, look};
use crate::nodes::orders::{self, Change, Earlier, Order};
use crate::nodes::plan::{Calibrated, Measured, Plan};
use crate::nodes::raw::raw;
use crate::reading::Millis;
use crate::web::Web;
use crate::web::model::{ApiError, Body};
use crate::web::operator::Operator;

/// The configuration that a node should have, and what the node says of it.
#[utoipa::path(get, path = "/api/v1/nodes/{node}/config", params(("node" = String, Path, description = "Node id")),
    responses((status = 200, body = orders::State), (status = 404, body = ApiError)))]
pub(crate) async fn state(State(web): State<Web>, node: Id) -> Answer<orders::State> {
    let node = id(node)?;
    Ok(Json(look(&web, move |c| orders::state(c, &node)).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOrder {
    /// What the node shall do.
    config: Plan,
    /// The version that the change was made from: refused if another one is in force by now.
    base_version: Option<u32>,
    /// Who changes it.
    who: Option<String>,
}

/// Gives a node a new configuration: checked, kept with who and when, published.
#[utoipa::path(put, path = "/api/v1/nodes/{node}/config", params(("node" = String, Path, description = "Node id")), request_body = NewOrder,
    responses((status = 200, body = Order), (status = 400, body = ApiError), (status = 403, body = ApiError), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(crate) async fn change(
    State(web): State<Web>,
    operator: Operator,
    node: Id,
    Body(order): Body<NewOrder>,
) -> Answer<Order> {
    let (node, now) = (id(node)?, web.clock.now());
    let change = Change {
        plan: order.config,
        base: order.base_version,
        who: operator.signs(order.who),
    };
    Ok(Json(
        write(&web, move |c| orders::change(c, &node, &change, now)).await?,
    ))
}

/// Every configuration that a node was given, the newest first, 100 at most.
#[utoipa::path(get, path = "/api/v1/nodes/{node}/config/history", params(("node" = String, Path, description = "Node id")),
    responses((status = 200, body = Vec<Order>), (status = 404, body = ApiError)))]
pub(crate) async fn history(State(web): State<Web>, node: Id) -> Answer<Vec<Order>> {
    let node = id(node)?;
    Ok(Json(look(&web, move |c| orders::history(c, &node)).await?))
}

/// A channel as its calibration sees it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChannelState {
    node: String,
    channel: String,
    unit: &'static str,
    /// The newest reading, if there is one.
    live: Option<Live>,
    /// Every calibration that the channel had, the newest first; the first one is in force.
    calibrations: Vec<Earlier>,
}

#[derive(Serialize, ToSchema)]
struct Live {
    at: Millis,
    age_ms: Millis,
    /// As calibrated.
    value: Option<f64>,
    /// What the probe gave, worked back from the value by the calibration that the node says it runs, with the newest
    /// temperature beside it. `null` where that can't be known, as with a channel that was never calibrated.
    raw: Option<f64>,
    fault: Option<&'static str>,
}

type NodeChannel = Result<Path<(String, String)>, PathRejection>;

fn parts(path: NodeChannel) -> Result<(String, Channel), ApiError> {
    let Path((node, name)) = path.map_err(|e| ApiError::bad_request(e.body_text()))?;
    let channel = Channel::parse(&name)
        .ok_or_else(|| ApiError::bad_request("no such channel; see /api/v1/latest for names"))?;
    Ok((node, channel))
}

/// A channel's newest reading and its calibrations.
#[utoipa::path(get, path = "/api/v1/nodes/{node}/calibrations/{channel}",
    params(("node" = String, Path, description = "Node id"), ("channel" = String, Path, description = "Channel name")),
    responses((status = 200, body = ChannelState), (status = 400, body = ApiError), (status = 404, body = ApiError)))]
pub(crate) async fn channel(State(web): State<Web>, path: NodeChannel) -> Answer<ChannelState> {
    let (node, channel) = parts(path)?;
    let num = web.known.now().node(&node).map(|n| n.num);
    let of = node.clone();
    let calibrations = look(&web, move |c| orders::calibrations(c, &of, channel)).await?;
    let now = web.clock.now();
    let of = node.clone();
    let runs = look(&web, move |c| orders::running(c, &of)).await?;
    let all = web.live.all();
    let newest = |wanted: Channel| {
        all.iter()
            .find(|l| Some(l.node) == num && l.channel == wanted)
    };
    let live = newest(channel).map(|l| {
        let raw_of = |value: f64| {
            let Some(calibration) = runs.as_ref()?.calibration(channel) else {
                // The probe gives the quantity itself.
                return Some(value);
            };
            let temperature = calibration.curve.temperature().and_then(|quantity| {
                companions(quantity, channel)
                    .find_map(newest)
                    .and_then(|t| Decimal::from_f64(t.what.ok()?))
            });
            raw(calibration, value, temperature)
        };
        Live {
            at: l.at,
            age_ms: (now - l.at).max(0),
            value: l.what.ok(),
            raw: l.what.ok().and_then(raw_of),
            fault: l.what.err().map(|f| f.name()),
        }
    });
    Ok(Json(ChannelState {
        node,
        channel: channel.to_string(),
        unit: channel.quantity().unit(),
        live,
        calibrations,
    }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCalibration {
    /// `linear`, `offset`, `ph`, `conductivity`, `oxygen` or `capacitive`.
    curve: String,
    /// What was measured: raw and reference.
    points: Vec<Measured>,
    /// Who measured.
    who: Option<String>,
}

/// Calibrates a channel: points that make no sense are refused by name, the others become a new version of the configuration.
#[utoipa::path(post, path = "/api/v1/nodes/{node}/calibrations/{channel}",
    params(("node" = String, Path, description = "Node id"), ("channel" = String, Path, description = "Channel name")), request_body = NewCalibration,
    responses((status = 200, body = Order), (status = 400, body = ApiError), (status = 403, body = ApiError), (status = 404, body = ApiError)))]
pub(crate) async fn calibrate(
    State(web): State<Web>,
    operator: Operator,
    path: NodeChannel,
    Body(new): Body<NewCalibration>,
) -> Answer<Order> {
    let (node, channel) = parts(path)?;
    let (now, who) = (web.clock.now(), operator.signs(new.who));
    let calibrated = Calibrated {
        channel: channel.to_string(),
        curve: new.curve,
        version: 0,
        at: now,
        points: new.points,
    };
    Ok(Json(
        write(&web, move |c| {
            orders::calibrate(c, &node, &calibrated, &who, now)
        })
        .await?,
    ))
}
