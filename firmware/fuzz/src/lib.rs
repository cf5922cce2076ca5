//! What every decoder of the firmware has to bear, and what has to hold whatever bytes come: no panic, no overflow, an end;
//! what is read can be written and read again as the same; flash of any content opens, or says why not, and takes readings.
//!
//! Each [`Target`] is a function over bytes. `scripts/fuzz.sh` runs libFuzzer on them, which looks for bytes that reach new
//! code; `tests/short.rs` runs them on their seeds and on a few thousand changed ones, always the same, with the other tests.
//! Bytes that once broke something are kept in `found/TARGET`, and are seeds too.
//!
//! What a fuzzer can't show, that there are no such bytes, `scripts/no-panic.sh` proves for panics.

use std::path::Path;

mod drivers;
mod flash;
pub mod mutate;
mod node;
mod wire;

/// Something that takes bytes from outside.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Panics if something that has to hold does not.
    pub run: fn(&[u8]),
    /// Bytes that it makes sense of.
    seeds: fn() -> Vec<Vec<u8>>,
}

/// All there are.
pub const TARGETS: &[Target] = &[
    target("pack", wire::pack, wire::packs),
    target("receipt", wire::receipt, wire::receipts),
    target("hello", wire::hello, wire::hellos),
    target("config", wire::config, wire::configs),
    target("provision", wire::provision, wire::provisions),
    target("names", wire::names, wire::texts),
    target("decimal", wire::decimal, wire::decimals),
    target("calibration", node::calibration, node::calibrations),
    target("node", node::node, node::scripts),
    target("outbox", flash::outbox, flash::outboxes),
    target("settings", flash::settings, flash::settings_pages),
    target("modbus", drivers::modbus, drivers::modbus_answers),
    target(
        "ultrasonic",
        drivers::ultrasonic,
        drivers::ultrasonic_frames,
    ),
    target("ds18b20", drivers::ds18b20, drivers::any_bytes),
    target("sht4x", drivers::sht4x, drivers::sht4x_answers),
    target("bme280", drivers::bme280, drivers::bme280_registers),
    target("ads1115", drivers::ads1115, drivers::any_bytes),
    target("bh1750", drivers::bh1750, drivers::any_bytes),
    target("battery", drivers::battery, drivers::any_bytes),
];

const fn target(name: &'static str, run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, run, seeds }
}

impl Target {
    /// The target of a name.
    pub fn named(name: &str) -> Option<Self> {
        TARGETS.iter().copied().find(|target| target.name == name)
    }

    /// Bytes to begin with: some that it makes sense of, and those that broke it once.
    pub fn seeds(&self) -> Vec<Vec<u8>> {
        let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("found");
        let mut seeds = (self.seeds)();
        seeds.extend(files(&found.join(self.name), ""));
        seeds
    }
}

/// The files of a folder whose names begin so, in the order of their names; none if it is not there.
fn files(folder: &Path, prefix: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with(prefix))
        })
        .collect();
    paths.sort();
    paths
        .iter()
        .filter_map(|path| std::fs::read(path).ok())
        .collect()
}

/// Golden bytes of the protocol whose file names begin so.
fn golden(prefix: &str) -> Vec<Vec<u8>> {
    files(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../wire/golden/v1"),
        prefix,
    )
}

/// Takes values off the front of bytes; zeros once they are used up.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        self.fill(&mut taken);
        taken
    }

    /// What there is goes to the front of `into`; the rest of it becomes 0.
    fn fill(&mut self, into: &mut [u8]) {
        into.fill(0);
        let bytes = self.bytes(into.len());
        into.iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
    }

    /// As many bytes, or as many as there are.
    fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.take())
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn i64(&mut self) -> i64 {
        i64::from_le_bytes(self.take())
    }

    /// Mostly a value that a probe could give, else any.
    fn decimal(&mut self) -> sen_wire::Decimal {
        match self.u8() {
            exponent @ 0..=0xef => {
                sen_wire::Decimal::new(i64::from(self.u32() as i32), -((exponent % 6) as i8))
            }
            _ => sen_wire::Decimal::new(self.i64(), self.u8() as i8),
        }
    }
}
