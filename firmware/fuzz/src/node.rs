//! A node that is told anything, in any order; and what it makes of raw values.

use std::{convert::Infallible, ops::ControlFlow};

use embassy_futures::block_on;
use sen_node::{
    Identity, Node, RamOutbox, Samples, Settings, Storage,
    calibration::apply,
    node::{Vitals, boot_number},
};
use sen_wire::{
    Calibration, Channel, Curve, Fault, Hello, Ids, NodeConfig, Quantity, Receipt, ResetReason,
    calibration::{Point, Points},
    limits::{MAX_CONFIG_BYTES, MAX_CONTROL_BYTES, MAX_INSTANCE, MAX_PACK_BYTES},
    senml::read_pack,
    topic::Kind,
};

use crate::{Input, golden};

/// Settings that keep what they are given.
#[derive(Debug, Default)]
struct Kept(Vec<u8>);

impl Settings for Kept {
    type Error = Infallible;

    async fn load(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Infallible> {
        let length = self.0.len();
        buffer[..length].copy_from_slice(&self.0);
        Ok((length > 0).then_some(length))
    }

    async fn store(&mut self, config: &[u8]) -> Result<(), Infallible> {
        assert!(config.len() <= MAX_CONFIG_BYTES);
        self.0 = config.to_vec();
        Ok(())
    }
}

type Small = RamOutbox<40>;

pub(crate) fn start<S: Storage, C: Settings>(
    boot: u64,
    storage: S,
    settings: C,
) -> Result<Node<S, C>, S::Error> {
    let identity = Identity {
        node: "n1".parse().expect("an id"),
        firmware: "1.0.0",
        board: "fuzz",
        reset_reason: ResetReason::PowerOn,
        boot,
    };
    block_on(Node::start_with(
        identity,
        NodeConfig::default(),
        storage,
        settings,
        None,
    ))
}

/// Takes all that the node has to say now, and looks whether a gateway can read it; packs only if places are `possible`.
pub(crate) fn listen<S: Storage, C: Settings>(node: &mut Node<S, C>, now: u64, possible: bool) {
    let mut buffer = [0; MAX_PACK_BYTES];
    // A hello, raw numbers and a window of packs, each perhaps twice.
    for turn in 0.. {
        assert!(turn < 14, "it has no end");
        let Some((kind, length)) = block_on(node.poll(now, Vitals::default(), &mut buffer)) else {
            break;
        };
        let payload = &buffer[..length];
        match kind {
            Kind::Hello => {
                let hello = Hello::decode(payload).expect("a hello");
                assert_eq!(hello.config_version, Some(node.config().version));
            }
            Kind::Pack => {
                let head = read_pack(payload, &mut |_, _| {});
                assert!(!possible || head.is_ok_and(|head| head.ids.is_some()));
            }
            // Raw numbers have no place: they are in no outbox.
            Kind::Raw => {
                let head = read_pack(payload, &mut |_, _| {});
                assert!(head.is_ok_and(|head| head.ids.is_none()));
            }
            Kind::Receipt | Kind::Config => panic!("{kind:?} goes the other way"),
        }
    }
}

fn channel(input: &mut Input<'_>) -> Channel {
    let quantity = Quantity::ALL[usize::from(input.u8()) % Quantity::ALL.len()];
    Channel::new(quantity, input.u8() % MAX_INSTANCE + 1).expect("1 to 9")
}

fn sweep(input: &mut Input<'_>) -> Samples {
    let mut samples = Samples::default();
    for _ in 0..input.u8() % 20 {
        let channel = channel(input);
        match input.u8() % 3 {
            0 => samples.value(channel, input.decimal()),
            1 => samples.raw(channel, input.decimal()),
            _ => {
                let fault = Fault::ALL[usize::from(input.u8()) % Fault::ALL.len()];
                samples.fault(channel, fault);
            }
        }
    }
    samples
}

/// Bytes are orders: sweeps, messages of any content, connects, time that passes, restarts.
pub(crate) fn node(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut starts = 1;
    let boot = |starts| boot_number(7, starts);
    let mut node = start(boot(starts), Small::new(), Kept::default()).expect("starts");
    let mut now = 0u64;
    while !input.is_empty() {
        match input.u8() % 11 {
            0 => {
                let length = usize::from(input.u8());
                block_on(node.receive(now, Kind::Receipt, input.bytes(length)));
            }
            1 => {
                let length = usize::from(input.u16()) % MAX_CONFIG_BYTES;
                block_on(node.receive(now, Kind::Config, input.bytes(length)));
            }
            2 => {
                let receipt = Receipt {
                    boot: boot(starts.saturating_sub(u32::from(input.u8() % 3))),
                    from: u32::from(input.u8()),
                    through: u32::from(input.u8()),
                    time_ms: 1_700_000_000_000 + i64::from(input.u32() as i32),
                };
                let mut buffer = [0; MAX_CONTROL_BYTES];
                let receipt = receipt.encode(&mut buffer).expect("has room");
                block_on(node.receive(now, Kind::Receipt, receipt));
            }
            3 => {
                let time_ms = input.i64();
                let mut buffer = [0; MAX_CONTROL_BYTES];
                let receipt = Receipt::time_only(boot(starts), time_ms);
                let receipt = receipt.encode(&mut buffer).expect("has room");
                block_on(node.receive(now, Kind::Receipt, receipt));
            }
            4 | 5 => block_on(node.record(now, &sweep(&mut input))),
            6 => node.connected(now),
            7 => node.disconnected(now),
            8 => node.rested(now),
            // Up to 50 days at once; the uptime of a thousand years is left to the next restart.
            9 => now = now.saturating_add(u64::from(input.u32())).min(1 << 45),
            _ => {
                starts += 1;
                let kept = Kept(kept(node.config()));
                node = start(boot(starts), node.into_storage(), kept).expect("starts");
                now = 0;
            }
        }
        listen(&mut node, now, true);
        let _ = (node.connect_at(), node.rest_at(), node.wake_at());
        assert!(node.sample_at(now) >= now || node.clock().utc(now).is_some());
        assert_eq!(node.storage_errors(), 0);
        assert!(node.storage().pending() <= 40);
        let mut before = None;
        let visited = block_on(node.storage_mut().visit(Ids { boot: 0, seq: 0 }, |entry| {
            assert!(Some(entry.ids) > before, "the outbox is in order");
            before = Some(entry.ids);
            ControlFlow::Continue(())
        }));
        assert!(visited.is_ok());
    }
}

fn kept(config: &NodeConfig) -> Vec<u8> {
    let mut buffer = [0; MAX_CONFIG_BYTES];
    // One with long numbers does not fit; then nothing is kept.
    config.encode(&mut buffer).unwrap_or_default().to_vec()
}

pub(crate) fn scripts() -> Vec<Vec<u8>> {
    // A sweep of two, a connect, a receipt, a while, another sweep, a failure, a restart.
    let sweep = [4, 2, 0, 0, 0, 1, 200, 0, 0, 0, 1, 0, 2, 3, 6];
    let receipt = [2, 0, 0, 1, 0, 0, 0, 0];
    let while_ = [9, 0, 0, 20, 0];
    let mut seeds = vec![
        [
            &sweep[..],
            &[6],
            &receipt,
            &while_,
            &sweep,
            &[7],
            &while_,
            &[6, 10],
            &sweep,
            &[6],
        ]
        .concat(),
        [
            &sweep[..],
            &[6, 3],
            &1_700_000_000_000i64.to_le_bytes(),
            &while_,
            &sweep,
            &[8],
            &while_,
        ]
        .concat(),
    ];
    for config in golden("config") {
        let length = (config.len() as u16).to_le_bytes();
        seeds.push(
            [
                &[6, 1],
                &length[..],
                &config,
                &sweep,
                &while_,
                &sweep,
                &receipt,
            ]
            .concat(),
        );
    }
    for receipt in golden("receipt") {
        seeds.push(
            [
                &sweep[..],
                &[6, 0, receipt.len() as u8],
                &receipt,
                &while_,
                &sweep,
            ]
            .concat(),
        );
    }
    seeds
}

/// Any raw value through any calibration that a node takes.
pub(crate) fn calibration(bytes: &[u8]) {
    let mut input = Input(bytes);
    let curve = Curve::ALL[usize::from(input.u8()) % Curve::ALL.len()];
    let any = channel(&mut input);
    let mut point = || Point {
        raw: input.decimal(),
        value: input.decimal(),
        temperature: (input.u8() % 4 > 0).then(|| input.decimal()),
    };
    let (one, two) = (point(), point());
    let mut points = Points::new();
    let (least, most) = curve.points();
    for point in [one, two]
        .into_iter()
        .take(if input.u8() % 2 == 0 { least } else { most })
    {
        let _ = points.push(point);
    }
    let channel = curve
        .quantity()
        .and_then(|quantity| Channel::new(quantity, any.instance()))
        .unwrap_or(any);
    let mut calibration = Calibration {
        channel,
        curve,
        version: 1,
        at_ms: 0,
        points,
    };
    if calibration.check().is_err() {
        match Calibration::factory(channel) {
            Some(factory) => calibration = factory,
            None => return,
        }
    }
    let temperature = (input.u8() % 4 > 0).then(|| input.decimal());
    if let Ok(value) = apply(&calibration, input.decimal(), temperature) {
        let (low, high) = channel.quantity().plausible();
        assert!(
            (low..=high).contains(&value.to_f64()),
            "{value} of {calibration:?}"
        );
    }
}

pub(crate) fn calibrations() -> Vec<Vec<u8>> {
    let number = |value: i32| [&[0][..], &value.to_le_bytes()].concat();
    let point =
        |raw, value, celsius| [number(raw), number(value), vec![1], number(celsius)].concat();
    let quantity = |wanted| Quantity::ALL.iter().position(|q| *q == wanted).unwrap_or(0) as u8;
    let mut seeds = Vec::new();
    for (curve, of, a, b) in [
        (
            0,
            Quantity::SoilMoisture,
            point(2_800, 0, 25),
            point(1_200, 100, 25),
        ),
        (
            1,
            Quantity::AirTemperature,
            point(20, 21, 25),
            point(0, 0, 0),
        ),
        (2, Quantity::Ph, point(1_500, 7, 25), point(2_032, 4, 25)),
        (
            3,
            Quantity::Conductivity,
            point(230, 1, 25),
            point(2_110, 13, 25),
        ),
        (
            4,
            Quantity::DissolvedOxygen,
            point(1_600, 8, 25),
            point(1_300, 10, 15),
        ),
        (
            5,
            Quantity::SoilMoisture,
            point(2_800, 0, 25),
            point(1_200, 100, 25),
        ),
    ] {
        for most in [0, 1] {
            seeds.push(
                [
                    vec![curve, quantity(of), 0],
                    a.clone(),
                    b.clone(),
                    vec![most, 1],
                    number(24),
                    number(1_480),
                ]
                .concat(),
            );
        }
    }
    seeds
}
