//! Soil probes on RS-485 ("7 in 1" and their like), by named profile.
//!
//! Look-alike probes differ in speed, registers and scales, and a wrong map gives numbers that look right. So the profile is
//! named by whoever plugs the probe in; nothing is guessed, and what is out of the named map's range is a fault.
//!
//! | profile | UART | registers |
//! |---|---|---|
//! | [`Profile::SevenInOne`] | 4800 8N1 | 0..=6: moisture x10, temperature x10, EC, pH x10, N, P, K |
//! | [`Profile::Jxct`] | 9600 8N1 | 6: pH x100; 0x12: moisture x10; 0x13: temperature x10; 0x15: EC; 0x1e..=0x20: N, P, K |
//! | [`Profile::Rk520`] | 9600 8N1 | 0: temperature x10; 1: moisture x10; 2: EC x1000 in mS/cm |
//!
//! Source: the makers' register tables, from second-hand copies; none was tried on a probe.
//!
//! N, P and K are what the probe works out from its EC, and can be written by anyone: show them, never act on them.

use embedded_hal::digital::OutputPin;
use embedded_hal_async::delay::DelayNs;
use embedded_io_async::{Read, Write};
use sen_node::Samples;
use sen_wire::{Channel, Decimal, Fault, Quantity};

use crate::{
    Probe, Wanted,
    modbus::{AutoDirection, Modbus},
    nth,
};

/// Which probe it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// "7 in 1" of ComWinTop and many others, 4800 baud: registers from 0 in one row.
    SevenInOne,
    /// JXCT, 9600 baud: registers in four places.
    Jxct,
    /// Rika RK520-02, 9600 baud: temperature first.
    Rk520,
}

/// A run of registers that is read at once.
struct Block {
    first: u16,
    fields: &'static [Field],
}

struct Field {
    /// Register, counted from the block's first.
    offset: u16,
    quantity: Quantity,
    /// Register x 10^exponent is the value.
    exponent: i8,
    /// Registers that the probe can give.
    range: (i16, i16),
}

const fn field(offset: u16, quantity: Quantity, exponent: i8, range: (i16, i16)) -> Field {
    Field {
        offset,
        quantity,
        exponent,
        range,
    }
}

const MOISTURE: (i16, i16) = (0, 1_000);
const CELSIUS: (i16, i16) = (-400, 800);
const CONDUCTIVITY: (i16, i16) = (0, 20_000);
const NUTRIENT: (i16, i16) = (0, 1_999);

static SEVEN_IN_ONE: &[Block] = &[Block {
    first: 0,
    fields: &[
        field(0, Quantity::SoilMoisture, -1, MOISTURE),
        field(1, Quantity::SoilTemperature, -1, CELSIUS),
        field(2, Quantity::SoilConductivity, 0, CONDUCTIVITY),
        field(3, Quantity::Ph, -1, (30, 90)),
        field(4, Quantity::SoilNitrogen, 0, NUTRIENT),
        field(5, Quantity::SoilPhosphorus, 0, NUTRIENT),
        field(6, Quantity::SoilPotassium, 0, NUTRIENT),
    ],
}];

static JXCT: &[Block] = &[
    Block {
        first: 0x06,
        fields: &[field(0, Quantity::Ph, -2, (300, 900))],
    },
    Block {
        first: 0x12,
        fields: &[
            field(0, Quantity::SoilMoisture, -1, MOISTURE),
            field(1, Quantity::SoilTemperature, -1, CELSIUS),
            field(3, Quantity::SoilConductivity, 0, CONDUCTIVITY),
        ],
    },
    Block {
        first: 0x1e,
        fields: &[
            field(0, Quantity::SoilNitrogen, 0, NUTRIENT),
            field(1, Quantity::SoilPhosphorus, 0, NUTRIENT),
            field(2, Quantity::SoilPotassium, 0, NUTRIENT),
        ],
    },
];

