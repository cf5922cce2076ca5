//! Mosquitto in front: PUBACK is Mosquitto's word, the receipt is the gateway's.

use anyhow::Result;
use sen_tests::device::{Device, Keeps, PER_PACK, receive};
use sen_tests::mosquitto::{Access, Mosquitto, Persistence};
use sen_tests::sen::{Sen, Setup, password, who};
use sen_tests::{promises, wait};

const DEVICES: usize = 8;

/// Readings that receipts have to name after each fault.
const ROUND: usize = 800;

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
    receive(&devices, ROUND, "receipts in quiet times").await?;
    sen.kill9();
    sen.restart().await?;
    receive(&devices, ROUND, "receipts after kill -9 of the gateway").await?;
    mosquitto.stop()?;
    mosquitto.restart().await?;
    receive(&devices, ROUND, "receipts after a restart of Mosquitto").await?;
    mosquitto.restart().await?;
    receive(&devices, ROUND, "receipts after kill -9 of Mosquitto").await?;
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

/// Mosquitto 2.0 sends a queue that it has read back from its file at once, whatever the window is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_queue_from_a_brokers_file_arrives() -> Result<()> {
    const PACKS: usize = 6_000;
    let mut setup = Setup::new(1);
    let node = setup.nodes[0].clone();
    let access = Access::Nodes(vec![(node.clone(), password(&node))]);
    let mut mosquitto = Mosquitto::start(&access, Persistence::AtStop).await?;
    setup = setup.external(mosquitto.addr());
    let mut sen = Sen::start(&setup).await?;
    sen.kill9();
    let mut device = Device::start(mosquitto.addr(), who(&node), 1 << 32, Keeps::UntilPuback);
    let goal = PACKS * PER_PACK as usize;
    wait::until_true("queued packs", wait::PATIENCE, || {
        device.ledger().acked.len() >= goal
    })
    .await?;
    device.finish(wait::PATIENCE).await?;
    mosquitto.stop()?;
    mosquitto.restart().await?;
    sen.restart().await?;
    let sent = device.ledger().sent.len();
    wait::until("all of the queue", wait::PATIENCE, || async {
        let node = sen.node(&node).await?;
        Ok((node["received"] == sent && node["missing"] == 0).then_some(()))
    })
    .await?;
    promises::check(&[device], &sen.dump()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_checked() -> Result<()> {
    let node = Setup::new(1).nodes[0].clone();
    let access = Access::Nodes(vec![(node.clone(), password(&node))]);
    let mosquitto = Mosquitto::start_tls(&access, Persistence::None).await?;
    let stranger = Mosquitto::start_tls(&access, Persistence::None).await?;

    let trusted = Setup::new(1).external_tls(mosquitto.tls_addr()?, mosquitto.ca_file());
    let sen = Sen::start(&trusted).await?;
    let mut device = Device::start(mosquitto.addr(), who(&node), 1 << 32, Keeps::UntilReceipt);
    receive(
        std::slice::from_ref(&device),
        ROUND,
        "receipts by way of TLS",
    )
    .await?;
    device.finish(wait::PATIENCE).await?;
    promises::check(&[device], &sen.dump()?)?;

    // The certificate of somebody else's authority.
    let fooled = Setup::new(1).external_tls(mosquitto.tls_addr()?, stranger.ca_file());
    let mut sen = Sen::start(&fooled).await?;
    wait::until_true("the reason in the log", wait::PATIENCE, || {
        sen.process().stderr().contains("invalid peer certificate")
    })
    .await?;
    let health = sen.http().json("/api/v1/health").await?;
    assert_eq!(health["broker"]["connected"], false, "{health}");
    Ok(())
}
