//! What is flashed, made of what was compiled. A host tool: no firmware.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use espflash::{
    flasher::{FlashData, FlashSettings, FlashSize},
    image_format::idf::IdfBootloaderFormat,
    target::{Chip, XtalFrequency},
};

/// The flash of an ESP32-C3 from its first byte to the end of the program: bootloader, partition table and the program `elf`
/// in the first partition for programs, erased flash between them. `table` is the partition table in the text form of
/// ESP-IDF (`partitions.csv`).
///
/// The bootloader is Espressif's, as espflash brings it. Bootloader and program carry a checksum and a SHA-256, which are
/// checked at each start.
///
/// # Errors
/// If the program or the table is none, or the program does not fit into its partition.
pub fn esp32c3(elf: &[u8], table: &Path) -> Result<Vec<u8>> {
    let settings = FlashSettings::new(None, Some(FlashSize::_4Mb), None);
    let flash = FlashData::new(settings, 0, None, Chip::Esp32c3, XtalFrequency::_40Mhz);
    let format = IdfBootloaderFormat::new(elf, &flash, Some(table), None, None, Some("ota_0"))
        .context("no image for an ESP32-C3")?;
    let mut image = Vec::new();
    for segment in format.flash_segments() {
        let start = usize::try_from(segment.addr)?;
        ensure!(start >= image.len(), "segments of the image overlap");
        image.resize(start, 0xff);
        image.extend_from_slice(segment.data());
    }
    Ok(image)
}
