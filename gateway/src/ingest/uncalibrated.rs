//! What probes give on channels that nobody has calibrated: the newest of each, in memory, for whoever calibrates. It goes to no
//! journal and no stream: millivolts are no pH, whoever reads them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sen_wire::senml::{PackError, read_pack};
use sen_wire::{Channel, Decimal, Time, Value};

use crate::reading::{Millis, NodeNum};

/// The newest raw value of a channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Raw {
    /// In the probe's own terms: millivolts of an analog one.
    pub value: Decimal,
    /// When it was taken, ms UTC.
    pub at: Millis,
}

/// The newest of every channel that nobody has calibrated. Bounded by the nodes and channels that there are.
#[derive(Debug, Default)]
pub struct Uncalibrated(Mutex<HashMap<(NodeNum, Channel), Raw>>);

impl Uncalibrated {
    /// Takes a message in; records that can't be read are left out, since the next one is on its way.
    ///
    /// # Errors
    /// [`PackError`].
    pub(super) fn take(
        &self,
        node: NodeNum,
        received: Millis,
        payload: &[u8],
    ) -> Result<(), PackError> {
        let mut found = Vec::new();
        read_pack(payload, &mut |_, record| {
            let Ok(reading) = record.and_then(|r| r.resolve()) else {
                return;
            };
            if let Value::Number(value) = reading.value {
                // How long ago it was, by the node; a time of day is not asked of it, and would be of another clock.
                let at = match reading.time {
                    Time::Relative(ms) => received.saturating_add(ms.min(0)),
                    Time::Absolute(_) | Time::Missing => received,
                };
                found.push((reading.channel, Raw { value, at }));
            }
        })?;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (channel, raw) in found {
            all.insert((node, channel), raw);
        }
        Ok(())
    }

    /// The newest of a channel.
    #[must_use]
    pub fn of(&self, node: NodeNum, channel: Channel) -> Option<Raw> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&(node, channel)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_each_channel_is_known_with_its_age() {
        let all = Uncalibrated::default();
        let golden = include_bytes!("../../../firmware/wire/golden/v1/raw.cbor");
        all.take(3, 10_000, golden).unwrap();
        let ph = Channel::parse("ph").unwrap();
        let raw = all.of(3, ph).unwrap();
        assert_eq!((raw.value.to_f64(), raw.at), (1503.25, 7_500));
        assert_eq!(all.of(4, ph), None);
        let text = br#"[{"n":"ph","v":1490,"t":1341100800},{"n":"salinity","v":"x"}]"#;
        all.take(3, 20_000, text).unwrap();
        let raw = all.of(3, ph).unwrap();
        assert_eq!((raw.value.to_f64(), raw.at), (1490.0, 20_000));
        assert!(all.take(3, 30_000, b"noise").is_err());
    }
}
