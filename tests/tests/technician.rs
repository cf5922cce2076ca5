//! The technician's pages, in a browser: a node from its credentials to its calibration, and what would be written on its board.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use sen_tests::browser::Script;
use sen_tests::esp;
use sen_tests::process::{Program, TestDir};
use sen_tests::sen::{binary, ready};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_technician_sets_a_node_up_on_the_page() -> Result<()> {
    let dir = TestDir::new()?;
    let data = dir.path().join("data");
    std::fs::create_dir_all(data.join("images"))?;
    std::fs::write(data.join("images/esp32c3.bin"), esp::image())?;
    let mut process = Program::new("demo", binary()?)
        .args(["demo", "--nodes", "4", "--history", "6h"])
        .args(["--mqtt", "127.0.0.1:0", "--web", "127.0.0.1:0"])
        .arg("--data-dir")
        .arg(&data)
        .start(dir.path())?;
    let web = ready(&mut process).await?.web.context("no web address")?;
    let words =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards/phone/src/technician/words");
    let page = Script::start(
        "technician.mjs",
        &[
            &format!("http://{web}"),
            &words.display().to_string(),
            "nuoc-ao-1",
            "water_temperature",
        ],
    )?;
    let said = page.finish(Duration::from_secs(200))?;
    eprintln!("{said}");
    Ok(())
}
