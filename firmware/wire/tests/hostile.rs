//! Random and mutated bytes: a reader may refuse, never panic, and never loop for ever. Deterministic: a failure prints
//! the seed that brings it back.

use sen_wire::{
    Channel, Decimal, Fault, Hello, Ids, NodeConfig, Quantity, Reading, Receipt, Time, Value,
    limits::{MAX_INSTANCE, MAX_PACK_BYTES},
    senml::{PackWriter, read_pack},
};

/// xorshift64*: enough to shake bytes with, and needs no crate.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.roll() >> 11) as usize % n
    }
}

fn read_everything(bytes: &[u8]) {
    let mut records = 0;
    let head = read_pack(bytes, &mut |index, record| {
        assert_eq!(index, records);
        records += 1;
        let _ = record.and_then(|record| record.resolve());
    });
    assert!(head.is_err() || head.is_ok_and(|head| head.records == records));
    let _ = Receipt::decode(bytes);
    let _ = Hello::decode(bytes);
    let _ = NodeConfig::decode(bytes);
}

#[test]
fn mutated_messages_never_panic() {
    let seeds: [&[u8]; 11] = [
        include_bytes!("../golden/v1/pack-sweep.cbor"),
        include_bytes!("../golden/v1/pack-faults.cbor"),
        include_bytes!("../golden/v1/pack-relative.cbor"),
        include_bytes!("../golden/v1/pack-sweep.json"),
        include_bytes!("../golden/v1/hello.cbor"),
        include_bytes!("../golden/v1/hello-refused.cbor"),
        include_bytes!("../golden/v1/config.cbor"),
        include_bytes!("../golden/v1/config-format-2.cbor"),
        include_bytes!("../golden/v1/config-newer.cbor"),
        include_bytes!("../golden/v1/receipt.cbor"),
        br#"[{"bn":"\u00e1\/","bu":"Cel","bv":1e5,"n":"at","vs":"x","x":{"y":[null,true]}}]"#,
    ];
    const SPICE: &[u8] =
        b"\"\\u/{}[]:,-+.eE019ntf\xff\x9f\xbf\xc4\xfb\xfa\xf9\x7f\x5f\x1b\x3b\x00_";
    for seed in 1..=60_000 {
        let mut dice = Dice(seed);
        let mut bytes = seeds[dice.below(seeds.len())].to_vec();
        for _ in 0..=dice.below(4) {
            let at = dice.below(bytes.len());
            match dice.below(5) {
                0 => bytes[at] = dice.roll() as u8,
                1 => bytes[at] = SPICE[dice.below(SPICE.len())],
                2 => bytes.insert(at, SPICE[dice.below(SPICE.len())]),
                3 => bytes.truncate(at + 1),
                _ => {
                    let end = at + dice.below(bytes.len() - at) + 1;
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
            }
        }
        if std::panic::catch_unwind(|| read_everything(&bytes)).is_err() {
            panic!("seed {seed}: {}", bytes.escape_ascii());
        }
    }
}

#[test]
fn random_bytes_never_panic() {
    for seed in 1..=20_000 {
        let mut dice = Dice(seed);
        let mut bytes: Vec<u8> = (0..dice.below(200)).map(|_| dice.roll() as u8).collect();
        if let Some(first) = bytes.first_mut() {
            *first = [b'[', 0x9f, 0x81, 0xa1, 0x84][dice.below(5)];
        }
        read_everything(&bytes);
    }
}

#[test]
fn what_was_written_is_read_back() {
    for seed in 1..=4_000 {
        let mut dice = Dice(seed);
        let ids = (dice.below(4) > 0).then(|| Ids {
            boot: dice.roll() >> 11,
            seq: dice.roll() as u32 >> 1,
        });
        let mut buffer = [0; MAX_PACK_BYTES];
        let mut pack = PackWriter::new(&mut buffer, ids);
        let mut written = Vec::new();
        let mut time = Time::Relative(-(dice.below(1 << 30) as i64));
        for _ in 0..dice.below(120) + 1 {
            if dice.below(3) == 0 {
                time = match dice.below(2) {
                    0 => Time::Absolute(1_300_000_000_000 + (dice.roll() >> 24) as i64),
                    _ => Time::Relative(dice.below(1 << 36) as i64 - (1 << 35)),
                };
            }
            let quantity = Quantity::ALL[dice.below(Quantity::ALL.len())];
            let reading = Reading {
                channel: Channel::new(quantity, 1 + dice.below(MAX_INSTANCE.into()) as u8)
                    .expect("1 to 9"),
                value: match dice.below(8) {
                    0 => Value::Fault(Fault::ALL[dice.below(Fault::ALL.len())]),
                    1 => Value::Number(Decimal::new(dice.roll() as i64, dice.roll() as i8)),
                    _ => Value::Number(Decimal::new(
                        dice.below(100_000) as i64 - 50_000,
                        -(dice.below(4) as i8),
                    )),
                },
                time,
                // The reader marks every relative time.
                estimated: dice.below(2) == 0 || matches!(time, Time::Relative(_)),
            };
            if pack.push(&reading).is_err() {
                break;
            }
            written.push(reading);
        }
        let mut got = Vec::new();
        let head = read_pack(pack.finish(), &mut |_, record| {
            got.push(
                record
                    .and_then(|record| record.resolve())
                    .expect("what we wrote"),
            );
        });
        assert_eq!(head.map(|head| head.ids), Ok(ids), "seed {seed}");
        assert_eq!(got, written, "seed {seed}");
    }
}
