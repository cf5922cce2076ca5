//! The target that `SEN_FUZZ` names, under libFuzzer. With `SEN_FUZZ_SEEDS` instead: writes the seeds of all targets to that
//! folder and their names to stdout.
#![no_main]
#![allow(
    unsafe_code,
    reason = "the fuzzer's macro exports the function that it calls"
)]

use std::{env, fs, io, path::Path, process::exit, sync::OnceLock};

use sen_fuzz::{TARGETS, Target};

static TARGET: OnceLock<Target> = OnceLock::new();

fn write_seeds(folder: &Path) -> io::Result<()> {
    for target in TARGETS {
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in target.seeds().iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed)?;
        }
        println!("{}", target.name);
    }
    Ok(())
}

libfuzzer_sys::fuzz_target!(
    init: {
        if let Some(folder) = env::var_os("SEN_FUZZ_SEEDS") {
            let written = write_seeds(Path::new(&folder));
            exit(i32::from(written.is_err()));
        }
        let name = env::var("SEN_FUZZ").expect("SEN_FUZZ names the target");
        let target = Target::named(&name).expect("SEN_FUZZ names a target");
        TARGET.get_or_init(|| target);
    },
    |bytes: &[u8]| {
        if let Some(target) = TARGET.get() {
            (target.run)(bytes);
        }
    }
);
