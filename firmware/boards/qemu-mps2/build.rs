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
const EMPTY: i16 = i16::MIN;

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

    let rows: Vec<Vec<&str>> = lines
        .take(ROWS)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            places.iter().map(|place| cells[*place]).collect()
        })
        .collect();
    let mut code = String::from(
        "/// What is in a row, in order: the channel, and the power of ten of its values.\n\
         pub(crate) const COLUMNS: [(Quantity, i8); 6] = [\n",
    );
    let mut digits = [0; COLUMNS.len()];
    for (column, (_, quantity, power)) in COLUMNS.into_iter().enumerate() {
        let fractions = rows.iter().map(|row| fraction(row[column]).len());
        digits[column] = fractions.max().unwrap_or(0);
        writeln!(
            code,
            "    (Quantity::{quantity}, {power} - {}),",
            digits[column]
        )?;
    }
    code += "];\n/// A cell that the recording leaves empty.\n";
    writeln!(code, "pub(crate) const EMPTY: i16 = {EMPTY};")?;
    writeln!(code, "pub(crate) static ROWS: [[i16; 6]; {ROWS}] = [")?;
    for row in &rows {
        let mantissas = row.iter().zip(digits);
        let mantissas = mantissas.map(|(cell, digits)| mantissa(cell, digits));
        writeln!(
            code,
            "    {:?},",
            mantissas.collect::<Result<Vec<i16>, _>>()?
        )?;
    }
    code += "];\n";
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("series.rs"), code)?;
    Ok(())
}

fn fraction(cell: &str) -> &str {
    cell.split_once('.').map_or("", |(_, fraction)| fraction)
}

/// The number without its point, with so many digits behind it.
fn mantissa(cell: &str, digits: usize) -> Result<i16, Box<dyn Error>> {
    if cell.is_empty() {
        return Ok(EMPTY);
    }
    let whole = cell.split('.').next().unwrap_or_default();
    Ok(format!("{whole}{:0<digits$}", fraction(cell)).parse()?)
}
