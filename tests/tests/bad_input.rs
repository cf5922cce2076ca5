//! Nothing that comes in over MQTT or HTTP stops the gateway or hurts a good client beside it.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use rumqttc::mqttbytes::v4::ConnectReturnCode;
use sen_tests::device::{Device, Keeps, now_ms};
use sen_tests::mqtt::{Client, Who};
use sen_tests::sen::{Sen, Setup, password, who};
use sen_tests::{promises, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How long a PUBACK for a bad message may take; the connection may also be closed.
const LIMIT: Duration = Duration::from_secs(10);

/// Sends one message as `node-02`; a closed connection is an answer, too.
async fn send(sen: &Sen, topic: &str, payload: impl Into<Bytes>) -> Result<()> {
    let mut client = Client::connect(sen.mqtt(), &who("node-02")).await?;
    let answer = client.publish(topic, payload.into(), LIMIT).await;
    if let Err(error) = answer {
        ensure!(!error.to_string().contains("no PUBACK"), "{topic}: {error}");
    }
    Ok(())
}

async fn refused(sen: &Sen) -> Result<serde_json::Value> {
    sen.http().json("/api/v1/refused").await
}

fn total(refused: &serde_json::Value) -> u64 {
    let counts = refused["counts"].as_object();
    counts
        .into_iter()
        .flatten()
        .filter_map(|(_, n)| n.as_u64())
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_message_is_counted_listed_and_harms_nobody() -> Result<()> {
    let setup = Setup::new(2);
    let mut sen = Sen::start(&setup).await?;
    let good = Device::start(sen.mqtt(), who("node-01"), 1 << 32, Keeps::UntilPuback);
    wait::until_true("the good device", wait::PATIENCE, || {
        good.ledger().acked.len() > 100
    })
    .await?;

    let mine = "sen/1/node-02/pack";
    let now = now_ms() as f64 / 1e3;
    let record = |v: &str| format!("[{{\"n\":\"ph\",\"t\":{now},\"v\":{v}}}]");
    let messages: Vec<(&str, &str, Vec<u8>)> = vec![
        ("cut JSON", mine, b"[{\"n\":\"ph\",\"v\":".to_vec()),
        ("cut CBOR", mine, vec![0x81, 0xa3, 0x00]),
        ("endless CBOR", mine, vec![0x9f, 0xbf, 0x00]),
        ("deep CBOR", mine, vec![0x81; 4000]),
        ("deep JSON", mine, vec![b'['; 4000]),
        ("no SenML", mine, b"hello".to_vec()),
        ("empty", mine, Vec::new()),
        ("empty pack", mine, b"[]".to_vec()),
        ("no UTF-8", mine, b"[{\"n\":\"\xff\xfe\",\"v\":1}]".to_vec()),
        ("JSON NaN", mine, record("NaN").into_bytes()),
        ("JSON inf", mine, record("1e999").into_bytes()),
        ("text as value", mine, record("\"7\"").into_bytes()),
        // {0: "ph", 2: NaN}, {0: "ph", 2: +inf} as half floats
        (
            "CBOR NaN",
            mine,
            vec![0x81, 0xa2, 0, 0x62, b'p', b'h', 2, 0xf9, 0x7e, 0],
        ),
        (
            "CBOR inf",
            mine,
            vec![0x81, 0xa2, 0, 0x62, b'p', b'h', 2, 0xf9, 0x7c, 0],
        ),
        (
            "1970",
            mine,
            b"[{\"n\":\"ph\",\"t\":300000000,\"v\":7}]".to_vec(),
        ),
        (
            "next year",
            mine,
            format!("[{{\"n\":\"ph\",\"t\":{},\"v\":7}}]", now + 3.2e7).into_bytes(),
        ),
        (
            "unknown channel",
            mine,
            b"[{\"n\":\"nonsense\",\"v\":7}]".to_vec(),
        ),
        (
            "unknown unit",
            mine,
            b"[{\"n\":\"at\",\"u\":\"furlong\",\"v\":7}]".to_vec(),
        ),
        (
            "must-understand label",
            mine,
            b"[{\"n\":\"ph\",\"x_\":1,\"v\":7}]".to_vec(),
        ),
        (
            "key twice",
            mine,
            b"[{\"n\":\"ph\",\"v\":7,\"v\":8}]".to_vec(),
        ),
        ("oversized", mine, vec![b'['; 20_000]),
        ("no hello", "sen/1/node-02/hello", b"\xff\xff".to_vec()),
        (
            "foreign node",
            "sen/1/node-01/pack",
            b"[{\"n\":\"ph\",\"v\":7}]".to_vec(),
        ),
        (
            "foreign receipt",
            "sen/1/node-01/receipt",
            vec![0x84, 1, 0, 9, 0],
        ),
        (
            "own receipt",
            "sen/1/node-02/receipt",
            vec![0x84, 1, 0, 9, 0],
        ),
        (
            "unknown topic",
            "v1/devices/me/telemetry",
            b"{\"a\":1}".to_vec(),
        ),
        ("unknown kind", "sen/1/node-02/nonsense", b"[]".to_vec()),
        ("next version", "sen/2/node-02/pack", b"[]".to_vec()),
    ];
    let mut silent = Vec::new();
    for (what, topic, payload) in messages {
        let before = total(&refused(&sen).await?);
        send(&sen, topic, payload).await?;
        let counted = wait::until(what, Duration::from_secs(5), || async {
            Ok((total(&refused(&sen).await?) > before).then_some(()))
        });
        if counted.await.is_err() {
            silent.push(what);
        }
    }
    assert!(
        silent.is_empty(),
        "refused or changed without a word: {silent:?}"
    );

    // By reason in /metrics, the same numbers as in the list; each with a detail for a person.
    let listed = refused(&sen).await?;
    let metrics = sen.http().metrics().await?;
    for (reason, count) in listed["counts"].as_object().into_iter().flatten() {
        let label = format!("reason=\"{reason}\"");
        assert_eq!(
            Some(metrics.sum("sen_refused_total", &[&label]) as u64),
            count.as_u64(),
            "{reason}"
        );
    }
    let last = listed["last"].as_array().expect("a list");
    assert!(last.len() >= 20, "{listed}");
    assert!(
        last.iter()
            .all(|r| r["detail"].as_str().is_some_and(|d| !d.is_empty())),
        "{listed}"
    );

    // The good device went on, on its first connection, and nothing of this is in the journal as its own.
    let acked = good.ledger().acked.len();
    wait::until_true("the good device", wait::PATIENCE, || {
        good.ledger().acked.len() > acked + 100
    })
    .await?;
    {
        let ledger = good.ledger();
        assert_eq!(ledger.connections, 1);
        assert!(
            ledger.slowest_puback < Duration::from_secs(2),
            "{:?}",
            ledger.slowest_puback
        );
    }
    let mut good = good;
    good.finish(wait::PATIENCE).await?;
    sen.terminate(Duration::from_secs(15))?;
    let journal: Vec<_> = sen
        .dump()?
        .into_iter()
        .filter(|r| r.node != "node-02")
        .collect();
    promises::check(&[good], &journal)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_stay_outside() -> Result<()> {
    let setup = Setup::new(2);
    let sen = Sen::start(&setup).await?;
    let knock = async |id: &str, password: Option<String>| -> Result<bool> {
        let mut client = Client::open(sen.mqtt()).await?;
        let who = Who {
            id: id.to_owned(),
            password,
            clean: true,
        };
        // Closing without a word is a refusal as well.
        Ok(matches!(
            client.hand_shake(&who).await,
            Ok(ConnectReturnCode::Success)
        ))
    };
    assert!(knock("node-01", Some(password("node-01"))).await?);
    assert!(!knock("node-01", None).await?, "anonymous");
    assert!(
        !knock("node-01", Some(password("node-02"))).await?,
        "another node's password"
    );
    assert!(
        !knock("node-01", Some(String::new())).await?,
        "empty password"
    );
    assert!(
        !knock("nobody", Some(password("nobody"))).await?,
        "unknown node"
    );

    // A node reads nothing of another: what it does get comes before the PINGRESP.
    let mut spy = Client::connect(sen.mqtt(), &who("node-02")).await?;
    for filter in ["#", "sen/1/+/receipt", "sen/1/node-01/#"] {
        // Refused by SUBACK or by closing.
        if spy.subscribe(filter).await.is_err() {
            spy = Client::connect(sen.mqtt(), &who("node-02")).await?;
        }
    }
    let mut device = Device::start(sen.mqtt(), who("node-01"), 1 << 32, Keeps::UntilReceipt);
    wait::until_true("receipts", wait::PATIENCE, || {
        device.ledger().received.len() > 100
    })
    .await?;
    device.finish(wait::PATIENCE).await?;
    spy.ping(LIMIT).await?;
    assert!(spy.parsed()?.is_none());

    let counts = refused(&sen).await?["counts"].clone();
    assert!(counts.as_object().is_some_and(|c| c.len() >= 2), "{counts}");
    Ok(())
}

/// Clients that hold connections and say nothing, or say something that is no MQTT.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_and_noisy_connections_delay_nobody() -> Result<()> {
    let setup = Setup::new(1);
    let sen = Sen::start(&setup).await?;
    let mut held = Vec::new();
    for i in 0..100_u8 {
        for addr in [sen.mqtt(), sen.web()] {
            let mut stream = tokio::net::TcpStream::connect(addr).await?;
            match i % 4 {
                0 => {}
                1 => {
                    stream
                        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
                        .await?
                }
                // A CONNECT that promises 256 MB and stops.
                2 => {
                    stream
                        .write_all(&[0x10, 0xff, 0xff, 0xff, 0x7f, 0, 4])
                        .await?
                }
                _ => stream.write_all(&[0xff; 64]).await?,
            }
            held.push(stream);
        }
    }
    let mut device = Device::start(sen.mqtt(), who("node-01"), 1 << 32, Keeps::UntilPuback);
    wait::until_true("the good device", wait::PATIENCE, || {
        device.ledger().acked.len() > 1000
    })
    .await?;
    device.finish(wait::PATIENCE).await?;
    assert!(device.ledger().slowest_puback < Duration::from_secs(2));
    sen.http().json("/api/v1/overview").await?;
    // A malformed first packet is answered by closing, not by holding the connection.
    let mut noisy = held.swap_remove(6);
    let mut buffer = [0; 16];
    let _ = tokio::time::timeout(Duration::from_secs(1), noisy.read(&mut buffer)).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_answers_nonsense_with_errors() -> Result<()> {
    let setup = Setup::new(1);
    let sen = Sen::start(&setup).await?;
    for (path, status) in [
        ("/api/v1/history", 400),
        (
            "/api/v1/history?node=node-01&channel=nonsense&from=0&to=1",
            400,
        ),
        ("/api/v1/history?node=node-01&channel=ph&from=x&to=1", 400),
        ("/api/v1/history?node=node-01&channel=ph&from=9&to=1", 400),
        (
            "/api/v1/history?node=node-01&channel=ph&from=0&to=9&buckets=999999999",
            400,
        ),
        ("/api/v1/history?node=nobody&channel=ph&from=0&to=9", 404),
        ("/api/v1/nonsense", 404),
    ] {
        let answer = sen.http().get(path).await?;
        assert_eq!(answer.status().as_u16(), status, "{path}");
        let body: serde_json::Value = answer.json().await?;
        assert!(body["error"]["message"].is_string(), "{path}: {body}");
    }
    Ok(())
}
