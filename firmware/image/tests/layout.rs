//! Each board's `partitions.csv`: what lies where, and whether it is enough. On paper; no board is built for it.

use std::{fs, path::PathBuf};

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use esp_idf_part::{Partition, PartitionTable, Type};
use sen_node::FlashOutbox;
use sen_wire::provision;

/// Six channels every quarter of an hour, for thirty days.
const MONTH_OF_READINGS: u32 = 6 * 4 * 24 * 30;

fn partitions(board: &str) -> Vec<Partition> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../boards/{board}/partitions.csv"));
    let text = fs::read_to_string(path).expect("the table is there");
    let table = PartitionTable::try_from_str(text).expect("a table of ESP-IDF's form");
    table.partitions().clone()
}

fn named<'a>(partitions: &'a [Partition], name: &str) -> &'a Partition {
    let found = partitions.iter().find(|partition| partition.name() == name);
    found.unwrap_or_else(|| panic!("a partition {name}"))
}

/// Nothing overlaps or passes the end of the flash; what is erased by itself begins and ends at a page of its own.
fn lies_well(partitions: &[Partition], from: u32, flash: u32, page: u32) {
    let mut sorted: Vec<_> = partitions.iter().collect();
    sorted.sort_by_key(|partition| partition.offset());
    let mut end = from;
    for partition in sorted {
        let name = partition.name();
        assert!(
            partition.offset() >= end,
            "{name} begins within what lies before"
        );
        assert!(
            partition.offset().is_multiple_of(page),
            "{name} begins within a page"
        );
        assert!(
            partition.size().is_multiple_of(page),
            "{name} ends within a page"
        );
        end = partition.offset() + partition.size();
    }
    assert!(
        end <= flash,
        "the last partition ends at {end:#x}, the flash at {flash:#x}"
    );
}

/// The geometry of a flash, as the outbox asks for it.
struct Flash<const WORD: usize, const PAGE: usize>;

impl<const WORD: usize, const PAGE: usize> ErrorType for Flash<WORD, PAGE> {
    type Error = core::convert::Infallible;
}

impl<const WORD: usize, const PAGE: usize> ReadNorFlash for Flash<WORD, PAGE> {
    const READ_SIZE: usize = 1;
    async fn read(&mut self, _: u32, _: &mut [u8]) -> Result<(), Self::Error> {
        unreachable!("geometry only")
    }
    fn capacity(&self) -> usize {
        unreachable!("geometry only")
    }
}

impl<const WORD: usize, const PAGE: usize> NorFlash for Flash<WORD, PAGE> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;
    async fn write(&mut self, _: u32, _: &[u8]) -> Result<(), Self::Error> {
        unreachable!("geometry only")
    }
    async fn erase(&mut self, _: u32, _: u32) -> Result<(), Self::Error> {
        unreachable!("geometry only")
    }
}

fn readings_kept<const WORD: usize, const PAGE: usize>(outbox: &Partition) -> u32 {
    let kept = FlashOutbox::<Flash<WORD, PAGE>>::readings_kept(outbox.size() / PAGE as u32);
    println!("{kept} readings, {} days", kept / (MONTH_OF_READINGS / 30));
    kept
}

#[test]
fn esp32c3_has_two_programs_and_a_season_of_readings() {
    let partitions = partitions("esp32c3");
    lies_well(&partitions, 0x9000, 4 << 20, 4096);
    let programs: Vec<_> = partitions
        .iter()
        .filter(|partition| partition.ty() == Type::App)
        .collect();
    assert_eq!(programs.len(), 2, "one runs while the other is replaced");
    assert_eq!(programs[0].size(), programs[1].size());
    assert!(
        programs
            .iter()
            .all(|program| program.offset().is_multiple_of(0x1_0000))
    );
    assert_eq!(named(&partitions, "otadata").size(), 0x2000);
    assert_eq!(
        named(&partitions, provision::PARTITION).size() as usize,
        provision::PAGE
    );
    let settings = named(&partitions, "sen_settings");
    assert!(
        settings.size() / 4096 >= 3,
        "three pages at least, as its own doc says"
    );
    let kept = readings_kept::<4, 4096>(named(&partitions, "sen_outbox"));
    assert!(kept >= 3 * MONTH_OF_READINGS);
}

#[test]
fn stm32_has_room_for_a_second_program_and_a_month_of_readings() {
    let partitions = partitions("stm32");
    lies_well(&partitions, 0, 1 << 20, 2048);
    let program = named(&partitions, "program");
    let node = named(&partitions, provision::PARTITION);
    let outbox = named(&partitions, "sen_outbox");
    assert_eq!(node.size() as usize, provision::PAGE);
    let settings = named(&partitions, "sen_settings");
    assert!(
        settings.size() / 2048 >= 3,
        "three pages at least, as its own doc says"
    );
    let free = settings.offset() - program.size();
    let bootloader = 0x8000;
    assert!(
        free >= program.size() + 2048 + bootloader,
        "{free:#x} are free"
    );
    // Code goes on while the other bank is erased.
    assert!(outbox.offset() >= 0x8_0000 && node.offset() + node.size() <= 0x8_0000);
    assert!(readings_kept::<8, 2048>(outbox) >= MONTH_OF_READINGS);
}
