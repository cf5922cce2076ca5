//! The firmware for hardware on an emulated Cortex-M3, against the real gateway: what a node promises holds on a board.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sen_tests::board::{self, Board, CHANNELS, Wire};
use sen_tests::herd::What;
use sen_tests::net::free_addr;
use sen_tests::ppp::Peer;
use sen_tests::proxy::{Fault, Proxy};
use sen_tests::sen::{Dumped, Sen, Setup};
use sen_tests::wait;
use sen_wire::provision::{KEY_BYTES, Tls};
use sen_wire::{Channel, Quantity};

const NODE: &str = "node-01";
/// 1002 readings, in half a minute.
const ROWS: usize = 167;
const PACE: Duration = Duration::from_millis(180);
/// A board computes slowly, and waits between attempts.
const PATIENCE: Duration = Duration::from_secs(180);

/// Stack that nothing has ever used, bytes: a board that used all of it overwrites its own data.
const SPARE: u32 = 4096;

/// A gateway with its TLS door, a proxy in front of that, and the key that it shows.
async fn gateway() -> Result<(Sen, Proxy, [u8; KEY_BYTES])> {
    let door = free_addr();
    let mut setup = Setup::new(1);
    setup.broker_extra = format!("tls_listen = \"{door}\"\n");
    let sen = Sen::start(&setup).await?;
    let key = board::public_key(&sen.dir().join("data/node-tls.key"))?;
    let proxy = Proxy::start(door).await?;
    Ok((sen, proxy, key))
}

/// Waits until the gateway has received that many readings of the node.
async fn received(sen: &Sen, board: &mut Board, count: usize) -> Result<()> {
    let what = format!("{count} readings");
    wait::until(&what, PATIENCE, || {
        let alive = board.console().map(drop);
        async move {
            alive?;
            let node = sen.node(NODE).await?;
            let received = node["received"].as_u64().unwrap_or_default();
            ensure!(received >= count as u64, "{received} so far");
            Ok(Some(()))
        }
    })
    .await
}

