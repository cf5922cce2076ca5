//! A fleet against a stand-in that is broker and gateway in one, and a bad one: it loses packs and receipts, doubles and
//! delays them, and hangs up. What arrives is compared with the files, value for value and time for time.
#![allow(clippy::unwrap_used, reason = "a test: its panic is its report")]

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::BytesMut;
use rumqttc::{
    ConnAck, ConnectReturnCode, Packet, PubAck, Publish, QoS, SubAck, SubscribeReasonCode,
};
use sen_sim::{Fleet, FleetConfig, NodeSpec, Pace, Password, Source};
use sen_wire::{Channel, Hello, Ids, Receipt, Time, Topic, Value, senml::read_pack, topic::Kind};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const SECRET: &str = "a password of some length";

/// What is on the stand-in's disk.
#[derive(Default)]
struct Disk {
    nodes: HashMap<String, BTreeMap<Ids, (Channel, Value, Time)>>,
    connects: usize,
    packs: usize,
}

/// Packs are counted; those with a number in these rests go wrong.
fn is_lost(pack: usize) -> bool {
    pack % 61 == 3
}

fn goes_unreceipted(pack: usize) -> bool {
    pack % 7 == 5
}

fn hangs_up(pack: usize) -> bool {
    pack % 250 == 149
}

async fn serve(listener: TcpListener, disk: Arc<Mutex<Disk>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(talk(stream, disk.clone()));
    }
}

async fn talk(mut stream: TcpStream, disk: Arc<Mutex<Disk>>) {
    let mut input = BytesMut::new();
    loop {
        while let Ok(packet) = Packet::read(&mut input, 1 << 20) {
            let mut answers = Vec::new();
            match packet {
                Packet::Connect(connect) => {
                    let login = connect.login.unwrap();
                    assert_eq!(
                        (login.username, login.password.as_str()),
                        (connect.client_id, SECRET)
                    );
                    disk.lock().unwrap().connects += 1;
                    answers.push(Packet::ConnAck(ConnAck::new(
                        ConnectReturnCode::Success,
                        false,
                    )));
                }
                Packet::Subscribe(subscribe) => {
                    let granted = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)];
                    answers.push(Packet::SubAck(SubAck::new(subscribe.pkid, granted)));
                }
                Packet::Publish(publish) => {
                    answers.push(Packet::PubAck(PubAck::new(publish.pkid)));
                    match receive(&publish, &mut disk.lock().unwrap()) {
                        Some(receipts) => answers.extend(receipts.into_iter().map(Packet::Publish)),
                        None => return,
                    }
                }
                Packet::PingReq => answers.push(Packet::PingResp),
                Packet::Disconnect => return,
                _ => {}
            }
            let mut output = BytesMut::new();
            for answer in answers {
                answer.write(&mut output, 1 << 20).unwrap();
            }
            if stream.write_all(&output).await.is_err() {
                return;
            }
        }
        if !matches!(stream.read_buf(&mut input).await, Ok(1..)) {
            return;
        }
    }
}

