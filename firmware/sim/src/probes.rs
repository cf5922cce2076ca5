//! Probes that replay a recording: they sample when the recording did, not when the schedule says.

use std::sync::Arc;

use sen_node::{Probes, Samples};
use sen_wire::{Channel, Value};

use crate::{
    Series,
    fleet::Counters,
    replay::{Replay, going_on_ms},
};

/// While so many readings are pending, history waits: a real node had a month to send it in.
const HISTORY_WAITS_AT: u32 = 1_024;

pub(crate) struct ReplayProbes {
    pub(crate) series: Arc<Series>,
    pub(crate) replay: Replay,
    /// The next row, counted on past the end of the recording.
    pub(crate) row: u64,
    pub(crate) counters: Arc<Counters>,
}

impl Probes for ReplayProbes {
    fn sample_at(&mut self, _scheduled: u64, pending: u32) -> u64 {
        let source_ms = going_on_ms(&self.series, self.row);
        if !self.replay.covers(source_ms) {
            self.counters.end_of_recording();
            return u64::MAX;
        }
        match self.replay.is_history(source_ms) {
            true if pending >= HISTORY_WAITS_AT => u64::MAX,
            true => 0,
            // Uptime counts from the origin.
            false => {
                u64::try_from(self.replay.stamp(source_ms) - self.replay.origin_ms()).unwrap_or(0)
            }
        }
    }

    async fn sample(&mut self, wanted: &[Channel], samples: &mut Samples) {
        samples.taken_at(self.replay.stamp(going_on_ms(&self.series, self.row)));
        let row = (self.row % self.series.len() as u64) as usize;
        for (channel, value) in self.series.values(row) {
            if wanted.is_empty() || wanted.contains(&channel) {
                match value {
                    Value::Number(number) => samples.value(channel, number),
                    Value::Fault(fault) => samples.fault(channel, fault),
                }
            }
        }
        self.counters.sampled(samples.as_slice().len());
        self.row += 1;
    }
}
