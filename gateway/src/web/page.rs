//! The phone page, embedded in the binary. Names with a hash never change and may be kept for ever; the rest is asked for
//! each time.

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::Embed;

#[derive(Embed)]
#[folder = "$SEN_PHONE"]
struct Phone;

/// Serves a file of the page; unknown API paths get a JSON error.
pub(super) async fn serve(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path.starts_with("api/") {
        return super::model::ApiError::not_found("no such route; see /api/openapi.json")
            .into_response();
    }
    let path = if path.is_empty() { "index.html" } else { path };
    let Some(file) = Phone::get(path) else {
        return (StatusCode::NOT_FOUND, "not found").into_response();
    };
    let keep = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    (
        [
            (header::CONTENT_TYPE, content_type(path)),
            (header::CACHE_CONTROL, keep),
        ],
        file.data,
    )
        .into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    }
}
