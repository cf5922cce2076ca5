//! Probes on buses that answer anything: each says for each of its channels one thing, and comes to an end.

use std::collections::BTreeSet;

use ads1x1x::TargetAddr;
use embassy_futures::block_on;
use embedded_hal::i2c::{self, I2c, NoAcknowledgeSource, Operation};
use embedded_io_async::{Read, Write};
use onewire::{Device as Address, OpenDrainOutput};
use sen_drivers::{
    Probe, Wanted,
    analog::{Ads1115, Input as Analog, Pin},
    battery::{Adc, Battery},
    bh1750::Bh1750,
    bme280::Bme280,
    ds18b20::{Ds18b20, discover, wire},
    modbus::Modbus,
    sht4x::Sht4x,
    soil_modbus::{Profile, SoilProbe},
    ultrasonic::{Model, Ultrasonic},
};
use sen_node::Samples;
use sen_wire::{Channel, Fault, Quantity};

use crate::Input;

/// Waits for nothing.
#[derive(Debug)]
struct NoDelay;

impl embedded_hal::delay::DelayNs for NoDelay {
    fn delay_ns(&mut self, _: u32) {}
}

impl embedded_hal_async::delay::DelayNs for NoDelay {
    async fn delay_ns(&mut self, _: u32) {}
}

/// A device whose answers are the input's bytes.
struct Bus<'a>(Input<'a>);

#[derive(Debug)]
struct Broken;

impl core::fmt::Display for Broken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("broken")
    }
}

impl core::error::Error for Broken {}

impl embedded_io_async::Error for Broken {
    fn kind(&self) -> embedded_io_async::ErrorKind {
        embedded_io_async::ErrorKind::Other
    }
}

impl i2c::ErrorType for Bus<'_> {
    type Error = i2c::ErrorKind;
}

impl I2c for Bus<'_> {
    /// A byte that says whether it goes well, then what is read.
    fn transaction(
        &mut self,
        _: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), i2c::ErrorKind> {
        for operation in operations {
            if let Operation::Read(into) = operation {
                match self.0.u8() {
                    0xff => return Err(i2c::ErrorKind::NoAcknowledge(NoAcknowledgeSource::Data)),
                    0xfe => return Err(i2c::ErrorKind::Bus),
                    _ => self.0.fill(into),
                }
            }
        }
        Ok(())
    }
}

impl embedded_io_async::ErrorType for Bus<'_> {
    type Error = Broken;
}

impl Read for Bus<'_> {
    /// A byte that says how many come, then those; 0: a silence, as after the last.
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, Broken> {
        match self.0.u8() {
            0 => core::future::pending().await,
            0xff => Err(Broken),
            most => {
                let bytes = self.0.bytes(usize::from(most).min(into.len()));
                into.iter_mut()
                    .zip(bytes)
                    .for_each(|(to, from)| *to = *from);
                match bytes.len() {
                    0 => core::future::pending().await,
                    length => Ok(length),
                }
            }
        }
    }
}

impl Write for Bus<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Broken> {
        Ok(())
    }
}

/// A wire: a bit of the input each time it is looked at, high once they are used up.
struct Wire<'a>(&'a [u8], usize);

impl OpenDrainOutput for Wire<'_> {
    type Error = core::convert::Infallible;

    fn is_high(&mut self) -> Result<bool, Self::Error> {
        let (byte, bit) = (self.1 / 8, self.1 % 8);
        self.1 += 1;
        Ok(self.0.get(byte).is_none_or(|byte| byte >> bit & 1 == 1))
    }

    fn is_low(&mut self) -> Result<bool, Self::Error> {
        self.is_high().map(|high| !high)
    }

    fn set_low(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl Adc for Bus<'_> {
    async fn millivolts(&mut self) -> Result<u16, Fault> {
        match self.0.u16() {
            0xffff => Err(Fault::Timeout),
            millivolts => Ok(millivolts),
        }
    }

    fn full_scale_mv(&self) -> u16 {
        2_500
    }
}

/// Some sweeps: each channel says one thing in each.
fn sweeps(probe: &mut impl Probe) {
    let mut channels = BTreeSet::new();
    probe.channels(&mut |channel| {
        channels.insert(channel);
    });
    for _ in 0..3 {
        let mut samples = Samples::default();
        block_on(probe.measure(Wanted(&[]), &mut samples));
        let said: Vec<_> = samples
            .as_slice()
            .iter()
            .map(|sample| sample.channel)
            .collect();
        assert!(
            channels
                .iter()
                .eq(&said.iter().copied().collect::<BTreeSet<_>>()),
            "{said:?}"
        );
        assert_eq!(said.len(), channels.len(), "each says one thing");
    }
}

pub(crate) fn modbus(bytes: &[u8]) {
    let mut input = Input(bytes);
    let profile = [Profile::SevenInOne, Profile::Jxct, Profile::Rk520][usize::from(input.u8() % 3)];
    sweeps(&mut SoilProbe::new(
        Modbus::new(Bus(input), NoDelay),
        profile,
        1,
        1,
    ));
    let mut input = Input(bytes);
    let (unit, first, count) = (input.u8(), input.u16(), input.u16() % 16);
    if let Ok(registers) = block_on(Modbus::new(Bus(input), NoDelay).read(unit, first, count)) {
        assert_eq!(registers.len(), usize::from(count));
    }
}

