//! Alarms as they stand, what became of them, and what people do about them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use sen_alerts::engine::{Alarm, Subject};
use sen_alerts::rule::Level;
use sen_wire::Channel;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Web;
use super::model::{ApiError, Body, Params};
use super::operator::Operator;
use crate::alarms::book::{self, Entry};
use crate::alarms::rules::{self, Kept};
use crate::reading::{DAY_MS, Millis};
use crate::registry::Registry;

type Answer<T> = Result<Json<T>, ApiError>;

/// Entries of the history at once, unless fewer are asked for.
const PAGE: u32 = 100;
/// The most that are given at once.
const MOST: u32 = 1_000;
/// An alarm is put off for this long at most: what nobody wants to hear of any more wants another rule.
const LONGEST_SNOOZE: Millis = 7 * DAY_MS;

/// What an alarm is about, with the names that people know.
#[derive(Debug, Serialize, ToSchema)]
struct About {
    /// As the API takes it back: `{"rule": {"rule", "node", "channel"}}`, `{"site": farm}`, `"link"` or `"store"`.
    #[schema(value_type = Object)]
    subject: Subject,
    /// Name of the rule, if it has one.
    rule_name: Option<String>,
    /// `info`, `warning` or `critical`.
    #[schema(value_type = String)]
    level: Level,
    /// Id of the farm.
    farm: Option<String>,
    /// Id of the plot.
    plot: Option<String>,
    /// Id of the node.
    node: Option<String>,
    /// The channel.
    channel: Option<String>,
    /// Unit of its values.
    unit: Option<&'static str>,
}

impl About {
    fn of(subject: &Subject, known: &Registry, rules: &[Kept]) -> Self {
        let mut about = Self {
            subject: subject.clone(),
            rule_name: None,
            level: Level::Critical,
            farm: None,
            plot: None,
            node: None,
            channel: None,
            unit: None,
        };
        match subject {
            Subject::Rule {
                rule,
                node,
                channel,
            } => {
                let rule = rules.iter().find(|kept| kept.id == *rule);
                if let Some(rule) = rule.and_then(|kept| kept.rule.as_ref()) {
                    about.level = rule.level;
                    about.rule_name.clone_from(&rule.name);
                }
                about.channel = channel.map(|channel| channel.to_string());
                about.unit = channel.map(|channel| channel.quantity().unit());
                if let Some(node) = known.node_num(*node) {
                    about.node = Some(node.id.clone());
                    about.plot = Some(node.plot.clone());
                    about.farm = known.plot(&node.plot).map(|plot| plot.farm.clone());
                }
            }
            Subject::Site(farm) => about.farm = Some(farm.clone()),
            Subject::Link | Subject::Store => {}
        }
        about
    }
}

/// An alarm as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Standing {
    #[serde(flatten)]
    about: About,
    /// `firing`, `acknowledged` or `snoozed`.
    #[schema(value_type = String)]
    state: sen_alerts::watch::State,
    /// Since when it has been bad, ms UTC.
    since: Option<Millis>,
    /// The first of the bad values.
    first: Option<f64>,
}

/// The alarms there are, the most urgent first.
#[utoipa::path(get, path = "/api/v1/alarms", responses((status = 200, body = Vec<Standing>)))]
pub(super) async fn list(State(web): State<Web>) -> Answer<Vec<Standing>> {
    let rules = web.journal.read(|c| Ok(rules::in_force(c)?)).await?;
    let known = web.known.now();
    let standing = |alarm: &Alarm| Standing {
        about: About::of(&alarm.subject, &known, &rules),
        state: alarm.state,
        since: alarm.since,
        first: alarm.first.map(|sample| sample.value),
    };
    let mut all: Vec<Standing> = web.alarms.board().iter().map(standing).collect();
    all.sort_by_key(|alarm| {
        let taken = alarm.state != sen_alerts::watch::State::Firing;
        (taken, std::cmp::Reverse(alarm.about.level), alarm.since)
    });
    Ok(Json(all))
}

/// What somebody does about an alarm.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Act {
    /// As the list gives it.
    #[schema(value_type = Object)]
    subject: Subject,
    /// Puts it off until then, ms UTC, a week at most; without one it is taken.
    snooze_until: Option<Millis>,
    /// Who does it.
    who: Option<String>,
}

/// Takes an alarm, or puts it off.
#[utoipa::path(post, path = "/api/v1/alarms/act", request_body = Act,
    responses((status = 200, body = Vec<Standing>), (status = 400, body = ApiError), (status = 403, body = ApiError), (status = 409, body = ApiError)))]
