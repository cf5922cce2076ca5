//! Which configurations are refused, and why.

use sen_wire::{
    Calibration, Channel, Curve, Decimal, Hello, NodeConfig, RefusalReason, ResetReason, SendLimit,
    calibration::Point,
    limits::{MAX_CONFIG_BYTES, MAX_CONTROL_BYTES},
};

fn channel(text: &str) -> Channel {
    text.parse().expect("a channel")
}

fn decimal(text: &str) -> Decimal {
    text.parse().expect("a number")
}

/// Points as `raw:value` or `raw:value@temperature`.
fn calibration(name: &str, curve: Curve, points: &[&str]) -> Calibration {
    let point = |text: &&str| {
        let (point, temperature) = match text.split_once('@') {
            Some((point, temperature)) => (point, Some(decimal(temperature))),
            None => (*text, None),
        };
        let (raw, value) = point.split_once(':').expect("raw:value");
        Point {
            raw: decimal(raw),
            value: decimal(value),
            temperature,
        }
    };
    Calibration {
        channel: channel(name),
        curve,
        version: 1,
        at_ms: 0,
        points: points.iter().map(point).collect(),
    }
}

fn with(change: impl FnOnce(&mut NodeConfig)) -> NodeConfig {
    let mut config = NodeConfig {
        version: 1,
        ..NodeConfig::default()
    };
    change(&mut config);
    config
}

fn reasons(config: &NodeConfig, board: Option<&[Channel]>) -> Vec<String> {
    let mut reasons = Vec::new();
    config.faults(board, &mut |refusal| {
        let channel = refusal.channel.map(|channel| channel.code().to_string());
        reasons.push(match channel {
            Some(channel) => format!("{channel} {}", refusal.reason.reason()),
            None => refusal.reason.reason().to_owned(),
        })
    });
    reasons
}

#[test]
fn points_that_make_no_sense_are_refused_with_the_reason() {
    use RefusalReason as R;
    for (name, curve, points, wanted) in [
        ("sm", Curve::Linear, &["0:0", "3000:100"][..], Ok(())),
        ("st", Curve::Linear, &["0.2:0", "99.6:58"], Ok(())),
        (
            "sm",
            Curve::Linear,
            &["800:10", "800:40"],
            Err(R::PointsTooNear),
        ),
        (
            "sm",
            Curve::Linear,
            &["800:10", "801:40"],
            Err(R::PointsTooNear),
        ),
        (
            "sm",
            Curve::Linear,
            &["800:10", "600:10"],
            Err(R::PointsTooNear),
        ),
        ("sm", Curve::Linear, &["800:10"], Err(R::PointCount)),
        (
            "sm",
            Curve::Linear,
            &["800:10", "600:101"],
            Err(R::PointValue),
        ),
        ("at", Curve::Offset, &["25.3:25.1"], Ok(())),
        ("at", Curve::Offset, &["1500:25.1"], Err(R::PointRaw)),
        (
            "at",
            Curve::Offset,
            &["25.3:25.1", "0:0"],
            Err(R::PointCount),
        ),
        ("ph", Curve::Ph, &["1500:7@25", "2032.44:4@25"], Ok(())),
        ("ph", Curve::Ph, &["2032.44:4", "1500:7"], Ok(())),
        ("ph", Curve::Ph, &["1500:4", "2032.44:7"], Err(R::Direction)),
        ("ph", Curve::Ph, &["1500:7", "1620:4"], Err(R::Slope)),
        (
            "ph",
            Curve::Ph,
            &["1500:7", "1550:6.86"],
            Err(R::PointsTooNear),
        ),
        ("ph", Curve::Ph, &["0:7", "1500:4"], Err(R::PointRaw)),
        (
            "ph",
            Curve::Ph,
            &["1500:7@90", "2032:4"],
            Err(R::PointTemperature),
        ),
        ("ph", Curve::Ph, &["1500:7", "2032:15"], Err(R::PointValue)),
        (
            "sal",
            Curve::Ph,
            &["1500:7", "2032:4"],
            Err(R::CurveMismatch),
        ),
        ("ec", Curve::Conductivity, &["231:1.413@25"], Ok(())),
        (
            "ec",
            Curve::Conductivity,
            &["231:1.413@25", "2112:12.88@25"],
            Ok(()),
        ),
        (
            "ec",
            Curve::Conductivity,
            &["231:1.413@25", "240:1.5@25"],
            Err(R::PointsTooNear),
        ),
        ("ec", Curve::Conductivity, &["231:12.88@25"], Err(R::Slope)),
        (
            "ec",
            Curve::Conductivity,
            &["-5:1.413@25"],
            Err(R::PointRaw),
        ),
        ("do", Curve::Oxygen, &["1600:8.25@25"], Ok(())),
        (
            "do",
            Curve::Oxygen,
            &["1600:8.25"],
            Err(R::PointTemperature),
        ),
        (
            "do",
            Curve::Oxygen,
            &["1600:6.2@45"],
            Err(R::PointTemperature),
        ),
        ("do", Curve::Oxygen, &["40:8.25@25"], Err(R::PointRaw)),
        ("do", Curve::Oxygen, &["1600:0@25"], Err(R::PointValue)),
        (
            "do",
            Curve::Oxygen,
            &["1600:8.25@25", "1300:10.08@15"],
            Ok(()),
        ),
        (
            "do",
            Curve::Oxygen,
            &["1300:8.25@25", "1600:10.08@15"],
            Err(R::Direction),
        ),
        (
            "do",
            Curve::Oxygen,
            &["1600:8.25@25", "1590:8.41@24"],
            Err(R::PointsTooNear),
        ),
        ("sm", Curve::Capacitive, &["800:10", "610:16.5"], Ok(())),
        ("sm", Curve::Capacitive, &["610:16.5", "800:10"], Ok(())),
        (
            "sm",
            Curve::Capacitive,
            &["800:16.5", "610:10"],
            Err(R::Direction),
        ),
        (
            "sm",
            Curve::Capacitive,
            &["800:10", "795:16.5"],
            Err(R::PointsTooNear),
        ),
        (
            "sm",
            Curve::Capacitive,
            &["800:10", "610:10.4"],
            Err(R::PointsTooNear),
        ),
        (
            "sm",
            Curve::Capacitive,
            &["800:10", "0:60"],
            Err(R::PointRaw),
        ),
        (
            "sm",
            Curve::Capacitive,
            &["800:10", "-610:60"],
            Err(R::PointRaw),
        ),
        (
            "st",
            Curve::Capacitive,
            &["800:10", "610:40"],
            Err(R::CurveMismatch),
        ),
    ] {
        let got = calibration(name, curve, points).check();
        assert_eq!(got, wanted, "{name} {curve:?} {points:?}");
    }
}

