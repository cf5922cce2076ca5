//! A raw value that does not move at all. What a converter gives always moves in its last digits; a value that repeats for
//! hours comes from a probe or a driver that has stopped measuring.

use sen_wire::Fault;

/// Sweeps with the very same raw value after which it counts as stuck: six hours of quarters.
pub(crate) const SWEEPS: u8 = 24;

/// Watches one raw value. For converters with noise only: a thermometer of 1/16 °C may well stand still for a night.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stuck {
    last: Option<i32>,
    repeats: u8,
}

impl Stuck {
    /// Takes the raw value of a sweep.
    pub fn check(&mut self, raw: i32) -> Result<(), Fault> {
        self.repeats = if self.last == Some(raw) {
            self.repeats.saturating_add(1)
        } else {
            0
        };
        self.last = Some(raw);
        if self.repeats >= SWEEPS {
            Err(Fault::Stuck)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_repeats_for_hours_is_stuck_until_it_moves() {
        let mut stuck = Stuck::default();
        for _ in 0..SWEEPS {
            assert_eq!(stuck.check(700), Ok(()));
        }
        for _ in 0..1_000 {
            assert_eq!(stuck.check(700), Err(Fault::Stuck));
        }
        assert_eq!(stuck.check(701), Ok(()));
        assert_eq!(stuck.check(700), Ok(()));
    }
}
