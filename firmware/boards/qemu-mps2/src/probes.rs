//! A probe that replays a recording, and breaks when it is told to.

use core::str::from_utf8;

use sen_node::{Probes, Samples};
use sen_wire::{Channel, Decimal, Fault, Quantity};

use crate::host::{CommandLine, File, Mode};

include!(concat!(env!("OUT_DIR"), "/series.rs"));

/// What it measures.
pub(crate) static CHANNELS: [Channel; COLUMNS.len()] = {
    let mut channels = [Channel::first(Quantity::Ph); _];
    let mut column = 0;
    while column < COLUMNS.len() {
        channels[column] = Channel::first(COLUMNS[column].0);
        column += 1;
    }
    channels
};

/// The sonde of the recording.
pub(crate) struct Sonde {
    row: u64,
    /// So many rows are sampled at this pace, the rest as the node's schedule says.
    quick_rows: u64,
    pace_ms: u64,
    /// A file with the codes of the channels whose wires are cut, one a line.
    cut: Option<&'static str>,
}

impl Sonde {
    pub(crate) fn new(options: &'static CommandLine) -> Self {
        Self {
            row: 0,
            quick_rows: options.number("rows").unwrap_or(0),
            pace_ms: options.number("pace_ms").unwrap_or(0),
            cut: options.value("cut"),
        }
    }

    /// The list of cut wires as it is now.
    fn cut<'b>(&self, buffer: &'b mut [u8]) -> &'b str {
        let read = |path| File::open(path, Mode::Read)?.read_at(0, buffer);
        let length = self.cut.map(read).and_then(Result::ok).unwrap_or(0);
        buffer
            .get(..length)
            .and_then(|text| from_utf8(text).ok())
            .unwrap_or_default()
    }
}

impl Probes for Sonde {
    fn sample_at(&mut self, scheduled: u64, _pending: u32) -> u64 {
        if self.row < self.quick_rows {
            self.row * self.pace_ms
        } else {
            scheduled
        }
    }

    async fn sample(&mut self, wanted: &[Channel], samples: &mut Samples) {
        let mut buffer = [0; 128];
        let cut = self.cut(&mut buffer);
        let row = &ROWS[(self.row % ROWS.len() as u64) as usize];
        self.row += 1;
        for ((quantity, power), mantissa) in COLUMNS.into_iter().zip(row) {
            let channel = Channel::first(quantity);
            if !wanted.is_empty() && !wanted.contains(&channel) {
                continue;
            }
            let code = channel.code();
            if cut.lines().any(|line| line == code.as_str()) {
                samples.fault(channel, Fault::OpenCircuit);
            } else if *mantissa != EMPTY {
                samples.value(channel, Decimal::new(i64::from(*mantissa), power));
            }
        }
    }
}
