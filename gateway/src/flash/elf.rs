//! A program's ELF file as the bytes that stand in flash.

use object::Endianness;
use object::elf::{FileHeader32, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};

use super::{FlashError, MOST, put};

/// What an ELF file begins with.
pub const MAGIC: &[u8] = b"\x7fELF";

/// The program from `base` on, the address of the flash's first byte. What the file leaves out is erased flash.
///
/// # Errors
/// [`FlashError::Image`] for what is no ELF of 32 bits, or does not lie in the flash.
pub fn program(file: &[u8], base: u32) -> Result<Vec<u8>, FlashError> {
    let broken = |_| FlashError::Image("the ELF file is damaged, or not one of 32 bits");
    let header = FileHeader32::<Endianness>::parse(file).map_err(broken)?;
    let endian = header.endian().map_err(broken)?;
    let mut flash = Vec::new();
    for segment in header.program_headers(endian, file).map_err(broken)? {
        if segment.p_type(endian) != PT_LOAD || segment.p_filesz(endian) == 0 {
            continue;
        }
        let bytes = segment
            .data(endian, file)
            .map_err(|()| FlashError::Image("the ELF file is cut off"))?;
        let offset = segment
            .p_paddr(endian)
            .checked_sub(base)
            .map(|offset| offset as usize)
            .filter(|offset| offset.saturating_add(bytes.len()) <= MOST)
            .ok_or(FlashError::Image(
                "the ELF file is for another address than --flash-base: it is of another board",
            ))?;
        put(&mut flash, offset, bytes);
    }
    if flash.is_empty() {
        return Err(FlashError::Image("the ELF file has nothing for the flash"));
    }
    Ok(flash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u32 = 0x0800_0000;

    /// Two segments, the second with a load address of its own, as `.data` has.
    fn elf(addresses: [u32; 2]) -> Vec<u8> {
        let mut file = b"\x7fELF\x01\x01\x01".to_vec();
        file.resize(16, 0);
        for half in [2u16, 40] {
            file.extend(half.to_le_bytes());
        }
        for word in [1u32, BASE, 52, 0, 0] {
            file.extend(word.to_le_bytes());
        }
        for half in [52u16, 32, 2, 40, 0, 0] {
            file.extend(half.to_le_bytes());
        }
        for (i, address) in addresses.into_iter().enumerate() {
            let at = 52 + 64 + 4 * i as u32;
            for word in [1, at, 0x2000_0000, address, 4, 4, 5, 4] {
                file.extend(word.to_le_bytes());
            }
        }
        file.extend(b"codedata");
        file
    }

    #[test]
    fn segments_stand_at_their_load_addresses() {
        let flash = program(&elf([BASE, BASE + 8]), BASE).unwrap();
        assert_eq!(flash, b"code\xff\xff\xff\xffdata");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |file: &[u8], base| matches!(program(file, base), Err(FlashError::Image(_)));
        let file = elf([BASE, BASE + 8]);
        assert!(refused(&file, BASE + 4));
        assert!(refused(&elf([BASE, BASE - 4]), BASE));
        assert!(refused(&elf([BASE, u32::MAX]), BASE));
        for cut in 0..file.len() - 1 {
            assert!(refused(&file[..cut], BASE), "{cut} bytes");
        }
    }
}