pub(crate) fn modbus_answers() -> Vec<Vec<u8>> {
    // A silence, then a right answer in two pieces: of two registers for the plain read, of the soil probes' maps for those.
    let good: &[u8] = &[0x01, 0x03, 0x04, 0x02, 0x92, 0xff, 0x9b, 0x5a, 0x3d];
    let mut seeds = vec![
        [&[1, 0, 0, 2, 0, 0, 9][..], good].concat(),
        [&[1, 0, 0, 2, 0, 0, 4][..], &good[..4], &[5], &good[4..]].concat(),
        [&[1, 0, 0, 2, 0, 0][..], &[5, 0x01, 0x83, 0x02, 0xc0, 0xf1]].concat(),
    ];
    for (profile, counts) in [(0u8, &[7u8][..]), (1, &[1, 4, 3]), (2, &[3])] {
        let mut seed = vec![profile];
        for count in counts {
            let mut frame = vec![1, 3, 2 * count];
            frame.extend((0..*count).flat_map(|register| [0, 40 + register]));
            let crc = crc::Crc::<u16>::new(&crc::CRC_16_MODBUS).checksum(&frame);
            frame.extend(crc.to_le_bytes());
            seed.extend([0, frame.len() as u8]);
            seed.extend(frame);
        }
        seeds.push(seed);
    }
    seeds
}

pub(crate) fn ultrasonic(bytes: &[u8]) {
    let mut input = Input(bytes);
    let model = [Model::A02yyuw, Model::JsnSr04t, Model::AjSr04m][usize::from(input.u8() % 3)];
    let zero = input.u16() % 5_000;
    sweeps(&mut Ultrasonic::new(Bus(input), NoDelay, model, zero, 1));
}

pub(crate) fn ultrasonic_frames() -> Vec<Vec<u8>> {
    let frame = [0xff, 0x07, 0xa1, 0xa7];
    let mut seeds = Vec::new();
    for model in 0..3u8 {
        let mut seed = vec![model, 0xd0, 0x07, 0];
        for _ in 0..5 {
            seed.push(4);
            seed.extend(frame);
        }
        seed.extend([0, 16]);
        seed.extend(frame.repeat(4));
        seed.extend([3, 0xff, 0xff, 0x07, 5, 0xa1, 0xa7, 0xff, 0x07, 0xa1]);
        seeds.push(seed);
    }
    seeds
}

pub(crate) fn ds18b20(bytes: &[u8]) {
    let probes = [1, 2].map(|instance| {
        let channel = Channel::new(Quantity::WaterTemperature, instance).expect("1 to 9");
        (
            Address {
                address: [0x28, instance, 0, 0, 0, 0, 0, 0],
            },
            channel,
        )
    });
    sweeps(&mut Ds18b20::new(Wire(bytes, 0), NoDelay, probes));
    let _ = discover(&mut wire(Wire(bytes, 0)), &mut NoDelay);
}

pub(crate) fn sht4x(bytes: &[u8]) {
    sweeps(&mut Sht4x::new(Bus(Input(bytes)), NoDelay, 1));
}

pub(crate) fn sht4x_answers() -> Vec<Vec<u8>> {
    // The datasheet's 0xBEEF with its checksum 0x92, in place of both words.
    vec![[0, 0xbe, 0xef, 0x92, 0xbe, 0xef, 0x92].repeat(3)]
}

pub(crate) fn bme280(bytes: &[u8]) {
    sweeps(&mut Bme280::new(Bus(Input(bytes)), NoDelay, 0x76, 1));
}

pub(crate) fn bme280_registers() -> Vec<Vec<u8>> {
    // Id, status, both runs of factors, control, status, and a measurement: the example of the BMP280's datasheet.
    let factors: [i32; 12] = [
        27_504, 26_435, -1_000, 36_477, -10_685, 3_024, 2_855, 140, -7, 15_500, -14_600, 6_000,
    ];
    let mut first: Vec<u8> = factors
        .iter()
        .flat_map(|factor| (*factor as u16).to_le_bytes())
        .collect();
    first.extend([0, 75]);
    let second = [0x6b, 0x01, 0x00, 0x13, 0x27, 0x03, 0x1e];
    let measured = [0x65, 0x5a, 0xc0, 0x7e, 0xed, 0x00, 0x75, 0x30];
    let start = [&[0, 0x60, 0][..], &first, &[0], &second].concat();
    (0..4usize)
        .map(|zeros| {
            let mut seed = start.clone();
            for _ in 0..3 {
                seed.extend([0, 0].repeat(zeros));
                seed.push(0);
                seed.extend(measured);
            }
            seed
        })
        .collect()
}

pub(crate) fn ads1115(bytes: &[u8]) {
    let inputs = [
        Analog::soil_moisture(Pin::A0, 1),
        Analog::ph(Pin::A1, 1),
        Analog::conductivity(Pin::A2, 1),
        Analog::oxygen(Pin::A3, 1),
    ];
    sweeps(&mut Ads1115::new(
        Bus(Input(bytes)),
        NoDelay,
        TargetAddr::default(),
        inputs,
    ));
}

pub(crate) fn bh1750(bytes: &[u8]) {
    sweeps(&mut Bh1750::new(Bus(Input(bytes)), NoDelay, 1));
}

pub(crate) fn battery(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (upper, lower) = (input.u32(), input.u32());
    sweeps(&mut Battery::new(Bus(input), upper, lower));
}

pub(crate) fn any_bytes() -> Vec<Vec<u8>> {
    let mut rising: Vec<u8> = (0..=0xfd).collect();
    rising.extend(rising.clone());
    let ready = [0, 0x85, 0x83].repeat(64);
    vec![
        rising,
        ready,
        vec![0; 512],
        vec![0x10; 512],
        vec![0xff; 64],
        Vec::new(),
    ]
}
