//! Chromium, driven by playwright-core through the scripts in `tests/browser/`.
//!
//! A script prints one line a finding: `ok NAME DETAIL`, `fail NAME DETAIL`, or `wait NAME` when
//! it goes on only after the test has done its part and answered with a line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::process::{Program, Running, TestDir, tail};
use crate::wait;

/// The npm package with the scripts.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("browser")
}

/// Where screenshots stay; not under version control.
#[must_use]
pub fn screenshots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("out")
}

/// A running script.
#[derive(Debug)]
pub struct Script {
    process: Running,
    _dir: TestDir,
}

impl Script {
    /// Starts `script` with `args`.
    ///
    /// # Errors
    /// When the npm package is not installed (`npm ci` in `tests/browser`).
    pub fn start(script: &str, args: &[&str]) -> Result<Self> {
        ensure!(
            folder().join("node_modules/playwright-core").is_dir(),
            "run npm ci in {} (scripts/test.sh does)",
            folder().display()
        );
        std::fs::create_dir_all(screenshots())?;
        let dir = TestDir::new()?;
        let process = Program::new("browser", "node")
            .arg(folder().join(script))
            .args(args)
            .env("SEN_SCREENSHOTS", screenshots())
            // The browser's profile goes where the test's files go.
            .env("TMPDIR", dir.path())
            .stdin_piped()
            .start(dir.path())?;
        Ok(Self { process, _dir: dir })
    }

    /// Waits until the script waits for the test at `name`.
    ///
    /// # Errors
    /// When it ends first.
    pub async fn reach(&mut self, name: &str, limit: Duration) -> Result<()> {
        let line = format!("wait {name}");
        wait::until(&format!("the page script at {name}"), limit, || {
            let reached = self.process.stdout().lines().any(|l| l == line);
            let ended = self.process.exited();
            let said = self.process.stdout();
            async move {
                if reached {
                    return Ok(Some(true));
                }
                if ended.is_some() {
                    return Ok(Some(false));
                }
                Err(anyhow::anyhow!("it said:\n{}", tail(&said, 20)))
            }
        })
        .await?
        .then_some(())
        .with_context(|| self.words(&format!("ended before {name}")))
    }

    /// Lets a waiting script go on, handing it `line`.
    ///
    /// # Errors
    /// When it has ended.
    pub fn go_on(&mut self, line: &str) -> Result<()> {
        self.process.say(line)
    }

    /// Waits for the end and fails when a finding did.
    ///
    /// # Errors
    /// With all findings, when one is bad or there is none.
    pub fn finish(mut self, limit: Duration) -> Result<String> {
        let status = self
            .process
            .wait_exit(limit)
            .with_context(|| self.process.stdout())?;
        let out = self.process.stdout();
        let good = out.lines().filter(|l| l.starts_with("ok ")).count();
        let bad = out.lines().filter(|l| l.starts_with("fail ")).count();
        ensure!(
            status.success() && good > 0 && bad == 0,
            "{}",
            self.words(&status.to_string())
        );
        Ok(out)
    }

    fn words(&self, what: &str) -> String {
        format!(
            "{what}\n{}\n{}",
            self.process.stdout(),
            tail(&self.process.stderr(), 20)
        )
    }
}
