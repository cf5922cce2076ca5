//! A first calibration, from the raw value of a probe that nobody has calibrated to its first reading: the real node's code on
//! one end, what the page's wizard asks for on the other.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use reqwest::Method;
use rumqttc::mqttbytes::v4::Packet;
use sen_node::node::Vitals;
use sen_node::{Identity, NoSettings, Node, RamOutbox, Samples};
use sen_tests::mqtt::{Client, Who};
use sen_tests::sen::{Sen, Setup, password};
use sen_tests::wait;
use sen_wire::limits::MAX_PACK_BYTES;
use sen_wire::topic::{Kind, Topic};
use sen_wire::{Channel, NodeConfig, ResetReason};
use serde_json::{Value, json};

const NODE: &str = "node-01";

/// A node with a soil probe, over a connection of its own.
struct Bench {
    node: Node<RamOutbox<64>>,
    client: Client,
    started: Instant,
    soil: Channel,
}

impl Bench {
    async fn connect(sen: &Sen) -> Result<Self> {
        let mut client = Client::connect(sen.mqtt(), &Who::node(NODE, &password(NODE))).await?;
        for kind in [Kind::Receipt, Kind::Config] {
            client
                .subscribe(&Topic { node: NODE, kind }.to_text())
                .await?;
        }
        let identity = Identity {
            node: NODE.parse().map_err(|e| anyhow::anyhow!("{e:?}"))?,
            firmware: "test",
            board: "test",
            reset_reason: ResetReason::PowerOn,
            boot: 1,
        };
        let soil = Channel::parse("soil_moisture").ok_or_else(|| anyhow::anyhow!("no channel"))?;
        let outbox = RamOutbox::new();
        let default = NodeConfig::default();
        let started = Node::start_with(identity, default, outbox, NoSettings, None);
        // RAM does not fail.
        let Ok(mut node) = started.await;
        node.connected(0);
        Ok(Self {
            node,
            client,
            started: Instant::now(),
            soil,
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// One sweep of the probe, and the talk with the gateway that follows.
    async fn measure(&mut self, millivolts: &str) -> Result<()> {
        let mut samples = Samples::default();
        samples.raw(self.soil, millivolts.parse()?);
        let now = self.now();
        self.node.record(now, &samples).await;
        self.talk().await
    }

    async fn talk(&mut self) -> Result<()> {
        let mut buffer = [0; MAX_PACK_BYTES];
        loop {
            let now = self.now();
            while let Some((kind, length)) =
                self.node.poll(now, Vitals::default(), &mut buffer).await
            {
                let topic = Topic { node: NODE, kind }.to_text();
                let payload = bytes::Bytes::copy_from_slice(&buffer[..length]);
                self.client.queue_publish(&topic, payload, false)?;
                self.client.flush().await?;
            }
            let Ok(packet) = self.client.next_within(Duration::from_millis(200)).await else {
                return Ok(());
            };
            self.client.acknowledge(&packet)?;
            self.client.flush().await?;
            if let Packet::Publish(publish) = packet
                && let Ok(topic) = Topic::parse(&publish.topic)
            {
                let now = self.now();
                self.node.receive(now, topic.kind, &publish.payload).await;
            }
        }
    }
}

const CHANNEL: &str = "/api/v1/nodes/node-01/calibrations/soil_moisture";

async fn raw(sen: &Sen, from: &str, value: f64) -> Result<Value> {
    let what = format!("a raw value of {value} from the {from}");
    wait::until(&what, wait::PATIENCE, || async {
        let seen = sen.http().json(CHANNEL).await?;
        let raw = &seen["raw"];
        let near = raw["value"]
            .as_f64()
            .is_some_and(|v| (v - value).abs() < 1.0);
        Ok((near && raw["from"] == from).then_some(seen))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_that_nobody_has_calibrated_is_calibrated_by_its_live_raw_value() -> Result<()> {
    let mut sen = Sen::start(&Setup::new(1)).await?;
    ensure!(sen.http().json(CHANNEL).await?["raw"] == Value::Null);
    let mut bench = Bench::connect(&sen).await?;

    bench.measure("2800").await?;
    let seen = raw(&sen, "probe", 2800.0).await?;
    ensure!(
        seen["raw"]["age_ms"].as_i64().is_some_and(|ms| ms < 60_000),
        "{seen}"
    );
    // What it gives is no value of the channel, wherever one looks.
    let latest = wait::until("its reading", wait::PATIENCE, || async {
        let all = sen.http().json("/api/v1/latest").await?;
        Ok(all.as_array().filter(|a| !a.is_empty()).cloned())
    })
    .await?;
    ensure!(
        latest.len() == 1
            && latest[0]["value"] == Value::Null
            && latest[0]["fault"] == "not_calibrated",
        "{latest:?}"
    );
    bench.measure("1400").await?;
    raw(&sen, "probe", 1400.0).await?;

    let points = |wet: f64| {
        json!({"curve": "capacitive", "who": "linh",
            "points": [{"raw": 2800, "value": 3}, {"raw": wet, "value": 45}]})
    };
    let gateway = &sen;
    let send = |body: Value| async move {
        gateway
            .http()
            .send_json(Method::POST, CHANNEL, &body, None)
            .await
    };
    let (status, answer) = send(points(2790.0)).await?;
    ensure!(
        status == 400 && answer["error"]["code"] == "points_too_near",
        "{answer}"
    );
    let (status, order) = send(points(1400.0)).await?;
    ensure!(status == 200 && order["who"] == "linh", "{order}");
    bench.talk().await?;
    bench.talk().await?;
    let config = sen.http().json("/api/v1/nodes/node-01/config").await?;
    ensure!(config["state"] == "in_force", "{config}");

    bench.measure("1400").await?;
    let seen = raw(&sen, "value", 1400.0).await?;
    let value = seen["live"]["value"].as_f64().unwrap_or_default();
    ensure!((value - 45.0).abs() < 0.1, "{seen}");
    ensure!(
        seen["calibrations"][0]["who"] == "linh" && seen["calibrations"][0]["version"] == 1,
        "{seen}"
    );

    // What was raw is in no file.
    drop(bench);
    sen.terminate(Duration::from_secs(20))?;
    for row in sen.dump()? {
        ensure!(row.value.is_none_or(|v| v < 100.0), "{row:?}");
    }
    Ok(())
}
