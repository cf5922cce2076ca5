//! Ultrasonic water level over UART, 9600 8N1: A02YYUW, and JSN-SR04T in its mode 2. Both send a frame about every 100 ms:
//! `FF H L SUM`, a distance in millimetres. No crate knows them.
//!
//! What comes out is the level: how far the water stands above (or below) a zero that lies a known distance under the probe,
//! such as the soil's surface beside an AWD tube.
//!
//! Source: DFRobot wiki SEN0311 (A02YYUW: frame, 30 to 4500 mm); JSN-SR04T V3.0 manual (mode 2: the same frame; blind zone
//! 250 mm). The clone AJ-SR04M leaves the start byte out of the sum.

use embassy_futures::select::{Either, select};
use embedded_hal_async::delay::DelayNs;
use embedded_io_async::Read;
use sen_node::Samples;
use sen_wire::{Channel, Decimal, Fault, Quantity};

use crate::{Probe, Wanted, nth};

/// Which probe it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// Waterproof, one transducer, 3 to 450 cm.
    A02yyuw,
    /// Separate transducer on a cable, 25 to 450 cm.
    JsnSr04t,
    /// A clone of that with another sum.
    AjSr04m,
}

impl Model {
    /// Distances that it can tell, in millimetres: up to the first it is blind.
    const fn range(self) -> (u16, u16) {
        match self {
            Self::A02yyuw => (30, 4_500),
            Self::JsnSr04t | Self::AjSr04m => (250, 4_500),
        }
    }

    fn sum(self, high: u8, low: u8) -> u8 {
        let start = if matches!(self, Self::AjSr04m) {
            0
        } else {
            START
        };
        start.wrapping_add(high).wrapping_add(low)
    }
}

const START: u8 = 0xff;
/// Frames that a level is the median of: a wave, a leaf or an insect passes within a few.
const FRAMES: usize = 5;
/// A frame comes every 100 ms, every 300 ms when the probe smooths.
const FRAME_MS: u32 = 500;
/// What came before is old: that much of it is thrown away.
const STALE_BYTES: usize = 256;
/// Bytes without as many frames in them as are needed are noise.
const MOST_BYTES: usize = 16 * FRAMES;

/// The probe.
#[derive(Debug)]
pub struct Ultrasonic<U, D> {
    uart: U,
    delay: D,
    model: Model,
    /// From the probe down to level zero, in millimetres.
    zero_mm: u16,
    channel: Channel,
}

impl<U: Read, D: DelayNs> Ultrasonic<U, D> {
    /// `zero_mm`: millimetres from the probe's face down to level zero; `instance`: the how manyeth level of the board.
    pub fn new(uart: U, delay: D, model: Model, zero_mm: u16, instance: u8) -> Self {
        Self {
            uart,
            delay,
            model,
            zero_mm,
            channel: nth(Quantity::WaterLevel, instance),
        }
    }

    /// Bytes within the time; 0: none.
    async fn receive(&mut self, into: &mut [u8], patience_ms: u32) -> Result<usize, Fault> {
        match select(self.uart.read(into), self.delay.delay_ms(patience_ms)).await {
            Either::First(Ok(length)) => Ok(length),
            Either::First(Err(_)) => Err(Fault::Crc),
            Either::Second(()) => Ok(0),
        }
    }

    /// The median distance, in millimetres.
    async fn distance(&mut self) -> Result<u16, Fault> {
        let mut bytes = [0; 16];
        let mut stale = 0;
        while stale < STALE_BYTES {
            match self.receive(&mut bytes, 1).await? {
                0 => break,
                length => stale += length,
            }
        }
        let mut distances = heapless::Vec::<u16, FRAMES>::new();
        let mut frame = heapless::Deque::<u8, 4>::new();
        let (mut seen, mut spoilt) = (0, 0);
        while !distances.is_full() && seen < MOST_BYTES {
            let length = self.receive(&mut bytes, FRAME_MS).await?;
            if length == 0 {
                break;
            }
            seen += length;
            for byte in bytes.iter().take(length) {
                if frame.is_empty() && *byte != START {
                    continue;
                }
                let _ = frame.push_back(*byte);
                let [Some(_), Some(&high), Some(&low), Some(&sum)] =
                    [0, 1, 2, 3].map(|place| frame.iter().nth(place))
                else {
                    continue;
                };
                if self.model.sum(high, low) == sum {
                    let _ = distances.push(u16::from_be_bytes([high, low]));
                    frame.clear();
                } else {
                    spoilt += 1;
                    // The next start byte may be among these.
                    frame.pop_front();
                    while frame.front().is_some_and(|byte| *byte != START) {
                        frame.pop_front();
                    }
                }
            }
        }
        distances.sort_unstable();
        match distances.get(distances.len() / 2) {
            Some(middle) if distances.len() > FRAMES / 2 => Ok(*middle),
            _ if spoilt > 0 || seen > 0 => Err(Fault::Crc),
            _ => Err(Fault::Timeout),
        }
    }

