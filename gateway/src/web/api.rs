//! The routes. Each reads a snapshot and answers; none waits for a node or a sink.

use std::collections::{BTreeMap, HashMap};

use axum::Json;
use axum::extract::State;
use sen_wire::{Channel, Hello};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Web;
use super::model::{ApiError, Damage, Farm, History, Latest, Node, Params, Plot};
use super::system::{ClockHealth, System, clock_health, damage, system};
use crate::influx;
use crate::ingest::refusals::Refused;
use crate::journal::retention::Status;
use crate::reading::{Millis, NodeNum};
use crate::registry::Registry;

type Answer<T> = Result<Json<T>, ApiError>;

/// Most buckets of a history.
const MAX_BUCKETS: u32 = 2_000;

#[derive(Serialize, ToSchema)]
pub(super) struct About {
    name: String,
    version: &'static str,
    /// The data are simulated.
    demo: bool,
    started_at: Millis,
    now: Millis,
    #[serde(flatten)]
    system: System,
}

/// What this gateway is.
#[utoipa::path(get, path = "/api/v1/about", responses((status = 200, body = About)))]
pub(super) async fn about(State(web): State<Web>) -> Answer<About> {
    Ok(Json(About {
        system: system(&web).await?,
        name: web.name,
        version: env!("CARGO_PKG_VERSION"),
        demo: web.demo,
        started_at: web.started_at,
        now: web.clock.now(),
    }))
}

#[derive(Serialize, ToSchema)]
pub(super) struct Overview {
    now: Millis,
    demo: bool,
    #[serde(flatten)]
    system: System,
    farms: Vec<Farm>,
    nodes: Vec<Node>,
}

/// Everything for the first paint of the page.
#[utoipa::path(get, path = "/api/v1/overview", responses((status = 200, body = Overview)))]
pub(super) async fn overview(State(web): State<Web>) -> Answer<Overview> {
    let (known, now) = (web.known.now(), web.clock.now());
    let mut by_plot: HashMap<String, Vec<Latest>> = HashMap::new();
    for l in web
        .live
        .all()
        .iter()
        .filter_map(|l| Latest::of(l, &known, now, true))
    {
        by_plot.entry(l.plot.clone()).or_default().push(l);
    }
    let mut farms = farm_list(&known);
    for plot in farms.iter_mut().flat_map(|f| &mut f.plots) {
        plot.channels = Some(by_plot.remove(&plot.id).unwrap_or_default());
    }
    Ok(Json(Overview {
        now,
        demo: web.demo,
        system: system(&web).await?,
        farms,
        nodes: node_list(&web, &known).await?,
    }))
}

fn plot_list(known: &Registry) -> Vec<Plot> {
    let plot = |p: &crate::registry::Plot| Plot {
        id: p.id.clone(),
        farm: p.farm.clone(),
        name: p.name.clone(),
        crop: p.crop.clone(),
        area_ha: p.area_ha,
        nodes: known
            .nodes
            .iter()
            .filter(|n| n.plot == p.id)
            .map(|n| n.id.clone())
            .collect(),
        channels: None,
    };
    known.plots.iter().map(plot).collect()
}

fn farm_list(known: &Registry) -> Vec<Farm> {
    let plots = plot_list(known);
    let farm = |f: &crate::registry::Farm| Farm {
        id: f.id.clone(),
        name: f.name.clone(),
        commune: f.commune.clone(),
        plots: plots.iter().filter(|p| p.farm == f.id).cloned().collect(),
    };
    known.farms.iter().map(farm).collect()
}

async fn node_list(web: &Web, known: &Registry) -> Result<Vec<Node>, ApiError> {
    let hellos: HashMap<NodeNum, (Millis, Vec<u8>)> = web
        .journal
        .read(|c| {
            let mut select = c.prepare_cached("SELECT node, received, body FROM hello")?;
            let rows = select
                .query_map([], |r| Ok((r.get(0)?, (r.get(1)?, r.get(2)?))))?
                .collect::<Result<_, _>>()?;
            Ok(rows)
        })
        .await?;
    let seen = web.live.last_seen();
    let clocks = web.clocks.all();
    let node = |n: &std::sync::Arc<crate::registry::Node>| {
        let said = hellos.get(&n.num);
        let hello = said
            .and_then(|(_, body)| Hello::decode(body).ok())
            .unwrap_or_default();
        let account = web.journal.account(n.num);
        Node {
            id: n.id.clone(),
            farm: known
                .plot(&n.plot)
                .map(|p| p.farm.clone())
                .unwrap_or_default(),
            plot: n.plot.clone(),
            name: n.name.clone(),
            last_seen: seen.get(&n.num).copied().max(said.map(|s| s.0)),
            boot: hello.boot,
            firmware: hello.firmware.map(str::to_owned),
            board: hello.board.map(str::to_owned),
            reset_reason: hello.reset_reason.map(|r| r.name()),
            battery_mv: hello.battery_mv,
            rssi_dbm: hello.rssi_dbm,
            config_version: hello.config_version,
            received: account.received,
            missing: account.missing,
            dropped: hello.dropped,
            clock: clocks.get(&n.num).copied(),
        }
    };
    Ok(known.nodes.iter().map(node).collect())
}

