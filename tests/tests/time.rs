//! When readings were taken: nodes without a clock, clocks that jump, a gateway whose own clock is wrong, late data.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use rumqttc::mqttbytes::v4::Packet;
use sen_node::node::{Vitals, boot_number};
use sen_node::{Identity, Node, RamOutbox, Samples};
use sen_tests::device::now_ms;
use sen_tests::fake_influx::{FakeInflux, Field};
use sen_tests::mqtt::Client;
use sen_tests::pack::{Decimal, Pack, Record};
use sen_tests::sen::{Dumped, Influx, Sen, Setup, who};
use sen_tests::wait;
use sen_wire::{
    Hello, NodeConfig, Quantity, Receipt, ResetReason, limits::MAX_PACK_BYTES, topic::Kind,
};

const LIMIT: Duration = Duration::from_secs(10);
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const NODE: &str = "node-01";
const BOOT: u64 = (7 << 32) | 1;
/// The gateway and this test share a clock; both round to milliseconds.
const ROUNDING: i64 = 2;

/// One reading in a pack of its own.
fn one(seq: u32, at: i64) -> Pack {
    Pack {
        place: Some((BOOT, seq)),
        records: vec![Record {
            channel: "ph",
            at,
            value: Ok(Decimal(i64::from(seq), -1)),
        }],
    }
}

async fn send(sen: &Sen, pack: &Pack) -> Result<()> {
    let mut client = Client::connect(sen.mqtt(), &who(NODE)).await?;
    let topic = format!("sen/1/{NODE}/pack");
    client.publish(&topic, pack.cbor(), LIMIT).await
}

fn by_seq(sen: &Sen) -> Result<Vec<Dumped>> {
    let mut all = sen.dump()?;
    all.sort_by_key(|d| (d.boot, d.seq));
    Ok(all)
}

/// A node, its link, and an uptime that began an hour before the test.
struct Wired {
    node: Node<RamOutbox<64>>,
    client: Client,
    started: Instant,
    /// The test's clock when the uptime was 0.
    booted: i64,
    /// Longest time from a publication to its receipt.
    round_trip: i64,
    /// Packs as they went out.
    packs: Vec<Bytes>,
}

impl Wired {
    async fn start(sen: &Sen) -> Result<Self> {
        let identity = Identity {
            node: NODE.parse().map_err(|_| anyhow::anyhow!("id"))?,
            firmware: "test",
            board: "host",
            reset_reason: ResetReason::PowerOn,
            boot: boot_number(7, 1),
        };
        let config = NodeConfig {
            send_every_s: 0,
            ..NodeConfig::default()
        };
        let Ok(node) = Node::start(identity, config, RamOutbox::new()).await;
        let mut client = Client::connect(sen.mqtt(), &who(NODE)).await?;
        client.subscribe(&format!("sen/1/{NODE}/receipt")).await?;
        Ok(Self {
            node,
            client,
            started: Instant::now(),
            booted: now_ms() - HOUR,
            round_trip: 0,
            packs: Vec::new(),
        })
    }

    fn uptime(&self) -> u64 {
        HOUR as u64 + self.started.elapsed().as_millis() as u64
    }

    async fn record(&mut self, uptime: u64, value: i64) {
        let mut samples = Samples::default();
        samples.value(Quantity::Ph, sen_wire::Decimal::new(value, -1));
        self.node.record(uptime, &samples).await;
    }

