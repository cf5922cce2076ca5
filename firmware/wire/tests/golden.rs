//! The protocol's bytes, frozen. If one of these fails, mend the code: nodes in the field can't be mended.

use sen_wire::{
    Channel, Fault, Hello, Ids, NodeConfig, Reading, Receipt, ResetReason, Time, Value,
    limits::{MAX_CONTROL_BYTES, MAX_PACK_BYTES},
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
    };
    for (golden, hello) in [
        (&include_bytes!("../golden/v1/hello.cbor")[..], full),
        (
            include_bytes!("../golden/v1/hello-bare.cbor"),
            Hello {
                boot: Some(1),
                ..Hello::default()
            },
        ),
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
    };
    assert_eq!(config.encode(&mut [0; MAX_CONTROL_BYTES]), Ok(&golden[..]));
    assert_eq!(NodeConfig::decode(golden), Ok(config));
}
