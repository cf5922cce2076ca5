//! What comes over the network, and the block that is written when a board is flashed.

use crc::{CRC_32_ISO_HDLC, Crc};
use sen_wire::{
    Channel, Decimal, Fault, Hello, Ids, NodeConfig, NodeId, Quantity, Reading, Receipt, Time,
    Topic, Value,
    limits::{MAX_CONTROL_BYTES, MAX_PACK_BYTES},
    provision::{MAX_BLOCK, Provision},
    senml::{PackWriter, read_pack},
};

use crate::{Input, golden};

/// The readings of a pack that is taken, those of refused records left out, and its ids.
fn readings(bytes: &[u8]) -> Option<(Vec<Option<Reading>>, Option<Ids>)> {
    let mut records = Vec::new();
    let head = read_pack(bytes, &mut |index, record| {
        assert_eq!(index, records.len(), "records come in order");
        records.push(record.and_then(|record| record.resolve()).ok());
    })
    .ok()?;
    assert_eq!(head.records, records.len());
    assert!(head.records > 0);
    if let Some(ids) = head.ids {
        assert!(ids.seq.checked_add(records.len() as u32 - 1).is_some());
    }
    Some((records, head.ids))
}

/// What it reads, it can write (as far as a pack of ours has room) and reads again as the same.
pub(crate) fn pack(bytes: &[u8]) {
    let Some((records, ids)) = readings(bytes) else {
        return;
    };
    let mut buffer = [0; MAX_PACK_BYTES];
    let mut pack = PackWriter::new(&mut buffer, ids);
    let mut written = Vec::new();
    let mut before = Time::Missing;
    for mut reading in records.into_iter().map_while(|record| record) {
        if pack.push(&reading).is_err() {
            break;
        }
        // Beside readings that have a time, one that has none is of now: there is no other way to say it.
        let now = reading.time == Time::Missing && before != Time::Missing;
        before = reading.time;
        if now
            || reading.time == Time::Missing
                && written.iter().any(|r: &Reading| r.time != Time::Missing)
        {
            reading.time = Time::Relative(0);
        }
        reading.estimated |= matches!(reading.time, Time::Relative(_));
        written.push(reading);
    }
    if written.is_empty() {
        return;
    }
    let (again, ids_again) = readings(pack.finish()).expect("reads what it writes");
    assert_eq!(ids_again, ids);
    assert!(again.into_iter().eq(written.into_iter().map(Some)));
}

pub(crate) fn packs() -> Vec<Vec<u8>> {
    let mut seeds = golden("pack");
    for text in [
        r#"[{"bn":"\u00e1\/","bu":"Cel","bv":1e5,"n":"at","vs":"x","x":{"y":[null,true]}}]"#,
        r#"[{"bn":"pond-3/","bt":1341100800,"boot":7,"seq":41,"n":"sal","v":1.9},{"n":"wt","v":28.4},{"n":"do","flt":4}]"#,
        r#" [ {"n":"urn:dev:x:wt","v":301.55,"u":"K","t":-5} , {"n":"at","v":25.299999237060547,"est":true} ]"#,
        r#"[{"n":"at","v":nan},{"n":"at","v":1e-400},{"n":"at","v":0.1000000000000000055511151231257827}]"#,
    ] {
        seeds.push(text.into());
    }
    // Floats of each width, texts and labels as lenient devices write them, arrays without a count.
    for bytes in [
        &b"\x9f\xbf\x00\x62at\x02\xf9\x4e\x53\xff\xff"[..],
        b"\x82\xa2\x00\x62at\x02\xfa\x41\xca\x66\x66\xa2\x61n\x62wt\x61v\xfb\x40\x39\x4c\xcc\xcc\xcc\xcc\xcd",
        b"\x81\xa4\x21\x64a/b/\x22\xc4\x82\x22\x1b\x00\x00\x01\x38\x00\x00\x00\x00\x00\x62sm\x02\x18\x2a",
    ] {
        seeds.push(bytes.into());
    }
    seeds
}

pub(crate) fn receipt(bytes: &[u8]) {
    let Ok(receipt) = Receipt::decode(bytes) else {
        return;
    };
    let mut buffer = [0; MAX_CONTROL_BYTES];
    let again = receipt.encode(&mut buffer).expect("has room");
    assert_eq!(Receipt::decode(again), Ok(receipt));
    assert_eq!(receipt.range().is_empty(), receipt.from > receipt.through);
}

pub(crate) fn receipts() -> Vec<Vec<u8>> {
    golden("receipt")
}

pub(crate) fn hello(bytes: &[u8]) {
    let Ok(hello) = Hello::decode(bytes) else {
        return;
    };
    let mut buffer = [0; MAX_CONTROL_BYTES];
    let again = hello.encode(&mut buffer).expect("has room");
    assert_eq!(Hello::decode(again), Ok(hello.clone()));
    assert_eq!(hello.refusal().is_some(), hello.refused_reason.is_some());
}

pub(crate) fn hellos() -> Vec<Vec<u8>> {
    golden("hello")
}

pub(crate) fn config(bytes: &[u8]) {
    let config = match NodeConfig::decode(bytes) {
        Ok(config) => config,
        Err(refusal) => return assert!(!refusal.to_string().is_empty()),
    };
    let mut buffer = [0; 4096];
    let again = config.encode(&mut buffer).expect("has room");
    assert_eq!(NodeConfig::decode(again), Ok(config));
}

pub(crate) fn configs() -> Vec<Vec<u8>> {
    golden("config")
}

