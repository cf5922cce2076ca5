//! A strict stand-in for InfluxDB 2, whose server is in no package registry.
//!
//! It parses every body with InfluxData's own parser and answers as the server does:
//! 204; 400 for a line that does not parse (nothing of the body is kept); 422 with the number of
//! dropped points for a field that changes its type or a point the test refuses (the rest is
//! kept); 401 for a wrong token; 404 for a wrong bucket; 413 above its size limit; 429 and 503
//! with `Retry-After`. A test scripts faults with [`FakeInflux::set_mood`].

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use influxdb_line_protocol::{FieldValue, ParsedLine, parse_lines};
use tokio::task::JoinHandle;

/// Organisation that it knows.
pub const ORG: &str = "coop";
/// Bucket that it knows.
pub const BUCKET: &str = "farm";
/// Token that it takes.
pub const TOKEN: &str = "a-token-that-nobody-guesses";

/// One accepted point.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Measurement.
    pub measurement: String,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
    /// Fields by key.
    pub fields: BTreeMap<String, Field>,
    /// Time as sent, in the precision of the request.
    pub time: i64,
}

/// A field's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// `1i`
    Integer(i64),
    /// `1u`
    Unsigned(u64),
    /// `1` or `1.5`
    Float(f64),
    /// `"text"`
    Text(String),
    /// `t`, `true`, …
    Bool(bool),
}

/// How it answers a write.
#[derive(Debug, Clone, PartialEq)]
pub enum Mood {
    /// As InfluxDB does when all is well.
    Good,
    /// Does not answer for so long, then behaves; the points are kept.
    Slow(Duration),
    /// Never answers; nothing is kept.
    Hanging,
    /// Answers with this status and, when given, `Retry-After` in seconds; nothing is kept.
    Status(u16, Option<u64>),
    /// Keeps the points and then fails to say so: the client has to send them again.
    KeptButFailed,
}

type Refuse = dyn Fn(&Point) -> Option<String> + Send + Sync;

struct Inner {
    points: Vec<Point>,
    types: HashMap<(String, String), &'static str>,
    mood: Mood,
    max_body: usize,
    refuse: Arc<Refuse>,
    requests: u64,
    arrivals: Vec<Instant>,
    answers: BTreeMap<u16, u64>,
}

