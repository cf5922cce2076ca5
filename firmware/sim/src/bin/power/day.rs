//! A day of one node, on virtual time.

use anyhow::Context;
use embassy_futures::block_on;
use sen_node::{Identity, Node, RamOutbox, Samples, node::Vitals};
use sen_wire::{
    Channel, Decimal, NodeConfig, Quantity, Receipt, ResetReason, Topic,
    limits::{MAX_CONFIG_BYTES, MAX_PACK_BYTES},
    senml::read_pack,
    topic::Kind,
};

use crate::meter::Meter;

const NODE: &str = "ruong-dong-1";
const DAY_MS: u64 = 86_400_000;
/// The first day fills the node's batches; the second is counted.
const FROM_MS: u64 = DAY_MS;
const UNTIL_MS: u64 = 2 * DAY_MS;
/// There and back.
const ROUND_TRIP_MS: u64 = 200;
/// What a node that stays connected is asked for at least that often.
const KEEP_ALIVE_MS: u64 = 30_000;
const MIDNIGHT_UTC: i64 = 1_735_664_400_000;

pub(crate) struct Day {
    node: Node<RamOutbox<1024>>,
    config: NodeConfig,
    meter: Meter,
    now: u64,
    sweeps: i64,
    ping_at: u64,
}

impl Day {
    pub(crate) fn new(config: NodeConfig) -> anyhow::Result<Self> {
        let identity = Identity {
            node: NODE.parse()?,
            firmware: "0.1.0",
            board: "power",
            reset_reason: ResetReason::PowerOn,
            boot: 0xbeef << 32 | 7,
        };
        let outbox = RamOutbox::new();
        let Ok(mut node) = block_on(Node::start(identity, NodeConfig::default(), outbox));
        let mut buffer = [0; MAX_CONFIG_BYTES];
        let bytes = config.encode(&mut buffer)?;
        block_on(node.receive(0, Kind::Config, bytes));
        anyhow::ensure!(node.config() == &config, "{:?}", node.refused());
        Ok(Self {
            node,
            config,
            meter: Meter::default(),
            now: 0,
            sweeps: 0,
            ping_at: u64::MAX,
        })
    }

    /// Lives two days and returns what the second came to.
    pub(crate) fn live(mut self) -> anyhow::Result<Meter> {
        let mut up_since = None;
        loop {
            let sample_at = self.node.sample_at(self.now);
            let link_at = match self.node.connect_at() {
                Some(at) => at,
                None => {
                    let rest_at = self.node.rest_at().unwrap_or(u64::MAX);
                    rest_at.min(self.node.wake_at()).min(self.ping_at)
                }
            };
            let at = sample_at.min(link_at).max(self.now);
            if at >= UNTIL_MS {
                break;
            }
            self.counting_from(at, &mut up_since);
            self.now = at;
            if sample_at <= at {
                self.sample();
                continue;
            }
            if self.node.connect_at().is_some() {
                self.connect()?;
                up_since = Some(self.now);
            } else if self
                .node
                .rest_at()
                .is_some_and(|rest_at| rest_at <= self.now)
            {
                self.meter.disconnect()?;
                self.node.rested(self.now);
                self.meter.link_up_ms += self.now - up_since.take().unwrap_or(self.now);
            } else if self.ping_at <= self.now {
                self.meter.ping()?;
                self.ping_at = self.now + KEEP_ALIVE_MS;
            }
            self.talk()?;
        }
        self.meter.link_up_ms += up_since.map_or(0, |since| UNTIL_MS - since);
        Ok(self.meter)
    }

    /// The count begins with the second day.
    fn counting_from(&mut self, at: u64, up_since: &mut Option<u64>) {
        if self.now < FROM_MS && at >= FROM_MS {
            self.meter = Meter::default();
            *up_since = up_since.map(|_| FROM_MS);
        }
    }

    fn sample(&mut self) {
        let mut samples = Samples::default();
        // Values as they come from probes: some digits change, some do not.
        let step = self.sweeps % 37;
        for (quantity, mantissa, exponent) in [
            (Quantity::WaterLevel, -132 + step, -1),
            (Quantity::SoilMoisture, 31_245 + 13 * step, -3),
            (Quantity::SoilTemperature, 276_250 + 625 * step, -4),
            (Quantity::Salinity, 12 + step % 7, -1),
            (Quantity::AirTemperature, 29_412 + 7 * step, -3),
            (Quantity::BatteryVoltage, 3_912 - step, -3),
        ] {
            samples.value(Channel::first(quantity), Decimal::new(mantissa, exponent));
        }
        block_on(self.node.record(self.now, &samples));
        self.sweeps += 1;
        self.meter.sweeps += 1;
    }

    fn connect(&mut self) -> anyhow::Result<()> {
        let topics = [Kind::Receipt, Kind::Config].map(topic);
        self.meter.connect(NODE, topics)?;
        self.node.connected(self.now);
        // The broker sends the retained configuration with each subscription.
        let mut buffer = [0; MAX_CONFIG_BYTES];
        let bytes = self.config.encode(&mut buffer)?;
        self.meter.publish_down(topic(Kind::Config), bytes)?;
        block_on(self.node.receive(self.now, Kind::Config, bytes));
        if self.config.listen_s.is_none() {
            self.ping_at = self.now + KEEP_ALIVE_MS;
        }
        Ok(())
    }

    /// Publishes what is due; each message is answered with a receipt.
    fn talk(&mut self) -> anyhow::Result<()> {
        let mut buffer = [0; MAX_PACK_BYTES];
        let vitals = Vitals {
            battery_mv: Some(3_912),
            rssi_dbm: Some(-71),
        };
        while let Some((kind, length)) = block_on(self.node.poll(self.now, vitals, &mut buffer)) {
            let payload = buffer.get(..length).context("what was written")?;
            self.meter.publish_up(topic(kind), payload)?;
            let at = self.now + ROUND_TRIP_MS;
            let time_ms = MIDNIGHT_UTC + i64::try_from(at)?;
            let receipt = match kind {
                Kind::Pack => {
                    let head = read_pack(payload, &mut |_, _| {})?;
                    let ids = head.ids.context("numbered readings")?;
                    Receipt {
                        boot: ids.boot,
                        from: ids.seq,
                        through: ids.seq + u32::try_from(head.records)? - 1,
                        time_ms,
                    }
                }
                _ => Receipt::time_only(0xbeef << 32 | 7, time_ms),
            };
            let mut bytes = [0; 64];
            let bytes = receipt.encode(&mut bytes)?;
            self.meter.publish_down(topic(Kind::Receipt), bytes)?;
            block_on(self.node.receive(at, Kind::Receipt, bytes));
            self.ping_at = self.ping_at.max(self.now + KEEP_ALIVE_MS);
        }
        Ok(())
    }
}

fn topic(kind: Kind) -> String {
    Topic { node: NODE, kind }.to_string()
}