/// Farms with their plots.
#[utoipa::path(get, path = "/api/v1/farms", responses((status = 200, body = Vec<Farm>)))]
pub(super) async fn farms(State(web): State<Web>) -> Json<Vec<Farm>> {
    Json(farm_list(&web.known.now()))
}

/// All plots.
#[utoipa::path(get, path = "/api/v1/plots", responses((status = 200, body = Vec<Plot>)))]
pub(super) async fn plots(State(web): State<Web>) -> Json<Vec<Plot>> {
    Json(plot_list(&web.known.now()))
}

/// All nodes and how they fare.
#[utoipa::path(get, path = "/api/v1/nodes", responses((status = 200, body = Vec<Node>)))]
pub(super) async fn nodes(State(web): State<Web>) -> Answer<Vec<Node>> {
    Ok(Json(node_list(&web, &web.known.now()).await?))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    farm: Option<String>,
    plot: Option<String>,
    node: Option<String>,
}

/// The newest reading of each channel, of all or of one farm, plot or node.
#[utoipa::path(get, path = "/api/v1/latest", params(Which), responses((status = 200, body = Vec<Latest>)))]
pub(super) async fn latest(
    State(web): State<Web>,
    Params(which): Params<Which>,
) -> Json<Vec<Latest>> {
    let (known, now) = (web.known.now(), web.clock.now());
    let wanted = |l: &Latest| {
        which.node.as_ref().is_none_or(|n| *n == l.node)
            && which.plot.as_ref().is_none_or(|p| *p == l.plot)
            && which
                .farm
                .as_ref()
                .is_none_or(|f| known.plot(&l.plot).is_some_and(|p| p.farm == *f))
    };
    Json(
        web.live
            .all()
            .iter()
            .filter_map(|l| Latest::of(l, &known, now, true))
            .filter(wanted)
            .collect(),
    )
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Range {
    node: String,
    channel: String,
    /// First instant, ms UTC; a day before `to` if left out.
    from: Option<Millis>,
    /// The instant after the last, ms UTC; now if left out.
    to: Option<Millis>,
    /// How many buckets at most, 1 to 2000.
    buckets: Option<u32>,
}

/// A channel's history, down-sampled.
#[utoipa::path(get, path = "/api/v1/history", params(Range), responses((status = 200, body = History), (status = 400, body = ApiError), (status = 404, body = ApiError)))]
pub(super) async fn history(
    State(web): State<Web>,
    Params(range): Params<Range>,
) -> Answer<History> {
    let node = web
        .known
        .now()
        .node(&range.node)
        .cloned()
        .ok_or_else(|| ApiError::not_found("no such node"))?;
    let channel = Channel::parse(&range.channel)
        .ok_or_else(|| ApiError::bad_request("no such channel; see /api/v1/latest for names"))?;
    let to = range.to.unwrap_or_else(|| web.clock.now());
    let from = range.from.unwrap_or(to - crate::reading::DAY_MS);
    if from >= to {
        return Err(ApiError::bad_request("from must be before to"));
    }
    let buckets = range.buckets.unwrap_or(300);
    if !(1..=MAX_BUCKETS).contains(&buckets) {
        return Err(ApiError::bad_request(format!(
            "buckets must be between 1 and {MAX_BUCKETS}"
        )));
    }
    let h = web
        .journal
        .history(node.num, channel, from, to, buckets)
        .await?;
    let some = |head: &crate::journal::Head, v: f64| (head.values > 0).then_some(v);
    Ok(Json(History {
        node: node.id.clone(),
        channel: channel.to_string(),
        unit: channel.quantity().unit(),
        from,
        to,
        bucket_ms: h.bucket_ms,
        // One reading that is late is no gap; two that are missing are.
        gap_ms: (h.every_ms.unwrap_or(h.bucket_ms).saturating_mul(5) / 2).max(h.bucket_ms * 2),
        t: h.buckets.iter().map(|b| b.start).collect(),
        mean: h
            .buckets
            .iter()
            .map(|b| some(&b.head, b.head.sum / f64::from(b.head.values.max(1))))
            .collect(),
        min: h
            .buckets
            .iter()
            .map(|b| some(&b.head, b.head.min))
            .collect(),
        max: h
            .buckets
            .iter()
            .map(|b| some(&b.head, b.head.max))
            .collect(),
        n: h.buckets.iter().map(|b| b.head.values).collect(),
        estimated: h.buckets.iter().map(|b| b.estimated).collect(),
    }))
}

#[derive(Serialize, ToSchema)]
pub(super) struct RefusedList {
    /// Since the start, by reason.
    counts: BTreeMap<&'static str, u64>,
    /// The last ones, newest first.
    last: Vec<Refused>,
}

/// What was refused and why.
#[utoipa::path(get, path = "/api/v1/refused", responses((status = 200, body = RefusedList)))]
pub(super) async fn refused(State(web): State<Web>) -> Json<RefusedList> {
    let (counts, last) = web.refusals.snapshot();
    Json(RefusedList { counts, last })
}

#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`; `degraded`: something lags, or was lost and what there is goes on; `failing`: readings can't be stored.
    status: &'static str,
    /// What is wrong, for people.
    problems: Vec<String>,
    journal: JournalHealth,
    disk: Status,
    sinks: Vec<SinkHealth>,
    broker: BrokerHealth,
    clock: ClockHealth,
}

