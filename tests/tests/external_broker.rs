//! Mosquitto in front: PUBACK is Mosquitto's word, the receipt is the gateway's.

use anyhow::Result;
use sen_tests::device::{Device, Keeps};
use sen_tests::mosquitto::{Access, Mosquitto, Persistence};
use sen_tests::sen::{Sen, Setup, password, who};
use sen_tests::{promises, wait};

const DEVICES: usize = 8;

fn received(devices: &[Device]) -> usize {
    devices.iter().map(|d| d.ledger().received.len()).sum()
}

async fn more(devices: &[Device], what: &str) -> Result<()> {
    let goal = received(devices) + 2000;
    wait::until_true(what, wait::PATIENCE, || received(devices) >= goal).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_arrives_through_crashes_of_either_side() -> Result<()> {
    let mut setup = Setup::new(DEVICES);
    let logins = setup.nodes.iter().map(|n| (n.clone(), password(n)));
    let access = Access::Nodes(logins.collect());
    let mut mosquitto = Mosquitto::start(&access, Persistence::EveryChange).await?;
    setup = setup.external(mosquitto.addr());
    let mut sen = Sen::start(&setup).await?;
    let mut devices: Vec<Device> = setup
        .nodes
        .iter()
        .enumerate()
        .map(|(i, n)| {
            Device::start(
                mosquitto.addr(),
                who(n),
                (i as u64 + 1) << 32,
                Keeps::UntilReceipt,
            )
        })
        .collect();
    more(&devices, "receipts in quiet times").await?;
    sen.kill9();
    sen.restart().await?;
    more(&devices, "receipts after kill -9 of the gateway").await?;
    mosquitto.stop()?;
    mosquitto.restart().await?;
    more(&devices, "receipts after a restart of Mosquitto").await?;
    mosquitto.restart().await?;
    more(&devices, "receipts after kill -9 of Mosquitto").await?;
    for device in &mut devices {
        device.finish(wait::PATIENCE).await?;
    }
    // Repeats were dropped by sequence, and nothing is missing.
    for device in &devices {
        let node = sen.node(&device.node).await?;
        let sent = device.ledger().sent.len();
        assert_eq!(node["received"], sent, "{node}");
        assert_eq!(node["missing"], 0, "{node}");
    }
    promises::check(&devices, &sen.dump()?)
}
