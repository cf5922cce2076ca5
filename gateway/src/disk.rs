//! The file system below the journal: how much room it has, and the reserve that is kept on it.
//!
//! SQLite needs room even to delete. So a few megabytes are taken in advance ([`Reserve`]) and given back when the disk
//! is full: then cursors move, the log is trimmed and old history goes, while readings are held off
//! (`Journal::hold`). They come in again when the reserve could be taken anew and as much is free
//! beside it, so that a disk on the brink does not flap.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// Size of the reserve; on a small file system a sixteenth of it.
const RESERVE: u64 = 8 << 20;

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that this user can still write.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Asks for the room of the file system that holds `path`.
///
/// # Errors
/// What the system says.
pub fn room(path: &Path) -> io::Result<Room> {
    let s = statvfs(path)?;
    Ok(Room {
        free: s.f_bavail.saturating_mul(s.f_frsize),
        total: s.f_blocks.saturating_mul(s.f_frsize),
    })
}

/// Room that nothing but the way out of a full disk uses: the file `reserve` in the data directory.
#[derive(Debug)]
pub struct Reserve {
    path: PathBuf,
    size: u64,
}

impl Reserve {
    /// The reserve in the directory `dir`, which exists. Nothing is taken yet.
    ///
    /// # Errors
    /// What the system says.
    pub fn in_dir(dir: &Path) -> io::Result<Self> {
        Ok(Self {
            path: dir.join("reserve"),
            size: RESERVE.min(room(dir)?.total / 16),
        })
    }

    /// Its size when it is taken.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether it is there, whole.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|m| m.len() >= self.size)
    }

    /// Takes it, if as much stays free beside it. Says whether it is there now.
    pub fn take(&self) -> bool {
        if self.is_taken() {
            return true;
        }
        let enough = self
            .path
            .parent()
            .and_then(|dir| room(dir).ok())
            .is_some_and(|r| r.free >= 2 * self.size);
        if enough && self.allocate().is_ok() {
            return true;
        }
        self.release();
        false
    }

    fn allocate(&self) -> io::Result<()> {
        let mut file = File::create(&self.path)?;
        match fallocate(&file, FallocateFlags::empty(), 0, self.size) {
            Ok(()) => Ok(()),
            // A file system without it: zeros do as well, unless it packs them; then the reserve is worth nothing there.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                io::copy(&mut io::Read::take(io::repeat(0), self.size), &mut file)?;
                file.sync_all()
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Gives it back to the file system.
    pub fn release(&self) {
        // Not there is fine; anything else shows as a disk that stays full.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A number of bytes for people.
#[must_use]
pub fn bytes(n: u64) -> String {
    let n = n as f64;
    match n {
        1e9.. => format!("{:.1} GB", n / 1e9),
        1e6.. => format!("{:.0} MB", n / 1e6),
        _ => format!("{:.0} kB", n / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_taken_and_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::in_dir(dir.path()).unwrap();
        assert!(!reserve.is_taken());
        assert!(reserve.take());
        assert!(reserve.is_taken());
        let file = std::fs::metadata(dir.path().join("reserve")).unwrap();
        assert_eq!(file.len(), reserve.size());
        // Really there, not a hole.
        assert!(std::os::unix::fs::MetadataExt::blocks(&file) * 512 >= reserve.size());
        reserve.release();
        assert!(!reserve.is_taken());
        reserve.release();
    }
}