#[test]
fn what_a_new_probe_starts_from_is_no_nonsense() {
    for name in ["ph", "ec2", "do"] {
        let factory = Calibration::factory(channel(name)).expect("a probe with factory figures");
        assert_eq!((factory.check(), factory.channel), (Ok(()), channel(name)));
    }
    assert_eq!(Calibration::factory(channel("sm")), None);
}

#[test]
fn every_fault_is_reported() {
    let bad = with(|config| {
        config.sample_every_s = 0;
        config.send_every_s = 8 * 86_400;
        config.listen_s = Some(0);
        config.channels = ["do", "sm", "sm", "ph"].map(channel).into_iter().collect();
        config.calibrations = [
            calibration("sm", Curve::Capacitive, &["600:10", "800:40"]),
            calibration("do", Curve::Oxygen, &["1600:8.25@25"]),
            calibration("sal", Curve::Linear, &["0:0", "3000:30"]),
        ]
        .into_iter()
        .collect();
        let limit = |name, below, above| SendLimit {
            channel: channel(name),
            below,
            above,
        };
        config.limits = [
            limit("do", Some(decimal("3")), None),
            limit("do", None, None),
            limit("do", Some(decimal("5")), Some(decimal("5"))),
            limit("sm", Some(decimal("-3")), None),
            limit("wt", None, Some(decimal("32"))),
        ]
        .into_iter()
        .collect();
    });
    let board = ["do", "sm", "wt"].map(channel);
    assert_eq!(
        reasons(&bad, Some(&board)),
        [
            "sample_interval",
            "send_interval",
            "listen_window",
            "sm duplicate",
            "ph not_on_board",
            "sm direction",
            "do no_temperature",
            "sal not_sampled",
            "do send_limit",
            "do send_limit",
            "sm send_limit",
            "wt not_sampled",
        ]
    );
    assert_eq!(
        bad.check(None).map_err(|refusal| refusal.reason),
        Err(RefusalReason::SampleInterval)
    );
}

#[test]
fn all_of_a_board_is_what_the_board_has() {
    let oxygen = with(|config| {
        config.calibrations = [calibration("do2", Curve::Oxygen, &["1600:8.25@25"])]
            .into_iter()
            .collect();
    });
    assert_eq!(reasons(&oxygen, None), [""; 0]);
    for (board, wanted) in [
        (&["do2", "wt2"][..], &[][..]),
        (&["do2", "wt"], &[]),
        (&["do2", "wt3"], &["do2 no_temperature"]),
        (&["do", "wt"], &["do2 not_on_board"]),
    ] {
        let board: Vec<_> = board.iter().map(|name| channel(name)).collect();
        assert_eq!(reasons(&oxygen, Some(&board)), wanted, "{board:?}");
    }
}

