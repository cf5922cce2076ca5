//! A node's way in: the gateway's key, credentials of its own, its claim, its configuration, its end.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use reqwest::Method;
use rumqttc::mqttbytes::v4::{ConnectReturnCode, Packet};
use rumqttc::{AsyncClient, Event, MqttOptions, TlsConfiguration, Transport};
use sen_tests::device::now_ms;
use sen_tests::mqtt::{Client, Who};
use sen_tests::net::free_addr;
use sen_tests::sen::{Sen, Setup, password};
use sen_tests::{tls, wait};
use sen_wire::provision::{Provision, Tls};
use sen_wire::{Hello, NodeConfig, RefusalReason};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Longest record that a node has room for.
const RECORD: usize = 1024;

async fn with_tls(nodes: usize) -> Result<(Sen, SocketAddr)> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let addr = free_addr();
    let setup = Setup {
        broker_extra: format!("tls_listen = \"{addr}\"\n"),
        ..Setup::new(nodes)
    };
    Ok((Sen::start(&setup).await?, addr))
}

fn certificate(sen: &Sen) -> Result<Vec<u8>> {
    Ok(std::fs::read(sen.dir().join("data/node-tls.crt"))?)
}

/// Connects as a node by TLS, publishes one reading, and waits for its PUBACK.
async fn one_reading(addr: SocketAddr, node: &str, ca: Vec<u8>) -> Result<()> {
    let mut options = MqttOptions::new(node, "localhost", addr.port());
    options.set_credentials(node, password(node));
    options.set_transport(Transport::tls_with_config(TlsConfiguration::Simple {
        ca,
        alpn: None,
        client_auth: None,
    }));
    let (client, mut events) = AsyncClient::new(options, 10);
    let pack = format!(
        "[{{\"n\":\"ph\",\"t\":{},\"v\":7.1}}]",
        now_ms() as f64 / 1e3
    );
    client
        .publish(
            format!("sen/1/{node}/pack"),
            rumqttc::QoS::AtLeastOnce,
            false,
            pack,
        )
        .await?;
    tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            if let Event::Incoming(rumqttc::Packet::PubAck(_)) = events.poll().await? {
                return anyhow::Ok(());
            }
        }
    })
    .await
    .context("no PUBACK")?
}

