//! Puts a slice of a recording into the image, and memory.x where the linker looks.

use std::{env, error::Error, fmt::Write, fs, io::Read, path::PathBuf};

/// CC0, see the LICENCE.md beside it: a sonde in an estuary, a row every quarter of an hour.
const RECORDING: &str = "../../sim/data/estuary-water-2012-summer.csv.gz";
/// Its columns, the channels that they are, and the power of ten between their units: the depth is given in metres.
const COLUMNS: [(&str, &str, i8); 6] = [
    ("temp", "WaterTemperature", 0),
    ("sal", "Salinity", 0),
    ("do_mgl", "DissolvedOxygen", 0),
    ("depth", "WaterLevel", 2),
    ("ph", "Ph", 0),
    ("turb", "Turbidity", 0),
];
const ROWS: usize = 240;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={RECORDING}");
    println!("cargo:rerun-if-changed=memory.x");
    println!(
        "cargo:rustc-link-search={}",
        env::var("CARGO_MANIFEST_DIR")?
    );
    let mut text = String::new();
    flate2::read::GzDecoder::new(fs::File::open(RECORDING)?).read_to_string(&mut text)?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().ok_or("no header")?.split(',').collect();
    let places: Vec<usize> = COLUMNS
        .iter()
        .map(|(name, ..)| {
            let place = header.iter().position(|column| column == name);
            place.ok_or_else(|| format!("no column {name}"))
        })
        .collect::<Result<_, _>>()?;

    let mut code = String::from("/// The channels, in the order of the rows' values.\npub(crate) const CHANNELS: [Quantity; 6] = [");
    for (_, quantity, _) in COLUMNS {
        write!(code, "Quantity::{quantity}, ")?;
    }
    code += "];\n/// Mantissa and exponent; none where the recording has none.\npub(crate) static ROWS: [[Option<(i16, i8)>; 6]; ";
    writeln!(code, "{ROWS}] = [")?;
    for line in lines.take(ROWS) {
        let cells: Vec<&str> = line.split(',').collect();
        code += "[";
        for (place, (.., power)) in places.iter().zip(COLUMNS) {
            match decimal(cells[*place], power)? {
                Some((mantissa, exponent)) => write!(code, "Some(({mantissa}, {exponent})), ")?,
                None => code += "None, ",
            }
        }
        code += "],\n";
    }
    code += "];\n";
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("series.rs"), code)?;
    Ok(())
}

/// The number as it is written, digit for digit, times a power of ten.
fn decimal(cell: &str, power: i8) -> Result<Option<(i16, i8)>, Box<dyn Error>> {
    if cell.is_empty() {
        return Ok(None);
    }
    let (whole, fraction) = cell.split_once('.').unwrap_or((cell, ""));
    let mantissa = format!("{whole}{fraction}").parse()?;
    Ok(Some((mantissa, power - i8::try_from(fraction.len())?)))
}
