//! What the API says: shapes and errors.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ingest::clocks::NodeClock;
use crate::live;
use crate::reading::Millis;
use crate::registry::Registry;

/// An error, as the API gives it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApiError {
    #[serde(skip)]
    status: StatusCode,
    error: ErrorBody,
}

#[derive(Debug, Serialize, ToSchema)]
struct ErrorBody {
    /// Stable, for programs.
    code: &'static str,
    /// What is wrong and what to do, for people.
    message: String,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            error: ErrorBody {
                code,
                message: message.into(),
            },
        }
    }
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }
}

impl From<crate::journal::ReadError> for ApiError {
    fn from(e: crate::journal::ReadError) -> Self {
        tracing::warn!("api: {e}");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "journal", e.to_string())
    }
}

impl From<crate::influx::LettersError> for ApiError {
    fn from(e: crate::influx::LettersError) -> Self {
        tracing::warn!("api: {e}");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "journal", e.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}

/// A request's query as `T`; what does not fit is answered like every other error.
pub(super) struct Params<T>(pub(super) T);

impl<T: serde::de::DeserializeOwned, S: Sync> axum::extract::FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        _: &S,
    ) -> Result<Self, ApiError> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|q| Self(q.0))
            .map_err(|e| ApiError::bad_request(e.body_text()))
    }
}

/// A request's JSON body as `T`; what does not fit is answered like every other error. Only `application/json` is read, which
/// a page of another site can't send without being asked first.
pub(super) struct Body<T>(pub(super) T);

impl<T: serde::de::DeserializeOwned, S: Send + Sync> axum::extract::FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, ApiError> {
        Json::from_request(request, state)
            .await
            .map(|Json(body)| Self(body))
            .map_err(|e| ApiError::bad_request(e.body_text()))
    }
}

/// A journal that was damaged, and what became of it. Shown until the damaged file is moved away.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Damage {
    /// When it was salvaged.
    at: Millis,
    /// Name of the damaged file in the data directory.
    file: String,
    /// How it was noticed.
    noticed: String,
    kept_rows: u64,
    /// Rows that are known to be lost; more may be.
    lost_rows: u64,
    /// Places in the file where something was and can't be read.
    broken_places: u64,
    /// Nodes that need a new password.
    nodes_without_password: Vec<String>,
}

impl From<crate::journal::Damage> for Damage {
    fn from(d: crate::journal::Damage) -> Self {
        Self {
            at: d.at,
            file: d
                .file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            noticed: d.noticed,
            kept_rows: d.kept,
            lost_rows: d.lost,
            broken_places: d.broken,
            nodes_without_password: d.nodes_without_secret,
        }
    }
}

/// The newest reading of a channel.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Latest {
    pub node: String,
    pub plot: String,
    /// Channel name: quantity, and `_2` to `_9` for further instances.
    pub channel: String,
    pub quantity: &'static str,
    /// UCUM.
    pub unit: &'static str,
    pub at: Millis,
    pub received_at: Millis,
    pub age_ms: Millis,
    pub value: Option<f64>,
    pub fault: Option<&'static str>,
    /// The time was worked out afterwards.
    pub estimated: bool,
    /// Typical spacing of the readings.
    pub every_ms: Option<Millis>,
    /// Hourly means of the last day, oldest first; left out in the stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spark: Option<Vec<Option<f64>>>,
}

impl Latest {
    /// `None` for a node that is no longer known.
    pub(super) fn of(l: &live::Latest, known: &Registry, now: Millis, spark: bool) -> Option<Self> {
        let node = known.node_num(l.node)?;
        let quantity = l.channel.quantity();
        Some(Self {
            node: node.id.clone(),
            plot: node.plot.clone(),
            channel: l.channel.to_string(),
            quantity: quantity.name(),
            unit: quantity.unit(),
            at: l.at,
            received_at: l.received_at,
            age_ms: (now - l.at).max(0),
            value: l.what.ok(),
            fault: l.what.err().map(|f| f.name()),
            estimated: l.estimated,
            every_ms: l.every_ms(),
            spark: spark.then(|| l.spark(now)),
        })
    }
}

/// A farm with its plots.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Farm {
    pub id: String,
    pub name: String,
    pub commune: Option<String>,
    pub plots: Vec<Plot>,
}

/// A plot.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Plot {
    pub id: String,
    pub farm: String,
    pub name: String,
    pub crop: Option<String>,
    pub area_ha: Option<f64>,
    /// Ids of its nodes.
    pub nodes: Vec<String>,
    /// Latest values; only in the overview.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<Latest>>,
}

/// A node and how it fares.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Node {
    pub id: String,
    pub farm: String,
    pub plot: String,
    pub name: String,
    pub last_seen: Option<Millis>,
    pub boot: Option<u64>,
    pub firmware: Option<String>,
    pub board: Option<String>,
    pub reset_reason: Option<&'static str>,
    pub battery_mv: Option<u16>,
    pub rssi_dbm: Option<i16>,
    pub config_version: Option<u32>,
    /// Readings that have arrived, of those that carry a sequence number.
    pub received: u64,
    /// Readings known to exist that have not arrived.
    pub missing: u64,
    /// Readings that the node overwrote because its outbox was full.
    pub dropped: Option<u32>,
    /// Its clock, as its stamps show it; `null` before the first since the gateway's start.
    pub clock: Option<NodeClock>,
}

/// A down-sampled series in columns; empty buckets are left out.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct History {
    pub node: String,
    pub channel: String,
    pub unit: &'static str,
    pub from: Millis,
    pub to: Millis,
    pub bucket_ms: Millis,
    /// Two neighbours further apart than this have a gap between them.
    pub gap_ms: Millis,
    /// Start of each bucket.
    pub t: Vec<Millis>,
    pub mean: Vec<Option<f64>>,
    pub min: Vec<Option<f64>>,
    pub max: Vec<Option<f64>>,
    /// Values in the bucket; 0 where there were only faults.
    pub n: Vec<u32>,
    /// Readings in the bucket, faults too, whose time was worked out afterwards.
    pub estimated: Vec<u32>,
}