async fn refused(sen: &Sen, reason: &str) -> Result<Value> {
    let what = format!("{reason} among what was refused");
    wait::until(&what, wait::PATIENCE, || async {
        let all = sen.http().json("/api/v1/refused").await?;
        let mut last = all["last"].as_array().into_iter().flatten();
        Ok(last.find(|r| r["reason"] == reason).cloned())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_reaches_the_gateway_it_was_flashed_for_and_no_other() -> Result<()> {
    let (mut sen, addr) = with_tls(1).await?;
    let ca = certificate(&sen)?;
    one_reading(addr, "node-01", ca.clone()).await?;

    // The pin that was printed is that of the key in the certificate.
    let spki_head = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    ];
    let der = <rustls::pki_types::CertificateDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(&ca)?;
    let at = der
        .windows(spki_head.len())
        .position(|w| w == spki_head)
        .context("a P-256 key in the certificate")?;
    let pin: String = Sha256::digest(&der[at..at + 91])
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let said = sen.process().stdout();
    ensure!(
        said.contains(&format!("key sha256:{pin}")),
        "{pin} not in {said}"
    );

    // A node of another gateway: it goes away, and the gateway can say why.
    let (other, _) = with_tls(0).await?;
    let fooled = one_reading(addr, "node-01", certificate(&other)?).await;
    ensure!(fooled.is_err(), "took the key of another gateway");
    let entry = refused(&sen, "tls_wrong_key").await?;
    ensure!(
        entry["from"]
            .as_str()
            .is_some_and(|f| f.starts_with("127.0.0.1:")),
        "{entry}"
    );

    // The key outlives a restart, and so does the pin.
    sen.restart().await?;
    one_reading(addr, "node-01", ca).await?;
    ensure!(sen.process().stdout().contains(&pin), "another key");
    let dumped = sen.dump()?;
    ensure!(dumped.len() == 2, "{dumped:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_fit_a_node_and_only_tls_1_3_is_spoken() -> Result<()> {
    let (sen, addr) = with_tls(1).await?;
    let ca = certificate(&sen)?;
    // What a broker has to say at once: a subscription answered, and a configuration of nearly a kilobyte.
    let limits: Vec<Value> = (1..=8)
        .map(|i| json!({"channel": if i == 1 { "ph".to_owned() } else { format!("ph_{i}") }, "below": 6.123456, "above": 8.123456}))
        .collect();
    let (status, order) = sen
        .http()
        .send_json(
            Method::PUT,
            "/api/v1/nodes/node-01/config",
            &json!({"config": {"limits": limits}}),
            None,
        )
        .await?;
    ensure!(status == 200, "{order}");
    let (user, secret) = ("node-01", password("node-01"));
    let field = |text: &str| {
        let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
        bytes.extend(text.as_bytes());
        bytes
    };
    let body = [
        &b"\x00\x04MQTT\x04\xc2\x00\x3c"[..],
        &field(user),
        &field(user),
        &field(&secret),
    ]
    .concat();
    let mut words = vec![0x10, body.len() as u8];
    words.extend(body);
    let filter = [&b"\x00\x01"[..], &field("sen/1/node-01/config"), b"\x01"].concat();
    words.extend([0x82, filter.len() as u8]);
    words.extend(filter);
    let config = tls::trusting(&ca, &[&rustls::version::TLS13])?;
    let talk = tokio::task::spawn_blocking(move || tls::talk(addr, config, &words, 200)).await??;
    ensure!(talk.suite == "TLS13_AES_128_GCM_SHA256", "{}", talk.suite);
    ensure!(talk.answer.len() > 200, "{} bytes", talk.answer.len());
    // The handshake's flight is one record: a node need not put messages together again.
    ensure!(
        talk.records.iter().all(|r| *r <= RECORD),
        "{:?}",
        talk.records
    );

    let old = tls::trusting(&ca, &[&rustls::version::TLS12])?;
    let refusal = tokio::task::spawn_blocking(move || tls::talk(addr, old, b"", 1)).await?;
    ensure!(
        refusal.is_err() || refusal.is_ok_and(|t| t.answer.is_empty()),
        "spoke TLS 1.2"
    );
    refused(&sen, "tls_handshake").await?;
    // MQTT in the open on the port for TLS.
    ensure!(
        Client::connect(addr, &Who::node("node-01", "x"))
            .await
            .is_err()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_clients_keep_nobody_out() -> Result<()> {
    let (sen, addr) = with_tls(1).await?;
    let silent: Vec<TcpStream> = (0..50)
        .map(|_| TcpStream::connect(addr))
        .collect::<std::io::Result<_>>()?;
    let started = Instant::now();
    one_reading(addr, "node-01", certificate(&sen)?).await?;
    ensure!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    let entry = refused(&sen, "tls_silent").await?;
    ensure!(entry["node"].is_null(), "{entry}");
    drop(silent);
    Ok(())
}

fn word(out: &str, after: &str) -> Result<String> {
    out.lines()
        .find_map(|l| l.split_once(after).map(|(_, rest)| rest.trim().to_owned()))
        .with_context(|| format!("no `{after}` in {out}"))
}

async fn verdict(sen: &Sen, who: &Who) -> Result<ConnectReturnCode> {
    Client::open(sen.mqtt()).await?.hand_shake(who).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_added_claimed_and_revoked_while_the_gateway_runs() -> Result<()> {
    let mut sen = Sen::start(&Setup::new(1)).await?;
    let unknown = verdict(&sen, &Who::node("pond-3", "some-password-0123")).await?;
    ensure!(
        unknown == ConnectReturnCode::BadUserNamePassword,
        "{unknown:?}"
    );
    refused(&sen, "unknown_node").await?;

    let made = sen
        .run(&["node", "add", "pond-3", "--board", "esp32c3"])?
        .success()?
        .out;
    let (secret, code) = (word(&made, "password")?, word(&made, "claim-code")?);
    let who = Who::node("pond-3", &secret);
    let mut client = wait::until("the new node to be let in", wait::PATIENCE, || async {
        Ok(Client::connect(sen.mqtt(), &who).await.ok())
    })
    .await?;
    ensure!(sen.node("pond-3").await?["claimed"] == false);
    // What it sends before its claim is stored.
    let pack = format!(
        "[{{\"n\":\"ph\",\"t\":{},\"v\":7.1}}]",
        now_ms() as f64 / 1e3
    );
    client
        .publish(
            "sen/1/pond-3/pack",
            Bytes::from(pack),
            Duration::from_secs(10),
        )
        .await?;

    let wrong = verdict(&sen, &Who::node("pond-3", "not-its-password-01")).await?;
    ensure!(wrong == ConnectReturnCode::BadUserNamePassword, "{wrong:?}");

    let label = sen
        .run(&[
            "node",
            "label",
            "pond-3",
            "--base",
            "http://192.168.1.10:8080",
        ])?
        .success()?
        .out;
    ensure!(label.contains(&code) && label.contains("<svg"), "{label}");

    let claim = json!({"code": code.to_lowercase(), "plot": "hoa-ao", "who": "linh"});
    let (status, answer) = sen
        .http()
        .send_json(
            Method::POST,
            "/api/v1/claims",
            &claim,
            Some("not the token"),
        )
        .await?;
    ensure!(
        status == 403 && answer["error"]["code"] == "operator_only",
        "{status} {answer}"
    );
    let (status, answer) = sen
        .http()
        .send_json(Method::POST, "/api/v1/claims", &claim, None)
        .await?;
    ensure!(
        status == 200 && answer["claimed_by"] == "linh",
        "{status} {answer}"
    );
    let node = sen.node("pond-3").await?;
    ensure!(
        node["plot"] == "hoa-ao" && node["farm"] == "hoa" && node["claimed"] == true,
        "{node}"
    );
    let token = std::fs::read_to_string(sen.dir().join("data/operator.token"))?;
    let (status, answer) = sen
        .http()
        .send_json(Method::POST, "/api/v1/claims", &claim, Some(token.trim()))
        .await?;
    ensure!(
        status == 409 && answer["error"]["code"] == "code_used",
        "{status} {answer}"
    );

    // Revoked on the command line: cut off within moments, and refused by name.
    sen.run(&["node", "revoke", "pond-3"])?.success()?;
    let cut = Instant::now();
    let ended = client.next_within(Duration::from_secs(10)).await;
    ensure!(
        ended
            .as_ref()
            .is_err_and(|e| !e.to_string().contains("within")),
        "still connected: {ended:?}"
    );
    ensure!(
        cut.elapsed() < Duration::from_secs(5),
        "{:?}",
        cut.elapsed()
    );
    let verdict_now = verdict(&sen, &who).await?;
    ensure!(
        verdict_now == ConnectReturnCode::NotAuthorized,
        "{verdict_now:?}"
    );
    let refusals = sen.http().json("/api/v1/nodes/pond-3/refusals").await?;
    let reasons: Vec<&str> = refusals
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|r| r["reason"].as_str())
        .collect();
    ensure!(reasons == ["revoked", "wrong_password"], "{refusals}");
    let said = sen.process().stderr();
    for line in [
        "refused \"pond-3\" from 127.0.0.1:",
        "wrong_password",
        "revoked and disconnected",
    ] {
        ensure!(said.contains(line), "{line} not in {said}");
    }

    // A new password lets it in again, and ends the old one; nothing of it is lost.
    let (status, answer) = sen
        .http()
        .send_json(
            Method::POST,
            "/api/v1/nodes/pond-3/password",
            &json!({}),
            None,
        )
        .await?;
    ensure!(status == 200, "{answer}");
    let fresh = answer["password"].as_str().context("a password")?;
    ensure!(verdict(&sen, &who).await? == ConnectReturnCode::BadUserNamePassword);
    ensure!(verdict(&sen, &Who::node("pond-3", fresh)).await? == ConnectReturnCode::Success);
    ensure!(sen.dump()?.iter().filter(|r| r.node == "pond-3").count() == 1);
    let list = sen.run(&["node", "list"])?.success()?.out;
    ensure!(
        list.contains("pond-3  hoa/hoa-ao  board esp32c3") && !list.contains(fresh),
        "{list}"
    );
    Ok(())
}

/// Waits for a configuration in its topic.
async fn told(client: &mut Client) -> Result<NodeConfig> {
    loop {
        let packet = client.next_within(Duration::from_secs(10)).await?;
        client.acknowledge(&packet)?;
        client.flush().await?;
        if let Packet::Publish(publish) = packet
            && publish.topic.ends_with("/config")
        {
            return NodeConfig::decode(&publish.payload).map_err(|e| anyhow::anyhow!("{e}"));
        }
    }
}

async fn say(client: &mut Client, node: &str, hello: &Hello<'_>) -> Result<()> {
    let mut buffer = [0; sen_wire::limits::MAX_CONTROL_BYTES];
    let body = hello.encode(&mut buffer)?.to_vec();
    client
        .publish(
            &format!("sen/1/{node}/hello"),
            body.into(),
            Duration::from_secs(10),
        )
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_configured_and_calibrated_and_has_the_last_word() -> Result<()> {
    let mut sen = Sen::start(&Setup::new(1)).await?;
    let node = "node-01";
    let who = Who::node(node, &password(node));
    let mut client = Client::connect(sen.mqtt(), &who).await?;
    client.subscribe("sen/1/node-01/config").await?;
    let runs = |version| Hello {
        boot: Some(1),
        board: Some("esp32c3"),
        config_version: Some(version),
        config_format: Some(2),
        ..Hello::default()
    };
    say(&mut client, node, &runs(0)).await?;

    let path = "/api/v1/nodes/node-01/config";
    let body = json!({"config": {"sample_every_s": 300, "channels": ["ph", "salinity"],
        "limits": [{"channel": "salinity", "above": 4.5}]}, "who": "linh"});
    let (status, order) = sen.http().send_json(Method::PUT, path, &body, None).await?;
    ensure!(
        status == 200 && order["version"] == 1 && order["who"] == "linh",
        "{order}"
    );
    let config = told(&mut client).await?;
    ensure!(
        config.version == 1 && config.sample_every_s == 300 && config.limits.len() == 1,
        "{config:?}"
    );
    ensure!(sen.http().json(path).await?["state"] == "waiting");
    say(&mut client, node, &runs(1)).await?;
    ensure!(sen.http().json(path).await?["state"] == "in_force");

    let wrong = json!({"config": {"sample_every_s": 0, "channels": ["salt"]}});
    let (status, answer) = sen
        .http()
        .send_json(Method::PUT, path, &wrong, None)
        .await?;
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    ensure!(
        status == 400 && message.contains("salt") && message.contains("sample interval"),
        "{answer}"
    );
    let stale = json!({"config": {}, "base_version": 0});
    let (status, answer) = sen
        .http()
        .send_json(Method::PUT, path, &stale, None)
        .await?;
    ensure!(
        status == 409 && answer["error"]["code"] == "version",
        "{answer}"
    );

    // Two points: refused when they run the wrong way, published when they make sense.
    let channel = "/api/v1/nodes/node-01/calibrations/ph";
    let points = |raw: f64| {
        json!({"curve": "ph", "who": "linh", "points": [
            {"raw": 1500, "value": 7, "temperature": 25}, {"raw": raw, "value": 4, "temperature": 25}]})
    };
    let (status, answer) = sen
        .http()
        .send_json(Method::POST, channel, &points(1400.0), None)
        .await?;
    ensure!(
        status == 400 && answer.to_string().contains("wrong way"),
        "{answer}"
    );
    let (status, answer) = sen
        .http()
        .send_json(Method::POST, channel, &points(2032.44), None)
        .await?;
    ensure!(status == 200 && answer["version"] == 2, "{answer}");
    let config = told(&mut client).await?;
    ensure!(
        config.version == 2 && config.calibrations.len() == 1 && config.sample_every_s == 300,
        "{config:?}"
    );
    let seen = sen.http().json(channel).await?;
    ensure!(
        seen["calibrations"][0]["who"] == "linh" && seen["calibrations"][0]["version"] == 1,
        "{seen}"
    );

    // The node has the last word.
    let said = Hello {
        refused_version: Some(2),
        refused_reason: Some(RefusalReason::NoTemperature),
        refused_channel: Some("ph"),
        ..runs(1)
    };
    say(&mut client, node, &said).await?;
    let state = sen.http().json(path).await?;
    ensure!(
        state["state"] == "refused" && state["refused"]["reason"] == "no_temperature",
        "{state}"
    );
    let refusals = sen.http().json("/api/v1/nodes/node-01/refusals").await?;
    ensure!(refusals[0]["reason"] == "no_temperature", "{refusals}");

    // On a stopped gateway, from a file: published at the next start, to a node that connects later.
    drop(client);
    sen.terminate(Duration::from_secs(20))?;
    let file = sen.dir().join("plan.json");
    std::fs::write(&file, r#"{"sample_every_s": 60}"#)?;
    sen.run(&[
        "node",
        "config",
        node,
        "--set",
        &file.display().to_string(),
        "--who",
        "hoa",
    ])?
    .success()?;
    sen.restart().await?;
    let mut client = Client::connect(sen.mqtt(), &Who { clean: true, ..who }).await?;
    client.subscribe("sen/1/node-01/config").await?;
    // What was retained before the start may come first.
    let mut config = told(&mut client).await?;
    while config.version < 3 {
        config = told(&mut client).await?;
    }
    ensure!(
        config.sample_every_s == 60 && config.calibrations.len() == 1,
        "{config:?}"
    );
    let history = sen.http().json(&format!("{path}/history")).await?;
    let who: Vec<&str> = history
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|o| o["who"].as_str())
        .collect();
    ensure!(who == ["hoa", "linh", "linh"], "{history}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_image_of_another_board_is_named() -> Result<()> {
    let sen = Sen::start(&Setup::new(1)).await?;
    let made = sen
        .run(&[
            "node",
            "add",
            "b-2",
            "--board",
            "stm32f405",
            "--plot",
            "hoa-ao",
        ])?
        .success()?
        .out;
    let who = Who::node("b-2", &word(&made, "password")?);
    let mut client = wait::until("the new node to be let in", wait::PATIENCE, || async {
        Ok(Client::connect(sen.mqtt(), &who).await.ok())
    })
    .await?;
    let hello = Hello {
        board: Some("esp32c3"),
        ..Hello::default()
    };
    say(&mut client, "b-2", &hello).await?;
    let refusals = sen.http().json("/api/v1/nodes/b-2/refusals").await?;
    ensure!(refusals[0]["reason"] == "other_board", "{refusals}");
    ensure!(
        refusals[0]["detail"]
            .as_str()
            .is_some_and(|d| d.contains("esp32c3") && d.contains("stm32f405"))
    );
    Ok(())
}

/// All of an ESP32's flash as `espflash save-image --merge` lays it out, with an application that is none.
fn esp_image() -> Vec<u8> {
    let mut image = vec![0xff; 0x10000];
    image[..4].copy_from_slice(&[0xe9, 3, 2, 0x20]);
    let mut at = 0x8000;
    for (name, kind, offset, size) in [
        ("otadata", [1, 0], 0x9000_u32, 0x2000_u32),
        ("sen_node", [1, 6], 0xb000, 0x1000),
        ("ota_0", [0, 0x10], 0x10000, 0x10_0000),
    ] {
        let mut entry = vec![0xaa, 0x50];
        entry.extend(kind);
        entry.extend(offset.to_le_bytes());
        entry.extend(size.to_le_bytes());
        entry.extend(name.as_bytes());
        entry.resize(32, 0);
        image[at..at + 32].copy_from_slice(&entry);
        at += 32;
    }
    image.extend([0x42; 3000]);
    image
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_flashed_is_what_was_asked_for_and_gets_in() -> Result<()> {
    let (sen, addr) = with_tls(0).await?;
    let file = |name: &str| sen.dir().join(name);
    let image = esp_image();
    std::fs::write(file("board.bin"), &image)?;
    std::fs::write(file("wifi.txt"), "mật khẩu 9\n")?;
    let path = |name: &str| file(name).display().to_string();
    let (board, wifi, out) = (path("board.bin"), path("wifi.txt"), path("out.bin"));
    let common = [
        "flash",
        "pond-3",
        "--board",
        "esp32c3",
        "--image",
        &board,
        "--host",
        "192.168.1.10",
        "--wifi",
        "Trại tôm",
        "--wifi-password-file",
        &wifi,
    ];

    let shown = sen
        .run(&[&common[..], &["--dry-run"]].concat())?
        .success()?
        .out;
    for part in [
        "offset 0x0, length 68536 bytes",
        "sha256 ",
        "write-bin --chip esp32c3 0x0",
        "laid into it before: node configuration",
        "offset 0xb000, length 4096 bytes, partition sen_node",
    ] {
        ensure!(shown.contains(part), "{part} not in {shown}");
    }
    ensure!(
        sen.http().json("/api/v1/nodes").await? == json!([]),
        "a rehearsal made a node"
    );

    let said = sen
        .run(&[&common[..], &["--out", &out]].concat())?
        .success()?
        .out;
    let (secret, code) = (word(&said, "password")?, word(&said, "claim-code")?);
    let merged = std::fs::read(&out)?;
    ensure!(
        merged.len() == image.len()
            && merged[..0xb000] == image[..0xb000]
            && merged[0xc000..] == image[0xc000..]
    );
    let node = Provision::for_board(&merged[0xb000..0xc000], "esp32c3")
        .map_err(|e| anyhow::anyhow!("{e}"))?;
    ensure!(
        node.node == "pond-3" && node.password.0 == secret && node.gateway.host == "192.168.1.10"
    );
    ensure!(node.gateway.port == addr.port());
    ensure!(
        node.wifi.is_some_and(
            |w| w.name == "Trại tôm" && w.password.is_some_and(|p| p.0 == "mật khẩu 9")
        )
    );
    // The key on the board is the one in the certificate that the gateway shows.
    let Tls::Pinned(key) = node.gateway.tls else {
        anyhow::bail!("no key")
    };
    let pem = certificate(&sen)?;
    let der = <rustls::pki_types::CertificateDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(&pem)?;
    ensure!(der.windows(key.len()).any(|w| w == key), "another key");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&out)?.permissions());
    ensure!(mode & 0o777 == 0o600, "{mode:o}");

    // With what stands on the board, the node gets in.
    let who = Who::node(node.node, node.password.0);
    wait::until("the flashed node to be let in", wait::PATIENCE, || async {
        Ok(Client::connect(sen.mqtt(), &who).await.ok())
    })
    .await?;

    // The label's code leads to a form that any phone can show.
    let form = sen
        .http()
        .text(&format!("/claim/{}", code.to_lowercase()))
        .await?;
    ensure!(
        form.contains(&code) && form.contains("value=\"hoa-ao\""),
        "{form}"
    );
    let fill = |token| {
        [
            ("code", code.as_str()),
            ("plot", "hoa-ao"),
            ("name", "Ao số 3"),
            ("token", token),
        ]
    };
    let guessed = sen
        .http()
        .post_form("/claim", &fill("a-guess-of-a-token"))
        .await;
    ensure!(
        guessed.is_err_and(|e| e.to_string().contains("403")),
        "a guessed token was taken"
    );
    let token = std::fs::read_to_string(file("data/operator.token"))?;
    sen.http().post_form("/claim", &fill(token.trim())).await?;
    ensure!(sen.node("pond-3").await?["plot"] == "hoa-ao");

    // A known node keeps a password that is given, and what can't be written is refused before anything changes.
    std::fs::write(file("password.txt"), &secret)?;
    let password = path("password.txt");
    sen.run(&[&common[..], &["--out", &out, "--password-file", &password]].concat())?
        .success()?;
    ensure!(std::fs::read(&out)? == merged, "not the same again");
    std::fs::write(file("board.bin"), b"no image")?;
    let bad = sen.run(&[&common[..], &["--out", &out]].concat())?;
    ensure!(
        bad.status.code() == Some(2) && bad.err.contains("partition table"),
        "{bad:?}"
    );
    ensure!(
        verdict(&sen, &who).await? == ConnectReturnCode::Success,
        "the password was changed"
    );
    Ok(())
}