/// Waits until the journal holds as many readings of the boot as were measured, and compares them: the gateway counts what it
/// has received a moment before that stands in the journal.
async fn kept(sen: &Sen, expected: &[(String, What)], boot: u64) -> Result<()> {
    let mut dump = Vec::new();
    let of_boot = |dump: &[Dumped]| dump.iter().filter(|d| d.boot == Some(boot)).count();
    for _ in 0..50 {
        dump = sen.dump()?;
        if of_boot(&dump) >= expected.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    board::compare(expected, &dump, boot)
}

fn of_channel(dump: &[Dumped], quantity: Quantity) -> impl Iterator<Item = &Dumped> {
    let channel = Channel::first(quantity).to_string();
    dump.iter().filter(move |d| d.channel == channel)
}

/// A thousand readings through a killed gateway and a link that swallows, breaks and cuts; none lost, none changed.
async fn delivers_all(board: &mut Board, sen: &mut Sen, proxy: &Proxy) -> Result<()> {
    board.power_on()?;
    board.says("sen joined").await?;
    received(sen, board, 100).await?;
    sen.kill9();
    // Measured meanwhile, and kept.
    tokio::time::sleep(Duration::from_secs(3)).await;
    sen.restart().await?;
    received(sen, board, 300).await?;
    proxy.set(Fault::BlackHole);
    tokio::time::sleep(Duration::from_secs(8)).await;
    proxy.set(Fault::Reset);
    tokio::time::sleep(Duration::from_secs(1)).await;
    proxy.set(Fault::Split(7));
    received(sen, board, 600).await?;
    proxy.set(Fault::CutAfter(3000));
    received(sen, board, 800).await?;
    proxy.set(Fault::None);
    let expected = board::replay(ROWS)?;
    received(sen, board, expected.len()).await?;
    let (used, room) = board.stack()?;
    eprintln!("{} readings; stack {used} of {room} bytes", expected.len());
    ensure!(used + SPARE <= room, "hardly any stack is left");
    kept(sen, &expected, board::newest_boot(&sen.dump()?)?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_delivers_a_thousand_readings_by_tls_through_kills_and_link_loss() -> Result<()> {
    let (mut sen, proxy, key) = gateway().await?;
    let port = proxy.addr().port();
    let dir = sen.dir().to_owned();
    let board = Board::flashed(&dir, Wire::Ethernet, NODE, port, Tls::Pinned(&key))?;
    let mut board = board.quick(ROWS, PACE);
    delivers_all(&mut board, &mut sen, &proxy).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_without_tls_delivers_the_same() -> Result<()> {
    let mut sen = Sen::start(&Setup::new(1)).await?;
    let proxy = Proxy::start(sen.mqtt()).await?;
    let port = proxy.addr().port();
    let dir = sen.dir().to_owned();
    let board = Board::flashed(&dir, Wire::Ethernet, NODE, port, Tls::Off)?;
    let mut board = board.quick(ROWS, PACE);
    delivers_all(&mut board, &mut sen, &proxy).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_behind_a_modem_delivers_the_same_through_a_dead_spot() -> Result<()> {
    let (mut sen, proxy, key) = gateway().await?;
    let port = proxy.addr().port();
    let dir = sen.dir().to_owned();
    let board = Board::flashed(&dir, Wire::Ppp, NODE, port, Tls::Pinned(&key))?;
    let mut board = board.quick(ROWS, PACE);
    board.power_on()?;
    let peer = Peer::start(&board.modem_file(), port).await?;
    // Nothing is answered at first: the library does not repeat what was lost, so the board begins anew.
    peer.deaf(true);
    board.says("sen trouble=no_link ").await?;
    peer.deaf(false);
    board.says("sen joined").await?;
    received(&sen, &mut board, 200).await?;
    peer.deaf(true);
    tokio::time::sleep(Duration::from_secs(5)).await;
    peer.deaf(false);
    received(&sen, &mut board, 500).await?;
    sen.kill9();
    tokio::time::sleep(Duration::from_secs(2)).await;
    sen.restart().await?;
    let expected = board::replay(ROWS)?;
    received(&sen, &mut board, expected.len()).await?;
    let (used, room) = board.stack()?;
    eprintln!(
        "{} readings over PPP; stack {used} of {room} bytes",
        expected.len()
    );
    ensure!(used + SPARE <= room, "hardly any stack is left");
    kept(&sen, &expected, board::newest_boot(&sen.dump()?)?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_board_measured_offline_outlives_its_reset() -> Result<()> {
    let (sen, proxy, key) = gateway().await?;
    let port = proxy.addr().port();
    let dir = sen.dir().to_owned();
    let board = Board::flashed(&dir, Wire::Ethernet, NODE, port, Tls::Pinned(&key))?;
    let mut board = board.quick(20, Duration::from_millis(50));
    proxy.set(Fault::Reset);
    board.power_on()?;
    let first = board::replay(20)?;
    // Nobody there: it keeps measuring, and says what is wrong.
    let said = board.says("sen trouble=").await?;
    ensure!(
        said.contains("protocol") || said.contains("no_answer"),
        "{said}"
    );
    tokio::time::sleep(Duration::from_secs(4)).await;
    board.power_off();
    proxy.set(Fault::None);
    board.power_on()?;
    let start = board.says("sen node=").await?;
    ensure!(
        start.contains(&format!("pending={}", first.len())),
        "{start}"
    );
    received(&sen, &mut board, 2 * first.len()).await?;
    let newest = board::newest_boot(&sen.dump()?)?;
    let before = kept(&sen, &first, newest - 1).await;
    before.context("of the first boot")?;
    let after = kept(&sen, &first, newest).await;
    after.context("of the second boot")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_does_as_it_is_configured_and_reports_a_broken_probe() -> Result<()> {
    let (sen, proxy, key) = gateway().await?;
    let port = proxy.addr().port();
    let dir = sen.dir().to_owned();
    let mut board = Board::flashed(&dir, Wire::Ethernet, NODE, port, Tls::Pinned(&key))?;
    board.power_on()?;
    board.says("sen joined").await?;
    // Every quarter of an hour at first: one row.
    received(&sen, &mut board, CHANNELS.len()).await?;

    let order = dir.join("order.json");
    std::fs::write(
        &order,
        r#"{"sample_every_s": 1, "send_every_s": 0, "channels": ["water_temperature", "ph"]}"#,
    )?;
    let path = order.display().to_string();
    sen.run(&["node", "config", NODE, "--set", &path])?
        .success()?;
    received(&sen, &mut board, CHANNELS.len() + 8).await?;
    let before = sen.dump()?;
    for quantity in CHANNELS {
        let count = of_channel(&before, quantity).count();
        let asked = matches!(quantity, Quantity::WaterTemperature | Quantity::Ph);
        ensure!(asked == (count > 1), "{quantity:?}: {count} readings");
    }

    board.cut(&[Quantity::Ph])?;
    let faults = |dump: &[Dumped]| {
        of_channel(dump, Quantity::Ph)
            .filter(|d| d.fault.as_ref().and_then(|f| f.as_str()) == Some("open_circuit"))
            .count()
    };
    wait::until("faults of the pH probe", PATIENCE, || async {
        Ok((faults(&sen.dump()?) >= 3).then_some(()))
    })
    .await?;
    board.cut(&[])?;
    let dump = sen.dump()?;
    ensure!(
        of_channel(&dump, Quantity::WaterTemperature).all(|d| d.fault.is_none()),
        "a probe that was not cut"
    );

    // What it was told holds after a reset, before it has joined.
    proxy.set(Fault::Reset);
    board.power_off();
    board.power_on()?;
    board.says("sen trouble=").await?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    proxy.set(Fault::None);
    let boot = board::newest_boot(&dump)?;
    let newer = |dump: &[Dumped]| dump.iter().filter(|d| d.boot > Some(boot)).count();
    wait::until("readings of the new boot", PATIENCE, || async {
        Ok((newer(&sen.dump()?) >= 6).then_some(()))
    })
    .await?;
    let dump = sen.dump()?;
    let others = dump.iter().filter(|d| d.boot > Some(boot));
    let mut others = others.filter(|d| d.channel != "water_temperature" && d.channel != "ph");
    ensure!(others.next().is_none(), "it forgot its channels");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_says_why_it_is_kept_out_and_keeps_measuring() -> Result<()> {
    let (sen, proxy, key) = gateway().await?;
    let port = proxy.addr().port();
    let dir = sen.dir().to_owned();
    // A key as good as the gateway's, and not the gateway's.
    let other: [u8; KEY_BYTES] = rcgen::KeyPair::generate()?.public_key_raw().try_into()?;
    let board = Board::flashed(&dir, Wire::Ethernet, NODE, port, Tls::Pinned(&other))?;
    let mut board = board.quick(30, Duration::from_millis(100));
    board.power_on()?;
    board.says("sen trouble=wrong_key ").await?;
    board.power_off();

    let key = Tls::Pinned(&key);
    board.configure(NODE, "not-the-password-at-all", port, key)?;
    board.power_on()?;
    board.says("sen trouble=credentials ").await?;
    board.power_off();

    let password = sen_tests::sen::password(NODE);
    sen.run(&["node", "revoke", NODE])?.success()?;
    board.configure(NODE, &password, port, key)?;
    board.power_on()?;
    board.says("sen trouble=revoked ").await?;
    // Three starts of thirty rows, or what each had time for: all kept.
    let kept = board.says("sen node=").await?;
    let pending: usize = kept
        .split_once("pending=")
        .and_then(|(_, rest)| rest.split(' ').next())
        .context("no pending")?
        .parse()?;
    ensure!(pending > 0, "it stopped measuring: {kept}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_that_was_not_flashed_for_a_node_says_so() -> Result<()> {
    let dir = sen_tests::process::TestDir::new()?;
    let mut board = Board::flashed(dir.path(), Wire::Ethernet, NODE, 1, Tls::Off)?;
    let flash = dir.path().join("flash.bin");
    let mut bytes = std::fs::read(&flash)?;
    bytes[40] ^= 1;
    std::fs::write(&flash, &bytes)?;
    board.power_on()?;
    board.says("sen trouble=provision_crc ").await?;
    board.power_off();
    std::fs::write(&flash, vec![0xff; bytes.len()])?;
    board.power_on()?;
    board.says("sen trouble=provision_empty ").await?;
    Ok(())
}