static RK520: &[Block] = &[Block {
    first: 0,
    fields: &[
        field(0, Quantity::SoilTemperature, -1, CELSIUS),
        field(1, Quantity::SoilMoisture, -1, MOISTURE),
        // Thousandths of a mS/cm are uS/cm.
        field(2, Quantity::SoilConductivity, 0, CONDUCTIVITY),
    ],
}];

impl Profile {
    /// Bits a second, 8 data bits, no parity, 1 stop bit.
    pub const fn baud(self) -> u32 {
        match self {
            Self::SevenInOne => 4_800,
            Self::Jxct | Self::Rk520 => 9_600,
        }
    }

    const fn blocks(self) -> &'static [Block] {
        match self {
            Self::SevenInOne => SEVEN_IN_ONE,
            Self::Jxct => JXCT,
            Self::Rk520 => RK520,
        }
    }
}

/// One probe on a bus of its own.
#[derive(Debug)]
pub struct SoilProbe<U, D, P = AutoDirection> {
    bus: Modbus<U, D, P>,
    profile: Profile,
    unit: u8,
    instance: u8,
}

impl<U: Read + Write, D: DelayNs, P: OutputPin> SoilProbe<U, D, P> {
    /// `unit`: its Modbus address, 1 when new; `instance`: the how manyeth soil probe of the board, from 1.
    pub fn new(bus: Modbus<U, D, P>, profile: Profile, unit: u8, instance: u8) -> Self {
        Self {
            bus,
            profile,
            unit,
            instance,
        }
    }
}

impl Field {
    fn value(&self, registers: &[u16]) -> Result<Decimal, Fault> {
        let register = registers.get(usize::from(self.offset)).ok_or(Fault::Crc)?;
        // Two's complement; no map has values above 32767.
        let value = register.cast_signed();
        let (low, high) = self.range;
        if (low..=high).contains(&value) {
            Ok(Decimal::new(i64::from(value), self.exponent))
        } else {
            Err(Fault::OutOfRange)
        }
    }
}

impl<U: Read + Write, D: DelayNs, P: OutputPin> Probe for SoilProbe<U, D, P> {
    fn channels(&self, each: &mut dyn FnMut(Channel)) {
        for block in self.profile.blocks() {
            for field in block.fields {
                each(nth(field.quantity, self.instance));
            }
        }
    }

