//! A PUBACK and a receipt mean on disk: they hold when the power fails, not only when the process dies.

use std::time::{Duration, Instant};

use anyhow::Result;
use sen_tests::device::{Device, Keeps, PER_PACK};
use sen_tests::dice::Dice;
use sen_tests::disk::{Disk, Mounts, in_own_mounts};
use sen_tests::sen::{Sen, Setup, who};
use sen_tests::{promises, wait};

/// Each has one message under way, so the rate is theirs over what a commit takes.
fn devices() -> usize {
    if nightly() { 24 } else { 6 }
}

fn nightly() -> bool {
    std::env::var_os("SEN_NIGHTLY").is_some()
}

fn acked(devices: &[Device]) -> usize {
    devices.iter().map(|d| d.ledger().acked.len()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_readings_survive_power_cuts() -> Result<()> {
    let limit = wait::PATIENCE * if nightly() { 25 } else { 4 };
    match in_own_mounts("acknowledged_readings_survive_power_cuts", limit)? {
        Mounts::Own => power_cuts(if nightly() { 50 } else { 8 }).await,
        Mounts::Passed => Ok(()),
        Mounts::Impossible(why) => {
            eprintln!("\n*** SKIPPED: no power was cut, for this machine can't mount: {why} ***\n");
            Ok(())
        }
    }
}

async fn power_cuts(cuts: usize) -> Result<()> {
    let mut dice = Dice::from_env();
    let mut disk = Disk::new()?;
    let mut setup = Setup::new(devices());
    setup.data_dir = Some(disk.path().join("data"));
    let mut sen = Sen::start(&setup).await?;
    let mut devices: Vec<Device> = setup
        .nodes
        .iter()
        .enumerate()
        .map(|(i, node)| {
            let keeps = [Keeps::UntilPuback, Keeps::UntilReceipt, Keeps::Nothing][i % 3];
            Device::start(sen.mqtt(), who(node), (i as u64 + 1) << 32 | 1, keeps)
        })
        .collect();
    let mut under_load = Duration::ZERO;
    for cut in 0..cuts {
        let before = acked(&devices);
        // First the devices have to notice that it is back; the rate counts from there.
        let what = format!("the first PUBACK before cut {cut}");
        wait::until_true(&what, wait::PATIENCE, || acked(&devices) > before).await?;
        let since = Instant::now();
        let goal = before + 2_000 + usize::try_from(dice.within(0..8_000))?;
        let what = format!("{goal} acknowledged readings before cut {cut}");
        wait::until_true(&what, wait::PATIENCE, || acked(&devices) >= goal).await?;
        under_load += since.elapsed();
        sen.kill9();
        disk.cut()?;
        // Not every time: whoever reads the file first could mend it for the gateway.
        if cut % 4 == 3 {
            promises::check(&devices, &sen.dump()?)?;
        }
        sen.restart().await?;
    }
    let under_cuts = acked(&devices);
    for device in &mut devices {
        device.finish(wait::PATIENCE).await?;
    }
    sen.terminate(wait::PATIENCE)?;
    // A device does not send again what was acknowledged: what any cut took is still missing now.
    let journal = sen.dump()?;
    promises::check(&devices, &journal)?;
    let packs = under_cuts as f64 / f64::from(PER_PACK);
    eprintln!(
        "{cuts} power cuts, {} messages a second in between, {} readings acknowledged, {} in the journal, 0 lost",
        (packs / under_load.as_secs_f64()) as u64,
        acked(&devices),
        journal.len()
    );
    Ok(())
}
