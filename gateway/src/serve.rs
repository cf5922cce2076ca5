//! Putting the parts together, and taking them apart in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::alarms::{self, Follower};
use crate::broker::embedded::{Doors, Embedded};
use crate::broker::external::Link;
use crate::broker::identity::Identity;
use crate::broker::{DoorError, DoorState};
use crate::clock::Clock;
use crate::config::{Broker, Config};
use crate::flash::order::Door;
use crate::influx::{self, Sink};
use crate::ingest::Ingest;
use crate::ingest::refusals::Refusals;
use crate::journal::retention::{self, Retention};
use crate::journal::{Folder, Journal, OpenError, ReadError, StoreError};
use crate::live::Live;
use crate::registry::Known;
use crate::web::{self, OperatorToken, Web, Workbench};

/// How long a stop waits for open pages.
const PAGES: Duration = Duration::from_secs(2);

/// The gateway can't start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The journal can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The journal can't be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The door can't be opened.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// The page can't be served.
    #[error(transparent)]
    Web(#[from] web::ListenError),
    /// The operator's token can't be had.
    #[error("operator.token can't be read or written in the data folder")]
    Operator(#[from] std::io::Error),
    /// The sink can't be made.
    #[error(transparent)]
    Influx(#[from] influx::BuildError),
}

/// A running gateway.
pub struct Gateway {
    /// Where nodes connect in the open, if they can.
    pub mqtt: Option<SocketAddr>,
    /// Where nodes connect by TLS, if they can, and the pin of the key that is shown there.
    pub mqtts: Option<(SocketAddr, String)>,
    /// Where the page is.
    pub web: SocketAddr,
    /// The journal, for what runs beside it.
    pub journal: Journal,
    /// Farms, plots, nodes.
    pub known: Known,
    doors: CancellationToken,
    rest: CancellationToken,
    door: JoinHandle<()>,
    sink: Option<JoinHandle<influx::Left>>,
    tasks: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway")
            .field("mqtt", &self.mqtt)
            .field("web", &self.web)
            .finish_non_exhaustive()
    }
}

/// Installs the metrics recorder. Once a process.
#[must_use]
pub fn metrics() -> PrometheusHandle {
    const SECONDS: [f64; 10] = [
        0.000_25, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0,
    ];
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
        .unwrap_or_else(|_| PrometheusBuilder::new());
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    // A second recorder in one process (tests) is left out; the first one counts.
    let _ = metrics::set_global_recorder(recorder);
    handle
}

impl Gateway {
    /// Starts everything that `config` asks for. When it returns, both listeners are bound.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        config: Config,
        demo: bool,
        metrics: PrometheusHandle,
    ) -> Result<Self, StartError> {
        let clock = Clock::system();
        let dir = config.data_dir.clone();
        let journal = tokio::task::spawn_blocking(move || {
            retention::make_way(&dir);
            Journal::open(&dir)
        })
        .await
        .map_err(|_| ReadError::Closed)??;
        // Bind first: a taken address is said before anything else happens.
        let listener = web::bind(config.web).await?;
        let web_addr = listener.local_addr().unwrap_or(config.web);
        let known = journal.insist(async || Known::load(&journal).await).await?;
        let refusals = Arc::new(
            journal
                .insist(async || Refusals::load(&journal).await)
                .await?,
        );
        let ingest = Ingest::new(
            journal.clone(),
            known.clone(),
            refusals.clone(),
            clock.clone(),
        );
        let clocks = ingest.clocks();
        let uncalibrated = ingest.uncalibrated();
        let cursors: &[&str] = if config.influx.is_some() {
            &[alarms::CURSOR, influx::CURSOR]
        } else {
            &[alarms::CURSOR]
        };
        journal
            .insist(async || journal.keep_cursors(cursors).await)
            .await?;
        let live = Live::default();
        let at = journal
            .insist(async || live.load(&journal, &known).await)
            .await?;
        // The log says when its last row arrived; where all is folded, the newest reading stands for it.
        let newest = match journal
            .insist(async || journal.last_received().await)
            .await?
        {
            Some(at) => at,
            None => live.all().iter().map(|l| l.received_at).max().unwrap_or(0),
        };
        if let Some(behind_ms) = clock.starts_after(newest) {
            tracing::warn!(
                "the system's clock is wrong, {behind_ms} ms behind the newest reading: nodes are not told the time until it \
                 is set; check NTP"
            );
        }

        let (doors_stop, rest) = (CancellationToken::new(), CancellationToken::new());
        let mut tasks = vec![
            tokio::spawn(live.clone().follow(journal.clone(), at, rest.clone())),
            tokio::spawn(Folder::new(journal.clone(), config.fold_every).run(rest.clone())),
            tokio::spawn(known.clone().follow(journal.clone(), rest.clone())),
            tokio::spawn(
                refusals
                    .clone()
                    .run(journal.clone(), clock.clone(), rest.clone()),
            ),
        ];
        let disk = retention::SharedStatus::default();
        let retention = Retention::new(
            journal.clone(),
            &config.data_dir,
            config.keep,
            clock.clone(),
            disk.clone(),
            &[alarms::CURSOR],
        )
        .map_err(|source| OpenError::Directory {
            path: config.data_dir.clone(),
            source,
        })?;
        tasks.push(tokio::spawn(retention.run(rest.clone())));
        let state = Arc::new(DoorState::default());
        let (mut key, mut external_port) = (None, None);
        let ((mqtt, mqtts), door_mode, door) = match config.broker {
            Broker::Embedded { listen, tls, open } => {
                let tls = match tls {
                    Some(door) => {
                        let identity =
                            Identity::load_or_make(&config.data_dir, door.files.as_ref())
                                .map_err(DoorError::from)?;
                        Some((door.listen, identity))
                    }
                    None => None,
                };
                let pin = tls.as_ref().map(|(_, identity)| identity.pin());
                key = tls.as_ref().map(|(_, identity)| *identity.point());
                let doors = Doors {
                    plain: listen,
                    tls,
                    open,
                };
                let broker =
                    Embedded::bind(doors, ingest, known.clone(), journal.clone(), state.clone())
                        .await?;
                let (bound, stop) = ((broker.plain, broker.tls.zip(pin)), doors_stop.clone());
                let run = async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = broker.run() => {}
                    }
                };
                (bound, "embedded", tokio::spawn(run))
            }
            Broker::External(external) => {
                external_port = Some(external.port);
                let link = Link::new(&external, ingest, known.clone(), state.clone())?;
                (
                    (None, None),
                    "external",
                    tokio::spawn(link.run(doors_stop.clone())),
                )
            }
        };
        let (sink, influx, dead_letters) = match config.influx {
            Some(influx) => {
                let state = influx::SharedState::default();
                let sink = Sink::new(
                    influx,
                    config.name.clone(),
                    journal.clone(),
                    known.clone(),
                    clock.clone(),
                    state.clone(),
                )?;
                let letters = sink.dead_letters();
                let sink = tokio::spawn(sink.run(rest.clone()));
                (Some(sink), Some(state), Some(letters))
            }
            None => (None, None, None),
        };
        let link = (door_mode == "external").then(|| state.clone());
        let (follower, alarms) = journal
            .insist(async || {
                Follower::load(
                    &journal,
                    &known,
                    &live,
                    &clock,
                    link.clone(),
                    influx.clone(),
                )
                .await
            })
            .await?;
        tasks.push(tokio::spawn(follower.run(rest.clone())));
        let operator = Arc::new(OperatorToken::load_or_make(&config.data_dir)?);
        let workbench = Arc::new(Workbench {
            door: Door {
                plain: mqtt.map(|addr| addr.port()).or(external_port),
                secured: mqtts.as_ref().map(|(addr, _)| addr.port()).zip(key),
            },
            data_dir: config.data_dir.clone(),
        });
        let web = Web {
            operator,
            workbench,
            name: config.name,
            demo,
            started_at: clock.now(),
            journal: journal.clone(),
            known: known.clone(),
            live,
            alarms,
            refusals,
            clocks,
            uncalibrated,
            door: state,
            door_mode,
            influx,
            dead_letters,
            disk,
            metrics,
            clock,
            stop: rest.clone(),
        };
        tasks.push(tokio::spawn(web::serve(listener, web)));
        Ok(Self {
            mqtt,
            mqtts,
            web: web_addr,
            journal,
            known,
            doors: doors_stop,
            rest,
            door,
            sink,
            tasks,
        })
    }

    /// Stops in order: doors first, so that nothing new comes; then sinks drain within their bound; then the journal
    /// closes. Says what was left.
    pub async fn stop(self) {
        self.doors.cancel();
        let _ = self.door.await;
        self.rest.cancel();
        if let Some(sink) = self.sink
            && let Ok(left) = sink.await
        {
            if left.readings == 0 {
                tracing::info!("influx: drained, nothing left");
            } else {
                tracing::warn!(
                    "influx: {} readings are left in the journal; the next start goes on with them",
                    left.readings
                );
            }
        }
        for task in self.tasks {
            let abort = task.abort_handle();
            if tokio::time::timeout(PAGES, task).await.is_err() {
                abort.abort();
            }
        }
        if let Some(e) = self.journal.failing() {
            tracing::error!("stopped while readings were not stored: {e}");
        }
        self.journal.close().await;
    }
}
