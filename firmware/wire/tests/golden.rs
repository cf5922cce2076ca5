//! The protocol's bytes, frozen. If one of these fails, mend the code: nodes in the field can't be mended.

use sen_wire::{
    Calibration, Channel, Curve, Decimal, Fault, Hello, Ids, NodeConfig, Reading, Receipt, Refusal,
    RefusalReason, ResetReason, SendLimit, Time, Value,
    calibration::Point,
    limits::{MAX_CONFIG_BYTES, MAX_CONTROL_BYTES, MAX_PACK_BYTES},
    senml::{PackWriter, read_pack},
};

const BOOT: u64 = 0xbeef << 32 | 7;
const SWEEP_MS: i64 = 1_341_100_800_000;

fn channel(text: &str) -> Channel {
    text.parse().expect("a channel")
}

fn number(name: &str, value: &str, time: Time) -> Reading {
    let value = Value::Number(value.parse().expect("a number"));
    Reading {
        channel: channel(name),
        value,
        time,
        estimated: false,
    }
}

fn sweep() -> Vec<Reading> {
    [
        ("sal", "1.9"),
        ("wt", "28.4"),
        ("do", "6.15"),
        ("ph", "8.1"),
        ("wl", "152"),
        ("bv", "3.912"),
    ]
    .map(|(name, value)| number(name, value, Time::Absolute(SWEEP_MS)))
    .to_vec()
}

fn read(bytes: &[u8]) -> (Option<Ids>, Vec<Reading>) {
    let mut readings = Vec::new();
    let head = read_pack(bytes, &mut |_, record| {
        readings.push(
            record
                .and_then(|record| record.resolve())
                .expect("a reading"),
        );
    });
    (head.expect("a pack").ids, readings)
}

fn check_pack(golden: &[u8], ids: Option<Ids>, readings: &[Reading]) {
    let mut buffer = [0; MAX_PACK_BYTES];
    let mut writer = PackWriter::new(&mut buffer, ids);
    for reading in readings {
        writer.push(reading).expect("room");
    }
    assert_eq!(writer.finish(), golden);
    assert_eq!(read(golden), (ids, readings.to_vec()));
}

#[test]
fn pack_of_one_sweep() {
    let ids = Some(Ids {
        boot: BOOT,
        seq: 41,
    });
    check_pack(
        include_bytes!("../golden/v1/pack-sweep.cbor"),
        ids,
        &sweep(),
    );
    assert_eq!(
        read(include_bytes!("../golden/v1/pack-sweep.json")),
        (ids, sweep())
    );
}

#[test]
fn pack_with_faults_and_placed_times() {
    let (first, second) = (
        Time::Absolute(SWEEP_MS + 137),
        Time::Absolute(SWEEP_MS + 900_000),
    );
    let fault = Reading {
        value: Value::Fault(Fault::Timeout),
        estimated: true,
        ..number("sal2", "0", first)
    };
    let placed = Reading {
        estimated: true,
        ..number("at", "-0.5", first)
    };
    let readings = [fault, placed, number("lx", "54600", second)];
    check_pack(
        include_bytes!("../golden/v1/pack-faults.cbor"),
        None,
        &readings,
    );
}

#[test]
fn pack_of_a_node_without_a_clock() {
    let golden = include_bytes!("../golden/v1/pack-relative.cbor");
    let readings = [
        number("sm", "0", Time::Relative(-900_200)),
        number("sm", "23.5", Time::Relative(0)),
    ];
    let ids = Some(Ids { boot: 1, seq: 0 });
    let mut buffer = [0; MAX_PACK_BYTES];
    let mut writer = PackWriter::new(&mut buffer, ids);
    for reading in &readings {
        writer.push(reading).expect("room");
    }
    assert_eq!(writer.finish(), golden);
    // The reader marks them: their time hangs on when the pack arrived.
    assert_eq!(
        read(golden),
        (
            ids,
            readings
                .map(|reading| Reading {
                    estimated: true,
                    ..reading
                })
                .to_vec()
        )
    );
}

#[test]
fn receipts() {
    for (golden, receipt) in [
        (
            &include_bytes!("../golden/v1/receipt.cbor")[..],
            Receipt {
                boot: BOOT,
                from: 0,
                through: 46,
                time_ms: 1_341_100_801_250,
            },
        ),
        (
            include_bytes!("../golden/v1/receipt-time-only.cbor"),
            Receipt::time_only(3, 1_341_100_801_250),
        ),
    ] {
        assert_eq!(receipt.encode(&mut [0; MAX_CONTROL_BYTES]), Ok(golden));
        assert_eq!(Receipt::decode(golden), Ok(receipt));
    }
    assert!(Receipt::time_only(3, 0).range().is_empty());
}

