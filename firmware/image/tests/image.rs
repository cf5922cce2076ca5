//! The ESP32-C3's image, as it is flashed, read the way the chip's boot code reads it.
//!
//! Wants the firmware to be compiled: `scripts/firmware-boards.sh` does that, and `scripts/test.sh` calls it first.

use std::{env, fs, path::PathBuf};

use esp_idf_part::{Partition, PartitionTable};
use sen_wire::provision::{self, Gateway, Provision, Tls, Wifi};
use sha2::{Digest, Sha256};

const TABLE: usize = 0x8000;
const CHIP_ESP32C3: u16 = 5;

fn board() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../boards/esp32c3")
}

fn image() -> Vec<u8> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    let path = target.join("boards/esp32c3.bin");
    fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "run scripts/firmware-boards.sh first: {}: {error}",
            path.display()
        )
    })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Program or bootloader at the front of `bytes`: checked as the boot code checks it
/// (<https://docs.espressif.com/projects/esptool/en/latest/esp32c3/advanced-topics/firmware-image-format.html>).
fn check(bytes: &[u8]) -> (usize, Vec<(u32, &[u8])>) {
    assert_eq!(bytes[0], 0xe9, "magic");
    assert_eq!(
        u16::from_le_bytes([bytes[12], bytes[13]]),
        CHIP_ESP32C3,
        "chip"
    );
    assert_eq!(bytes[3] >> 4, 2, "flash of 4 MB");
    assert_eq!(bytes[23], 1, "a SHA-256 follows");
    let mut at = 24;
    let mut sum = 0xef;
    let mut segments = Vec::new();
    for _ in 0..bytes[1] {
        let (address, length) = (u32_at(bytes, at), u32_at(bytes, at + 4) as usize);
        let segment = &bytes[at + 8..at + 8 + length];
        sum = segment.iter().fold(sum, |sum, byte| sum ^ byte);
        segments.push((address, segment));
        at += 8 + length;
    }
    let end = (at + 1).next_multiple_of(16);
    assert_eq!(bytes[end - 1], sum, "checksum");
    assert_eq!(
        bytes[end..end + 32],
        Sha256::digest(&bytes[..end])[..],
        "SHA-256"
    );
    (end + 32, segments)
}

fn table(image: &[u8]) -> Vec<Partition> {
    let read = PartitionTable::try_from_bytes(&image[TABLE..TABLE + 0xc00]).expect("a table");
    read.partitions().clone()
}

fn named(partitions: &[Partition], name: &str) -> std::ops::Range<usize> {
    let found = partitions.iter().find(|partition| partition.name() == name);
    let found = found.unwrap_or_else(|| panic!("a partition {name}"));
    let offset = found.offset() as usize;
    offset..offset + found.size() as usize
}

#[test]
fn boots_as_the_chip_checks_it() {
    let image = image();
    let (end, _) = check(&image);
    assert!(end <= TABLE, "the bootloader ends at {end:#x}");

    let program = named(&table(&image), "ota_0");
    assert!(
        image.len() <= program.end,
        "the program ends within its partition"
    );
    let (length, segments) = check(&image[program.start..]);
    assert_eq!(
        program.start + length,
        image.len(),
        "nothing follows the program"
    );
    println!(
        "program of {length} bytes, {} of the partition free",
        program.len() - length
    );

    // The bootloader maps flash in pages of 64 KiB and so wants code and constants at the same place within one.
    let mut at = program.start + 24;
    for (address, segment) in &segments {
        let mapped = (0x3c00_0000..0x3c80_0000).contains(address)
            || (0x4200_0000..0x4280_0000).contains(address);
        if mapped && !segment.is_empty() {
            assert_eq!(
                *address as usize % 0x1_0000,
                (at + 8) % 0x1_0000,
                "segment at {address:#x}"
            );
        }
        at += 8 + segment.len();
    }
    // The description of the program, which the bootloader and updates look for (esp_app_desc_t).
    let (_, first) = segments[0];
    assert_eq!(u32_at(first, 0), 0xabcd_5432);
    assert!(first[48..].starts_with(b"sen-esp32c3\0"));
}

#[test]
#[should_panic(expected = "checksum")]
fn a_flipped_bit_would_be_found() {
    let mut image = image();
    let program = named(&table(&image), "ota_0").start;
    image[program + 0x1000] ^= 1;
    check(&image[program..]);
}

#[test]
fn holds_the_partition_table_that_the_firmware_looks_in() {
    let image = image();
    let text = fs::read_to_string(board().join("partitions.csv")).unwrap();
    let meant = PartitionTable::try_from_str(text).unwrap();
    assert_eq!(table(&image), *meant.partitions());
    // With no word in otadata the bootloader takes the first program.
    let otadata = named(meant.partitions(), "otadata");
    assert!(image[otadata].iter().all(|byte| *byte == 0xff));
}

#[test]
fn keeps_a_node_configuration_beside_the_program() {
    let mut image = image();
    let place = named(&table(&image), provision::PARTITION);
    assert!(
        image[place.clone()].iter().all(|byte| *byte == 0xff),
        "nobody's yet"
    );

    let mut key = [7; provision::KEY_BYTES];
    key[0] = 4;
    let gateway = Gateway {
        host: "192.168.1.10",
        port: 8883,
        tls: Tls::Pinned(&key),
    };
    let mut asked = Provision::new("nuoc-ao-1", "correct-horse-battery", gateway, "esp32c3");
    asked.wifi = Some(Wifi {
        name: "Trại tôm",
        password: Some(provision::Hidden("mua-nuoc-noi")),
    });
    asked.encode(&mut image[place.clone()]).unwrap();

    assert_eq!(Provision::for_board(&image[place], "esp32c3"), Ok(asked));
    let (end, _) = check(&image);
    assert!(end <= TABLE);
    check(&image[named(&table(&image), "ota_0").start..]);
}
