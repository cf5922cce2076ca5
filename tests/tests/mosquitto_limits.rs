//! Mosquitto as it comes (1 000 messages queued, 20 in flight, saved at an orderly stop): what holds there, and what does
//! not. Its PUBACK means "in Mosquitto's memory"; only the receipt is the gateway's word.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sen_tests::device::{Device, Keeps, PER_PACK, Place, now_ms, receive, record};
use sen_tests::mosquitto::{Access, Mosquitto, Persistence};
use sen_tests::mqtt::Client;
use sen_tests::pack::Pack;
use sen_tests::sen::{Dumped, Sen, Setup, password, who};
use sen_tests::{promises, wait};

const BOOT: u64 = (9 << 32) | 1;
/// `max_queued_messages`.
const QUEUED: usize = 1_000;
/// A queue that sends nothing for so long is empty.
const QUIET: Duration = Duration::from_secs(2);

async fn start(nodes: usize) -> Result<(Mosquitto, Sen, Setup)> {
    let setup = Setup::new(nodes);
    let logins = setup.nodes.iter().map(|n| (n.clone(), password(n)));
    let access = Access::Nodes(logins.collect());
    let mosquitto = Mosquitto::start(&access, Persistence::Defaults).await?;
    let setup = setup.external(mosquitto.addr());
    let sen = Sen::start(&setup).await?;
    Ok((mosquitto, sen, setup))
}

/// Readings that receipts have to name after each fault.
const ROUND: usize = 800;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_keeps_until_the_receipt_loses_nothing_through_kills_of_either_side() -> Result<()> {
    let (mut mosquitto, mut sen, setup) = start(8).await?;
    let mut devices: Vec<Device> = (1_u64..)
        .zip(&setup.nodes)
        .map(|(i, n)| Device::start(mosquitto.addr(), who(n), i << 32, Keeps::UntilReceipt))
        .collect();
    let kills = if std::env::var_os("SEN_NIGHTLY").is_some() {
        10
    } else {
        2
    };
    receive(&devices, ROUND, "receipts in quiet times").await?;
    for _ in 0..kills {
        sen.kill9();
        sen.restart().await?;
        receive(&devices, ROUND, "receipts after kill -9 of the gateway").await?;
        mosquitto.restart().await?;
        receive(&devices, ROUND, "receipts after kill -9 of Mosquitto").await?;
        sen.kill9();
        mosquitto.restart().await?;
        sen.restart().await?;
        receive(&devices, ROUND, "receipts after kill -9 of both").await?;
    }
    for device in &mut devices {
        device.finish(wait::PATIENCE).await?;
    }
    for device in &devices {
        let node = sen.node(&device.node).await?;
        assert_eq!(node["received"], device.ledger().sent.len(), "{node}");
        assert_eq!(node["missing"], 0, "{node}");
    }
    promises::check(&devices, &sen.dump()?)
}

/// Sends a pack of one reading until the gateway has stored it.
async fn come(
    mosquitto: &Mosquitto,
    sen: &Sen,
    node: &str,
    place: Place,
    pack: &Pack,
) -> Result<()> {
    wait::until("a pack of one", wait::PATIENCE, || async {
        // What comes before the gateway's subscription is acknowledged and goes nowhere.
        let mut client = Client::connect(mosquitto.addr(), &who(node)).await?;
        client
            .publish(&format!("sen/1/{node}/pack"), pack.cbor(), wait::PATIENCE)
            .await?;
        let came = |d: &Dumped| d.boot.zip(d.seq) == Some(place);
        Ok(sen.dump()?.iter().any(came).then_some(()))
    })
    .await
}

/// A device that stops at PUBACK sends `packs` while the gateway is down, and is told that all of them arrived.
async fn send_unheard(mosquitto: &Mosquitto, node: &str, packs: usize) -> Result<Device> {
    let mut device = Device::start(mosquitto.addr(), who(node), BOOT, Keeps::UntilPuback);
    let goal = packs * PER_PACK as usize;
    wait::until_true("PUBACKs of Mosquitto", wait::PATIENCE, || {
        device.ledger().acked.len() >= goal
    })
    .await?;
    device.finish(wait::PATIENCE).await?;
    let ledger = device.ledger();
    ensure!(ledger.acked == ledger.sent && ledger.received.is_empty());
    drop(ledger);
    Ok(device)
}

