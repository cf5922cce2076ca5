//! Embeds the phone page: copies `dashboards/phone/dist` to where the web module embeds it from.
//! Without a built page the gateway still builds, with one that says so.

use std::fs;
use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    let dist = root.join("../dashboards/phone/dist");
    let out = PathBuf::from(std::env::var("OUT_DIR").unwrap_or_default()).join("phone");
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out)?;
    println!("cargo::rerun-if-changed={}", dist.display());
    if dist.join("index.html").exists() {
        copy(&dist, &out)?;
    } else {
        println!(
            "cargo::warning=the phone page is not built; run `npm ci && npm run build` in dashboards/phone"
        );
        fs::write(
            out.join("index.html"),
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Sen</title></head><body><p>The phone page was not built with this gateway: run <code>npm ci &amp;&amp; npm run build</code> in dashboards/phone, then build again.</p></body></html>",
        )?;
    }
    println!("cargo::rustc-env=SEN_PHONE={}", out.display());
    Ok(())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
