//! The phone page, the HTTP API and the metrics, on one listener.

mod alarms;
mod api;
mod claim;
mod dead_letters;
mod ledger;
mod model;
mod nodes;
mod operator;
mod page;
mod rules;
mod stream;
mod system;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::compression::{
    CompressionLayer, Predicate,
    predicate::{NotForContentType, SizeAbove},
};
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use nodes::flash::Workbench;
pub use operator::OperatorToken;

use crate::alarms::Alarms;
use crate::broker;
use crate::clock::Clock;
use crate::influx;
use crate::ingest::clocks::Clocks;
use crate::ingest::refusals::Refusals;
use crate::ingest::uncalibrated::Uncalibrated;
use crate::journal::{Journal, retention};
use crate::live::Live;
use crate::reading::Millis;
use crate::registry::Known;

/// What the web side reads, and changes only on an operator's word.
#[derive(Clone)]
pub struct Web {
    /// What an operator shows to change something.
    pub operator: Arc<OperatorToken>,
    /// What boards are written with.
    pub workbench: Arc<Workbench>,
    /// The name of the installation.
    pub name: String,
    /// Simulated data.
    pub demo: bool,
    /// When the gateway started.
    pub started_at: Millis,
    /// The journal.
    pub journal: Journal,
    /// Farms, plots, nodes.
    pub known: Known,
    /// Latest values.
    pub live: Live,
    /// The alarms there are.
    pub alarms: Alarms,
    /// What was refused.
    pub refusals: Arc<Refusals>,
    /// How the nodes' clocks stand.
    pub clocks: Arc<Clocks>,
    /// What probes give that nobody has calibrated.
    pub uncalibrated: Arc<Uncalibrated>,
    /// The door.
    pub door: broker::SharedState,
    /// Its kind, for health.
    pub door_mode: &'static str,
    /// The InfluxDB sink, if there is one.
    pub influx: Option<influx::SharedState>,
    /// What it was refused, if there is a sink.
    pub dead_letters: Option<influx::DeadLetters>,
    /// The journal's disk.
    pub disk: retention::SharedStatus,
    /// Metrics.
    pub metrics: PrometheusHandle,
    /// The time.
    pub clock: Clock,
    /// Ends the streams.
    pub stop: CancellationToken,
}

impl std::fmt::Debug for Web {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Web")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The page's address is taken.
#[derive(Debug, thiserror::Error)]
#[error("web: can't listen on {addr}; stop what uses it, or set web.listen to another address")]
pub struct ListenError {
    /// As configured.
    pub addr: SocketAddr,
    /// What the system said.
    #[source]
    pub source: std::io::Error,
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Sen",
    description = "Readings of a farm. Times are milliseconds since 1970-01-01 UTC."
))]
struct Doc;

/// The page and the API of a gateway.
pub fn router(web: Web) -> Router {
    let (api, doc) = OpenApiRouter::with_openapi(Doc::openapi())
        .routes(routes!(api::about))
        .routes(routes!(api::overview))
        .routes(routes!(api::farms))
        .routes(routes!(api::plots))
        .routes(routes!(api::nodes))
        .routes(routes!(nodes::add))
        .routes(routes!(nodes::access))
        .routes(routes!(nodes::refusals))
        .routes(routes!(nodes::revoke))
        .routes(routes!(nodes::password))
        .routes(routes!(nodes::claim_code))
        .routes(routes!(nodes::claim))
        .routes(routes!(nodes::label))
        .routes(routes!(nodes::flash::ready))
        .routes(routes!(nodes::flash::parts))
        .routes(routes!(nodes::orders::state, nodes::orders::change))
        .routes(routes!(nodes::orders::history))
        .routes(routes!(nodes::orders::channel, nodes::orders::calibrate))
        .routes(routes!(alarms::list))
        .routes(routes!(alarms::act))
        .routes(routes!(alarms::history))
        .routes(routes!(alarms::doubts))
        .routes(routes!(rules::list, rules::put))
        .routes(routes!(rules::attempt))
        .routes(routes!(rules::versions, rules::delete))
        .routes(routes!(rules::offer, rules::keep))
        .routes(routes!(rules::plant))
        .routes(routes!(api::latest))
        .routes(routes!(api::history))
        .routes(routes!(ledger::all))
        .routes(routes!(ledger::one))
        .routes(routes!(api::refused))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::resend))
        .routes(routes!(api::health))
        .routes(routes!(stream::stream))
        .split_for_parts();
    let doc = Arc::new(doc);
    let fixed =
        |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    let squeeze = CompressionLayer::new()
        .compress_when(SizeAbove::new(512).and(NotForContentType::const_new("text/event-stream")));
    api.route("/api/openapi.json", get(move || async move { axum::Json(doc.as_ref().clone()) }))
        .route("/metrics", get(api::metrics))
        .route("/claim/{code}", get(claim::form))
        .route("/claim", post(claim::claim))
        .fallback(page::serve)
        .layer(squeeze)
        .layer(fixed(header::CONTENT_SECURITY_POLICY, "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"))
        .layer(fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(fixed(header::REFERRER_POLICY, "no-referrer"))
        .with_state(web)
}

/// Binds the page's address.
///
/// # Errors
/// [`ListenError`].
pub async fn bind(addr: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(addr)
        .await
        .map_err(|source| ListenError { addr, source })
}

/// Serves until the state's `stop`.
pub async fn serve(listener: TcpListener, web: Web) {
    let stop = web.stop.clone();
    let served = axum::serve(
        listener,
        router(web).into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(stop.cancelled_owned())
    .await;
    if let Err(e) = served {
        tracing::error!("web: {e}");
    }
}
