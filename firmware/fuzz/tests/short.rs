//! Every target on its seeds and on some thousand changed ones. A failure prints the bytes: put them into a file in
//! `found/TARGET`, so that they are tried for ever.

use std::panic::catch_unwind;

use sen_fuzz::{TARGETS, Target, mutate::mutated};

/// Nightly, `scripts/fuzz.sh` runs each for a minute.
const ROUNDS: u64 = 3_000;

fn run(target: &Target, bytes: &[u8], what: &str) {
    let run = target.run;
    if catch_unwind(|| run(bytes)).is_err() {
        panic!("{}, {what}: b\"{}\"", target.name, bytes.escape_ascii());
    }
}

macro_rules! targets {
    ($($name:ident)+) => {
        $(
            #[test]
            fn $name() {
                let target = Target::named(stringify!($name)).expect("a target");
                let seeds = target.seeds();
                assert!(!seeds.is_empty());
                for (number, seed) in seeds.iter().enumerate() {
                    run(&target, seed, &format!("seed {number}"));
                }
                for number in 0..ROUNDS {
                    run(&target, &mutated(&seeds, number), &format!("round {number}"));
                }
            }
        )+

        #[test]
        fn no_target_is_left_out() {
            let here = [$(stringify!($name)),+];
            assert!(TARGETS.iter().map(|target| target.name).eq(here));
        }
    };
}

targets! {
    pack receipt hello config provision names decimal calibration node outbox settings
    modbus ultrasonic ds18b20 sht4x bme280 ads1115 bh1750 battery
}
