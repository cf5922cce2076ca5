//! `sen-image ELF PARTITIONS_CSV OUT`: what is flashed to an ESP32-C3 from address 0. Prints the sizes in bytes.

use std::{env, fs, path::Path};

use anyhow::{Context, Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [elf, table, out] = arguments.as_slice() else {
        bail!("usage: sen-image ELF PARTITIONS_CSV OUT");
    };
    let program =
        fs::read(elf).with_context(|| format!("can't read {}", Path::new(elf).display()))?;
    let image = sen_image::esp32c3(&program, Path::new(table))?;
    fs::write(out, &image.bytes)
        .with_context(|| format!("can't write {}", Path::new(out).display()))?;
    let (whole, program, partition) = (image.bytes.len(), image.program, image.partition);
    println!("program={program} partition={partition} image={whole}");
    Ok(())
}
