//! The harness' own servers come up, take points and messages, and survive a restart.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use sen_tests::device::{Device, Keeps};
use sen_tests::influxd::{DATABASE, Influxd};
use sen_tests::load::{self, Plan, Source};
use sen_tests::mosquitto::{Access, GATEWAY_PASSWORD, GATEWAY_USER, Mosquitto, Persistence};
use sen_tests::mqtt::{Client, Who};
use sen_tests::victoria::Victoria;
use sen_tests::wait;

const LINES: &str =
    "reading,node=a salinity=1.5 1700000000000\nreading,node=a ph=7 1700000000001\n";

#[tokio::test]
async fn influxd_keeps_points_over_a_restart() -> Result<()> {
    let mut influx = Influxd::start().await?;
    let url = format!("{}/write?db={DATABASE}&precision=ms", influx.url());
    let answer = reqwest::Client::new().post(url).body(LINES).send().await?;
    assert_eq!(answer.status(), 204);
    influx.stop()?;
    influx.restart().await?;
    let points = influx.points().await?;
    assert_eq!(points.len(), 2);
    assert_eq!(points[&("a".into(), "ph".into(), 1_700_000_000_001)], 7.0);
    assert_eq!(influx.count("salinity").await?, 1);
    Ok(())
}

#[tokio::test]
async fn victoria_takes_the_v2_api() -> Result<()> {
    let victoria = Victoria::start().await?;
    let url = format!("{}/api/v2/write?precision=ms", victoria.url());
    let answer = reqwest::Client::new().post(url).body(LINES).send().await?;
    assert_eq!(answer.status(), 204);
    let points = victoria.points().await?;
    assert_eq!(
        points[&("a".into(), "salinity".into(), 1_700_000_000_000)],
        1.5
    );
    assert_eq!(points.len(), 2);
    Ok(())
}

#[tokio::test]
async fn mosquitto_keeps_nodes_apart() -> Result<()> {
    let node = ("node-01".to_owned(), "a-password-for-it".to_owned());
    let access = Access::Nodes(vec![node.clone()]);
    let mut mosquitto = Mosquitto::start(&access, Persistence::EveryChange).await?;
    let mut gateway =
        Client::connect(mosquitto.addr(), &Who::node(GATEWAY_USER, GATEWAY_PASSWORD)).await?;
    gateway.subscribe("sen/1/+/pack").await?;
    let limit = Duration::from_secs(10);
    let mut client = Client::connect(mosquitto.addr(), &Who::node(&node.0, &node.1)).await?;
    client
        .publish("sen/1/node-01/pack", Bytes::from("mine"), limit)
        .await?;
    client
        .publish("sen/1/node-02/pack", Bytes::from("not mine"), limit)
        .await?;
    gateway.next_within(limit).await?;
    gateway.ping(limit).await?;
    assert!(
        gateway.parsed()?.is_none(),
        "the foreign topic came through"
    );
    assert!(
        Client::connect(mosquitto.addr(), &Who::node(&node.0, "wrong"))
            .await
            .is_err()
    );
    mosquitto.stop()?;
    mosquitto.restart().await
}

#[tokio::test]
async fn the_generator_counts_every_acknowledgement() -> Result<()> {
    struct Some100;
    impl Source for Some100 {
        fn who(&self, client: usize) -> Who {
            Who {
                id: format!("c{client}"),
                password: None,
                clean: true,
            }
        }
        fn topic(&self, client: usize) -> String {
            format!("t/{client}")
        }
        fn payload(&self, _: usize, k: usize) -> Bytes {
            Bytes::from(k.to_string())
        }
    }
    let mosquitto = Mosquitto::start(&Access::Anonymous, Persistence::None).await?;
    let plan = Plan {
        addr: mosquitto.addr(),
        clients: 5,
        messages: 1000,
        window: 10,
        rate: None,
    };
    let flood = load::run(plan, Arc::new(Some100)).await?;
    assert_eq!(flood.acked, 1000);
    let rate = Some(2000.0);
    let paced = load::run(Plan { rate, ..plan }, Arc::new(Some100)).await?;
    assert_eq!(paced.acked, 1000);
    assert!(paced.elapsed > Duration::from_millis(450), "{paced:?}");
    assert!(paced.elapsed < wait::PATIENCE);
    Ok(())
}

#[tokio::test]
async fn a_device_sends_until_it_is_acknowledged() -> Result<()> {
    let mosquitto = Mosquitto::start(&Access::Anonymous, Persistence::None).await?;
    let who = Who {
        id: "node-01".into(),
        password: None,
        clean: false,
    };
    let mut device = Device::start(mosquitto.addr(), who, 7, Keeps::UntilPuback);
    wait::until_true("some PUBACKs", wait::PATIENCE, || {
        device.ledger().acked.len() > 100
    })
    .await?;
    device.finish(wait::PATIENCE).await?;
    let ledger = device.ledger();
    assert_eq!(ledger.acked, ledger.sent);
    assert!(ledger.received.is_empty());
    Ok(())
}
