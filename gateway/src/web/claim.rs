//! Where the QR code of a label leads: a form that binds the node to a plot. Plain HTML, so that any phone can show it, in
//! both languages at once, since whoever scans it may be anyone.
//!
//! The page says nothing of the code before it is used: it can't be asked which codes there are.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Web;
use super::nodes::change;
use super::operator::Operator;
use crate::nodes::{self, Claim, UNCLAIMED, escaped};
use crate::registry::Registry;

#[derive(Deserialize)]
pub(super) struct Filled {
    code: String,
    plot: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    token: String,
}

/// The form of a code.
pub(super) async fn form(State(web): State<Web>, Path(code): Path<String>) -> Response {
    let code = nodes::code::normal(&code).unwrap_or_default();
    page(StatusCode::OK, &fields(&web.known.now(), &code, ""))
}

/// The form, filled in.
pub(super) async fn claim(
    State(web): State<Web>,
    from_here: Result<Operator, super::model::ApiError>,
    Form(filled): Form<Filled>,
) -> Response {
    let operator = if filled.token.is_empty() {
        from_here.ok()
    } else {
        Operator::with(&web.operator, filled.token.trim())
    };
    let again = |status, vi: &str, en: &str| {
        let note = format!(
            "<p role=\"alert\"><b>{}</b><br><span lang=\"en\">{}</span></p>",
            escaped(vi),
            escaped(en)
        );
        page(status, &fields(&web.known.now(), &filled.code, &note))
    };
    let Some(operator) = operator else {
        return again(
            StatusCode::FORBIDDEN,
            "Mã kỹ thuật viên không đúng.",
            "Not the technician's code (operator.token in the gateway's data folder).",
        );
    };
    let now = web.clock.now();
    let name = filled.name.trim();
    let claim = Claim {
        code: filled.code.clone(),
        plot: filled.plot.clone(),
        name: (!name.is_empty()).then(|| name.to_owned()),
        who: operator.signs(None),
    };
    match change(&web, move |c| nodes::claim(c, &claim, now)).await {
        Ok(node) => page(
            StatusCode::OK,
            &format!(
                "<p><b>{node}</b>: đã nhận.<br><span lang=\"en\">Claimed.</span></p><p><a href=\"/\">Sen</a></p>",
                node = escaped(&node)
            ),
        ),
        Err(e) => again(e.status(), "Không nhận được.", e.message()),
    }
}

fn fields(known: &Registry, code: &str, note: &str) -> String {
    let mut plots = String::new();
    for farm in known.farms.iter().filter(|f| f.id != UNCLAIMED) {
        plots.push_str(&format!("<optgroup label=\"{}\">", escaped(&farm.name)));
        for plot in known.plots.iter().filter(|p| p.farm == farm.id) {
            plots.push_str(&format!(
                "<option value=\"{}\">{}</option>",
                escaped(&plot.id),
                escaped(&plot.name)
            ));
        }
        plots.push_str("</optgroup>");
    }
    let line = |vi: &str, en: &str, input: &str| {
        format!("<p><label>{vi} <small lang=\"en\">{en}</small><br>{input}</label></p>")
    };
    format!(
        "{note}<form method=\"post\" action=\"/claim\">{}{}{}{}<p><button>Nhận thiết bị <small lang=\"en\">Claim</small></button></p></form>",
        line(
            "Mã nhận",
            "Claim code",
            &format!(
                "<input name=\"code\" required autocomplete=\"off\" value=\"{}\">",
                escaped(code)
            )
        ),
        line(
            "Thửa, ao",
            "Plot",
            &format!("<select name=\"plot\" required>{plots}</select>")
        ),
        line(
            "Tên thiết bị (không bắt buộc)",
            "Name (optional)",
            "<input name=\"name\" maxlength=\"60\">"
        ),
        line(
            "Mã kỹ thuật viên",
            "Technician's code",
            "<input name=\"token\" type=\"password\" autocomplete=\"current-password\">"
        ),
    )
}

fn page(status: StatusCode, body: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"vi\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
<title>Sen</title><style>body{{font:18px/1.5 sans-serif;max-width:30em;margin:1em auto;padding:0 1em}}\
input,select,button{{font:inherit;width:100%;min-height:48px;box-sizing:border-box}}small{{color:#555}}</style></head>\
<body><h1>Nhận thiết bị</h1>{body}</body></html>\n"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, html).into_response()
}
