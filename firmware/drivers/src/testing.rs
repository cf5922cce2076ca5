//! What the probes' tests share.

use core::convert::Infallible;
use std::{collections::VecDeque, string::String, vec::Vec};

use embassy_futures::block_on;
use embedded_hal::i2c::{ErrorKind, NoAcknowledgeSource};
use embedded_io_async::{ErrorType, Read, Write};
use sen_node::Samples;
use sen_wire::{Channel, Value};

use crate::{Probe, Wanted};

/// Nobody answers at this address.
pub(crate) const NO_ANSWER: ErrorKind = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);

/// One measurement, as `name value`, `name raw value` or `name fault`.
pub(crate) fn measured(probe: &mut impl Probe) -> Vec<String> {
    wanted(probe, &[])
}

/// One measurement of the channels named.
pub(crate) fn wanted(probe: &mut impl Probe, channels: &[&str]) -> Vec<String> {
    let channels: Vec<Channel> = channels
        .iter()
        .map(|name| name.parse().expect("a channel"))
        .collect();
    let mut samples = Samples::default();
    block_on(probe.measure(Wanted(&channels), &mut samples));
    let text = samples.as_slice().iter().map(|sample| match sample.value {
        Value::Fault(fault) => std::format!("{} {fault}", sample.channel),
        Value::Number(number) if sample.raw => std::format!("{} raw {number}", sample.channel),
        Value::Number(number) => std::format!("{} {number}", sample.channel),
    });
    text.collect()
}

/// A UART that gives what it was given, and then nothing for ever. What is written is kept.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    /// What comes, with a silence after each; an empty one is a silence too, and one with the silence before it.
    pub(crate) bursts: VecDeque<Vec<u8>>,
    /// Some of the first one was read.
    pub(crate) begun: bool,
    pub(crate) written: Vec<u8>,
}

impl Wire {
    pub(crate) fn of(bursts: &[&[u8]]) -> Self {
        Self {
            bursts: bursts.iter().map(|burst| burst.to_vec()).collect(),
            ..Self::default()
        }
    }
}

impl ErrorType for Wire {
    type Error = Infallible;
}

impl Read for Wire {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        match self.bursts.front_mut() {
            Some(burst) if !burst.is_empty() => {
                // Never more than three at once: frames come in pieces.
                let length = burst.len().min(buffer.len()).min(3);
                buffer[..length].copy_from_slice(&burst[..length]);
                burst.drain(..length);
                self.begun = true;
                Ok(length)
            }
            _ => {
                self.bursts.pop_front();
                if core::mem::take(&mut self.begun)
                    && self.bursts.front().is_some_and(Vec::is_empty)
                {
                    self.bursts.pop_front();
                }
                core::future::pending().await
            }
        }
    }
}

impl Write for Wire {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
