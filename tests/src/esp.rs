//! An image as boards get it, of a program that does nothing.

use sha2::{Digest, Sha256};

/// All of an ESP32's flash as `espflash save-image --merge` lays it out, with a program that does nothing.
#[must_use]
pub fn image() -> Vec<u8> {
    let mut image = vec![0xff; 0x10000];
    image[..4].copy_from_slice(&[0xe9, 3, 2, 0x20]);
    let mut at = 0x8000;
    for (name, kind, offset, size) in [
        ("otadata", [1, 0], 0x9000_u32, 0x2000_u32),
        ("sen_node", [1, 6], 0xb000, 0x1000),
        ("ota_0", [0, 0x10], 0x10000, 0x10_0000),
    ] {
        let mut entry = vec![0xaa, 0x50];
        entry.extend(kind);
        entry.extend(offset.to_le_bytes());
        entry.extend(size.to_le_bytes());
        entry.extend(name.as_bytes());
        entry.resize(32, 0);
        image[at..at + 32].copy_from_slice(&entry);
        at += 32;
    }
    image.extend(program());
    image
}

/// A program for the chip 5, an ESP32-C3: one segment, its checksum, its hash.
fn program() -> Vec<u8> {
    let mut all = vec![0xe9, 1, 2, 0x20];
    all.resize(12, 0);
    all.extend([5, 0]);
    all.resize(23, 0);
    all.push(1);
    all.extend(0x4200_0000_u32.to_le_bytes());
    all.extend(2_960_u32.to_le_bytes());
    all.extend([0x42; 2_960]);
    // An even number of equal bytes adds nothing to what the checksum begins with.
    all.resize(all.len() + 15 - all.len() % 16, 0);
    all.push(0xef);
    let hash = Sha256::digest(&all);
    all.extend(hash);
    all
}
