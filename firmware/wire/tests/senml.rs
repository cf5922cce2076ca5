//! What the reader takes, and what it refuses: RFC 8428's own examples, then each error by a payload that has it.

use sen_wire::{
    Decimal, Fault, Ids, Reading, Time, Value,
    limits::{MAX_PACK_BYTES, MAX_PACK_RECORDS},
    senml::{PackError, PackHead, PackWriter, RecordError, read_pack},
};

/// A record with its borrowed texts copied out.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    prefix: String,
    name: String,
    unit: Option<String>,
    value: Value,
    time: Time,
}

fn read(bytes: impl AsRef<[u8]>) -> Result<(PackHead, Vec<Result<Seen, RecordError>>), PackError> {
    let mut seen = Vec::new();
    let head = read_pack(bytes.as_ref(), &mut |index, record| {
        assert_eq!(index, seen.len());
        seen.push(record.map(|record| {
            assert_eq!(record.index, index);
            Seen {
                prefix: record.prefix.into(),
                name: record.name.into(),
                unit: record.unit.map(String::from),
                value: record.value,
                time: record.time,
            }
        }));
    })?;
    assert_eq!(head.records, seen.len());
    Ok((head, seen))
}

/// The only record of a pack.
fn one(bytes: impl AsRef<[u8]>) -> Result<Seen, RecordError> {
    let (_, mut seen) = read(bytes).expect("a pack");
    assert_eq!(seen.len(), 1);
    seen.remove(0)
}

fn number(text: &str) -> Value {
    Value::Number(text.parse().expect("a number"))
}

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex"))
        .collect()
}

fn seen(
    prefix: &str,
    name: &str,
    unit: &str,
    value: &str,
    time: Time,
) -> Result<Seen, RecordError> {
    let unit = Some(unit.into()).filter(|unit: &String| !unit.is_empty());
    Ok(Seen {
        prefix: prefix.into(),
        name: name.into(),
        unit,
        value: number(value),
        time,
    })
}

#[test]
fn rfc_5_1_1_single_datapoint() {
    let (head, records) =
        read(r#"[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]"#).expect("a pack");
    assert_eq!(
        head,
        PackHead {
            ids: None,
            records: 1,
            relative: false
        }
    );
    assert_eq!(
        records,
        [seen(
            "urn:dev:ow:",
            "10e2073a01080063",
            "Cel",
            "23.1",
            Time::Missing
        )]
    );
}

#[test]
fn rfc_5_1_2_multiple_datapoints() {
    let (head, records) = read(
        r#"[
            {"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,"bu":"A","bver":10,"n":"voltage","u":"V","v":120.1},
            {"n":"current","t":-5,"v":1.2},
            {"n":"current","t":-4,"v":1.3},
            {"n":"current","v":1.7}
        ]"#,
    )
    .expect("a pack");
    assert!(!head.relative);
    let prefix = "urn:dev:ow:10e2073a0108006:";
    let at = |back_ms: i64| Time::Absolute(1_276_020_076_001 - back_ms);
    assert_eq!(
        records,
        [
            seen(prefix, "voltage", "V", "120.1", at(0)),
            seen(prefix, "current", "A", "1.2", at(5000)),
            seen(prefix, "current", "A", "1.3", at(4000)),
            seen(prefix, "current", "A", "1.7", at(0)),
        ]
    );
    // The RFC's example says version 5, which its own section 4.4 does not define for readers of version 10.
    assert_eq!(
        read(r#"[{"n":"at","v":1,"bver":5}]"#),
        Err(PackError::UnsupportedVersion)
    );
}

#[test]
fn rfc_5_1_3_multiple_measurements_relative_to_now() {
    let (head, records) = read(
        r#"[{"bn":"urn:dev:ow:10e2073a01080063:","u":"%RH","v":20},{"u":"lon","v":24.30621},{"u":"lat","v":60.07965},
            {"t":60,"v":20.3,"u":"%RH"},{"u":"%EL","t":150,"v":98},{"t":-0.0005,"v":21,"u":"%RH"}]"#,
    )
    .expect("a pack");
    assert!(head.relative);
    let prefix = "urn:dev:ow:10e2073a01080063:";
    assert_eq!(
        records[1],
        seen(prefix, "", "lon", "24.30621", Time::Missing)
    );
    assert_eq!(
        records[3],
        seen(prefix, "", "%RH", "20.3", Time::Relative(60_000))
    );
    assert_eq!(
        records[5],
        seen(prefix, "", "%RH", "21", Time::Relative(-1)),
        "cut off towards the past"
    );
}

#[test]
fn rfc_5_1_4_and_5_resolved_data_and_several_kinds_of_value() {
    let (_, records) = read(
        r#"[{"bn":"urn:dev:ow:10e2073a01080063:","n":"temp","u":"Cel","v":23.1},{"n":"label","vs":"Machine Room"},
            {"n":"open","vb":false},{"n":"nfc-reader","vd":"aGkgCg"}]"#,
    )
    .expect("a pack");
    assert!(records[0].is_ok());
    assert_eq!(records[1..], [const { Err(RecordError::NotANumber) }; 3]);
}

