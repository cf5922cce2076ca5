//! The points that the InfluxDB sink's server refused: to look at, and to send again.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Web;
use super::model::{ApiError, Body, Params};
use crate::influx::{self, Field, Kind, Letter, Resent, Which};
use crate::reading::Millis;

/// Letters a page of the list has when nothing is asked for, and at most.
const PAGE: u32 = 100;
const LONGEST_PAGE: u32 = 1_000;
/// Reasons that are listed; those of fewer letters are left out.
const KINDS: u32 = 50;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// Only letters with exactly this reason.
    reason: Option<String>,
    /// Only letters with a smaller number: the last one of the page before.
    before: Option<i64>,
    /// How many, 1 to 1000; 100 when left out.
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct DeadLetters {
    /// How many there are in all.
    total: u64,
    /// The server's reasons, the most frequent first; the 50 most frequent.
    kinds: Vec<DeadLetterKind>,
    /// The newest first.
    letters: Vec<DeadLetter>,
}

/// The letters with one reason.
#[derive(Serialize, ToSchema)]
struct DeadLetterKind {
    reason: String,
    total: u64,
    /// When the first of them was refused.
    since: Millis,
}

impl From<Kind> for DeadLetterKind {
    fn from(kind: Kind) -> Self {
        Self {
            reason: kind.reason,
            total: kind.total,
            since: kind.since,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct DeadLetter {
    id: i64,
    /// When it was refused first.
    since: Millis,
    /// The node that measured; `null` where the line can't be read any more.
    node: Option<String>,
    /// When it measured.
    at: Option<Millis>,
    /// What it measured.
    readings: Vec<DeadReading>,
    /// Line protocol, as it was sent.
    line: String,
    /// The server's reason.
    reason: String,
}

/// One channel of a refused point.
#[derive(Serialize, ToSchema)]
struct DeadReading {
    channel: String,
    quantity: &'static str,
    /// UCUM.
    unit: &'static str,
    value: Option<f64>,
    fault: Option<String>,
    /// The time was worked out afterwards.
    estimated: bool,
}

impl From<Field> for DeadReading {
    fn from(field: Field) -> Self {
        let quantity = field.channel.quantity();
        let (value, fault) = match field.what {
            Ok(value) => (Some(value), None),
            Err(fault) => (None, Some(fault)),
        };
        Self {
            channel: field.channel.to_string(),
            quantity: quantity.name(),
            unit: quantity.unit(),
            value,
            fault,
            estimated: field.estimated,
        }
    }
}

/// Points that the server of the InfluxDB sink refused for good.
#[utoipa::path(get, path = "/api/v1/dead-letters", params(Page), responses((status = 200, body = DeadLetters)))]
pub(super) async fn list(
    State(web): State<Web>,
    Params(page): Params<Page>,
) -> Result<Json<DeadLetters>, ApiError> {
    let limit = page.limit.unwrap_or(PAGE);
    if !(1..=LONGEST_PAGE).contains(&limit) {
        return Err(ApiError::bad_request(format!(
            "limit: write 1 to {LONGEST_PAGE}"
        )));
    }
    let before = page.before.unwrap_or(i64::MAX);
    let letters = influx::letters(&web.journal, page.reason, before, limit).await?;
    Ok(Json(DeadLetters {
        total: influx::dead_letters(&web.journal).await?,
        kinds: influx::kinds(&web.journal, KINDS)
            .await?
            .into_iter()
            .map(DeadLetterKind::from)
            .collect(),
        letters: letters.into_iter().map(DeadLetter::from).collect(),
    }))
}

impl From<Letter> for DeadLetter {
    fn from(letter: Letter) -> Self {
        let point = letter.point();
        Self {
            id: letter.id,
            since: letter.since,
            node: point.as_ref().map(|p| p.node.clone()),
            at: point.as_ref().map(|p| p.at),
            readings: point
                .into_iter()
                .flat_map(|p| p.fields)
                .map(DeadReading::from)
                .collect(),
            line: letter.line,
            reason: letter.reason,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Resend {
    /// These. With neither `ids` nor `reason`: the oldest 5000 of all.
    ids: Option<Vec<i64>>,
    /// The oldest 5000 with exactly this reason.
    reason: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Outcome {
    /// The server has them now.
    sent: u64,
    /// Refused again; the letters have the new reason.
    refused: u64,
    /// Not tried, because the server could not be asked.
    left: u64,
    /// Why it could not.
    problem: Option<String>,
}

/// Sends dead letters again. Those that the server takes leave the list.
#[utoipa::path(post, path = "/api/v1/dead-letters/resend", request_body = Resend, responses((status = 200, body = Outcome)))]
pub(super) async fn resend(
    State(web): State<Web>,
    Body(wanted): Body<Resend>,
) -> Result<Json<Outcome>, ApiError> {
    let which = match (wanted.ids, wanted.reason) {
        (Some(_), Some(_)) => return Err(ApiError::bad_request("write ids or reason, not both")),
        (Some(ids), None) => Which::Ids(ids),
        (None, Some(reason)) => Which::Reason(reason),
        (None, None) => Which::Oldest,
    };
    let letters = web.dead_letters.ok_or_else(|| {
        ApiError::not_found("this gateway writes to no InfluxDB: set [influx] in its configuration")
    })?;
    let Resent {
        sent,
        refused,
        left,
        problem,
    } = letters.resend(which).await?;
    Ok(Json(Outcome {
        sent,
        refused,
        left,
        problem,
    }))
}
