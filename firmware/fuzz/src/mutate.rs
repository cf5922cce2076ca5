//! Changes bytes a little, always in the same way for the same number.

/// xorshift64*: enough to shake bytes with, and needs no crate.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.roll() >> 11) as usize % n.max(1)
    }
}

/// What has a meaning in CBOR, JSON, numbers or flash.
const SPICE: &[u8] =
    b"\"\\u/{}[]:,-+.eE019ntf\xff\x9f\xbf\xc4\xfb\xfa\xf9\x7f\x5f\x1b\x3b\x00_\x80\x01";

/// One of the seeds with up to five changes, or now and then bytes from nowhere.
pub fn mutated(seeds: &[Vec<u8>], number: u64) -> Vec<u8> {
    let mut dice = Dice(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut bytes = match seeds {
        [_, ..] if dice.below(16) > 0 => seeds[dice.below(seeds.len())].clone(),
        _ => (0..dice.below(300)).map(|_| dice.roll() as u8).collect(),
    };
    for _ in 0..=dice.below(5) {
        let at = dice.below(bytes.len());
        match dice.below(7) {
            0 if at < bytes.len() => bytes[at] = dice.roll() as u8,
            1 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            2 if at < bytes.len() => bytes[at] = SPICE[dice.below(SPICE.len())],
            3 => bytes.insert(at, SPICE[dice.below(SPICE.len())]),
            4 => bytes.truncate(at + 1),
            5 => {
                let end = at + dice.below(bytes.len() - at);
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            _ if !seeds.is_empty() => {
                let other = &seeds[dice.below(seeds.len())];
                let from = dice.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {}
        }
    }
    bytes
}