    async fn level(&mut self) -> Result<Decimal, Fault> {
        let distance = self.distance().await?;
        let (blind, far) = self.model.range();
        if distance <= blind || distance > far {
            return Err(Fault::OutOfRange);
        }
        let millimetres = i64::from(self.zero_mm) - i64::from(distance);
        Ok(Decimal::new(millimetres, -1))
    }
}

impl<U: Read, D: DelayNs> Probe for Ultrasonic<U, D> {
    fn channels(&self, each: &mut dyn FnMut(Channel)) {
        each(self.channel);
    }

    async fn measure(&mut self, _: Wanted<'_>, samples: &mut Samples) {
        match self.level().await {
            Ok(centimetres) => samples.value(self.channel, centimetres),
            Err(fault) => samples.fault(self.channel, fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal_mock::eh1::delay::NoopDelay;
    use std::{string::String, vec::Vec};

    use super::*;
    use crate::testing::{Wire, measured};

    fn frames(model: Model, distances: &[u16]) -> Vec<u8> {
        let frame = |distance: &u16| {
            let [high, low] = distance.to_be_bytes();
            [START, high, low, model.sum(high, low)]
        };
        distances.iter().flat_map(frame).collect()
    }

    /// 1000 mm above zero.
    fn after(model: Model, bytes: &[u8]) -> String {
        let wire = Wire::of(&[&[], bytes]);
        measured(&mut Ultrasonic::new(
            wire,
            NoopDelay::new(),
            model,
            1_000,
            1,
        ))
        .concat()
    }

    #[test]
    fn a_level_is_the_median_of_five() {
        // The frame of the wiki's example: FF 07 A1 A7, 1953 mm.
        assert_eq!(frames(Model::A02yyuw, &[1_953]), [0xff, 0x07, 0xa1, 0xa7]);
        assert_eq!(
            after(Model::A02yyuw, &frames(Model::A02yyuw, &[1_953; 5])),
            "water_level -95.3"
        );
        let wave = [850, 851, 3_999, 40, 850];
        assert_eq!(
            after(Model::JsnSr04t, &frames(Model::JsnSr04t, &wave)),
            "water_level 15"
        );
        // 255 mm and 511 mm: start bytes within the frame.
        assert_eq!(
            after(Model::A02yyuw, &frames(Model::A02yyuw, &[255; 5])),
            "water_level 74.5"
        );
        assert_eq!(
            after(Model::A02yyuw, &frames(Model::A02yyuw, &[511; 5])),
            "water_level 48.9"
        );
    }

    #[test]
    fn starts_in_the_middle_and_passes_over_noise() {
        let mut bytes = std::vec![0x52, 0xa4, 0xff, 0x03, 0x52, 0x00];
        bytes.extend(frames(Model::A02yyuw, &[850; 4]));
        assert_eq!(after(Model::A02yyuw, &bytes), "water_level 15");
        let wire = Wire::of(&[
            &frames(Model::A02yyuw, &[400; 20]),
            &frames(Model::A02yyuw, &[850; 5]),
        ]);
        let mut probe = Ultrasonic::new(wire, NoopDelay::new(), Model::A02yyuw, 1_000, 2);
        assert_eq!(
            measured(&mut probe),
            ["water_level_2 15"],
            "what had piled up is old"
        );
    }

    #[test]
    fn faults_are_no_values() {
        for (model, bytes, fault) in [
            (
                Model::A02yyuw,
                frames(Model::A02yyuw, &[30; 5]),
                "out_of_range",
            ),
            (
                Model::A02yyuw,
                frames(Model::A02yyuw, &[0; 5]),
                "out_of_range",
            ),
            (
                Model::JsnSr04t,
                frames(Model::JsnSr04t, &[250; 5]),
                "out_of_range",
            ),
            (
                Model::JsnSr04t,
                frames(Model::JsnSr04t, &[4_501; 5]),
                "out_of_range",
            ),
            (Model::A02yyuw, Vec::new(), "timeout"),
            (Model::A02yyuw, std::vec![0; 500], "crc"),
            (Model::A02yyuw, frames(Model::A02yyuw, &[850; 2]), "crc"),
            (Model::JsnSr04t, frames(Model::AjSr04m, &[850; 5]), "crc"),
        ] {
            assert_eq!(
                after(model, &bytes),
                std::format!("water_level {fault}"),
                "{bytes:x?}"
            );
        }
        let clone = frames(Model::AjSr04m, &[850; 5]);
        assert_eq!(after(Model::AjSr04m, &clone), "water_level 15");
    }
}