/// The server. It ends when dropped.
pub struct FakeInflux {
    inner: Arc<Mutex<Inner>>,
    addr: SocketAddr,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for FakeInflux {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeInflux")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

impl FakeInflux {
    /// Starts one on a port of its own.
    ///
    /// # Errors
    /// When it can't bind.
    pub async fn start() -> Result<Self> {
        let inner = Arc::new(Mutex::new(Inner {
            points: Vec::new(),
            types: HashMap::new(),
            mood: Mood::Good,
            max_body: 50 << 20,
            refuse: Arc::new(|_| None),
            requests: 0,
            arrivals: Vec::new(),
            answers: BTreeMap::new(),
        }));
        let app = axum::Router::new()
            .route("/api/v2/write", post(write))
            .route("/health", get(|| async { r#"{"status":"pass"}"# }))
            .route("/ready", get(|| async { r#"{"status":"ready"}"# }))
            .route("/ping", get(|| async { StatusCode::NO_CONTENT }))
            // A body over the limit has to reach the handler, which answers 413 like the server.
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let task = tokio::spawn(async move {
            // Ends only with the task.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { inner, addr, task })
    }

    /// Its base address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How it answers from now on.
    pub fn set_mood(&self, mood: Mood) {
        lock(&self.inner).mood = mood;
    }

    /// Largest body (as sent, so compressed) that it takes.
    pub fn set_max_body(&self, bytes: usize) {
        lock(&self.inner).max_body = bytes;
    }

    /// Points for which `refuse` gives a reason are dropped and answered with 422.
    pub fn refuse(&self, refuse: impl Fn(&Point) -> Option<String> + Send + Sync + 'static) {
        lock(&self.inner).refuse = Arc::new(refuse);
    }

    /// Everything accepted so far, repeats included.
    #[must_use]
    pub fn points(&self) -> Vec<Point> {
        lock(&self.inner).points.clone()
    }

    /// What a query would give: the last value written for each node, field and time.
    #[must_use]
    pub fn stored(&self) -> BTreeMap<(String, String, i64), Field> {
        let inner = lock(&self.inner);
        let mut stored = BTreeMap::new();
        for point in &inner.points {
            let node = point.tags.get("node").cloned().unwrap_or_default();
            for (name, value) in &point.fields {
                stored.insert((node.clone(), name.clone(), point.time), value.clone());
            }
        }
        stored
    }

    /// When each request came.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Instant> {
        lock(&self.inner).arrivals.clone()
    }

    /// Write requests seen.
    #[must_use]
    pub fn requests(&self) -> u64 {
        lock(&self.inner).requests
    }

    /// Answers given, by status.
    #[must_use]
    pub fn answers(&self) -> BTreeMap<u16, u64> {
        lock(&self.inner).answers.clone()
    }
}

impl Drop for FakeInflux {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner
        .lock()
        .expect("nothing panics while it holds the lock")
}

async fn write(
    State(inner): State<Arc<Mutex<Inner>>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mood = {
        let mut inner = lock(&inner);
        inner.requests += 1;
        inner.arrivals.push(Instant::now());
        inner.mood.clone()
    };
    match mood {
        Mood::Hanging => std::future::pending::<()>().await,
        Mood::Slow(delay) => tokio::time::sleep(delay).await,
        _ => {}
    }
    let mut inner = lock(&inner);
    let (status, message, retry_after) = match &mood {
        Mood::Status(status, after) => (*status, String::from("scripted"), *after),
        _ => {
            let (status, message) = take(&mut inner, &query, &headers, &body);
            if mood == Mood::KeptButFailed {
                (503, String::from("scripted"), None)
            } else {
                (status, message, None)
            }
        }
    };
    *inner.answers.entry(status).or_default() += 1;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status == StatusCode::NO_CONTENT {
        return status.into_response();
    }
    let body = axum::Json(serde_json::json!({ "code": code(status), "message": message }));
    let mut response = (status, body).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert("Retry-After", seconds.into());
    }
    response
}

/// InfluxDB's own word for a status.
fn code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "invalid",
        401 => "unauthorized",
        404 => "not found",
        413 => "request too large",
        422 => "unprocessable entity",
        429 => "too many requests",
        503 => "unavailable",
        _ => "internal error",
    }
}

/// Checks and keeps one body: the answer's status and message.
fn take(
    inner: &mut Inner,
    query: &HashMap<String, String>,
    headers: &HeaderMap,
    body: &[u8],
) -> (u16, String) {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    if header("authorization") != Some(&format!("Token {TOKEN}")) {
        return (401, "unauthorized access".to_owned());
    }
    if query.get("org").map(String::as_str) != Some(ORG) {
        return (404, "organization not found".to_owned());
    }
    if query.get("bucket").map(String::as_str) != Some(BUCKET) {
        return (404, "bucket not found".to_owned());
    }
    if query.get("precision").map(String::as_str) != Some("ms") {
        return (400, "these tests write milliseconds".to_owned());
    }
    if body.len() > inner.max_body {
        return (413, "unable to read data: points batch is too large".into());
    }
    let text = match header("content-encoding") {
        Some("gzip") => {
            let mut text = String::new();
            match flate2::read::GzDecoder::new(body).read_to_string(&mut text) {
                Ok(_) => text,
                Err(error) => return (400, format!("unable to read gzip: {error}")),
            }
        }
        Some(other) => return (400, format!("unknown encoding {other}")),
        None => match std::str::from_utf8(body) {
            Ok(text) => text.to_owned(),
            Err(error) => return (400, format!("not UTF-8: {error}")),
        },
    };
    let mut points = Vec::new();
    for line in parse_lines(&text) {
        match line.map_err(|e| e.to_string()).and_then(|l| point(&l)) {
            Ok(point) => points.push(point),
            Err(error) => return (400, format!("unable to parse points: {error}")),
        }
    }
    keep(inner, points)
}

/// Keeps the points that fit the schema; 422 when some do not.
fn keep(inner: &mut Inner, points: Vec<Point>) -> (u16, String) {
    let mut dropped = 0;
    let mut why = String::new();
    for point in points {
        let refused = (inner.refuse)(&point).or_else(|| conflict(&mut inner.types, &point));
        match refused {
            Some(reason) => {
                dropped += 1;
                why = reason;
            }
            None => inner.points.push(point),
        }
    }
    if dropped == 0 {
        return (204, String::new());
    }
    (
        422,
        format!("failure writing points to database: partial write: {why} dropped={dropped}"),
    )
}

/// A field keeps the type that it was first written with.
fn conflict(types: &mut HashMap<(String, String), &'static str>, point: &Point) -> Option<String> {
    for (name, value) in &point.fields {
        let kind = kind(value);
        let key = (point.measurement.clone(), name.clone());
        let known = *types.entry(key).or_insert(kind);
        if known != kind {
            return Some(format!(
                "field type conflict: input field \"{name}\" on measurement \"{}\" is type {kind}, \
                 already exists as type {known}",
                point.measurement
            ));
        }
    }
    None
}

fn kind(value: &Field) -> &'static str {
    match value {
        Field::Integer(_) => "integer",
        Field::Unsigned(_) => "unsigned",
        Field::Float(_) => "float",
        Field::Text(_) => "string",
        Field::Bool(_) => "boolean",
    }
}

fn point(line: &ParsedLine<'_>) -> Result<Point, String> {
    let mut tags = BTreeMap::new();
    for (key, value) in line.series.tag_set.iter().flatten() {
        if value.as_str().is_empty() {
            return Err(format!("tag {key} is empty"));
        }
        if tags
            .insert(key.as_str().to_owned(), value.as_str().to_owned())
            .is_some()
        {
            return Err(format!("tag {key} twice"));
        }
    }
    let mut fields = BTreeMap::new();
    for (key, value) in &line.field_set {
        let value = match value {
            FieldValue::I64(v) => Field::Integer(*v),
            FieldValue::U64(v) => Field::Unsigned(*v),
            // The parser reads `nan` and `inf`; the server refuses both.
            FieldValue::F64(v) if !v.is_finite() => return Err(format!("{key} is {v}")),
            FieldValue::F64(v) => Field::Float(*v),
            FieldValue::String(v) => Field::Text(v.as_str().to_owned()),
            FieldValue::Boolean(v) => Field::Bool(*v),
        };
        if fields.insert(key.as_str().to_owned(), value).is_some() {
            return Err(format!("field {key} twice"));
        }
    }
    Ok(Point {
        measurement: line.series.measurement.as_str().to_owned(),
        tags,
        fields,
        // The server would take its own clock, which these tests never want.
        time: line.timestamp.ok_or("no timestamp")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn send(fake: &FakeInflux, token: &str, body: &str) -> u16 {
        reqwest::Client::new()
            .post(format!(
                "{}/api/v2/write?org={ORG}&bucket={BUCKET}&precision=ms",
                fake.url()
            ))
            .header("Authorization", format!("Token {token}"))
            .body(body.to_owned())
            .send()
            .await
            .expect("an answer")
            .status()
            .as_u16()
    }

    #[tokio::test]
    async fn answers_like_influxdb_2() {
        let fake = FakeInflux::start().await.expect("binds");
        assert_eq!(send(&fake, TOKEN, "reading,node=a v=1.5 17").await, 204);
        assert_eq!(send(&fake, "wrong", "reading,node=a v=1.5 18").await, 401);
        // Malformed: nothing of the body is kept.
        assert_eq!(send(&fake, TOKEN, "reading v=1 1\nreading v= 2").await, 400);
        assert_eq!(send(&fake, TOKEN, "reading,node=a v=nan 19").await, 400);
        // Another type: only that point is dropped.
        assert_eq!(
            send(
                &fake,
                TOKEN,
                "reading,node=a v=\"x\" 20\nreading,node=a v=2 21"
            )
            .await,
            422
        );
        fake.set_mood(Mood::Status(503, Some(1)));
        assert_eq!(send(&fake, TOKEN, "reading v=1 22").await, 503);
        let times: Vec<i64> = fake.points().iter().map(|p| p.time).collect();
        assert_eq!(times, [17, 21]);
    }
}
