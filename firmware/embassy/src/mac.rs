//! An Ethernet address for a board that was given none.

use sha2::{Digest, Sha256};

/// A locally administered address (IEEE 802-2014 section 8.4), the same at each start, made of the chip's unique number. The
/// number is hashed, since the chips of one wafer differ in a few bits only.
pub fn local_mac(unique: &[u8]) -> [u8; 6] {
    let [first, second, third, fourth, fifth, sixth, ..] = <[u8; 32]>::from(Sha256::digest(unique));
    // Bit 0: a group of stations; bit 1: not from a maker's range.
    [first & !1 | 2, second, third, fourth, fifth, sixth]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn is_one_station_and_no_makers() {
        let all: BTreeSet<_> = (0..=255)
            .map(|die| local_mac(&[die, 0, 0x4c, 0x34]))
            .collect();
        assert_eq!(all.len(), 256, "chips that lie side by side differ");
        assert!(all.iter().all(|mac| mac[0] & 3 == 2));
    }
}
