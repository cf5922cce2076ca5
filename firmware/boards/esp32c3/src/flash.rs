//! The partitions of the flash, found by name in the table that was flashed with the image.

use embassy_embedded_hal::{adapter::BlockingAsync, flash::partition::Partition};
use embassy_sync::{blocking_mutex::raw::NoopRawMutex, mutex::Mutex};
use esp_bootloader_esp_idf::partitions::{Error, PARTITION_TABLE_MAX_LEN, read_partition_table};
use esp_hal::peripherals::FLASH;
use esp_storage::FlashStorage;
use sen_wire::provision::PARTITION;
use static_cell::StaticCell;

type Shared = Mutex<NoopRawMutex, BlockingAsync<FlashStorage<'static>>>;
/// A part of the flash.
pub type Region = Partition<'static, NoopRawMutex, BlockingAsync<FlashStorage<'static>>>;

/// What this firmware keeps in flash.
pub struct Regions {
    /// Who the node is, written by whoever flashes it.
    pub node: Region,
    /// The settings that the gateway sends.
    pub settings: Region,
    /// The outbox.
    pub outbox: Region,
}

/// Reads the table. Once only.
pub fn regions(peripheral: FLASH<'static>) -> Result<Regions, Error> {
    static FLASH: StaticCell<Shared> = StaticCell::new();
    let mut flash = FlashStorage::new(peripheral);
    let mut bytes = [0; PARTITION_TABLE_MAX_LEN];
    let table = read_partition_table(&mut flash, &mut bytes)?;
    let find = |name| {
        table
            .iter()
            .find(|entry| entry.label_as_str() == name)
            .map(|entry| (entry.offset(), entry.len()))
            .ok_or(Error::Invalid)
    };
    let (node, settings, outbox) = (find(PARTITION)?, find("sen_settings")?, find("sen_outbox")?);
    let flash: &'static Shared = FLASH.init(Mutex::new(BlockingAsync::new(flash)));
    let region = |(offset, size)| Partition::new(flash, offset, size);
    Ok(Regions {
        node: region(node),
        settings: region(settings),
        outbox: region(outbox),
    })
}
