//! A node is configured from afar: taken whole or refused with a reason, kept through a reset, and told in the hello.

mod gateway;

use std::{cell::RefCell, rc::Rc};

use embassy_futures::block_on;
use sen_node::{Identity, NoSettings, Node, RamOutbox, Samples, Settings, Storage, node::Vitals};
use sen_wire::{
    Calibration, Channel, Curve, Decimal, Fault, Hello, NodeConfig, Reading, Receipt,
    RefusalReason, ResetReason, SendLimit, Value,
    calibration::Point,
    limits::{MAX_CONFIG_BYTES, MAX_PACK_BYTES},
    senml::read_pack,
    topic::Kind,
};

const UTC: i64 = 1_700_000_000_000;

fn channel(text: &str) -> Channel {
    text.parse().expect("a channel")
}

fn decimal(text: &str) -> Decimal {
    text.parse().expect("a number")
}

/// Keeps the configuration where the test can see it, or fails.
#[derive(Clone, Debug, Default)]
struct Kept(Rc<RefCell<Option<Vec<u8>>>>, bool);

impl Settings for Kept {
    type Error = ();

    async fn load(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, ()> {
        Ok(self.0.borrow().as_ref().map(|kept| {
            buffer[..kept.len()].copy_from_slice(kept);
            kept.len()
        }))
    }

    async fn store(&mut self, config: &[u8]) -> Result<(), ()> {
        if self.1 {
            return Err(());
        }
        *self.0.borrow_mut() = Some(config.to_vec());
        Ok(())
    }
}

type TestNode<C> = Node<RamOutbox<600>, C>;

fn start<C: Settings>(settings: C) -> TestNode<C> {
    static BOARD: std::sync::LazyLock<Vec<Channel>> =
        std::sync::LazyLock::new(|| ["sm", "do", "wt", "bv"].map(channel).to_vec());
    let identity = Identity {
        node: "n1".parse().expect("an id"),
        firmware: "test",
        board: "host",
        reset_reason: ResetReason::PowerOn,
        boot: 1,
    };
    let outbox = RamOutbox::new();
    let default = NodeConfig::default();
    let node = Node::start_with(identity, default, outbox, settings, Some(&BOARD));
    block_on(node).expect("RAM does not fail")
}

fn receive<C: Settings>(node: &mut TestNode<C>, now: u64, config: &NodeConfig) {
    let mut buffer = [0; MAX_CONFIG_BYTES];
    let bytes = config.encode(&mut buffer).expect("room");
    block_on(node.receive(now, Kind::Config, bytes));
}

/// What the node publishes now.
fn polled<C: Settings>(node: &mut TestNode<C>, now: u64) -> Option<(Kind, Vec<u8>)> {
    let mut buffer = [0; MAX_PACK_BYTES];
    let (kind, length) = block_on(node.poll(now, Vitals::default(), &mut buffer))?;
    Some((kind, buffer[..length].to_vec()))
}

/// Version in force, version refused, reason and channel, as the hello that is due says.
fn hello<C: Settings>(node: &mut TestNode<C>, now: u64) -> Option<String> {
    let (kind, bytes) = polled(node, now)?;
    assert_eq!(kind, Kind::Hello);
    let hello = Hello::decode(&bytes).expect("a hello");
    assert_eq!(hello.config_format, Some(2));
    let version = hello.config_version.expect("a version");
    Some(match hello.refusal() {
        None => format!("{version}"),
        Some(refusal) => format!(
            "{version}, {:?}: {}, {refusal}",
            refusal.version,
            refusal.reason.reason()
        ),
    })
}

fn soil(version: u32) -> Calibration {
    let point = |raw, value| Point {
        raw: decimal(raw),
        value: decimal(value),
        temperature: None,
    };
    Calibration {
        channel: channel("sm"),
        curve: Curve::Capacitive,
        version,
        at_ms: UTC,
        points: [point("800", "10"), point("600", "16")]
            .into_iter()
            .collect(),
    }
}

fn version(version: u32, change: impl FnOnce(&mut NodeConfig)) -> NodeConfig {
    let mut config = NodeConfig {
        version,
        ..NodeConfig::default()
    };
    change(&mut config);
    config
}

#[test]
fn goes_on_with_the_old_one_and_says_why() {
    let kept = Kept::default();
    let mut node = start(kept.clone());
    node.connected(0);
    assert_eq!(hello(&mut node, 0).as_deref(), Some("0"));
    receive(
        &mut node,
        1,
        &version(3, |config| config.sample_every_s = 60),
    );
    assert_eq!(
        hello(&mut node, 1).as_deref(),
        Some("3"),
        "taken: told at once"
    );
    receive(
        &mut node,
        2,
        &version(3, |config| config.sample_every_s = 60),
    );
    assert_eq!(hello(&mut node, 2), None, "the same again: nothing to tell");

    for (config, wanted) in [
        (version(2, |_| {}), RefusalReason::OlderVersion),
        (version(3, |_| {}), RefusalReason::SameVersion),
        (
            version(4, |config| config.sample_every_s = 0),
            RefusalReason::SampleInterval,
        ),
        (
            version(4, |config| {
                config.channels.push(channel("ph")).expect("room")
            }),
            RefusalReason::NotOnBoard,
        ),
        (
            version(4, |config| {
                let mut wrong = soil(1);
                wrong.points.swap(0, 1);
                for (point, raw) in wrong.points.iter_mut().zip(["800", "600"]) {
                    point.raw = decimal(raw);
                }
                config.calibrations.push(wrong).expect("room");
            }),
            RefusalReason::Direction,
        ),
    ] {
        receive(&mut node, 3, &config);
        let refused = node.refused().expect("refused");
        assert_eq!(
            (refused.version, refused.reason),
            (Some(config.version), wanted)
        );
        assert_eq!(
            (node.config().version, node.config().sample_every_s),
            (3, 60)
        );
        assert!(hello(&mut node, 3).is_some_and(|hello| hello.contains(wanted.reason())));
        receive(&mut node, 4, &config);
        assert_eq!(hello(&mut node, 4), None, "refused again: told already");
    }
    assert!(
        kept.0
            .borrow()
            .as_ref()
            .is_some_and(|kept| NodeConfig::decode(kept).is_ok_and(|kept| kept.version == 3))
    );
    // A later format, a junk payload, and a retained message that is taken back.
    block_on(node.receive(5, Kind::Config, &[0xa2, 0, 9, 4, 3]));
    assert!(hello(&mut node, 5).is_some_and(|hello| hello.starts_with("3, Some(9): newer_format")));
    block_on(node.receive(5, Kind::Config, b"junk"));
    assert!(hello(&mut node, 5).is_some_and(|hello| hello.starts_with("3, None: malformed")));
    block_on(node.receive(5, Kind::Config, b""));
    assert_eq!(hello(&mut node, 5), None);
    receive(
        &mut node,
        6,
        &version(5, |config| config.calibrations.push(soil(1)).expect("room")),
    );
    assert_eq!(
        hello(&mut node, 6).as_deref(),
        Some("5"),
        "taken: the refusal is forgotten"
    );
}

#[test]
fn a_reset_does_not_undo_it() {
    let kept = Kept::default();
    let mut node = start(kept.clone());
    let config = version(8, |config| {
        config.sample_every_s = 300;
        config.calibrations.push(soil(2)).expect("room");
    });
    receive(&mut node, 0, &config);
    assert_eq!(*start(kept.clone()).config(), config);
    assert_eq!(start(NoSettings).config().version, 0);

    // Kept by a firmware that knew more, or for another board.
    *kept.0.borrow_mut() = Some(vec![0xa2, 0, 9, 4, 3]);
    let mut node = start(kept.clone());
    node.connected(0);
    assert!(hello(&mut node, 0).is_some_and(|hello| hello.starts_with("0, Some(9): newer_format")));
    *kept.0.borrow_mut() = Some(b"noise".to_vec());
    assert_eq!(start(kept).config().version, 0);
}

#[test]
fn what_can_not_be_kept_is_not_obeyed() {
    let mut node = start(Kept(Rc::default(), true));
    receive(
        &mut node,
        0,
        &version(1, |config| config.sample_every_s = 60),
    );
    assert_eq!(node.config().version, 0);
    assert_eq!(
        node.refused().map(|refused| refused.reason),
        Some(RefusalReason::NotStored)
    );
}

fn sweep(soil: &str, oxygen: &str) -> Samples {
    let mut samples = Samples::default();
    samples.raw(channel("sm"), decimal(soil));
    samples.value(channel("do"), decimal(oxygen));
    samples
}

#[test]
fn what_is_recorded_is_calibrated() {
    let mut node = start(NoSettings);
    node.connected(0);
    assert!(hello(&mut node, 0).is_some());
    let mut bytes = [0; 64];
    let receipt = Receipt::time_only(1, UTC).encode(&mut bytes).expect("room");
    block_on(node.receive(0, Kind::Receipt, receipt));
    block_on(node.record(1, &sweep("700", "6.1")));
    receive(
        &mut node,
        2,
        &version(1, |config| config.calibrations.push(soil(1)).expect("room")),
    );
    assert!(hello(&mut node, 2).is_some());
    block_on(node.record(3, &sweep("700", "6.1")));
    let mut readings: Vec<Reading> = Vec::new();
    while let Some((kind, bytes)) = polled(&mut node, 4) {
        assert_eq!(kind, Kind::Pack);
        let head = read_pack(&bytes, &mut |_, record| {
            readings.push(
                record
                    .and_then(|record| record.resolve())
                    .expect("a reading"),
            );
        });
        assert!(head.is_ok());
    }
    let values: Vec<_> = readings.iter().map(|reading| reading.value).collect();
    let oxygen = Value::Number(decimal("6.1"));
    assert_eq!(
        values,
        [
            Value::Fault(Fault::NotCalibrated),
            oxygen,
            Value::Number(decimal("13.426")),
            oxygen
        ]
    );
}

/// Connects the node as its board would, answers everything, and takes the link down when the node says so. Returns how
/// many packs came and for how long the link was up.
fn connection<C: Settings>(node: &mut TestNode<C>, now: u64) -> (usize, u64) {
    let mut packs = 0;
    node.connected(now);
    let mut at = now + 50;
    loop {
        while let Some((kind, bytes)) = polled(node, at) {
            packs += usize::from(kind == Kind::Pack);
            let (receipt, _) = gateway::answer(kind, &bytes, UTC + at as i64);
            let mut buffer = [0; 64];
            let receipt = receipt.encode(&mut buffer).expect("room");
            block_on(node.receive(at + 50, Kind::Receipt, receipt));
        }
        let rest_at = node.rest_at().expect("connected");
        if node.wake_at() >= rest_at {
            node.rested(rest_at);
            return (packs, rest_at - now);
        }
        at = node.wake_at().max(at + 1);
    }
}

#[test]
fn a_resting_node_sends_in_batches_and_at_once_when_a_limit_is_passed() {
    let mut node = start(NoSettings);
    receive(
        &mut node,
        0,
        &version(1, |config| {
            config.send_every_s = 4 * 3_600;
            config.listen_s = Some(20);
            let limit = SendLimit {
                channel: channel("do"),
                below: Some(decimal("3")),
                above: None,
            };
            config.limits.push(limit).expect("room");
        }),
    );
    // After a start it connects at once, for time and configuration.
    assert_eq!(node.connect_at(), Some(0));
    assert_eq!(connection(&mut node, 0), (0, 20_000));
    let mut connections = Vec::new();
    let mut now = 900_000;
    for quarter in 1..=96 {
        now = now.max(node.sample_at(now));
        let oxygen = if (30..34).contains(&quarter) {
            "2.5"
        } else {
            "6.1"
        };
        block_on(node.record(now, &sweep("700", oxygen)));
        // Until the next sample the node rests, if it may.
        while let Some(at) = node.connect_at().filter(|at| *at < now + 900_000) {
            let (packs, up_ms) = connection(&mut node, at.max(now));
            assert_eq!(packs, 1);
            assert!((20_000..21_000).contains(&up_ms), "{up_ms} ms");
            connections.push((quarter, at.saturating_sub(now)));
        }
        now += 1;
    }
    let quarters: Vec<_> = connections.iter().map(|connection| connection.0).collect();
    assert_eq!(
        quarters,
        [17, 30, 34, 50, 66, 82],
        "every 16 quarters (the first was cut short), and at the limit"
    );
    for (quarter, late) in &connections {
        match quarter {
            30 | 34 => assert_eq!(*late, 0),
            _ => assert!(*late < 20_000, "{late}"),
        }
    }
    assert_eq!(node.storage().pending(), 28);
}
