//! The target that `SEN_FUZZ` names, under libFuzzer.
#![no_main]
#![allow(
    unsafe_code,
    reason = "the fuzzer's macro exports the function that it calls"
)]

use std::sync::OnceLock;

use sen_fuzz::Target;

static TARGET: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("SEN_FUZZ").expect("SEN_FUZZ names the target");
        Target::named(&name).expect("SEN_FUZZ names a target")
    });
    (target.run)(bytes);
});
