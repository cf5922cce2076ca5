//! What the probes say in one sweep.

use sen_wire::{Channel, Decimal, Fault, Value, limits::MAX_CONFIG_CHANNELS};

/// One channel's value or fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// What was measured.
    pub channel: Channel,
    /// What came out.
    pub value: Value,
    /// A number that is in the probe's own terms, and none of the channel's until it is calibrated.
    pub raw: bool,
}

/// One sweep over the probes: all its samples share one instant.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    at: Option<i64>,
    list: heapless::Vec<Sample, MAX_CONFIG_CHANNELS>,
}

impl Samples {
    /// Adds a value.
    pub fn value(&mut self, channel: impl Into<Channel>, value: Decimal) {
        self.push(Sample {
            channel: channel.into(),
            value: Value::Number(value),
            raw: false,
        });
    }

    /// Adds a raw value, such as the millivolts of an analog probe: the channel's calibration makes a value of it.
    pub fn raw(&mut self, channel: impl Into<Channel>, raw: Decimal) {
        self.push(Sample {
            channel: channel.into(),
            value: Value::Number(raw),
            raw: true,
        });
    }

    /// Adds a fault: a probe that failed says so, it does not fall silent.
    pub fn fault(&mut self, channel: impl Into<Channel>, fault: Fault) {
        self.push(Sample {
            channel: channel.into(),
            value: Value::Fault(fault),
            raw: false,
        });
    }

    /// The samples carry this time (ms UTC) in place of the node's: the probe is a logger with a clock of its own.
    pub fn taken_at(&mut self, utc_ms: i64) {
        self.at = Some(utc_ms);
    }

    /// More samples than a node has channels are left out.
    fn push(&mut self, sample: Sample) {
        let _ = self.list.push(sample);
    }

    pub(crate) fn at(&self) -> Option<i64> {
        self.at
    }

    /// The samples so far.
    pub fn as_slice(&self) -> &[Sample] {
        &self.list
    }
}