/// One more pack after all that the device sent, so that everything before it is known to exist; then waits until nothing
/// more comes. The places that are in the journal, without that pack's.
async fn stored(mosquitto: &Mosquitto, sen: &Sen, device: &Device) -> Result<BTreeSet<Place>> {
    let next = device.ledger().sent.last().context("nothing sent")?.1 + 1;
    let pack = Pack {
        place: Some((BOOT, next)),
        records: vec![record(device.from, next)],
    };
    let place = (BOOT, next);
    come(mosquitto, sen, &device.node, place, &pack).await?;
    // Mosquitto sends a new message before those that are queued when there is room in flight, so the last pack is not
    // the last to come.
    let mut before = (0, Instant::now());
    let places = wait::until("the end of the queue", wait::PATIENCE, || {
        let dump = sen.dump();
        let places: Result<BTreeSet<Place>> =
            dump.map(|dump| dump.iter().filter_map(|d| d.boot.zip(d.seq)).collect());
        if let Ok(places) = &places
            && places.len() != before.0
        {
            before = (places.len(), Instant::now());
        }
        let quiet = before.1.elapsed() > QUIET;
        async move { Ok(quiet.then_some(places?)) }
    })
    .await?;
    Ok(places
        .into_iter()
        .filter(|p| p.0 == BOOT && *p != place)
        .collect())
}

async fn missing(sen: &Sen, device: &Device) -> Result<usize> {
    let node = sen.node(&device.node).await?;
    let missing = node["missing"].as_u64().context("no missing")?;
    Ok(usize::try_from(missing)?)
}

/// The gateway is there once: from now on Mosquitto keeps a queue for it.
async fn queue_begins(mosquitto: &Mosquitto, sen: &Sen, node: &str) -> Result<()> {
    let place = (BOOT - 1, 0);
    let pack = Pack {
        place: Some(place),
        records: vec![record(now_ms() - 7_200_000, 0)],
    };
    come(mosquitto, sen, node, place, &pack).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_mosquitto_acknowledged_dies_with_it_and_is_known_to_be_missing() -> Result<()> {
    let (mut mosquitto, mut sen, setup) = start(1).await?;
    queue_begins(&mosquitto, &sen, &setup.nodes[0]).await?;
    sen.kill9();
    let device = send_unheard(&mosquitto, &setup.nodes[0], QUEUED / 4).await?;
    // kill -9, and a start.
    mosquitto.restart().await?;
    sen.restart().await?;
    let stored = stored(&mosquitto, &sen, &device).await?;
    let acked = device.ledger().acked.len();
    eprintln!(
        "{acked} acknowledged by Mosquitto, {} arrived",
        stored.len()
    );
    assert!(stored.is_empty(), "it kept {} of {acked}", stored.len());
    assert_eq!(missing(&sen, &device).await?, acked);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_room_in_its_queue_is_acknowledged_dropped_and_known_to_be_missing()
-> Result<()> {
    let (mosquitto, mut sen, setup) = start(1).await?;
    queue_begins(&mosquitto, &sen, &setup.nodes[0]).await?;
    sen.kill9();
    let device = send_unheard(&mosquitto, &setup.nodes[0], 3 * QUEUED).await?;
    sen.restart().await?;
    let stored = stored(&mosquitto, &sen, &device).await?;
    let acked = device.ledger().acked.len();
    eprintln!(
        "{acked} acknowledged by Mosquitto, {} arrived",
        stored.len()
    );
    let packs = stored.len() / PER_PACK as usize;
    // A queue keeps what came first: a hole in that would be somebody else's loss.
    let unbroken = (0..).zip(&stored).take_while(|(i, p)| p.1 == *i).count();
    assert_eq!(unbroken, stored.len(), "a hole");
    // What was in flight when the gateway died comes on top.
    assert!(
        (QUEUED - 50..=QUEUED + 50).contains(&packs),
        "{packs} arrived"
    );
    assert_eq!(missing(&sen, &device).await?, acked - stored.len());
    Ok(())
}
