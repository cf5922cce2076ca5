//! When a sweep is worth a connection of its own: a value has passed one of the configuration's limits, either way.
//!
//! Only the passing counts. A value that stays low goes on as scheduled, so a limit that was set wrong costs one
//! connection and not the battery; a second limit further down reports that it gets worse.

use sen_wire::{Value, config::SendLimits, limits::MAX_CONFIG_LIMITS};

use crate::sample::Sample;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Inside,
    Below,
    Above,
    /// The probe failed.
    Unknown,
}

/// On which side of each limit its channel was last seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Urgency {
    sides: heapless::Vec<Side, MAX_CONFIG_LIMITS>,
}

impl Urgency {
    /// Takes a sweep, calibrated. Returns whether a limit was passed.
    pub(crate) fn passes(&mut self, limits: &SendLimits, samples: &[Sample]) -> bool {
        // A new list is compared with what is normal: what is outside at once is news.
        let _ = self.sides.resize(limits.len(), Side::Inside);
        let mut passed = false;
        for (limit, side) in limits.iter().zip(&mut self.sides) {
            let Some(sample) = samples.iter().find(|s| s.channel == limit.channel) else {
                continue;
            };
            let now = match sample.value {
                Value::Fault(_) => Side::Unknown,
                Value::Number(value) if limit.below.is_some_and(|below| value < below) => {
                    Side::Below
                }
                Value::Number(value) if limit.above.is_some_and(|above| value > above) => {
                    Side::Above
                }
                Value::Number(_) => Side::Inside,
            };
            passed |= now != *side;
            *side = now;
        }
        passed
    }

    /// The limits are others now.
    pub(crate) fn reset(&mut self) {
        self.sides.clear();
    }
}

#[cfg(test)]
mod tests {
    use sen_wire::{Channel, Decimal, Fault, Quantity, SendLimit};

    use super::*;

    #[test]
    fn each_passing_is_news_once() {
        let channel = Channel::first(Quantity::DissolvedOxygen);
        let limit = |below| SendLimit {
            channel,
            below: Some(Decimal::from(below)),
            above: (below == 3).then_some(Decimal::from(12)),
        };
        let limits: SendLimits = [limit(3), limit(2)].into_iter().collect();
        let mut urgency = Urgency::default();
        let mut passes = |value| {
            let sample = Sample {
                channel,
                value,
                raw: false,
            };
            urgency.passes(&limits, &[sample])
        };
        for (tenths, wanted) in [
            (60, false),
            (30, false),
            (29, true),
            (21, false),
            (19, true),
            (15, false),
            (25, true),
            (31, true),
            (120, false),
            (121, true),
            (50, true),
        ] {
            let value = Value::Number(Decimal::new(tenths, -1));
            assert_eq!(passes(value), wanted, "{value:?}");
        }
        assert!(passes(Value::Fault(Fault::Timeout)));
        assert!(!passes(Value::Fault(Fault::Crc)));
        assert!(passes(Value::Number(Decimal::from(1))));
        assert!(!urgency.passes(&limits, &[]), "not sampled this time");
        urgency.reset();
        let low = Sample {
            channel,
            value: Value::Number(Decimal::from(1)),
            raw: false,
        };
        assert!(urgency.passes(&limits, &[low]), "low from the start");
    }
}