/// Takes a message; `None`: hang up.
fn receive(publish: &Publish, disk: &mut Disk) -> Option<Vec<Publish>> {
    let topic = Topic::parse(&publish.topic).unwrap();
    let time_ms = 1_750_000_000_000;
    let receipt = if topic.kind == Kind::Hello {
        Receipt::time_only(
            Hello::decode(&publish.payload).unwrap().boot.unwrap(),
            time_ms,
        )
    } else {
        disk.packs += 1;
        if hangs_up(disk.packs) {
            return None;
        }
        if is_lost(disk.packs) {
            return Some(vec![]);
        }
        let readings = disk.nodes.entry(topic.node.into()).or_default();
        let mut records = Vec::new();
        let head = read_pack(&publish.payload, &mut |_, record| {
            records.push(record.and_then(|record| record.resolve()).unwrap());
        })
        .unwrap();
        let Ids { boot, seq } = head.ids.unwrap();
        for (seq, reading) in (seq..).zip(&records) {
            assert!(!reading.estimated);
            let new = (reading.channel, reading.value, reading.time);
            let known = *readings.entry(Ids { boot, seq }).or_insert(new);
            assert_eq!(known, new, "one place, one reading");
        }
        // The unbroken run that this pack is in.
        let mut from = seq;
        while from > 0
            && readings.contains_key(&Ids {
                boot,
                seq: from - 1,
            })
        {
            from -= 1;
        }
        Receipt {
            boot,
            from,
            through: seq + records.len() as u32 - 1,
            time_ms,
        }
    };
    if topic.kind == Kind::Pack && goes_unreceipted(disk.packs) {
        return Some(vec![]);
    }
    let mut bytes = [0; 64];
    let down = Topic {
        node: topic.node,
        kind: Kind::Receipt,
    }
    .to_string();
    let mut message = Publish::new(down, QoS::AtLeastOnce, receipt.encode(&mut bytes).unwrap());
    message.pkid = 1;
    Some(vec![message; 1 + disk.packs % 2])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_recordings_arrive_value_for_value_through_a_bad_broker() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broker = listener.local_addr().unwrap().to_string();
    let disk = Arc::new(Mutex::new(Disk::default()));
    let server = tokio::spawn(serve(listener, disk.clone()));
    let sources = [
        Source::EstuaryWaterFailing,
        Source::GreenhouseSubstrate,
        Source::GreenhouseWeather,
    ];
    let nodes = sources.map(|source| NodeSpec {
        id: source.name().parse().unwrap(),
        password: Password(SECRET.into()),
        source,
        start_offset: Duration::ZERO,
    });
    let fleet = Fleet::start(&FleetConfig {
        broker,
        nodes: nodes.into(),
        pace: Pace::WHOLE,
    })
    .unwrap();
    let finished = tokio::time::timeout(Duration::from_secs(300), fleet.finished()).await;
    assert!(finished.is_ok(), "{:?}", fleet.stats());

    {
        let disk = disk.lock().unwrap();
        assert!(disk.connects > sources.len(), "the stand-in did hang up");
        for source in sources {
            let (series, replay) = fleet.replay(source.name()).unwrap();
            let expected = series.rows().flat_map(|row| {
                let time = Time::Absolute(replay.stamp(row.source_ms));
                row.values
                    .into_iter()
                    .map(move |(channel, value)| (channel, value, time))
            });
            let arrived = &disk.nodes[source.name()];
            assert!(
                arrived
                    .keys()
                    .map(|ids| ids.seq)
                    .eq(0..arrived.len() as u32),
                "no holes"
            );
            assert!(arrived.values().copied().eq(expected), "{source:?}");
        }
    }
    for stats in fleet.stop().await {
        assert_eq!(
            (stats.receipted, stats.dropped, stats.done),
            (stats.sampled, 0, true)
        );
    }
    server.abort();
}

#[tokio::test]
async fn after_the_history_the_recording_goes_on_in_its_own_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broker = listener.local_addr().unwrap().to_string();
    let disk = Arc::new(Mutex::new(Disk::default()));
    let server = tokio::spawn(serve(listener, disk.clone()));
    let source = Source::EstuaryWater;
    let node = NodeSpec {
        id: "n1".parse().unwrap(),
        password: Password(SECRET.into()),
        source,
        start_offset: Duration::from_secs(86_400),
    };
    // A row each 90 ms, after a day of 97.
    let pace = Pace {
        start_offset: Duration::ZERO,
        history: Some(Duration::from_secs(86_400)),
        speed: 10_000.0,
    };
    let fleet = Fleet::start(&FleetConfig {
        broker,
        nodes: vec![node],
        pace,
    })
    .unwrap();
    let enough = async {
        while disk
            .lock()
            .unwrap()
            .nodes
            .get("n1")
            .is_none_or(|readings| readings.len() < 110 * 8)
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(120), enough)
            .await
            .is_ok(),
        "{:?}",
        fleet.stats()
    );
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64;
    let (series, replay) = fleet.replay("n1").unwrap();
    let expected: Vec<_> = series
        .rows()
        .filter(|row| replay.covers(row.source_ms))
        .flat_map(|row| {
            let time = Time::Absolute(replay.stamp(row.source_ms));
            row.values
                .into_iter()
                .map(move |(channel, value)| (channel, value, time))
        })
        .collect();
    let readings = disk.lock().unwrap().nodes["n1"].clone();
    let (ids, values): (Vec<_>, Vec<_>) = readings.into_iter().unzip();
    for (ids, value) in ids.iter().zip(&values) {
        assert_eq!(*value, expected[ids.seq as usize]);
        assert!(
            matches!(value.2, Time::Absolute(ms) if ms <= now),
            "nothing comes from the future"
        );
    }
    assert_eq!(values[0].2, Time::Absolute(replay.origin_ms() - 86_400_000));
    fleet.stop().await;
    server.abort();
}
