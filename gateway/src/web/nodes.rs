//! Nodes: made, claimed, revoked, and why they were refused. Changes are an operator's ([`Operator`]).

pub(super) mod orders;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Web;
use super::model::{ApiError, Body, Params};
use super::operator::Operator;
use crate::ingest::refusals::OfNode;
use crate::nodes::label::{Label, Language};
use crate::nodes::{self, Access, Claim, NewNode, NodeError};

type Answer<T> = Result<Json<T>, ApiError>;
type Id = Result<Path<String>, PathRejection>;

fn id(path: Id) -> Result<String, ApiError> {
    path.map(|Path(id)| id)
        .map_err(|e| ApiError::bad_request(e.body_text()))
}

/// Changes the registry and takes the new one at once, so that the answer is true when it is read.
pub(super) async fn change<T: Send + 'static>(
    web: &Web,
    f: impl FnOnce(&Connection) -> Result<T, NodeError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = web.journal.write(|c| nodes::answer(f(c))).await??;
    web.known.refresh(&web.journal).await?;
    Ok(done)
}

async fn look<T: Send + 'static>(
    web: &Web,
    f: impl FnOnce(&Connection) -> Result<T, NodeError> + Send + 'static,
) -> Result<T, ApiError> {
    Ok(web.journal.read(|c| Ok(nodes::answer(f(c))?)).await??)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    /// Id: 1 to 32 of a-z, 0-9 and -.
    id: String,
    /// The plot it stands on; left out: it waits for its claim.
    plot: Option<String>,
    /// Name; the id if left out.
    name: Option<String>,
    /// The board, as its firmware calls it.
    board: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Made {
    node: String,
    /// Shown this once: only its hash is kept.
    password: String,
    /// The code that claims it, if it has no plot.
    claim_code: Option<String>,
}

/// Makes a node with a password of its own.
#[utoipa::path(post, path = "/api/v1/nodes", request_body = New,
    responses((status = 200, body = Made), (status = 400, body = ApiError), (status = 403, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn add(State(web): State<Web>, _: Operator, Body(new): Body<New>) -> Answer<Made> {
    let now = web.clock.now();
    let new = NewNode {
        id: new.id,
        plot: new.plot,
        name: new.name,
        board: new.board,
    };
    let made = change(&web, move |c| nodes::add(c, &new, now)).await?;
    Ok(Json(Made {
        node: made.node,
        password: made.password.reveal().to_owned(),
        claim_code: made.claim_code,
    }))
}

/// How every node stands with the gateway, claim codes included.
#[utoipa::path(get, path = "/api/v1/access", responses((status = 200, body = Vec<Access>), (status = 403, body = ApiError)))]
pub(super) async fn access(State(web): State<Web>, _: Operator) -> Answer<Vec<Access>> {
    Ok(Json(look(&web, |c| Ok(nodes::list(c)?)).await?))
}

/// What a node was refused for since the gateway's start, the latest first.
#[utoipa::path(get, path = "/api/v1/nodes/{node}/refusals", params(("node" = String, Path, description = "Node id")),
    responses((status = 200, body = Vec<OfNode>), (status = 404, body = ApiError)))]
pub(super) async fn refusals(State(web): State<Web>, node: Id) -> Answer<Vec<OfNode>> {
    let node = id(node)?;
    if web.known.now().node(&node).is_none() {
        return Err(ApiError::not_found("no such node"));
    }
    Ok(Json(web.refusals.of_node(&node)))
}

/// Refuses a node from now on and ends its connection. Its readings stay.
#[utoipa::path(post, path = "/api/v1/nodes/{node}/revoke", params(("node" = String, Path, description = "Node id")),
    responses((status = 200, body = Access), (status = 403, body = ApiError), (status = 404, body = ApiError)))]
