//! NOR flash that outlives the emulator: a file of the host. As on a chip, writing only clears bits, and only erasing a page
//! sets them.

use embedded_storage_async::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

use crate::host::{File, Mode, Refused};

const PAGE: usize = 4096;
const WORD: usize = 4;

/// A part of the file.
pub(crate) struct HostFlash {
    file: File,
    start: u32,
    size: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Error {
    Host,
    Asked(NorFlashErrorKind),
}

impl NorFlashError for Error {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Host => NorFlashErrorKind::Other,
            Self::Asked(kind) => *kind,
        }
    }
}

impl From<Refused> for Error {
    fn from(_: Refused) -> Self {
        Self::Host
    }
}

impl HostFlash {
    /// The file's first page, where the node configuration stands.
    pub(crate) fn configuration(path: &str) -> Result<Self, Refused> {
        Self::part(path, 0, 1)
    }

    /// The next two, where the settings stand.
    pub(crate) fn settings(path: &str) -> Result<Self, Refused> {
        Self::part(path, 1, 2)
    }

    /// All the others, the outbox's.
    pub(crate) fn outbox(path: &str) -> Result<Self, Refused> {
        Self::part(path, 3, u32::MAX)
    }

    fn part(path: &str, first: u32, pages: u32) -> Result<Self, Refused> {
        let file = File::open(path, Mode::Update)?;
        let start = first * PAGE as u32;
        let rest = file.length()?.saturating_sub(start);
        let size = rest.min(pages.saturating_mul(PAGE as u32));
        Ok(Self { file, start, size })
    }

    /// What a chip's driver refuses.
    fn check(&self, from: u32, length: usize, unit: usize) -> Result<(), Error> {
        let (from, size) = (from as usize, self.size as usize);
        if !from.is_multiple_of(unit) || !length.is_multiple_of(unit) {
            Err(Error::Asked(NorFlashErrorKind::NotAligned))
        } else if length > size || from > size - length {
            Err(Error::Asked(NorFlashErrorKind::OutOfBounds))
        } else {
            Ok(())
        }
    }

    fn fill(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        match self.file.read_at(self.start + offset, bytes)? {
            read if read == bytes.len() => Ok(()),
            _ => Err(Error::Host),
        }
    }
}

impl ErrorType for HostFlash {
    type Error = Error;
}

impl ReadNorFlash for HostFlash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        self.check(offset, bytes.len(), Self::READ_SIZE)?;
        self.fill(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.size as usize
    }
}

impl NorFlash for HostFlash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Error> {
        let length = to.saturating_sub(from) as usize;
        self.check(from, length, Self::ERASE_SIZE)?;
        for offset in (from..to).step_by(64) {
            self.file.write_at(self.start + offset, &[0xff; 64])?;
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        self.check(offset, bytes.len(), Self::WRITE_SIZE)?;
        let mut at = offset;
        for chunk in bytes.chunks(64) {
            let mut cells = [0; 64];
            let cells = &mut cells[..chunk.len()];
            self.fill(at, cells)?;
            for (cell, byte) in cells.iter_mut().zip(chunk) {
                *cell &= byte;
            }
            self.file.write_at(self.start + at, cells)?;
            at += chunk.len() as u32;
        }
        Ok(())
    }
}