#[derive(Serialize, ToSchema)]
struct JournalHealth {
    head: i64,
    unfolded_rows: u64,
    /// Damaged files, the newest last.
    damage: Vec<Damage>,
}

#[derive(Serialize, ToSchema)]
struct SinkHealth {
    name: &'static str,
    /// Readings that the server does not have.
    lag_readings: u64,
    /// Those of them that newer ones overtake.
    backlog_readings: u64,
    last_ok_at: Option<Millis>,
    last_error: Option<String>,
    /// Points refused for good since the start.
    refused: u64,
    /// Refused points that are kept: see `/api/v1/dead-letters`.
    dead_letters: u64,
}

#[derive(Serialize, ToSchema)]
struct BrokerHealth {
    mode: &'static str,
    connected: bool,
    clients: usize,
}

/// How the gateway is doing.
#[utoipa::path(get, path = "/api/v1/health", responses((status = 200, body = Health)))]
pub(super) async fn health(State(web): State<Web>) -> Answer<Health> {
    let mut problems = Vec::new();
    let mut sinks = Vec::new();
    if let Some(influx) = &web.influx {
        let s = influx.get();
        if let Some(e) = &s.last_error {
            problems.push(format!("InfluxDB: {e}; readings wait in the journal"));
        }
        let backlog_readings = web.journal.readings_in(s.gaps).await?;
        sinks.push(SinkHealth {
            name: "influx",
            lag_readings: backlog_readings + web.journal.readings_after(s.live).await?,
            backlog_readings,
            dead_letters: influx::dead_letters(&web.journal).await?,
            last_ok_at: s.last_ok_at,
            last_error: s.last_error,
            refused: s.refused,
        });
    }
    let broker = BrokerHealth {
        mode: web.door_mode,
        connected: web.door.connected(),
        clients: web.door.clients(),
    };
    if !broker.connected {
        problems.push("the broker can't be reached; nodes keep their readings".to_owned());
    }
    let clock = clock_health(&web);
    if !clock.right {
        problems.push(
            "the gateway's clock is wrong: it is behind the newest reading. Readings are kept, times are estimated, and nodes \
             are not told the time. Set the clock (NTP); if it is right and the journal is not, set it once more, by two \
             seconds or more, while the gateway runs"
                .to_owned(),
        );
    }
    let disk = web.disk.get();
    problems.extend(disk.problems.iter().cloned());
    problems.extend(web.journal.damage().iter().map(ToString::to_string));
    let failing = web.journal.failing();
    let status = if failing.is_some() {
        "failing"
    } else if problems.is_empty() {
        "ok"
    } else {
        "degraded"
    };
    problems.extend(failing.map(|e| e.to_string()));
    let journal = JournalHealth {
        damage: damage(&web),
        head: *web.journal.head().borrow(),
        unfolded_rows: web.journal.unfolded(),
    };
    Ok(Json(Health {
        status,
        problems,
        journal,
        disk,
        sinks,
        broker,
        clock,
    }))
}

/// Prometheus metrics.
pub(super) async fn metrics(State(web): State<Web>) -> String {
    if let Some(influx) = &web.influx
        && let Ok(lag) = web.journal.readings_in(influx.get().unsent()).await
    {
        metrics::gauge!("sen_sink_lag_readings", "sink" => "influx").set(lag as f64);
    }
    metrics::gauge!("sen_journal_unfolded_rows").set(web.journal.unfolded() as f64);
    let damage = web.journal.damage();
    metrics::gauge!("sen_journal_damaged_files").set(damage.len() as f64);
    metrics::gauge!("sen_journal_lost_rows").set(damage.iter().map(|d| d.lost).sum::<u64>() as f64);
    web.metrics.render()
}