pub(super) async fn revoke(State(web): State<Web>, _: Operator, node: Id) -> Answer<Access> {
    let (node, now) = (id(node)?, web.clock.now());
    let done = change(&web, move |c| {
        nodes::revoke(c, &node, now)?;
        nodes::access(c, &node)
    });
    Ok(Json(done.await?))
}

#[derive(Serialize, ToSchema)]
pub(super) struct NewPassword {
    node: String,
    /// Shown this once: only its hash is kept.
    password: String,
}

/// Gives a node a new password, and lets it in again if it was revoked.
#[utoipa::path(post, path = "/api/v1/nodes/{node}/password", params(("node" = String, Path, description = "Node id")),
    responses((status = 200, body = NewPassword), (status = 403, body = ApiError), (status = 404, body = ApiError)))]
pub(super) async fn password(State(web): State<Web>, _: Operator, node: Id) -> Answer<NewPassword> {
    let node = id(node)?;
    let of = node.clone();
    let password = change(&web, move |c| nodes::new_password(c, &of)).await?;
    Ok(Json(NewPassword {
        node,
        password: password.reveal().to_owned(),
    }))
}

/// A new claim code in place of the old one.
#[utoipa::path(post, path = "/api/v1/nodes/{node}/claim-code", params(("node" = String, Path, description = "Node id")),
    responses((status = 200, body = Access), (status = 403, body = ApiError), (status = 404, body = ApiError)))]
pub(super) async fn claim_code(State(web): State<Web>, _: Operator, node: Id) -> Answer<Access> {
    let (node, now) = (id(node)?, web.clock.now());
    let done = change(&web, move |c| {
        nodes::new_claim_code(c, &node, now)?;
        nodes::access(c, &node)
    });
    Ok(Json(done.await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimRequest {
    /// The code on the label, in any spelling.
    code: String,
    /// The plot that the node stands on from now on.
    plot: String,
    /// A new name.
    name: Option<String>,
    /// Who claims it.
    who: Option<String>,
}

/// Binds a node to a plot by the code on its label. A code works once.
#[utoipa::path(post, path = "/api/v1/claims", request_body = ClaimRequest,
    responses((status = 200, body = Access), (status = 400, body = ApiError), (status = 403, body = ApiError), (status = 404, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn claim(
    State(web): State<Web>,
    operator: Operator,
    Body(request): Body<ClaimRequest>,
) -> Answer<Access> {
    let now = web.clock.now();
    let claim = Claim {
        code: request.code,
        plot: request.plot,
        name: request.name,
        who: operator.signs(request.who),
    };
    let done = change(&web, move |c| {
        let node = nodes::claim(c, &claim, now)?;
        nodes::access(c, &node)
    });
    Ok(Json(done.await?))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LabelOf {
    /// `vi`, `en`, or `both`, which is what it is if left out.
    lang: Option<String>,
    /// Where phones reach the page; as in this request if left out.
    base: Option<String>,
}

/// A label to print and stick on the node: its id, and its claim code as QR.
#[utoipa::path(get, path = "/api/v1/nodes/{node}/label", params(("node" = String, Path, description = "Node id"), LabelOf),
    responses((status = 200, content_type = "text/html", body = String), (status = 403, body = ApiError), (status = 404, body = ApiError)))]
pub(super) async fn label(
    State(web): State<Web>,
    _: Operator,
    node: Id,
    headers: axum::http::HeaderMap,
    Params(of): Params<LabelOf>,
) -> Result<impl IntoResponse, ApiError> {
    let node = id(node)?;
    let language = match of.lang.as_deref() {
        None => Language::Both,
        Some(lang) => Language::parse(lang)
            .ok_or_else(|| ApiError::bad_request("lang: write vi, en or both"))?,
    };
    let host = headers
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .unwrap_or("localhost");
    let base = of.base.unwrap_or_else(|| format!("http://{host}"));
    let access = look(&web, move |c| nodes::access(c, &node)).await?;
    let label = Label::of(&access, &base).map_err(ApiError::from)?;
    Ok((
        [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
        label.html(language),
    ))
}
