//! Server-sent events: each change of a latest value as it happens.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream::{Stream, StreamExt};
use tokio_stream::wrappers::BroadcastStream;

use super::Web;
use super::model::Latest;

/// A comment goes out this often, so that dead connections are noticed on both sides.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Changes of latest values: event `latest`, data an array of latest values without `spark`.
/// A listener that falls behind loses the oldest changes and catches up with the next.
#[utoipa::path(get, path = "/api/v1/stream", responses((status = 200, content_type = "text/event-stream", body = Vec<Latest>)))]
pub(super) async fn stream(
    State(web): State<Web>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stop = web.stop.clone();
    let changes = BroadcastStream::new(web.live.changes()).filter_map(move |batch| {
        let web = web.clone();
        async move {
            let (known, now) = (web.known.now(), web.clock.now());
            let latest: Vec<Latest> = batch
                .ok()?
                .iter()
                .filter_map(|l| Latest::of(l, &known, now, false))
                .collect();
            Event::default()
                .event("latest")
                .json_data(latest)
                .ok()
                .map(Ok)
        }
    });
    let ended = async move { stop.cancelled().await };
    Sse::new(changes.take_until(Box::pin(ended))).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}
