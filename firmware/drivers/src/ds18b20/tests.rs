//! On a wire that keeps time: slots are told by how long the line is held down, as the probe tells them.

use core::{cell::RefCell, convert::Infallible};
use std::{rc::Rc, string::String, vec::Vec};

use super::*;
use crate::testing::{measured, wanted};

/// What a probe on the wire does.
#[derive(Clone, Copy)]
enum Mood {
    Good,
    /// It answers with a flipped bit.
    Disturbed,
    /// It is gone, others are there.
    Absent,
    /// It sends zeros.
    Zeros,
    /// It forgot to convert.
    Fresh,
}

struct Slave {
    address: [u8; 8],
    sixteenths: i16,
    mood: Mood,
    converted: bool,
}

#[derive(Default)]
struct State {
    now_us: u64,
    low_since: Option<u64>,
    presence_until: u64,
    /// Bits heard since the reset.
    heard: Vec<bool>,
    /// Bits to send, and whether the slot that runs sends a zero.
    to_send: Vec<bool>,
    holds_until: u64,
    slaves: Vec<Slave>,
    shorted: bool,
}

#[derive(Clone, Default)]
struct Line(Rc<RefCell<State>>);

fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0x8c
            } else {
                crc >> 1
            }
        })
    })
}

impl Line {
    fn with(slaves: &[(u8, i16, Mood)]) -> Self {
        let line = Self::default();
        line.0.borrow_mut().slaves = slaves
            .iter()
            .map(|&(number, sixteenths, mood)| Slave {
                address: device(number).address,
                sixteenths,
                mood,
                converted: false,
            })
            .collect();
        line
    }
}

fn device(number: u8) -> Device {
    let mut address = [0x28, number, 0xaa, 0xbb, 0xcc, 0, 0, 0];
    address[7] = crc8(&address[..7]);
    Device { address }
}

impl State {
    fn wait(&mut self, us: u64) {
        self.now_us += us;
    }

    fn pull(&mut self) {
        if self.low_since.is_none() {
            self.low_since = Some(self.now_us);
            // A slot begins with the falling edge.
            if !self.to_send.is_empty() && !self.to_send.remove(0) {
                self.holds_until = self.now_us + 30;
            }
        }
    }

    fn release(&mut self) {
        let Some(since) = self.low_since.take() else {
            return;
        };
        match self.now_us - since {
            480.. => {
                self.heard.clear();
                self.to_send.clear();
                if self
                    .slaves
                    .iter()
                    .any(|slave| !matches!(slave.mood, Mood::Absent))
                {
                    self.presence_until = self.now_us + 120;
                }
            }
            // A read slot is a short pull too, and was served by pull().
            length if self.to_send.is_empty() && self.holds_until <= since => {
                self.heard.push(length < 15);
                self.obey();
            }
            _ => {}
        }
    }

    fn obey(&mut self) {
        // Match ROM, address, command.
        if self.heard.len() != 80 {
            return;
        }
        let bytes: Vec<u8> = self
            .heard
            .chunks(8)
            .map(|bits| {
                bits.iter()
                    .rev()
                    .fold(0, |byte, bit| byte << 1 | u8::from(*bit))
            })
            .collect();
        assert_eq!(bytes[0], 0x55);
        let slave = self
            .slaves
            .iter_mut()
            .find(|slave| slave.address[..] == bytes[1..9]);
        let Some(slave) = slave.filter(|slave| !matches!(slave.mood, Mood::Absent)) else {
            return;
        };
        match bytes[9] {
            0x44 => slave.converted = !matches!(slave.mood, Mood::Fresh),
            0xbe => {
                let value = if slave.converted {
                    slave.sixteenths
                } else {
                    85 * 16
                };
                let [low, high] = value.to_le_bytes();
                let mut pad = [low, high, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10, 0];
                pad[8] = crc8(&pad[..8]);
                match slave.mood {
                    Mood::Disturbed => pad[1] ^= 1,
                    Mood::Zeros => pad.fill(0),
                    _ => {}
                }
                self.to_send = pad
                    .iter()
                    .flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1))
                    .collect();
            }
            other => panic!("command {other:x}"),
        }
    }
}

impl embedded_hal::digital::ErrorType for Line {
    type Error = Infallible;
}

impl embedded_hal::digital::OutputPin for Line {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.borrow_mut().pull();
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.borrow_mut().release();
        Ok(())
    }
}

impl embedded_hal::digital::InputPin for Line {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        let state = self.0.borrow();
        Ok(!state.shorted && state.now_us >= state.presence_until.max(state.holds_until))
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        embedded_hal::digital::InputPin::is_high(self).map(|high| !high)
    }
}

/// A delay that moves the wire's clock.
impl BlockingDelay for Line {
    fn delay_ns(&mut self, ns: u32) {
        self.0.borrow_mut().wait(u64::from(ns) / 1_000);
    }
}

impl DelayNs for Line {
    async fn delay_ns(&mut self, ns: u32) {
        BlockingDelay::delay_ns(self, ns);
    }
}

fn probe(line: &Line) -> Ds18b20<Line, Line, 2> {
    let channel = |name: &str| name.parse().expect("a channel");
    Ds18b20::new(
        line.clone(),
        line.clone(),
        [(device(1), channel("wt")), (device(2), channel("st"))],
    )
}

fn after(first: (i16, Mood), second: (i16, Mood)) -> Vec<String> {
    let line = Line::with(&[(1, first.0, first.1), (2, second.0, second.1)]);
    measured(&mut probe(&line))
}

#[test]
fn values_are_those_of_the_datasheet() {
    // Table 1 of the datasheet.
    assert_eq!(
        after((0x0191, Mood::Good), (-0x06f, Mood::Good)),
        ["water_temperature 25.0625", "soil_temperature -6.9375"]
    );
    assert_eq!(
        after((0x07d0, Mood::Good), (-55 * 16, Mood::Good)),
        ["water_temperature 125", "soil_temperature -55"]
    );
    let line = Line::with(&[(1, 8, Mood::Good), (2, 0, Mood::Good)]);
    assert_eq!(
        wanted(&mut probe(&line), &["wt"]),
        ["water_temperature 0.5"]
    );
}

#[test]
fn a_probe_that_fails_does_not_spoil_the_other() {
    for (mood, fault) in [
        (Mood::Disturbed, "crc"),
        (Mood::Absent, "timeout"),
        (Mood::Zeros, "short_circuit"),
        (Mood::Fresh, "power_on_value"),
    ] {
        let wanted = [
            std::format!("water_temperature {fault}"),
            "soil_temperature 20".into(),
        ];
        assert_eq!(after((400, mood), (320, Mood::Good)), wanted);
    }
    assert_eq!(
        after((2_001, Mood::Good), (85 * 16, Mood::Good)),
        [
            "water_temperature out_of_range",
            "soil_temperature power_on_value"
        ]
    );
}

#[test]
fn a_dead_wire_is_told_from_a_shorted_one() {
    let line = Line::with(&[]);
    let both = |fault| {
        ["water_temperature", "soil_temperature"].map(|name| std::format!("{name} {fault}"))
    };
    assert_eq!(measured(&mut probe(&line)), both("open_circuit"));
    line.0.borrow_mut().shorted = true;
    assert_eq!(measured(&mut probe(&line)), both("short_circuit"));
}
