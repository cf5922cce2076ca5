//! The program within an ESP32's image: whole, and for the chip that is on the board.
//!
//! Format: ESP-IDF, `esp_app_format.h` and "Firmware Image Format" of esptool's documentation. A head of 24 bytes (magic,
//! segment count, chip id at 12, whether a hash follows at 23), segments with heads of 8 (address, length), padding up to a
//! checksum in the last byte of a block of 16, and the SHA-256 of all of it.

use sha2::{Digest, Sha256};

use super::layout::Layout;

const MAGIC: u8 = 0xe9;
const HEAD: usize = 24;
const SEGMENT_HEAD: usize = 8;
/// Most segments that a boot loader takes (`ESP_IMAGE_MAX_SEGMENTS`).
const MOST_SEGMENTS: u8 = 16;
/// What the checksum begins with (`ESP_ROM_CHECKSUM_INITIAL`).
const CHECKSUM: u8 = 0xef;
/// `esp_chip_id_t`.
const CHIPS: [(&str, u16); 8] = [
    ("esp32", 0),
    ("esp32s2", 2),
    ("esp32c3", 5),
    ("esp32s3", 9),
    ("esp32c2", 12),
    ("esp32c6", 13),
    ("esp32h2", 16),
    ("esp32c5", 23),
];

/// The program can't run on the board.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EspError {
    /// There is none.
    #[error("there is no program in any partition of the image: it is no firmware of a node")]
    NoProgram,
    /// It is not whole.
    #[error("the program in partition {0} is damaged ({1}): make or copy the image anew")]
    Damaged(String, &'static str),
    /// It is for something else.
    #[error("the image is for another chip ({found}), and {board} has an {chip}")]
    OtherChip {
        /// What the image says.
        found: String,
        /// The board asked for.
        board: String,
        /// Its chip.
        chip: String,
    },
}

/// Checks the programs in the image of a whole flash. A board is called as its chip, or as that with `-` and more behind it; of
/// a chip that is not known here only the rest is checked.
///
/// # Errors
/// [`EspError`].
pub fn check(image: &[u8], layout: &Layout, board: &str) -> Result<(), EspError> {
    let mut programs = 0;
    for partition in layout.all() {
        let from = partition.offset as usize;
        let Some(bytes) = image.get(from..).filter(|b| b.first() == Some(&MAGIC)) else {
            continue;
        };
        let room = bytes.len().min(partition.size as usize);
        let found = whole(bytes.get(..room).unwrap_or_default())
            .map_err(|what| EspError::Damaged(partition.name.clone(), what))?;
        programs += 1;
        let chip = board.split('-').next().unwrap_or(board);
        let wanted = CHIPS.iter().find(|(name, _)| *name == chip);
        if let Some((_, id)) = wanted
            && *id != found
        {
            let named = CHIPS.iter().find(|(_, id)| *id == found);
            return Err(EspError::OtherChip {
                found: named.map_or_else(|| format!("chip {found}"), |(n, _)| (*n).to_owned()),
                board: board.to_owned(),
                chip: chip.to_owned(),
            });
        }
    }
    if programs == 0 {
        return Err(EspError::NoProgram);
    }
    Ok(())
}

/// The chip's id of a program that is whole.
fn whole(bytes: &[u8]) -> Result<u16, &'static str> {
    const CUT: &str = "it is cut off";
    let head = bytes.get(..HEAD).ok_or(CUT)?;
    let &[_, segments, .., hashed] = head else {
        return Err(CUT);
    };
    if !(1..=MOST_SEGMENTS).contains(&segments) {
        return Err("its head makes no sense");
    }
    let (mut at, mut checksum) = (HEAD, CHECKSUM);
    for _ in 0..segments {
        let head = bytes.get(at..at + SEGMENT_HEAD).ok_or(CUT)?;
        let length = head.last_chunk::<4>().ok_or(CUT)?;
        let from = at + SEGMENT_HEAD;
        at = from
            .checked_add(u32::from_le_bytes(*length) as usize)
            .ok_or(CUT)?;
        let data = bytes.get(from..at).ok_or(CUT)?;
        checksum = data.iter().fold(checksum, |sum, byte| sum ^ byte);
    }
    // The checksum ends the block of 16 that it falls into.
    at += 16 - at % 16;
    if bytes.get(at - 1) != Some(&checksum) {
        return Err("its checksum does not fit");
    }
    if hashed == 1 {
        let written = bytes.get(at..at + 32).ok_or(CUT)?;
        let all = bytes.get(..at).ok_or(CUT)?;
        if Sha256::digest(all).as_slice() != written {
            return Err("its hash does not fit");
        }
    }
    match head {
        [_, _, _, _, _, _, _, _, _, _, _, _, low, high, ..] => {
            Ok(u16::from_le_bytes([*low, *high]))
        }
        _ => Err(CUT),
    }
}

#[cfg(test)]
pub(in crate::flash) mod tests {
    use super::super::layout::tests::table;
    use super::*;

    /// A program of two segments for a chip.
    pub(in crate::flash) fn program(chip: u16) -> Vec<u8> {
        let mut all = vec![MAGIC, 2, 2, 0x20];
        all.extend([0; 8]);
        all.extend(chip.to_le_bytes());
        all.extend([0; 9]);
        all.push(1);
        let mut sum = CHECKSUM;
        for (address, length) in [(0x3c00_0000u32, 1_000usize), (0x4200_0000, 3_333)] {
            all.extend(address.to_le_bytes());
            all.extend((length as u32).to_le_bytes());
            for i in 0..length {
                all.push(i as u8);
                sum ^= i as u8;
            }
        }
        all.resize(all.len() + 15 - all.len() % 16, 0);
        all.push(sum);
        let hash = Sha256::digest(&all);
        all.extend(hash);
        all
    }

    /// As `espflash save-image --merge` lays it out: bootloader, table, a program at 0x10000.
    pub(in crate::flash) fn image(chip: u16) -> Vec<u8> {
        let mut image = vec![0xff; 0x10000];
        image[..4].copy_from_slice(&[0xe9, 3, 2, 0x20]);
        let rows = table(&[
            ("otadata", 0x9000, 0x2000),
            ("sen_node", 0xb000, 0x1000),
            ("ota_0", 0x10000, 0x10_0000),
        ]);
        image[0x8000..0x8000 + rows.len()].copy_from_slice(&rows);
        image.extend(program(chip));
        image
    }

    fn checked(image: &[u8], board: &str) -> Result<(), EspError> {
        check(image, &Layout::in_image(image).unwrap(), board)
    }

    #[test]
    fn a_program_is_for_one_chip() {
        assert_eq!(checked(&image(5), "esp32c3"), Ok(()));
        assert_eq!(checked(&image(5), "esp32c3-4g"), Ok(()));
        assert_eq!(checked(&image(5), "esp32z9"), Ok(()), "a chip of tomorrow");
        let refused = checked(&image(9), "esp32c3").unwrap_err().to_string();
        assert!(refused.contains("esp32s3"), "{refused}");
    }

    #[test]
    fn every_flipped_bit_and_every_cut_of_the_program_is_noticed() {
        let good = image(5);
        for at in (0x10000 + HEAD..good.len()).step_by(7) {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert!(checked(&bad, "esp32c3").is_err(), "{at:#x}");
        }
        for length in (0x10001..good.len()).step_by(97) {
            assert!(checked(&good[..length], "esp32c3").is_err(), "{length:#x}");
        }
        assert_eq!(
            checked(&good[..0x10000], "esp32c3"),
            Err(EspError::NoProgram)
        );
    }
}
