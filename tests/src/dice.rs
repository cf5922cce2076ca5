//! Random numbers that can be had again: each test prints its seed, `SEN_SEED` repeats it.

use std::ops::Range;

/// SplitMix64 (Steele, Lea and Flood 2014): any seed will do, and two seeds give unrelated numbers.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// With that seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// With the seed in `SEN_SEED`, or a fresh one; prints it.
    ///
    /// # Panics
    /// When `SEN_SEED` is no number.
    #[must_use]
    pub fn from_env() -> Self {
        let seed = match std::env::var("SEN_SEED") {
            Ok(text) => text.parse().expect("SEN_SEED is a number"),
            Err(_) => {
                let mut bytes = [0; 4];
                getrandom::fill(&mut bytes).expect("the operating system has random numbers");
                u64::from(u32::from_ne_bytes(bytes))
            }
        };
        eprintln!("SEN_SEED={seed}");
        Self(seed)
    }

    /// Dice of their own for something with a name: what they give does not depend on who asked before.
    #[must_use]
    pub fn of(&self, name: &str, count: u64) -> Self {
        // FNV-1a.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |h: u64, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut dice = Self(self.0 ^ hash ^ count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self(dice.roll())
    }

    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of that range; its start when it is empty.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        let width = range.end.saturating_sub(range.start).max(1);
        range.start + self.roll() % width
    }

    /// 0 to 1.
    pub fn share(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let of = |seed| {
            let mut dice = Dice::new(seed).of("node-01", 3);
            [dice.roll(), dice.within(10..20)]
        };
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
        assert!((10..20).contains(&of(7)[1]));
        assert_ne!(
            Dice::new(7).of("a", 1).roll(),
            Dice::new(7).of("a", 2).roll()
        );
    }
}
