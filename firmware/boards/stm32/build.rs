//! `partitions.csv` becomes the linker's `memory.x` and the constants that the firmware includes.

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

const FLASH_BASE: u32 = 0x0800_0000;

fn main() -> Result<(), Box<dyn Error>> {
    let out = env::var("OUT_DIR")?;
    let out = Path::new(&out);
    println!("cargo:rerun-if-changed=partitions.csv");
    println!("cargo:rustc-link-search={}", out.display());

    let mut layout = String::new();
    let mut memory = String::new();
    for line in fs::read_to_string("partitions.csv")?.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [name, kind, _, offset, size] = fields[..] else {
            continue;
        };
        let (offset, size) = (number(offset)?, number(size)?);
        writeln!(
            layout,
            "#[allow(dead_code)] pub(crate) const {}: core::ops::Range<u32> = {offset:#x}..{:#x};",
            name.to_uppercase(),
            offset + size
        )?;
        if kind == "app" {
            writeln!(
                memory,
                "FLASH : ORIGIN = {:#x}, LENGTH = {size:#x}",
                FLASH_BASE + offset
            )?;
        }
    }
    // Of the 96 KiB of SRAM1 less than 64 000 bytes: what does not fit, does not link.
    let memory = format!("MEMORY {{\n{memory}RAM : ORIGIN = 0x20000000, LENGTH = 62K\n}}\n");
    fs::write(out.join("memory.x"), memory)?;
    fs::write(out.join("layout.rs"), layout)?;
    Ok(())
}

fn number(text: &str) -> Result<u32, Box<dyn Error>> {
    let hex = text
        .strip_prefix("0x")
        .ok_or("partitions.csv: numbers are hexadecimal")?;
    Ok(u32::from_str_radix(hex, 16)?)
}
