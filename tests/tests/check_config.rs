//! `sen check-config` names every fault at once.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use sen_tests::process::{Finished, Program, TestDir};
use sen_tests::sen::binary;

fn check(text: &str) -> Result<Finished> {
    let dir = TestDir::new()?;
    let file = dir.path().join("sen.toml");
    fs::write(&file, text)?;
    Program::new("check", binary()?)
        .arg("check-config")
        .arg("--config")
        .arg(&file)
        .run(dir.path(), Duration::from_secs(20))
}

#[test]
fn every_fault_at_once_with_its_key() -> Result<()> {
    let checked = check(
        r#"
data_dir = 5
colour = "green"
[broker]
mode = "embeded"
[influx]
api = "v3"
url = "not an address"
batch_age = "soon"
[journal]
keep_days = 30
least_days = 31
max_size = "2 gigs"
keep_fre = "1 GB"
[web]
listen = "everywhere"
prot = 80
"#,
    )?;
    assert_eq!(checked.status.code(), Some(2), "{checked:?}");
    let said = format!("{}{}", checked.out, checked.err);
    for key in [
        "data_dir",
        "colour",
        "mode",
        "api",
        "batch_age",
        "least_days",
        "max_size",
        "did you mean `keep_free`",
        "listen",
        "prot",
    ] {
        assert!(said.contains(key), "{key} is not named:\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    Ok(())
}

#[test]
fn secrets_are_not_printed() -> Result<()> {
    let checked = check(
        "data_dir = \"d\"\n[broker]\nmode = \"external\"\nurl = 7\nusername = \"u\"\npassword = \"hunter2-hunter2\"\n",
    )?;
    assert_eq!(checked.status.code(), Some(2), "{checked:?}");
    assert!(!format!("{checked:?}").contains("hunter2"), "{checked:?}");
    Ok(())
}

#[test]
fn a_good_one_passes_and_no_file_does_not() -> Result<()> {
    let checked =
        check("data_dir = \"d\"\n[broker]\nmode = \"embedded\"\nlisten = \"127.0.0.1:0\"\n")?;
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    let dir = TestDir::new()?;
    let missing = Program::new("check", binary()?)
        .args(["check-config", "--config", "/nonexistent/sen.toml"])
        .run(dir.path(), Duration::from_secs(20))?;
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
    assert!(missing.err.contains("/nonexistent/sen.toml"), "{missing:?}");
    Ok(())
}
