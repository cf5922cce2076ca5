//! Promise 1: what was acknowledged is on disk, whenever the gateway is killed.

use std::time::Duration;

use anyhow::Result;
use sen_tests::device::{Device, Keeps};
use sen_tests::sen::{Sen, Setup, who};
use sen_tests::{promises, wait};

const DEVICES: usize = 20;

fn kills() -> usize {
    if std::env::var_os("SEN_NIGHTLY").is_some() {
        60
    } else {
        10
    }
}

fn acked(devices: &[Device]) -> usize {
    devices.iter().map(|d| d.ledger().acked.len()).sum()
}

fn random(below: u16) -> usize {
    let mut bytes = [0; 2];
    getrandom::fill(&mut bytes).expect("random numbers");
    usize::from(u16::from_ne_bytes(bytes) % below)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_readings_survive_kill9_and_are_there_once() -> Result<()> {
    let setup = Setup::new(DEVICES);
    let mut sen = Sen::start(&setup).await?;
    let mut devices: Vec<Device> = setup
        .nodes
        .iter()
        .enumerate()
        .map(|(i, node)| {
            let keeps = [Keeps::UntilPuback, Keeps::UntilReceipt, Keeps::Nothing][i % 3];
            let boot = ((i as u64 + 1) << 32) | 1;
            Device::start(sen.mqtt(), who(node), boot, keeps)
        })
        .collect();
    for kill in 0..kills() {
        let goal = acked(&devices) + 100 + random(6000);
        let what = format!("{goal} acknowledged readings before kill {kill}");
        wait::until_true(&what, wait::PATIENCE, || acked(&devices) >= goal).await?;
        sen.kill9();
        sen.restart().await?;
    }
    for device in &mut devices {
        device.finish(wait::PATIENCE).await?;
    }
    assert!(
        devices.iter().all(|d| d.ledger().connections > 1),
        "a kill that nobody noticed"
    );

    // What the API says, once everything has been sent.
    for device in &devices {
        let node = sen.node(&device.node).await?;
        let sent = device.ledger().sent.len() as u64;
        let received = node["received"].as_u64().unwrap_or_default();
        let missing = node["missing"].as_u64().unwrap_or_default();
        assert_eq!(received + missing, sent, "{node}");
        let acked = device.ledger().acked.len() as u64;
        assert!(received >= acked, "{acked} acknowledged: {node}");
    }
    sen.terminate(Duration::from_secs(15))?;
    let journal = sen.dump()?;
    eprintln!("{} readings through {} kills", journal.len(), kills());
    promises::check(&devices, &journal)?;
    for device in &devices {
        let ledger = device.ledger();
        let kept = ledger.acked.len() == ledger.sent.len();
        assert!(kept || ledger.connections > 1);
    }
    Ok(())
}
