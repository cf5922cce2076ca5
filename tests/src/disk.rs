//! A disk that loses power: an ext4 file system in an image file, by way of a loop device.
//!
//! A cut copies the image while the file system is still mounted and not synced. The image holds what the kernel has sent to
//! the disk; what programs wrote and nobody synced is in the page cache above it and stays behind. Mounting the copy replays
//! ext4's journal, as after a power cut. ext4 commits by itself only every five minutes (`commit=300`), so that its timer
//! does not help. The disk is taken to keep what it was sent: one that lies about a flush, or tears a sector, is not played.
//!
//! Mounts belong to a namespace that ends with the test ([`in_own_mounts`]), so nothing is left behind, whatever happens.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::process::{Program, TestDir, tail};
use crate::wait;

/// Room on it; the file is sparse.
const SIZE: u64 = 1 << 30;
/// Set in the child that has mounts of its own.
const INSIDE: &str = "SEN_TEST_OWN_MOUNTS";

/// Where a test that needs mounts stands.
#[derive(Debug)]
pub enum Mounts {
    /// It may mount: go on.
    Own,
    /// It has run, in a child process, and passed.
    Passed,
    /// This machine can't mount: why.
    Impossible(String),
}

/// Runs the test of that name again in a child with a mount namespace of its own.
///
/// # Errors
/// When the test fails there.
pub fn in_own_mounts(test: &str, limit: Duration) -> Result<Mounts> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(Mounts::Own);
    }
    let dir = TestDir::new()?;
    let unshare = Program::new("unshare", "unshare").args(["--mount", "--propagation", "private"]);
    let trial = unshare
        .clone()
        .args(["sh", "-ec"])
        .arg("truncate -s 16M trial; mkfs.ext4 -q -F trial; mkdir on; mount -o loop trial on")
        .cwd(dir.path())
        .run(dir.path(), wait::PATIENCE);
    match trial {
        Ok(finished) if finished.status.success() => {}
        Ok(finished) => return Ok(Mounts::Impossible(tail(&finished.err, 3))),
        Err(error) => return Ok(Mounts::Impossible(format!("{error:#}"))),
    }
    let finished = unshare
        .arg(std::env::current_exe()?)
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .run(dir.path(), limit)?;
    eprintln!("{}", finished.err);
    finished.success()?;
    Ok(Mounts::Passed)
}

/// A mounted disk.
#[derive(Debug)]
pub struct Disk {
    dir: TestDir,
    image: PathBuf,
    cuts: usize,
}

impl Disk {
    /// An empty one.
    ///
    /// # Errors
    /// When it can't be made or mounted.
    pub fn new() -> Result<Self> {
        let dir = TestDir::new()?;
        let image = dir.path().join("image-0");
        fs::File::create(&image)?.set_len(SIZE)?;
        let disk = Self {
            dir,
            image,
            cuts: 0,
        };
        fs::create_dir(disk.path())?;
        disk.run("mkfs.ext4", &["-q", "-F", "-m", "0"], &[&disk.image])?;
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("on")
    }

    /// The power fails, and comes back: what was not synced is gone. Nobody may have files open on it.
    ///
    /// # Errors
    /// When something that was not synced is there afterwards, or it can't be mounted again.
    pub fn cut(&mut self) -> Result<()> {
        let witness = self.path().join("not-synced");
        fs::write(&witness, [1; 10_000])?;
        self.cuts += 1;
        let after = self.dir.path().join(format!("image-{}", self.cuts));
        self.run("cp", &["--sparse=always"], &[&self.image, &after])?;
        ensure!(witness.is_file(), "the witness was not written");
        // This syncs the old image, of which nothing is used any more.
        self.run("umount", &[], &[&self.path()])?;
        fs::remove_file(std::mem::replace(&mut self.image, after))?;
        self.mount()?;
        ensure!(
            !witness.exists(),
            "a file that was not synced is there after the cut"
        );
        Ok(())
    }

    fn mount(&self) -> Result<()> {
        self.run(
            "mount",
            &["-o", "loop,commit=300,noatime"],
            &[&self.image, &self.path()],
        )
    }

    fn run(&self, program: &str, options: &[&str], paths: &[&Path]) -> Result<()> {
        Program::new(program, program)
            .args(options)
            .args(paths)
            .run(self.dir.path(), wait::PATIENCE)?
            .success()
            .with_context(|| format!("{program} {options:?} {paths:?}"))?;
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The namespace would do it too; but the folder goes first.
        let _ = self.run("umount", &["--lazy"], &[&self.path()]);
    }
}
