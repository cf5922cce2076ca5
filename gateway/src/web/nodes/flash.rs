//! Images that lie ready, and what goes where on a board: the page writes it over the board's serial line, by the same job as
//! `sen flash`. What is shown first holds no secret; the bytes, with the node's password in them, go to an operator only and
//! once, since each such request gives the node a new password.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{Answer, Id, change, id};
use crate::broker::identity::hex;
use crate::config::Secret;
use crate::flash::images::{self, Ready};
use crate::flash::order::{Door, Image, Order, OrderError, stand_in};
use crate::flash::{Job, Kind, Write};
use crate::nodes::{self, NewNode};
use crate::web::Web;
use crate::web::model::{ApiError, Body};
use crate::web::operator::Operator;

/// What flashing needs to know of this gateway.
#[derive(Debug, Clone)]
pub struct Workbench {
    /// Where the images are.
    pub data_dir: PathBuf,
    /// Where nodes reach it.
    pub door: Door,
}

/// The images that the page may write, with what is wrong with them.
#[utoipa::path(get, path = "/api/v1/images", responses((status = 200, body = Vec<Ready>)))]
pub(crate) async fn ready(State(web): State<Web>) -> Answer<Vec<Ready>> {
    let bench = web.workbench.clone();
    let found = tokio::task::spawn_blocking(move || images::list(&bench.data_dir)).await;
    match found {
        Ok(Ok(images)) => Ok(Json(images)),
        Ok(Err(e)) => Err(unreadable(&e)),
        Err(_) => Err(unreadable(&std::io::ErrorKind::Other.into())),
    }
}

fn unreadable(e: &std::io::Error) -> ApiError {
    ApiError::bad_request(format!("the images can't be read: {e}"))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// The board, as its firmware calls it; its image is the one that lies ready for it.
    board: String,
    /// The gateway's name or IPv4 address, as the node reaches it.
    host: String,
    /// The gateway's port; its own if left out.
    port: Option<u16>,
    /// Connect in the open, without TLS.
    #[serde(default)]
    plain: bool,
    /// Name of the Wi-Fi.
    wifi: Option<String>,
    /// Its password.
    #[schema(value_type = Option<String>)]
    wifi_password: Option<Secret>,
    /// Access point name of the mobile network.
    apn: Option<String>,
    /// Whether the status LED is used; it is if left out.
    led: Option<bool>,
    /// `false`: only say what would be written. `true`: the node gets a new password, and the answer has the bytes.
    #[serde(default)]
    write: bool,
}

/// One write.
#[derive(Serialize, ToSchema)]
pub(crate) struct Part {
    /// Where in the flash, from its first byte.
    offset: u32,
    length: usize,
    /// The partition that it begins in.
    partition: Option<String>,
    /// `image` or `node`: the node configuration.
    what: &'static str,
    sha256: String,
    /// The bytes in base64, when they were asked for.
    data: Option<String>,
}

/// What goes where.
#[derive(Serialize, ToSchema)]
pub(crate) struct Parts {
    node: String,
    board: String,
    writes: Vec<Part>,
    /// The node configuration, where it is laid into the image and no write of its own.
    inlaid: Option<Part>,
    /// The node's new password, when it got one.
    password: Option<String>,
    /// The code that claims it, if it was added by this.
    claim_code: Option<String>,
}

/// What is to be written onto a node's board; with `write`, the bytes. A node that is not known is added then.
#[utoipa::path(post, path = "/api/v1/nodes/{node}/flash", params(("node" = String, Path, description = "Node id")), request_body = Wanted,
    responses((status = 200, body = Parts), (status = 400, body = ApiError), (status = 403, body = ApiError), (status = 404, body = ApiError)))]
pub(crate) async fn parts(
    State(web): State<Web>,
    _: Operator,
    node: Id,
    Body(wanted): Body<Wanted>,
) -> Result<Response, ApiError> {
    let node = id(node)?;
    let board = wanted.board.clone();
    let order = Order {
        node: node.clone(),
        board: board.clone(),
        host: wanted.host,
        port: wanted.port,
        plain: wanted.plain,
        wifi: wanted.wifi.map(|name| (name, wanted.wifi_password)),
        mobile: wanted.apn.map(|apn| (apn, None, None)),
        led: wanted.led.unwrap_or(true),
        bus_baud: None,
    };
    // Worked out once without a secret: whatever is wrong is found before the node's password is changed.
    let draft = job(&web, &order, stand_in()).await?;
    let (job, password, claim_code) = if wanted.write {
        let (password, claim_code) = credentials(&web, &node, &board).await?;
        let job = job(&web, &order, password.clone()).await?;
        (job, Some(password), claim_code)
    } else {
        (draft, None, None)
    };
    let part = |write: &Write, with_data: bool| Part {
        offset: write.offset,
        length: write.bytes.len(),
        partition: write.partition.clone(),
        what: if write.file.is_some() {
            "image"
        } else {
            "node"
        },
        sha256: hex(&Sha256::digest(&write.bytes)),
        data: with_data.then(|| STANDARD.encode(&write.bytes)),
    };
    let parts = Parts {
        node,
        board,
        writes: job.writes.iter().map(|w| part(w, wanted.write)).collect(),
        inlaid: job.inlaid.as_ref().map(|w| part(w, false)),
        password: password.map(|p| p.reveal().to_owned()),
        claim_code,
    };
    let mut answer = Json(parts).into_response();
    answer
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

/// Reads the image and works out the job; both take a while with a few megabytes.
async fn job(web: &Web, order: &Order, password: Secret) -> Result<Job, ApiError> {
    let (bench, order) = (web.workbench.clone(), Arc::new(order.clone()));
    let done = tokio::task::spawn_blocking(move || {
        let file = images::read(&bench.data_dir, &order.board)?;
        let image = Image {
            file: Some(file),
            kind: Kind::Esp,
            layout: None,
        };
        std::io::Result::Ok(order.job(&bench.door, &password, image))
    });
    match done.await {
        Ok(Ok(job)) => job.map_err(|e: OrderError| ApiError::bad_request(e.to_string())),
        Ok(Err(e)) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(ApiError::not_found(format!(
                "no image for this board: put it into {}/BOARD.bin in the data folder",
                images::FOLDER
            )))
        }
        Ok(Err(e)) => Err(unreadable(&e)),
        Err(_) => Err(unreadable(&std::io::ErrorKind::Other.into())),
    }
}

/// A password for the node: of a new one, or in place of its old one.
async fn credentials(
    web: &Web,
    node: &str,
    board: &str,
) -> Result<(Secret, Option<String>), ApiError> {
    let (now, id, board) = (web.clock.now(), node.to_owned(), board.to_owned());
    change(web, move |c| {
        nodes::credentials(
            c,
            NewNode {
                id,
                board: Some(board),
                ..NewNode::default()
            },
            now,
        )
    })
    .await
}