#[test]
fn hellos() {
    let full = Hello {
        firmware: Some("0.1.0"),
        board: Some("qemu-mps2"),
        boot: Some(BOOT),
        reset_reason: Some(ResetReason::Watchdog),
        battery_mv: Some(3912),
        rssi_dbm: Some(-71),
        config_version: Some(2),
        dropped: Some(12),
        pending: Some(340),
        uptime_ms: Some(86_400_000),
        ..Hello::default()
    };
    let refused = Hello {
        boot: Some(1),
        config_version: Some(2),
        refused_version: Some(7),
        refused_reason: Some(RefusalReason::Direction),
        refused_channel: Some("sm"),
        config_format: Some(2),
        ..Hello::default()
    };
    let refusal = Refusal {
        version: Some(7),
        reason: RefusalReason::Direction,
        channel: Some(channel("sm")),
    };
    assert_eq!(refused.refusal(), Some(refusal));
    assert_eq!(full.refusal(), None);
    for (golden, hello) in [
        (&include_bytes!("../golden/v1/hello.cbor")[..], full),
        (
            include_bytes!("../golden/v1/hello-bare.cbor"),
            Hello {
                boot: Some(1),
                ..Hello::default()
            },
        ),
        (include_bytes!("../golden/v1/hello-refused.cbor"), refused),
    ] {
        assert_eq!(hello.encode(&mut [0; MAX_CONTROL_BYTES]), Ok(golden));
        assert_eq!(Hello::decode(golden), Ok(hello));
    }
}

#[test]
fn configuration() {
    let golden = include_bytes!("../golden/v1/config.cbor");
    let channels = ["sal", "wt", "sal2"].map(channel).into_iter().collect();
    let config = NodeConfig {
        version: 2,
        sample_every_s: 300,
        send_every_s: 900,
        channels,
        ..NodeConfig::default()
    };
    assert_eq!(config.encode(&mut [0; MAX_CONTROL_BYTES]), Ok(&golden[..]));
    assert_eq!(NodeConfig::decode(golden), Ok(config));
}

fn decimal(text: &str) -> Decimal {
    text.parse().expect("a number")
}

fn calibration(
    name: &str,
    curve: Curve,
    version: u32,
    points: &[(&str, &str, Option<&str>)],
) -> Calibration {
    let point = |&(raw, value, temperature): &(&str, &str, Option<&str>)| Point {
        raw: decimal(raw),
        value: decimal(value),
        temperature: temperature.map(decimal),
    };
    Calibration {
        channel: channel(name),
        curve,
        version,
        at_ms: 1_735_689_600_000,
        points: points.iter().map(point).collect(),
    }
}

fn limit(name: &str, below: Option<&str>, above: Option<&str>) -> SendLimit {
    SendLimit {
        channel: channel(name),
        below: below.map(decimal),
        above: above.map(decimal),
    }
}

#[test]
fn configuration_of_format_2() {
    let golden = include_bytes!("../golden/v1/config-format-2.cbor");
    let config = NodeConfig {
        version: 7,
        sample_every_s: 900,
        send_every_s: 14_400,
        channels: ["sm", "st", "ph", "ec", "do", "wt", "bv"]
            .map(channel)
            .into_iter()
            .collect(),
        listen_s: Some(20),
        calibrations: [
            calibration(
                "sm",
                Curve::Capacitive,
                3,
                &[("801.5", "11.2", None), ("612", "16.5", None)],
            ),
            calibration(
                "ph",
                Curve::Ph,
                1,
                &[("1500", "7", Some("25")), ("2032.44", "4", Some("25"))],
            ),
            calibration(
                "ec",
                Curve::Conductivity,
                2,
                &[
                    ("231", "1.413", Some("25")),
                    ("2110", "12.88", Some("26.4")),
                ],
            ),
            calibration("do", Curve::Oxygen, 1, &[("1600", "8.25", Some("25"))]),
            calibration("st", Curve::Offset, 1, &[("25.3", "25.1", None)]),
        ]
        .into_iter()
        .collect(),
        limits: [
            limit("do", Some("3"), None),
            limit("do", Some("2"), None),
            limit("sm", Some("12.5"), Some("30")),
        ]
        .into_iter()
        .collect(),
    };
    assert_eq!(config.encode(&mut [0; MAX_CONFIG_BYTES]), Ok(&golden[..]));
    assert_eq!(NodeConfig::decode(golden), Ok(config));
}

/// A firmware of today says why it does not take the configuration of a later one, and which it was.
#[test]
fn configuration_of_a_later_format() {
    let golden = include_bytes!("../golden/v1/config-newer.cbor");
    let refusal = Refusal {
        version: Some(8),
        reason: RefusalReason::NewerFormat,
        channel: None,
    };
    assert_eq!(NodeConfig::decode(golden), Err(refusal));
}

/// Codes are for ever.
#[test]
fn refusals_and_curves_keep_their_codes() {
    let reasons: Vec<_> = RefusalReason::ALL
        .iter()
        .map(RefusalReason::reason)
        .collect();
    assert_eq!(
        reasons.join(" "),
        "unknown malformed too_long newer_format older_version same_version unknown_channel not_on_board not_sampled \
         duplicate sample_interval send_interval listen_window send_limit unknown_curve curve_mismatch point_count \
         points_too_near point_raw point_value point_temperature direction slope no_temperature not_stored"
    );
    for &reason in RefusalReason::ALL {
        assert_eq!(RefusalReason::from_code(reason.code()), reason);
    }
    assert_eq!(RefusalReason::from_code(200), RefusalReason::Unknown);
    for &curve in Curve::ALL {
        assert_eq!(Curve::from_code(curve.code()), Some(curve));
        assert_eq!(Curve::from_name(curve.name()), Some(curve));
    }
}