#[test]
fn rfc_5_1_6_a_collection_of_devices_is_refused() {
    let pack = r#"[{"bn":"2001:db8::2/","bt":1.320078429e+09,"n":"temperature","u":"Cel","v":25.2},
                   {"n":"humidity","u":"%RH","v":30},
                   {"bn":"2001:db8::1/","n":"temperature","u":"Cel","v":12.3}]"#;
    assert_eq!(read(pack), Err(PackError::MixedNames));
}

/// The pack of section 5.1.2 as section 6 shows it in CBOR, with its version 5 (`20 05`) left out.
#[test]
fn rfc_6_cbor() {
    let pack = hex(
        "87 a6 21 78 1b 75726e3a6465763a6f773a3130653230373361303130383030363a
            22 fb 41d303a15b001062 23 61 41 00 67 766f6c74616765 01 61 56 02 fb 405e066666666666
        a3 00 67 63757272656e74 06 24 02 fb 3ff3333333333333
        a3 00 67 63757272656e74 06 23 02 fb 3ff4cccccccccccd
        a3 00 67 63757272656e74 06 22 02 fb 3ff6666666666666
        a3 00 67 63757272656e74 06 21 02 f9 3e00
        a3 00 67 63757272656e74 06 20 02 fb 3ff999999999999a
        a3 00 67 63757272656e74 06 00 02 fb 3ffb333333333333",
    );
    let (head, records) = read(pack).expect("a pack");
    assert_eq!(
        head,
        PackHead {
            ids: None,
            records: 7,
            relative: false
        }
    );
    let prefix = "urn:dev:ow:10e2073a0108006:";
    let at = |back_s: i64| Time::Absolute(1_276_020_076_001 - back_s * 1000);
    let current = |value, back_s| seen(prefix, "current", "A", value, at(back_s));
    assert_eq!(records[0], seen(prefix, "voltage", "V", "120.1", at(0)));
    let currents = [
        ("1.2", 5),
        ("1.3", 4),
        ("1.4", 3),
        ("1.5", 2),
        ("1.6", 1),
        ("1.7", 0),
    ];
    assert_eq!(
        records[1..],
        currents.map(|(value, back_s)| current(value, back_s))
    );
}

