//! What probes gave on channels that nobody has calibrated yet. Their readings say `not_calibrated`, and rightly: a number that
//! nobody has vouched for is no value. Whoever shall calibrate them needs the number all the same, so the newest sweep's goes up
//! on a topic of its own, once, and only while nothing else waits. It is in no outbox and has no place in the sequence: when it
//! is lost, the next sweep brings another.

use sen_wire::{NodeConfig, Reading, Time, limits::MAX_CONFIG_CHANNELS, senml::PackWriter};

use crate::sample::{Sample, Samples};

#[derive(Debug, Default)]
pub(super) struct Uncalibrated {
    /// When the sweep was taken.
    at: u64,
    /// What of it was not sent yet.
    raw: heapless::Vec<Sample, MAX_CONFIG_CHANNELS>,
}

impl Uncalibrated {
    /// Keeps a sweep's raw numbers, in place of those of the sweep before.
    pub(super) fn take(&mut self, now: u64, config: &NodeConfig, samples: &Samples) {
        self.at = now;
        self.raw.clear();
        for sample in samples.as_slice() {
            if sample.raw && config.calibration(sample.channel).is_none() {
                // There is room: a sweep has no more.
                let _ = self.raw.push(*sample);
            }
        }
    }

    /// Writes what was not sent yet to the front of `buffer`; answers its length. Their time is how long ago it was: that needs
    /// no clock.
    pub(super) fn message(&mut self, now: u64, buffer: &mut [u8]) -> Option<usize> {
        let ago = i64::try_from(now.saturating_sub(self.at)).unwrap_or(i64::MAX);
        let mut pack = PackWriter::new(buffer, None);
        let mut fitted = 0;
        for sample in &self.raw {
            let reading = Reading {
                channel: sample.channel,
                value: sample.value,
                time: Time::Relative(-ago),
                estimated: false,
            };
            if pack.push(&reading).is_err() {
                break;
            }
            fitted += 1;
        }
        // What can't be written at all is left out, or it would be tried for ever.
        self.raw.drain(..fitted.max(1).min(self.raw.len()));
        (fitted > 0).then(|| pack.finish().len())
    }
}
