//! The routes of the ledger: what arrived and what is missing.

use std::collections::HashMap;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Web;
use super::model::{ApiError, Params};
use crate::completeness::{self, All, MAX_DAYS, One, Said, USUAL_DAYS, Window};
use crate::journal::ReadError;
use crate::journal::retention::deleted_before;
use crate::reading::{Day, Millis, NodeNum};

type Answer<T> = Result<Json<T>, ApiError>;

/// Most days of all nodes at once.
const MAX_DAYS_OF_ALL: u32 = 31;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Last {
    /// How many days, 1 to 31; today is the last one. 14 if left out.
    days: Option<u32>,
}

/// What arrived of all nodes, by day of the farm.
#[utoipa::path(get, path = "/api/v1/ledger", params(Last), responses((status = 200, body = All), (status = 400, body = ApiError)))]
pub(super) async fn all(State(web): State<Web>, Params(last): Params<Last>) -> Answer<All> {
    let days = last.days.unwrap_or(USUAL_DAYS);
    if !(1..=MAX_DAYS_OF_ALL).contains(&days) {
        return Err(ApiError::bad_request(format!(
            "days must be between 1 and {MAX_DAYS_OF_ALL}"
        )));
    }
    let now = web.clock.now();
    let window = Window::last(days, now);
    let books = web.journal.books(None, window.from).await?;
    let (hellos, deleted) = beside(&web).await?;
    Ok(Json(All::of(
        &web.known.now(),
        &books,
        &hellos,
        window,
        deleted,
        now,
    )))
}

/// What an account is made of beside the books: the last hello of each node, and the instant before which history was deleted.
type Beside = (HashMap<NodeNum, Said>, Option<Millis>);

async fn beside(web: &Web) -> Result<Beside, ReadError> {
    web.journal
        .read(|c| Ok((completeness::hellos(c)?, deleted_before(c)?)))
        .await
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Days {
    /// First day of the farm, as 2026-11-24; 13 days before `to` if left out.
    from: Option<String>,
    /// Last day; today if left out.
    to: Option<String>,
}

/// What arrived of one node, by day of the farm and by boot.
#[utoipa::path(get, path = "/api/v1/ledger/{node}", params(("node" = String, Path, description = "Node id"), Days),
    responses((status = 200, body = One), (status = 400, body = ApiError), (status = 404, body = ApiError)))]
pub(super) async fn one(
    State(web): State<Web>,
    node: Result<Path<String>, PathRejection>,
    Params(days): Params<Days>,
) -> Answer<One> {
    let Path(id) = node.map_err(|e| ApiError::bad_request(e.body_text()))?;
    let known = web.known.now();
    let node = known
        .node(&id)
        .ok_or_else(|| ApiError::not_found("no such node"))?;
    let now = web.clock.now();
    let window = window(&days, now)?;
    let mut books = web.journal.books(Some(node.num), window.from).await?;
    let (hellos, deleted) = beside(&web).await?;
    let book = books.remove(&node.num).unwrap_or_default();
    let said = hellos.get(&node.num).copied().unwrap_or_default();
    Ok(Json(One::of(node, &book, said, window, deleted, now)))
}

fn window(days: &Days, now: i64) -> Result<Window, ApiError> {
    let parse = |name, text: &Option<String>| -> Result<Option<Day>, ApiError> {
        let Some(text) = text else { return Ok(None) };
        let wrong = || ApiError::bad_request(format!("{name} must be a day such as 2026-11-24"));
        completeness::day(text).map(Some).ok_or_else(wrong)
    };
    let usual = Window::last(USUAL_DAYS, now);
    let to = parse("to", &days.to)?.unwrap_or(usual.to);
    let from = parse("from", &days.from)?.unwrap_or(to - (usual.to - usual.from));
    if from > to {
        return Err(ApiError::bad_request("from must not be after to"));
    }
    if to - from >= i64::from(MAX_DAYS) {
        return Err(ApiError::bad_request(format!(
            "at most {MAX_DAYS} days at once"
        )));
    }
    Ok(Window { from, to })
}