pub(super) async fn act(
    State(web): State<Web>,
    operator: Operator,
    Body(act): Body<Act>,
) -> Answer<Vec<Standing>> {
    let now = web.clock.now();
    if let Some(until) = act.snooze_until
        && !(now + 1..=now + LONGEST_SNOOZE).contains(&until)
    {
        return Err(ApiError::bad_request(
            "snooze_until must lie ahead, and within a week: for longer, change the rule or switch it off",
        ));
    }
    let who = operator.signs(act.who);
    let done = web.alarms.act(act.subject, act.snooze_until, who).await;
    match done {
        Ok(true) => list(State(web)).await,
        Ok(false) => Err(ApiError::new(
            StatusCode::CONFLICT,
            "no_such_alarm",
            "there is no such alarm by now, or somebody has taken it",
        )),
        Err(e) => Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "stopping",
            e.to_string(),
        )),
    }
}

/// Which part of the history.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Entries before this one: the `id` of the last that was given.
    before: Option<i64>,
    /// Only of this rule.
    rule: Option<String>,
    /// Only of this node.
    node: Option<String>,
    /// At most so many, 100 unless said.
    limit: Option<u32>,
}

/// An entry of the history.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Told {
    #[serde(flatten)]
    about: About,
    /// The entry: `id`, `at`, `noted_at`, `rule_version`, and `what`: `changed` with its transition and readings, or `offline`.
    #[schema(value_type = Object)]
    entry: Entry,
}

/// What became of alarms, the newest first: every change of state with the readings that caused it.
#[utoipa::path(get, path = "/api/v1/alarms/history", params(Which), responses((status = 200, body = Vec<Told>), (status = 404, body = ApiError)))]
pub(super) async fn history(
    State(web): State<Web>,
    Params(which): Params<Which>,
) -> Answer<Vec<Told>> {
    let known = web.known.now();
    let node = match &which.node {
        Some(id) => Some(
            known
                .node(id)
                .ok_or_else(|| ApiError::not_found(format!("there is no node `{id}`")))?
                .num,
        ),
        None => None,
    };
    let limit = which.limit.unwrap_or(PAGE).min(MOST);
    let (rules, entries) = web
        .journal
        .read(move |c| {
            let entries = book::history(c, which.before, which.rule.as_deref(), node, limit)?;
            Ok((rules::in_force(c)?, entries))
        })
        .await?;
    let told = |entry: Entry| Told {
        about: About::of(&entry.event.subject, &known, &rules),
        entry,
    };
    Ok(Json(entries.into_iter().map(told).collect()))
}

/// Which readings.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Range {
    node: String,
    channel: String,
    /// First instant, ms UTC; a day before `to` if left out.
    from: Option<Millis>,
    /// The instant after the last, ms UTC; now if left out.
    to: Option<Millis>,
}

/// A remarkable reading.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Doubted {
    /// When it was taken, ms UTC.
    at: Millis,
    /// Why: `sentinel`, `range`, `spike`, `stuck`, `step`.
    marks: Vec<&'static str>,
    /// Whether it counts all the same.
    believed: bool,
}

/// Readings of a channel that are remarkable, and whether they are believed: kept, marked, and if not believed left out of
/// alarms.
#[utoipa::path(get, path = "/api/v1/doubts", params(Range), responses((status = 200, body = Vec<Doubted>), (status = 400, body = ApiError), (status = 404, body = ApiError)))]
pub(super) async fn doubts(
    State(web): State<Web>,
    Params(range): Params<Range>,
) -> Answer<Vec<Doubted>> {
    let node = web
        .known
        .now()
        .node(&range.node)
        .map(|node| node.num)
        .ok_or_else(|| ApiError::not_found("no such node"))?;
    let channel = Channel::parse(&range.channel)
        .ok_or_else(|| ApiError::bad_request("no such channel; see /api/v1/latest for names"))?;
    let to = range.to.unwrap_or_else(|| web.clock.now());
    let from = range.from.unwrap_or(to - DAY_MS);
    let all = web
        .journal
        .read(move |c| Ok(book::doubts(c, node, channel, from, to)?))
        .await?;
    let doubted = |(at, marks, believed)| Doubted {
        at,
        marks,
        believed,
    };
    Ok(Json(all.into_iter().map(doubted).collect()))
}
