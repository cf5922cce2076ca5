//! Everything at once: kills, restarts, a store that is away or hangs, driven by how far the work is.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::dice::Dice;
use crate::influxd::Influxd;
use crate::mosquitto::Mosquitto;
use crate::sen::Sen;
use crate::victoria::Victoria;

/// The gateway's store.
#[derive(Debug)]
pub enum Store {
    /// InfluxDB 1.6.
    Influx(Box<Influxd>),
    /// VictoriaMetrics.
    Victoria(Box<Victoria>),
}

impl Store {
    fn signal(&mut self, name: &str) -> Result<()> {
        match self {
            Self::Influx(influx) => influx.process().signal(name),
            Self::Victoria(victoria) => victoria.process().signal(name),
        }
    }

    fn stop(&mut self) -> Result<()> {
        match self {
            Self::Influx(influx) => influx.stop(),
            Self::Victoria(victoria) => victoria.stop(),
        }
    }

    async fn start(&mut self) -> Result<()> {
        match self {
            Self::Influx(influx) => influx.restart().await,
            Self::Victoria(victoria) => victoria.restart().await,
        }
    }
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// `kill -9` of the gateway, and a start.
    KillGateway,
    /// `kill -9` of Mosquitto, and a start.
    KillBroker,
    /// An orderly stop of Mosquitto, and a start.
    RestartBroker,
    /// The store is stopped.
    StoreGone,
    /// And started.
    StoreBack,
    /// The store hangs (`SIGSTOP`): connections are taken, nothing is answered.
    StoreHangs,
    /// And goes on.
    StoreGoesOn,
}

impl Blow {
    fn is_to_store(self) -> bool {
        matches!(
            self,
            Self::StoreGone | Self::StoreBack | Self::StoreHangs | Self::StoreGoesOn
        )
    }
}

/// When what happens: shares of the work, 0 to 1, ascending.
pub type Plan = Vec<(f64, Blow)>;

/// `kills` of the gateway and `broker` restarts at random, half of them `kill -9`; in each of `rounds` parts of the work the
/// store is gone for a third of it, and hangs for a tenth.
#[must_use]
pub fn plan(dice: &mut Dice, kills: usize, broker: usize, rounds: u32) -> Plan {
    let mut plan = Plan::new();
    let mut random = |blow| plan.push((0.02 + 0.95 * dice.share(), blow));
    for _ in 0..kills {
        random(Blow::KillGateway);
    }
    for i in 0..broker {
        random([Blow::KillBroker, Blow::RestartBroker][i % 2]);
    }
    for round in 0..rounds {
        let at = |share: f64| (f64::from(round) + share) / f64::from(rounds);
        plan.push((at(0.20), Blow::StoreGone));
        plan.push((at(0.53), Blow::StoreBack));
        plan.push((at(0.70), Blow::StoreHangs));
        plan.push((at(0.80), Blow::StoreGoesOn));
    }
    plan.sort_by(|a, b| a.0.total_cmp(&b.0));
    plan
}

/// What a storm hits.
#[derive(Debug)]
pub struct Storm {
    /// The gateway.
    pub sen: Sen,
    /// Its store.
    pub store: Store,
    /// Its broker, when it is not its own.
    pub mosquitto: Option<Mosquitto>,
    /// Blows so far.
    pub blows: Vec<Blow>,
    /// How long the store was stopped.
    pub gone: Duration,
    /// How long it hung.
    pub hung: Duration,
    /// The store is gone, and hangs, for so long at least, however fast the work goes.
    least: Duration,
    since: Instant,
}

impl Storm {
    /// Calm so far. A store that is gone or hangs does so for `least` at least, however fast the work goes.
    #[must_use]
    pub fn new(sen: Sen, store: Store, mosquitto: Option<Mosquitto>, least: Duration) -> Self {
        Self {
            sen,
            store,
            mosquitto,
            blows: Vec::new(),
            gone: Duration::ZERO,
            hung: Duration::ZERO,
            least,
            since: Instant::now(),
        }
    }

    /// How many blows of that kind there were.
    #[must_use]
    pub fn count(&self, blow: Blow) -> usize {
        self.blows.iter().filter(|b| **b == blow).count()
    }

    /// Deals one blow.
    ///
    /// # Errors
    /// When something does not come up again.
    pub async fn strike(&mut self, blow: Blow) -> Result<()> {
        let broker = || "no broker of its own";
        match blow {
            Blow::KillGateway => self.sen.restart().await?,
            Blow::KillBroker => {
                let mosquitto = self.mosquitto.as_mut().with_context(broker)?;
                // Kills it first.
                mosquitto.restart().await?;
            }
            Blow::RestartBroker => {
                let mosquitto = self.mosquitto.as_mut().with_context(broker)?;
                mosquitto.stop()?;
                mosquitto.restart().await?;
            }
            Blow::StoreGone => {
                self.store.stop()?;
                self.since = Instant::now();
            }
            Blow::StoreBack => {
                self.gone += self.since.elapsed();
                self.store.start().await?;
            }
            Blow::StoreHangs => {
                self.store.signal("STOP")?;
                self.since = Instant::now();
            }
            Blow::StoreGoesOn => {
                self.hung += self.since.elapsed();
                self.store.signal("CONT")?;
            }
        }
        self.blows.push(blow);
        Ok(())
    }

    /// What happens to the store happens in its order; the rest does not wait for it.
    fn may(&self, blow: Blow, left: &[(f64, Blow)]) -> bool {
        if !blow.is_to_store() {
            return true;
        }
        let first = left.iter().find(|(_, b)| b.is_to_store());
        let long_enough = match blow {
            Blow::StoreBack | Blow::StoreGoesOn => self.since.elapsed() >= self.least,
            _ => true,
        };
        first.is_some_and(|(_, b)| *b == blow) && long_enough
    }

    /// Deals the plan's blows, each as soon as `progress` is there, until `done`.
    ///
    /// # Errors
    /// When something does not come up again, or nothing moves for `patience`.
    pub async fn rage(
        &mut self,
        plan: &[(f64, Blow)],
        mut progress: impl FnMut() -> Result<f64>,
        patience: Duration,
    ) -> Result<()> {
        let mut left = plan.to_vec();
        let mut last = (-1.0, Instant::now());
        while !left.is_empty() {
            let now = progress()?;
            if now > last.0 {
                last = (now, Instant::now());
            }
            let due = left
                .iter()
                .position(|(at, blow)| now >= *at && self.may(*blow, &left));
            let Some(due) = due else {
                anyhow::ensure!(
                    last.1.elapsed() < patience,
                    "nothing moved for {patience:?} at {now}, left: {left:?}"
                );
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            let (_, blow) = left.remove(due);
            self.strike(blow).await?;
            last.1 = Instant::now();
        }
        Ok(())
    }
}