#[test]
fn takes_every_kind_of_cbor_number() {
    for (bytes, value) in [
        ("18 2a", "42"),
        ("38 63", "-100"),
        ("1b 000000e8d4a51000", "1000000000000"),
        ("f9 4e40", "25"),
        ("fa 41ca6666", "25.3"),
        ("fb 40394ccccccccccd", "25.3"),
        ("c4 82 20 18fd", "25.3"),
        ("c4 82 01 03", "30"),
        ("c4 82 3862 01", "1e-99"),
    ] {
        let pack = hex(&format!("81 a2 00 626174 02 {bytes}"));
        assert_eq!(
            one(&pack),
            seen("", "at", "", value, Time::Missing),
            "{bytes}"
        );
        let text_labels = hex(&format!("9f bf 616e 626174 6176 {bytes} ff ff"));
        assert_eq!(one(&text_labels), one(&pack));
    }
    for (bytes, error) in [
        ("f97e00", RecordError::NotFinite),
        ("fa 7f800000", RecordError::NotFinite),
        ("fb fff0000000000000", RecordError::NotFinite),
        ("fb 7fefffffffffffff", RecordError::NumberRange),
        ("1b ffffffffffffffff", RecordError::NumberRange),
        ("c4 82 20 c2 41 01", RecordError::NumberRange),
        ("c2 41 01", RecordError::NotANumber),
        ("63 312e39", RecordError::NotANumber),
        ("f5", RecordError::NotANumber),
        ("82 01 02", RecordError::NotANumber),
        ("f6", RecordError::NoValue),
    ] {
        // The record after the bad one is still read.
        let pack = hex(&format!("82 a2 00 626174 02 {bytes} a2 00 626168 02 07"));
        let (_, records) = read(&pack).expect("a pack");
        assert_eq!(
            records,
            [Err(error), seen("", "ah", "", "7", Time::Missing)],
            "{bytes}"
        );
    }
}

#[test]
fn takes_every_kind_of_json_number() {
    for (text, value) in [
        ("42", "42"),
        ("-1e2", "-100"),
        ("25.30", "25.3"),
        ("0.1000000000000000055", "0.1"),
        ("1E-99", "1e-99"),
    ] {
        assert_eq!(
            one(format!("[{{\"n\":\"at\",\"v\":{text}}}]")),
            seen("", "at", "", value, Time::Missing),
            "{text}"
        );
    }
    for (text, error) in [
        ("nan", RecordError::NotFinite),
        ("-NaN", RecordError::NotFinite),
        ("-inf", RecordError::NotFinite),
        ("Infinity", RecordError::NotFinite),
        ("1e999", RecordError::NumberRange),
        ("\"1.9\"", RecordError::NotANumber),
        ("true", RecordError::NotANumber),
        ("[1,{\"a\":[]}]", RecordError::NotANumber),
        ("null", RecordError::NoValue),
    ] {
        let (_, records) = read(format!(
            "[{{\"v\":{text},\"n\":\"at\"}},{{\"n\":\"ah\",\"v\":7}}]"
        ))
        .expect("a pack");
        assert_eq!(
            records,
            [Err(error), seen("", "ah", "", "7", Time::Missing)],
            "{text}"
        );
    }
}

