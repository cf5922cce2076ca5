//! What the machine refuses: a port, a folder, room on the disk.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use sen_tests::device::{Device, Keeps};
use sen_tests::process::TestDir;
use sen_tests::sen::{Sen, Setup, who};
use sen_tests::small_disk::SmallDisk;
use sen_tests::{promises, wait};

/// It fails at once, with one line for people that names what is wrong.
fn fails(sen: &mut Sen, names: &str) -> Result<()> {
    let process = sen.spawn()?;
    let status = process.wait_exit(Duration::from_secs(20))?;
    let said = process.stderr();
    ensure!(status.code().is_some_and(|c| c != 0), "{status}: {said}");
    ensure!(
        !process.stdout().contains("ready"),
        "it said that it is ready"
    );
    let errors: Vec<&str> = said.lines().filter(|l| l.contains(names)).collect();
    ensure!(
        errors.len() == 1,
        "{} lines name {names}:\n{said}",
        errors.len()
    );
    ensure!(
        !said.contains("panicked") && !said.contains("RUST_BACKTRACE"),
        "{said}"
    );
    Ok(())
}

#[tokio::test]
async fn a_taken_port_is_one_clear_line() -> Result<()> {
    let mut sen = Sen::prepare(&Setup::new(1))?;
    for addr in [sen.mqtt(), sen.web()] {
        let taken = std::net::TcpListener::bind(addr)?;
        fails(&mut sen, &addr.to_string())?;
        drop(taken);
    }
    // With both free it starts: nothing was left half done.
    sen.restart().await
}

#[tokio::test]
async fn a_folder_that_cannot_be_is_one_clear_line() -> Result<()> {
    // Permission bits do not stop root, a file in the way does.
    let dir = TestDir::new()?;
    let file = dir.path().join("file");
    fs::write(&file, "in the way")?;
    let mut setup = Setup::new(0);
    setup.data_dir = Some(file.join("data"));
    let failed = Sen::prepare(&setup);
    // `registry apply` needs the folder as well, and says so.
    let error = failed.err().map_or_else(String::new, |e| format!("{e:#}"));
    assert!(error.contains(&file.display().to_string()), "{error}");
    assert!(!error.contains("panicked"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_acknowledgements_and_nothing_else() -> Result<()> {
    let Some(disk) = SmallDisk::mount(64)? else {
        return Ok(());
    };
    let mut setup = Setup::new(3);
    setup.data_dir = Some(disk.path().join("data"));
    let mut sen = Sen::start(&setup).await?;
    let mut devices: Vec<Device> = setup
        .nodes
        .iter()
        .map(|n| Device::start(sen.mqtt(), who(n), 1 << 32, Keeps::UntilPuback))
        .collect();
    let acked = |devices: &[Device]| {
        devices
            .iter()
            .map(|d| d.ledger().acked.len())
            .sum::<usize>()
    };
    wait::until_true("readings", wait::PATIENCE, || acked(&devices) > 500).await?;

    disk.fill()?;
    // The journal may still have room inside its files; then acknowledgements end.
    let mut last = (acked(&devices), std::time::Instant::now());
    wait::until_true("acknowledgements to end", wait::PATIENCE, || {
        let now = acked(&devices);
        if now != last.0 {
            last = (now, std::time::Instant::now());
        }
        last.1.elapsed() > Duration::from_secs(2)
    })
    .await?;
    wait::until("a problem in /health", wait::PATIENCE, || async {
        let health = sen.http().json("/api/v1/health").await?;
        ensure!(health["status"] != "ok", "{health}");
        Ok(Some(()))
    })
    .await?;
    sen.http().json("/api/v1/overview").await?;

    disk.make_room()?;
    let before = acked(&devices);
    wait::until_true("acknowledgements to go on", wait::PATIENCE, || {
        acked(&devices) > before + 500
    })
    .await?;
    for device in &mut devices {
        device.finish(wait::PATIENCE).await?;
    }
    sen.terminate(Duration::from_secs(15))?;
    promises::check(&devices, &sen.dump()?)
}
