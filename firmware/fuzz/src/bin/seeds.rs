//! `seeds FOLDER`: writes the seeds of every target to `FOLDER/TARGET/`, for the fuzzer, and the targets' names to stdout.

use std::{env, fs, io, path::Path};

use sen_fuzz::TARGETS;

fn main() -> io::Result<()> {
    let folder = env::args().nth(1).ok_or(io::ErrorKind::InvalidInput)?;
    for target in TARGETS {
        let folder = Path::new(&folder).join(target.name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in target.seeds().iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed)?;
        }
        println!("{}", target.name);
    }
    Ok(())
}