    /// Sends what the node wants to send now, and hands it the receipts.
    async fn converse(&mut self) -> Result<()> {
        let mut buffer = [0; MAX_PACK_BYTES];
        while let Some((kind, length)) = {
            let now = self.uptime();
            self.node.poll(now, Vitals::default(), &mut buffer).await
        } {
            let sent = Instant::now();
            let payload = Bytes::copy_from_slice(&buffer[..length]);
            let name = if kind == Kind::Hello { "hello" } else { "pack" };
            if kind == Kind::Pack {
                self.packs.push(payload.clone());
            }
            let topic = format!("sen/1/{NODE}/{name}");
            self.client.queue_publish(&topic, payload, false)?;
            self.client.flush().await?;
            let mut open = 2; // PUBACK and receipt, in either order
            while open > 0 {
                let packet = self.client.next_within(LIMIT).await?;
                self.client.acknowledge(&packet)?;
                self.client.flush().await?;
                open -= u8::from(matches!(packet, Packet::PubAck(_) | Packet::Publish(_)));
                if let Packet::Publish(publish) = packet {
                    let now = self.uptime();
                    self.round_trip = self.round_trip.max(sent.elapsed().as_millis() as i64);
                    self.node
                        .receive(now, Kind::Receipt, &publish.payload)
                        .await;
                }
            }
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_a_clock_is_placed_by_the_receipts() -> Result<()> {
    let influx = FakeInflux::start().await?;
    let setup = Setup::new(1).influx(Influx::from(&influx));
    let mut sen = Sen::start(&setup).await?;
    let mut wired = Wired::start(&sen).await?;
    // Taken before anybody knew the time.
    for (i, uptime) in [0, 20 * MINUTE, 40 * MINUTE].into_iter().enumerate() {
        wired.record(uptime as u64, 70 + i as i64).await;
    }
    let now = wired.uptime();
    wired.node.connected(now);
    wired.converse().await?;
    // Known, and proven: the pack was answered.
    let mut truth = vec![0, 20 * MINUTE, 40 * MINUTE];
    for i in 3..6 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let uptime = wired.uptime();
        truth.push(uptime as i64);
        wired.record(uptime, 70 + i).await;
        wired.converse().await?;
    }
    let found = by_seq(&sen)?;
    assert_eq!(found.len(), 6, "{found:?}");
    // The bound: behind the truth by less than a round trip.
    for (d, uptime) in found.iter().zip(&truth) {
        let off = d.at - (wired.booted + uptime);
        let bound = -wired.round_trip - ROUNDING..=ROUNDING;
        assert!(bound.contains(&off), "{off} ms, {bound:?}");
    }
    let estimated: Vec<bool> = found.iter().map(|d| d.estimated).collect();
    assert_eq!(estimated, [true, true, true, false, false, false]);

    // The same in the API and in InfluxDB.
    let history = format!("/api/v1/history?node={NODE}&channel=ph&buckets=2000");
    let history = sen.http().json(&history).await?;
    let sum = |key: &str| {
        history[key]
            .as_array()
            .map(|a| a.iter().filter_map(|n| n.as_u64()).sum::<u64>())
    };
    assert_eq!((sum("n"), sum("estimated")), (Some(6), Some(3)));
    let latest = sen
        .http()
        .json(&format!("/api/v1/latest?node={NODE}"))
        .await?;
    assert_eq!(latest[0]["estimated"], false);
    assert_eq!(sen.node(NODE).await?["clock"]["state"], "right");
    sen.drained(LIMIT).await?;
    let points = influx.points();
    let marked = points
        .iter()
        .filter(|p| p.fields.get("ph_estimated") == Some(&Field::Bool(true)));
    assert_eq!((points.len(), marked.count()), (6, 3));

    // Sent again, as relative times too, after a crash and later: no reading gets a second time.
    for crash in [true, false] {
        if crash {
            sen.kill9();
            sen.restart().await?;
        }
        let mut client = Client::connect(sen.mqtt(), &who(NODE)).await?;
        let relative: &[u8] = br#"[{"boot":30064771073,"seq":0,"n":"ph","t":-3600,"v":7},{"n":"ph","t":-1200,"v":7.1}]"#;
        for payload in wired
            .packs
            .clone()
            .into_iter()
            .chain([Bytes::from_static(relative)])
        {
            client
                .publish(&format!("sen/1/{NODE}/pack"), payload, LIMIT)
                .await?;
        }
        let again = by_seq(&sen)?;
        let times = |all: &[Dumped]| {
            all.iter()
                .map(|d| (d.seq, d.at, d.estimated))
                .collect::<Vec<_>>()
        };
        assert_eq!(times(&again), times(&found));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_is_noticed_and_costs_nothing() -> Result<()> {
    let sen = Sen::start(&Setup::new(1)).await?;
    // (stamp less now, state, jumps so far, jump). An unset clock in the eighties: below 2^28 s, SenML takes a time for
    // relative.
    let steps: [(i64, &str, u64, i64); 7] = [
        (-5 * MINUTE, "right", 0, 0),
        (DAY, "ahead", 1, DAY),
        (DAY + 1, "ahead", 1, DAY),
        (0, "right", 1, DAY),
        (-HOUR, "back", 2, -HOUR),
        (-1_450_000_000_000, "unset", 3, -1_450_000_000_000 + HOUR),
        (365 * DAY, "ahead", 4, 1_450_000_000_000 + 365 * DAY),
    ];
    let mut sent = BTreeSet::new();
    for (seq, (by, state, jumps, jump)) in (0..).zip(steps) {
        // A whole millisecond apart at least, so that each pack has an arrival of its own.
        tokio::time::sleep(Duration::from_millis(5)).await;
        send(&sen, &one(seq, now_ms() + by)).await?;
        sent.insert(seq);
        let clock = sen.node(NODE).await?["clock"].clone();
        assert_eq!(clock["state"], state, "{seq}: {clock}");
        assert_eq!(clock["jumps"], jumps, "{seq}: {clock}");
        if jumps > 0 {
            let found = clock["jump_ms"].as_i64().context("a jump")?;
            assert!((found - jump).abs() < 30_000, "{seq}: {clock}");
            let at = clock["jumped_at"].as_i64().context("when")?;
            assert!((now_ms() - at).abs() < 30_000, "{clock}");
        }
    }
    let found = by_seq(&sen)?;
    assert_eq!(
        found.iter().filter_map(|d| d.seq).collect::<BTreeSet<_>>(),
        sent
    );
    assert!(
        found.iter().all(|d| d.value.is_some() && d.at <= now_ms()),
        "{found:?}"
    );
    assert!(
        found.is_sorted_by(|a, b| a.at < b.at),
        "in order: {found:?}"
    );
    let estimated: Vec<bool> = found.iter().map(|d| d.estimated).collect();
    assert_eq!(estimated, [false, true, true, false, true, true, true]);
    let listed = sen.http().json("/api/v1/refused").await?;
    let count = |reason: &str| listed["counts"][reason].as_u64();
    assert_eq!(
        (count("time_ahead"), count("time_back"), count("time_unset")),
        (Some(3), Some(1), Some(1))
    );
    assert_eq!(
        listed["last"].as_array().map(Vec::len),
        Some(4),
        "once a jump: {listed}"
    );
    let metrics = sen.http().metrics().await?;
    assert_eq!(
        metrics.sum("sen_node_clock_jumps_total", &[&format!("node=\"{NODE}\"")]),
        4.0
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_numbers_nothing_and_was_put_back_is_noticed() -> Result<()> {
    let sen = Sen::start(&Setup::new(1)).await?;
    let give = |by: i64| {
        let mut pack = one(0, now_ms() + by);
        pack.place = None;
        let sen = &sen;
        async move {
            send(sen, &pack).await?;
            anyhow::Ok(sen.node(NODE).await?["clock"].clone())
        }
    };
    assert_eq!(give(0).await?["state"], "right");
    assert_eq!(give(DAY).await?["state"], "ahead", "at once");
    // Then an hour behind. One such pack may be late data, as nothing is numbered; several at a steady pace are not.
    let mut packs = 0;
    let clock = loop {
        let clock = give(-HOUR).await?;
        packs += 1;
        if clock["state"] == "behind" {
            break clock;
        }
        ensure!(packs < 20, "not noticed: {clock}");
        tokio::time::sleep(Duration::from_secs(2)).await;
    };
    ensure!(
        packs >= 4,
        "after {packs}: a backlog would be taken for a wrong clock"
    );
    assert_eq!(clock["jumps"], 2, "{clock}");
    let off = clock["offset_ms"].as_i64().context("an offset")?;
    assert!((off + HOUR).abs() < 30_000, "{clock}");
    // None is lost, and what may be true is kept as it is.
    let found = sen.dump()?;
    assert_eq!(found.len(), 2 + packs, "{found:?}");
    assert_eq!(found.iter().filter(|d| d.estimated).count(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_with_a_wrong_clock_gives_nobody_the_time_and_stores_all() -> Result<()> {
    let mut sen = Sen::start(&Setup::new(1)).await?;
    send(&sen, &one(0, now_ms() - MINUTE)).await?;
    assert_eq!(
        sen.http().json("/api/v1/health").await?["clock"]["right"],
        true
    );
    sen.kill9();
    // The box was three hours further when it lost its power.
    sen.received_later(3 * HOUR)?;
    sen.restart().await?;
    let health = sen.http().json("/api/v1/health").await?;
    assert_eq!(health["status"], "degraded", "{health}");
    assert_eq!(health["clock"]["right"], false);
    let ahead = health["clock"]["now"].as_i64().context("now")? - now_ms();
    assert!(
        (3 * HOUR - MINUTE..3 * HOUR + MINUTE).contains(&ahead),
        "{ahead}"
    );

    let mut client = Client::connect(sen.mqtt(), &who(NODE)).await?;
    client.subscribe(&format!("sen/1/{NODE}/receipt")).await?;
    let hello = Hello {
        boot: Some(BOOT),
        ..Hello::default()
    };
    let mut buffer = [0; 256];
    let hello = Bytes::copy_from_slice(
        hello
            .encode(&mut buffer)
            .map_err(|_| anyhow::anyhow!("hello"))?,
    );
    let relative = format!(r#"[{{"boot":{BOOT},"seq":1,"n":"ph","t":-60,"v":7}}]"#);
    let knows = one(2, now_ms() + 5 * HOUR);
    let uplinks = [
        ("hello", hello),
        ("pack", relative.into()),
        ("pack", knows.cbor()),
    ];
    for (kind, payload) in uplinks {
        client.queue_publish(&format!("sen/1/{NODE}/{kind}"), payload, false)?;
        client.flush().await?;
        let receipt = loop {
            let packet = client.next_within(LIMIT).await?;
            client.acknowledge(&packet)?;
            client.flush().await?;
            if let Packet::Publish(publish) = packet {
                break Receipt::decode(&publish.payload).map_err(|_| anyhow::anyhow!("receipt"))?;
            }
        };
        assert_eq!(receipt.time(), None, "{kind}");
    }
    let found = by_seq(&sen)?;
    ensure!(found.len() == 3, "{found:?}");
    // In the order of arrival behind what was there; and a node that knows better is believed.
    assert!(found.is_sorted_by_key(|d| d.at), "{found:?}");
    assert!((found[1].at - now_ms() - 3 * HOUR + MINUTE).abs() < 30_000);
    assert_eq!(found[2].at, knows.records[0].at);
    assert_eq!(
        found.iter().map(|d| d.estimated).collect::<Vec<_>>(),
        [false, true, false]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_data_fills_history_and_never_the_live_value() -> Result<()> {
    let mut sen = Sen::start(&Setup::new(1)).await?;
    let now = now_ms();
    send(&sen, &one(0, now - 10 * HOUR)).await?;
    wait::until("the first value", LIMIT, || async {
        let latest = sen.http().json("/api/v1/latest").await?;
        Ok((latest[0]["value"] == 0.0).then_some(()))
    })
    .await?;
    let mut stream = sen.http().get("/api/v1/stream").await?;
    // New readings, and between them those of a gap of hours ago.
    let mut newest = 0;
    for i in 1..=20_u32 {
        let (fresh, late) = (
            now - 1_000 + i64::from(i),
            now - 10 * HOUR + i64::from(i) * MINUTE,
        );
        send(&sen, &one(1_000 + i, fresh)).await?;
        send(&sen, &one(i, late)).await?;
        newest = fresh;
        if i % 5 == 0 {
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }
    let (mut text, mut seen) = (String::new(), Vec::new());
    while seen.last() != Some(&newest) {
        let chunk = tokio::time::timeout(LIMIT, stream.chunk()).await?;
        text.push_str(&String::from_utf8_lossy(
            &chunk?.context("the stream ended")?,
        ));
        seen = text
            .lines()
            // The last line may be cut.
            .filter_map(|l| {
                serde_json::from_str::<serde_json::Value>(l.strip_prefix("data:")?.trim()).ok()
            })
            .flat_map(|l| l.as_array().cloned().unwrap_or_default())
            .filter_map(|l| l["at"].as_i64())
            .collect();
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "goes back: {seen:?}");
    for restart in [false, true] {
        if restart {
            sen.kill9();
            sen.restart().await?;
        }
        let before = now_ms();
        let latest = sen.http().json("/api/v1/latest").await?[0].clone();
        assert_eq!(latest["at"], newest, "{latest}");
        let age = latest["age_ms"].as_i64().context("an age")?;
        assert!(
            (before - newest..=now_ms() - newest).contains(&age),
            "{latest}"
        );
        let history = format!(
            "/api/v1/history?node={NODE}&channel=ph&from={}&buckets=2000",
            now - 11 * HOUR
        );
        let history = sen.http().json(&history).await?;
        let n: u64 = history["n"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|n| n.as_u64())
            .sum();
        assert_eq!(n, 41, "all in history");
    }
    // A node that only drains its outbox is there all the same.
    let seen = sen.node(NODE).await?["last_seen"]
        .as_i64()
        .context("seen")?;
    assert!(seen >= newest);
    Ok(())
}
