//! A disk so small that a test can fill it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::process::TestDir;

/// A file system of its own that is unmounted at the end.
#[derive(Debug)]
pub struct SmallDisk(TestDir);

impl SmallDisk {
    /// One of that size; none where the test may not mount.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub fn mount(megabytes: u32) -> Result<Option<Self>> {
        let dir = TestDir::new()?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(dir.path())
            .output()?;
        if mounted.status.success() {
            return Ok(Some(Self(dir)));
        }
        eprintln!(
            "SKIPPED, can't mount: {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        Ok(None)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills it to the last page.
    ///
    /// # Errors
    /// When `dd` can't be started.
    pub fn fill(&self) -> Result<()> {
        // dd ends with an error when the disk is full, which is what is wanted.
        let _ = Command::new("dd")
            .args(["if=/dev/zero", "bs=4096"])
            .arg(format!("of={}", self.path().join("filler").display()))
            .output()?;
        Ok(())
    }

    /// Takes back what [`SmallDisk::fill`] did.
    ///
    /// # Errors
    /// When nothing was filled.
    pub fn make_room(&self) -> Result<()> {
        Ok(fs::remove_file(self.path().join("filler"))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a gateway that failed to end still holds files there.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