#[test]
fn refuses_one_record_and_keeps_its_place() {
    for (record, error) in [
        (r#"{"n":"at"}"#, RecordError::NoValue),
        (r#"{"n":"at","s":5}"#, RecordError::NoValue),
        (r#"{"n":"at","v":1,"flt":3}"#, RecordError::SeveralValues),
        (r#"{"n":"at","v":1,"vs":"x"}"#, RecordError::SeveralValues),
        (r#"{"n":"at","flt":99}"#, RecordError::UnknownFault),
        (r#"{"n":"at","flt":"crc"}"#, RecordError::UnknownFault),
        (r#"{"n":7,"v":1}"#, RecordError::BadField),
        (r#"{"n":"at","u":null,"v":1}"#, RecordError::BadField),
        (r#"{"n":"at","v":1,"est":1}"#, RecordError::BadField),
        (r#"{"n":"at","v":1,"t":"now"}"#, RecordError::BadTime),
        (r#"{"n":"at","v":1,"t":-268435456}"#, RecordError::BadTime),
        (
            r#"{"n":"at","v":1,"t":1341100800000}"#,
            RecordError::BadTime,
        ),
        (
            r#"{"n":"at","v":1,"u":"a very long unit, longer than any"}"#,
            RecordError::UnknownUnit,
        ),
        (
            r#"{"n":"0123456789012345678901234567890123456789012345678901234567890123456789","v":1}"#,
            RecordError::NameTooLong,
        ),
    ] {
        let (head, records) = read(format!(
            r#"[{{"boot":1,"seq":5,"n":"ah","v":1}},{record},{{"n":"ah","v":2}}]"#
        ))
        .expect("a pack");
        assert_eq!((head.ids, head.records), (Some(Ids { boot: 1, seq: 5 }), 3));
        assert_eq!(records[1], Err(error), "{record}");
        assert!(records[0].is_ok() && records[2].is_ok());
    }
}

#[test]
fn resolves_channel_unit_and_fault() {
    let mut got = Vec::new();
    let pack = r#"[{"bu":"Cel","n":"at","v":1.5},{"n":"water_level_2","u":"m","v":-0.153},{"n":"ph","v":7},{"n":"do","u":"mmHg","flt":2},
                   {"n":"vs","u":"m","v":1},{"n":"sal","bu":"m","v":1}]"#;
    read_pack(pack.as_bytes(), &mut |_, record| {
        got.push(record.and_then(|record| record.resolve()))
    })
    .expect("a pack");
    let value = |at: usize| got[at].map(|reading| (reading.channel.to_string(), reading.value));
    assert_eq!(value(0), Ok(("air_temperature".into(), number("1.5"))));
    assert_eq!(value(1), Ok(("water_level_2".into(), number("-15.3"))));
    assert_eq!(
        value(2),
        Err(RecordError::UnknownUnit),
        "the base unit holds"
    );
    assert_eq!(
        value(3),
        Ok(("dissolved_oxygen".into(), Value::Fault(Fault::ShortCircuit)))
    );
    assert_eq!(value(4), Err(RecordError::UnknownChannel));
    assert_eq!(value(5), Err(RecordError::UnknownUnit));
}

#[test]
fn applies_base_value_and_escapes() {
    let pack =
        r#"[{"bn":"pond\/","bv":20,"n":"\u0061t","v":0.5,"\u0075":"Cel"},{"v":-1,"n":"a\u0074"}]"#;
    let (_, records) = read(pack).expect("a pack");
    assert_eq!(
        records,
        [
            seen("pond/", "at", "Cel", "20.5", Time::Missing),
            seen("pond/", "at", "", "19", Time::Missing)
        ]
    );
}

#[test]
fn refuses_the_pack_when_its_structure_lies() {
    use PackError::*;
    let many =
        format!("[{}]", vec![r#"{"n":"at","v":1}"#; 1025].join(",")).replace("\"at\"", "\"x\"");
    for (pack, error) in [
        ("", NotAPack),
        ("{}", NotAPack),
        ("[]", NotAPack),
        ("23.5", NotAPack),
        ("[{}", Malformed),
        ("[{]", Malformed),
        ("[1]", Malformed),
        (r#"[{"n":"at","v":1},]"#, Malformed),
        (r#"[{"n":"at","v":1}]x"#, Malformed),
        (r#"[{"n":"at","v":1}"#, Malformed),
        (r#"[{"n":"at" "v":1}]"#, Malformed),
        (r#"[{"n":"at","v":tru}]"#, Malformed),
        (r#"[{"n":"at","v":}]"#, Malformed),
        (r#"[{"n":"at","v":1,"x":}]"#, Malformed),
        (r#"[{"n":"at\"#, Malformed),
        (r#"[{"bt":"x","n":"at","v":1}]"#, Malformed),
        (r#"[{"bn":1,"n":"at","v":1}]"#, Malformed),
        (r#"[{"n":"at","v":1,"v":2}]"#, DuplicateKey),
        (r#"[{"n":"at","v":1,"\u0076":2}]"#, DuplicateKey),
        (r#"[{"n":"at","v":1,"new_":2}]"#, MustUnderstand),
        (r#"[{"n":"at","v":1,"bver":11}]"#, UnsupportedVersion),
        (r#"[{"n":"a/at","v":1},{"n":"b/at","v":1}]"#, MixedNames),
        (r#"[{"n":"at","v":1,"boot":1}]"#, BadSequence),
        (r#"[{"n":"at","v":1,"seq":1}]"#, BadSequence),
        (
            r#"[{"n":"at","v":1},{"n":"at","v":1,"boot":1,"seq":1}]"#,
            BadSequence,
        ),
        (r#"[{"n":"at","v":1,"boot":1,"seq":-1}]"#, BadSequence),
        (r#"[{"n":"at","v":1,"boot":1.5,"seq":0}]"#, BadSequence),
        (r#"[{"n":"at","v":1,"boot":"1","seq":0}]"#, BadSequence),
        (
            r#"[{"n":"at","v":1,"boot":9007199254740992,"seq":0}]"#,
            BadSequence,
        ),
        (
            r#"[{"n":"at","v":1,"boot":1,"seq":4294967295},{"n":"at","v":1}]"#,
            BadSequence,
        ),
        (&many, TooLarge),
        (&many.replace("\"n\":\"x\",", ""), TooManyRecords),
    ] {
        assert_eq!(
            read(pack).map(|_| ()),
            Err(error),
            "{}",
            &pack[..pack.len().min(80)]
        );
    }
    for (pack, error) in [
        ("80", NotAPack),
        ("81", Malformed),
        ("81 a1 00", Malformed),
        ("81 a1 00 ff", Malformed),
        ("81 a2 00 626174 02 01 00", Malformed),
        ("9f a2 00 626174 02 01", Malformed),
        ("81 a2 00 626174 00 626174", DuplicateKey),
        ("81 a2 00 626174 64 6e65775f 01", MustUnderstand),
        ("81 a1 22 ff", Malformed),
        ("9b ffffffffffffffff", Malformed),
    ] {
        assert_eq!(read(hex(pack)).map(|_| ()), Err(error), "{pack}");
    }
}

#[test]
fn ignores_what_it_does_not_know() {
    let pack =
        r#"[{"n":"at","v":1,"ut":60,"rssi":-71,"note":"a \"b\" c","deep":{"a":[1,{"b":null}]}}]"#;
    assert_eq!(one(pack), seen("", "at", "", "1", Time::Missing));
    let pack = hex("81 a5 00 626174 02 01 63 666f6f 82 a1 01 02 f6 20 0a 18 63 01");
    assert_eq!(one(pack), seen("", "at", "", "1", Time::Missing));
}

#[test]
fn a_deeply_nested_payload_costs_no_stack() {
    for deep in ["[".repeat(16_000), "{\"a\":".repeat(3_000)] {
        assert_eq!(
            read(format!("[{{\"x\":{deep}")).map(|_| ()),
            Err(PackError::Malformed)
        );
    }
    let mut cbor = hex("81 a1 61 78");
    cbor.extend([0x81; 16_000]);
    assert_eq!(read(cbor).map(|_| ()), Err(PackError::Malformed));
}

#[test]
fn the_writer_stops_at_its_limits_and_stays_whole() {
    let reading = |value: i64, ms| Reading {
        channel: "sal".parse().expect("a channel"),
        value: Value::Number(Decimal::new(value, -2)),
        time: Time::Absolute(ms),
        estimated: false,
    };
    for room in [0, 1, 2, 3, 30, 64, 300, MAX_PACK_BYTES, 4 * MAX_PACK_BYTES] {
        for step in [0, 900_001] {
            let mut buffer = vec![0; room];
            let mut pack = PackWriter::new(
                &mut buffer,
                Some(Ids {
                    boot: u64::MAX >> 11,
                    seq: 0,
                }),
            );
            let mut written = 0;
            while pack
                .push(&reading(1234 + written, 1_341_100_800_123 + written * step))
                .is_ok()
            {
                written += 1;
            }
            assert_eq!(pack.len(), written as usize);
            assert!(pack.len() <= MAX_PACK_RECORDS);
            if written > 0 {
                let bytes = pack.finish();
                assert!(bytes.len() <= room.min(MAX_PACK_BYTES));
                let (head, records) = read(bytes).expect("a pack");
                assert_eq!(head.records, written as usize);
                assert!(records.iter().all(Result::is_ok));
            }
        }
    }
}