/// The bytes as they are, and as the CBOR of a block whose head is right.
pub(crate) fn provision(bytes: &[u8]) {
    block(bytes);
    let Ok(length) = u16::try_from(bytes.len()) else {
        return;
    };
    let checked = [&1u16.to_le_bytes()[..], &length.to_le_bytes()].concat();
    let crc = Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(&[&checked, bytes].concat());
    block(&[b"SENP", &checked[..], &crc.to_le_bytes(), bytes].concat());
}

fn block(bytes: &[u8]) {
    let read = match Provision::decode(bytes) {
        Ok(read) => read,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(Provision::for_board(bytes, read.board), Ok(read));
    let _ = read.gateway.address();
    let mut buffer = [0; MAX_BLOCK];
    let again = read.encode(&mut buffer).expect("has room");
    assert_eq!(Provision::decode(again), Ok(read));
}

pub(crate) fn provisions() -> Vec<Vec<u8>> {
    let mut seeds = golden("provision");
    let bodies: Vec<_> = seeds
        .iter()
        .filter_map(|block| {
            let length = u16::from_le_bytes([*block.get(6)?, *block.get(7)?]);
            block.get(12..12 + usize::from(length)).map(<[u8]>::to_vec)
        })
        .collect();
    seeds.extend(bodies);
    seeds
}

/// Topics, ids, channels, quantities, faults.
pub(crate) fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(topic) = Topic::parse(text) {
        assert_eq!(topic.to_text(), text);
        assert_eq!(Topic::parse(&topic.to_text()), Ok(topic));
    }
    if let Ok(node) = text.parse::<NodeId>() {
        assert_eq!(node.as_str(), text);
    }
    if let Some(channel) = Channel::parse(text) {
        assert!(text == channel.code() || text == channel.to_string());
        assert_eq!(Channel::from_u16(channel.to_u16()), Some(channel));
    }
    if let Some(quantity) = Quantity::parse(text) {
        assert!(text == quantity.code() || text == quantity.name());
    }
    if let Some(fault) = Fault::from_name(text) {
        assert_eq!(fault.name(), text);
    }
    if let Some(channel) = Channel::from_u16(Input(bytes).u16()) {
        assert_eq!(Channel::parse(&channel.code()), Some(channel));
    }
}

pub(crate) fn texts() -> Vec<Vec<u8>> {
    let texts = [
        "sen/1/pond-3/pack",
        "sen/1/abcdefghijklmnopqrstuvwxyz-01234/receipt",
        "sen/1/n/config",
        "sen/1/n/hello",
        "salinity_2",
        "sal9",
        "ph",
        "water_temperature",
        "open_circuit",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

/// Texts, floats of both widths, and sums and orders of any two numbers; the standard library's reader is the measure.
pub(crate) fn decimal(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(decimal) = text.parse::<Decimal>()
    {
        check(decimal);
        let float: f64 = text.parse().expect("a decimal is a float");
        assert_eq!(decimal.to_f64(), float, "{text}");
    }
    let mut input = Input(bytes);
    let (wide, narrow) = (
        f64::from_le_bytes(input.take()),
        f32::from_le_bytes(input.take()),
    );
    if let Some(decimal) = Decimal::from_f64(wide) {
        assert_eq!(decimal.to_f64(), wide);
        check(decimal);
    }
    if let Some(decimal) = Decimal::from_f32(narrow) {
        assert_eq!(decimal.to_f64() as f32, narrow);
        check(decimal);
    }
    let mut input = Input(bytes);
    let (a, b) = (input.decimal(), input.decimal());
    check(a);
    check(b);
    assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
    assert_eq!(a == b, a.cmp(&b).is_eq());
    assert!(a > b || a.to_f64() <= b.to_f64());
    assert_eq!(a.checked_add(b), b.checked_add(a));
    if let Some(sum) = a.checked_add(b) {
        check(sum);
        assert!(b.mantissa() <= 0 || sum > a);
    }
    let power = input.u8() as i8;
    if let Some(scaled) = a.scaled(power) {
        check(scaled);
    }
    if let Some(whole) = a.floor_at(power) {
        assert!(Decimal::new(whole, power) <= a);
        assert!(whole == i64::MAX || Decimal::new(whole + 1, power) > a);
    }
}

/// Lowest terms, and the same again by way of its text.
fn check(decimal: Decimal) {
    assert!(
        decimal.mantissa() % 10 != 0 || decimal.exponent() == i8::MAX || decimal == Decimal::ZERO
    );
    assert_eq!(
        Decimal::new(decimal.mantissa(), decimal.exponent()),
        decimal
    );
    let text = decimal.to_string();
    if decimal.mantissa().unsigned_abs() < 1_000_000_000_000_000_000 {
        assert_eq!(text.parse(), Ok(decimal), "{text}");
    }
    let (exact, near) = (decimal.to_f64(), decimal.near_f64());
    assert!(
        (exact - near).abs() <= exact.abs() * 1e-14,
        "{text}: {near}"
    );
    let _ = Value::Number(decimal);
}

pub(crate) fn decimals() -> Vec<Vec<u8>> {
    let texts = [
        "0",
        "-0.05",
        "25.30",
        "1.5e3",
        "1e-30",
        "-1e127",
        "999999999999999999",
        "1e-128",
        "0.1000000000000000055511151231257827",
        "123456789012345678901e200",
        "25.299999999999999999999",
        "9007199254740993",
        "2.2250738585072011e-308",
        "0e999",
        "00000000000000000000000000001",
    ];
    let mut seeds: Vec<_> = texts.map(|text| text.as_bytes().to_vec()).into();
    for float in [25.3, -1e22, 1e23, f64::MIN_POSITIVE, 0.1 + 0.2] {
        seeds.push([&float.to_le_bytes()[..], &(float as f32).to_le_bytes()].concat());
    }
    seeds
}
