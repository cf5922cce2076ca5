//! The points that the InfluxDB sink's server refused: to look at, and to send again.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Web;
use super::model::{ApiError, Body, Params};
use super::operator::Operator;
use crate::influx::{self, Letter, Resent};
use crate::reading::Millis;

/// Letters a page of the list has when nothing is asked for, and at most.
const PAGE: u32 = 100;
const LONGEST_PAGE: u32 = 1_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// Only letters with a smaller number: the last one of the page before.
    before: Option<i64>,
    /// How many, 1 to 1000; 100 when left out.
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct DeadLetters {
    /// How many there are in all.
    total: u64,
    /// The newest first.
    letters: Vec<DeadLetter>,
}

#[derive(Serialize, ToSchema)]
struct DeadLetter {
    id: i64,
    /// When it was refused, the last time.
    at: Millis,
    /// Line protocol.
    line: String,
    /// The server's reason.
    reason: String,
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
    let letters = influx::letters(&web.journal, before, limit).await?;
    Ok(Json(DeadLetters {
        total: influx::dead_letters(&web.journal).await?,
        letters: letters.into_iter().map(DeadLetter::from).collect(),
    }))
}

impl From<Letter> for DeadLetter {
    fn from(letter: Letter) -> Self {
        Self {
            id: letter.id,
            at: letter.at,
            line: letter.line,
            reason: letter.reason,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Resend {
    /// Which; the oldest 5000 when left out.
    ids: Option<Vec<i64>>,
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
    _: Operator,
    Body(wanted): Body<Resend>,
) -> Result<Json<Outcome>, ApiError> {
    let letters = web.dead_letters.ok_or_else(|| {
        ApiError::not_found("this gateway writes to no InfluxDB: set [influx] in its configuration")
    })?;
    let Resent {
        sent,
        refused,
        left,
        problem,
    } = letters.resend(wanted.ids).await?;
    Ok(Json(Outcome {
        sent,
        refused,
        left,
        problem,
    }))
}