    async fn measure(&mut self, wanted: Wanted<'_>, samples: &mut Samples) {
        for block in self.profile.blocks() {
            let wanted_fields = || {
                let of = |field: &&Field| wanted.has(nth(field.quantity, self.instance));
                block.fields.iter().filter(of)
            };
            // As far as the last wanted register.
            let Some(last) = wanted_fields().map(|field| field.offset).max() else {
                continue;
            };
            let registers = self.bus.read(self.unit, block.first, last + 1).await;
            for field in block.fields {
                let channel = nth(field.quantity, self.instance);
                if !wanted.has(channel) {
                    continue;
                }
                match registers.as_deref().map_err(|fault| *fault) {
                    Ok(registers) => match field.value(registers) {
                        Ok(value) => samples.value(channel, value),
                        Err(fault) => samples.fault(channel, fault),
                    },
                    Err(fault) => samples.fault(channel, fault),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use embedded_hal_mock::eh1::delay::NoopDelay;
    use std::{string::String, vec::Vec};

    use super::*;
    use crate::testing::{Wire, measured, wanted};

    fn crc16(bytes: &[u8]) -> [u8; 2] {
        let crc = bytes.iter().fold(0xffff_u16, |crc, byte| {
            (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
                if crc & 1 == 1 {
                    crc >> 1 ^ 0xa001
                } else {
                    crc >> 1
                }
            })
        });
        crc.to_le_bytes()
    }

    /// Answers with these registers, one answer after the other.
    fn answers(registers: &[&[u16]]) -> Wire {
        let mut wire = Wire::default();
        for registers in registers {
            let mut frame = std::vec![1, 3, 2 * registers.len() as u8];
            frame.extend(registers.iter().flat_map(|register| register.to_be_bytes()));
            frame.extend(crc16(&frame));
            wire.bursts.extend([Vec::new(), frame]);
        }
        wire
    }

    fn probe(profile: Profile, registers: &[&[u16]]) -> SoilProbe<Wire, NoopDelay> {
        SoilProbe::new(
            Modbus::new(answers(registers), NoopDelay::new()),
            profile,
            1,
            1,
        )
    }

    fn after(profile: Profile, registers: &[&[u16]]) -> String {
        measured(&mut probe(profile, registers)).join(", ")
    }

    #[test]
    fn each_map_reads_its_own() {
        assert_eq!(
            after(
                Profile::SevenInOne,
                &[&[286, 0xff9b, 1_000, 56, 32, 37, 48]]
            ),
            "soil_moisture 28.6, soil_temperature -10.1, soil_conductivity 1000, ph 5.6, soil_nitrogen 32, \
             soil_phosphorus 37, soil_potassium 48"
        );
        let mut jxct = probe(
            Profile::Jxct,
            &[&[683], &[286, 251, 0, 1_000], &[32, 37, 48]],
        );
        assert_eq!(
            measured(&mut jxct).join(", "),
            "ph 6.83, soil_moisture 28.6, soil_temperature 25.1, soil_conductivity 1000, soil_nitrogen 32, \
             soil_phosphorus 37, soil_potassium 48"
        );
        assert_eq!(
            after(Profile::Rk520, &[&[251, 286, 1_413]]),
            "soil_temperature 25.1, soil_moisture 28.6, soil_conductivity 1413"
        );
    }

    #[test]
    fn asks_only_for_what_is_wanted() {
        let mut jxct = probe(Profile::Jxct, &[&[286, 251]]);
        assert_eq!(wanted(&mut jxct, &["st"]), ["soil_temperature 25.1"]);
        let mut second = SoilProbe::new(
            Modbus::new(answers(&[&[286]]), NoopDelay::new()),
            Profile::SevenInOne,
            1,
            2,
        );
        assert_eq!(
            wanted(&mut second, &["sm2", "sm"]),
            ["soil_moisture_2 28.6"]
        );
    }

    #[test]
    fn what_the_named_map_can_not_give_is_a_fault() {
        let got = after(
            Profile::SevenInOne,
            &[&[1_001, 2_000, 20_001, 0, 0xffff, 0, 5]],
        );
        assert_eq!(
            got,
            "soil_moisture out_of_range, soil_temperature out_of_range, soil_conductivity out_of_range, ph out_of_range, \
             soil_nitrogen out_of_range, soil_phosphorus 0, soil_potassium 5"
        );
        // An RK520 under the name of a 7 in 1: its pH is what its map has no register for.
        assert!(
            after(Profile::SevenInOne, &[&[251, 286, 1_413, 0, 0, 0, 0]])
                .contains("ph out_of_range")
        );
    }

    #[test]
    fn a_block_that_fails_does_not_spoil_the_others() {
        let mut wire = answers(&[&[683]]);
        let refusal = [1, 0x83, 2];
        let refusal = [&refusal[..], &crc16(&refusal)].concat();
        wire.bursts.extend([Vec::new(), refusal, Vec::new()]);
        wire.bursts.extend(answers(&[&[32, 37, 48]]).bursts);
        let mut jxct = SoilProbe::new(Modbus::new(wire, NoopDelay::new()), Profile::Jxct, 1, 1);
        assert_eq!(
            measured(&mut jxct).join(", "),
            "ph 6.83, soil_moisture other, soil_temperature other, soil_conductivity other, soil_nitrogen 32, \
             soil_phosphorus 37, soil_potassium 48"
        );
        assert_eq!(
            after(Profile::Rk520, &[]),
            "soil_temperature timeout, soil_moisture timeout, soil_conductivity timeout"
        );
    }
}