#[test]
fn what_it_does_not_know_it_does_not_half_obey() {
    for (bytes, version, reason) in [
        // {0: 5, 8: 1}
        (&[0xa2, 0, 5, 8, 1][..], Some(5), RefusalReason::NewerFormat),
        // {4: 3, 0: 5}: the version is told wherever it stands.
        (&[0xa2, 4, 3, 0, 5], Some(5), RefusalReason::NewerFormat),
        // {0: 5, 6: [["st", 99, 1, 0, []]]}
        (
            &[
                0xa2, 0, 5, 6, 0x81, 0x85, 0x62, b's', b't', 0x18, 99, 1, 0, 0x80,
            ],
            Some(5),
            RefusalReason::UnknownCurve,
        ),
        // {0: 5, 3: ["zz"]}
        (
            &[0xa2, 0, 5, 3, 0x81, 0x62, b'z', b'z'],
            Some(5),
            RefusalReason::UnknownChannel,
        ),
        // {0: 5, 1: 0}
        (&[0xa2, 0, 5, 1, 0], Some(5), RefusalReason::SampleInterval),
        // {1: 900}
        (&[0xa1, 1, 0x19, 3, 0x84], None, RefusalReason::Malformed),
        // {0: 5} and something behind it
        (&[0xa1, 0, 5, 0], Some(5), RefusalReason::Malformed),
        (&[0xa1, 0, 0x61, b'x'], None, RefusalReason::Malformed),
        (&[], None, RefusalReason::Malformed),
    ] {
        let refusal = NodeConfig::decode(bytes).expect_err("refused");
        assert_eq!(
            (refusal.version, refusal.reason),
            (version, reason),
            "{bytes:x?}"
        );
    }
    let mut many = vec![0xa2, 0, 5, 3, 17 + 0x80];
    many.extend([0x62, b's', b't'].repeat(17));
    let refusal = NodeConfig::decode(&many).expect_err("refused");
    assert_eq!(refusal.reason, RefusalReason::TooLong);
}

#[test]
fn a_plain_configuration_is_written_for_older_firmware() {
    let plain = with(|config| config.send_every_s = 3_600);
    let bytes = plain
        .encode(&mut [0; MAX_CONFIG_BYTES])
        .expect("room")
        .to_vec();
    assert_eq!(bytes[0], 0xa4, "four keys, none of them the format");
    assert_eq!(NodeConfig::decode(&bytes), Ok(plain));
}

#[test]
fn the_longest_lists_fit_the_buffers() {
    let full = with(|config| {
        config.channels = (1..=9)
            .flat_map(|instance| ["sal", "par"].map(|code| format!("{code}{instance}")))
            .map(|code| channel(code.trim_end_matches('1')))
            .take(16)
            .collect();
        let channels = config.channels.clone();
        for &channel in channels.iter().take(8) {
            let points = ["1500.123:11.1234@25.375", "2032.444:4.12345@26.125"];
            let mut calibration = calibration("sal", Curve::Linear, &points);
            calibration.channel = channel;
            calibration.version = u32::MAX;
            calibration.at_ms = 1_900_000_000_000;
            config.calibrations.push(calibration).expect("room");
            let limit = SendLimit {
                channel,
                below: Some(decimal("12.34567")),
                above: Some(decimal("43.21")),
            };
            config.limits.push(limit).expect("room");
        }
        config.listen_s = Some(3_600);
    });
    let length = full.encode(&mut [0; MAX_CONFIG_BYTES]).expect("room").len();
    assert!(length > 600, "{length}");
    let hello = Hello {
        firmware: Some("0123456789abcdef"),
        board: Some("0123456789abcdef"),
        boot: Some(u64::MAX),
        reset_reason: Some(ResetReason::DeepSleep),
        battery_mv: Some(u16::MAX),
        rssi_dbm: Some(i16::MIN),
        config_version: Some(u32::MAX),
        dropped: Some(u32::MAX),
        pending: Some(u32::MAX),
        uptime_ms: Some(u64::MAX),
        refused_version: Some(u32::MAX),
        refused_reason: Some(RefusalReason::NotStored),
        refused_channel: Some("sal9"),
        config_format: Some(u8::MAX),
    };
    assert!(hello.encode(&mut [0; MAX_CONTROL_BYTES]).is_ok());
}
