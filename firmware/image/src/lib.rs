//! What is flashed, made of what was compiled. A host tool: no firmware.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use espflash::{
    flasher::{FlashData, FlashSettings, FlashSize},
    image_format::idf::IdfBootloaderFormat,
    target::{Chip, XtalFrequency},
};

/// What is flashed, from the first byte of the flash on.
#[derive(Clone, Debug)]
pub struct Image {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Bytes of the program within it.
    pub program: u32,
    /// Bytes of the program's partition.
    pub partition: u32,
}

/// The flash of an ESP32-C3 from its first byte to the end of the program: bootloader, partition table and the program `elf`
/// in the first partition for programs, erased flash between them. `table` is the partition table in the text form of
/// ESP-IDF (`partitions.csv`).
///
/// The bootloader is Espressif's, as espflash brings it. Bootloader and program carry a checksum and a SHA-256, which are
/// checked at each start.
///
/// # Errors
/// If the program or the table is none, or the program does not fit into its partition.
pub fn esp32c3(elf: &[u8], table: &Path) -> Result<Image> {
    let settings = FlashSettings::new(None, Some(FlashSize::_4Mb), None);
    let flash = FlashData::new(settings, 0, None, Chip::Esp32c3, XtalFrequency::_40Mhz);
    let format = IdfBootloaderFormat::new(elf, &flash, Some(table), None, None, Some("ota_0"))
        .context("no image for an ESP32-C3")?;
    let sizes = format.metadata();
    let size = |name: &str| -> Result<u32> { Ok(sizes.get(name).context("no size")?.parse()?) };
    let (program, partition) = (size("app_size")?, size("part_size")?);
    let mut bytes = Vec::new();
    for segment in format.flash_segments() {
        let start = usize::try_from(segment.addr)?;
        ensure!(start >= bytes.len(), "segments of the image overlap");
        bytes.resize(start, 0xff);
        bytes.extend_from_slice(segment.data());
    }
    Ok(Image {
        bytes,
        program,
        partition,
    })
}
