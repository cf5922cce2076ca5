//! What the machine has of its host, by semihosting: the command line, files, and an end.
//! (Arm, Semihosting for AArch32 and AArch64, 2.0.)
#![allow(unsafe_code, reason = "a semihosting call is a trap with an address")]

use cortex_m_semihosting::{debug, nr, syscall};

/// The words behind the image's name; QEMU's `-semihosting-config arg=` gives one each.
pub(crate) struct CommandLine {
    buffer: [u8; 512],
    length: usize,
}

impl CommandLine {
    pub(crate) fn read() -> Self {
        let mut buffer = [0; 512];
        let mut block = [buffer.as_mut_ptr() as usize, buffer.len()];
        // SAFETY: the block holds address and length of a buffer that lives through the call, as SYS_GET_CMDLINE asks.
        let failed = unsafe { cortex_m_semihosting::syscall(nr::GET_CMDLINE, &mut block) };
        let [_, length] = block;
        Self {
            buffer,
            length: if failed == 0 { length } else { 0 },
        }
    }

    /// What stands behind `key=`.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        let line = core::str::from_utf8(self.buffer.get(..self.length)?).ok()?;
        line.split([' ', '\0'])
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.value(key)?.parse().ok()
    }
}

/// A file of the host.
pub(crate) struct File(usize);

/// The host refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused;

/// As fopen's modes "rb" and "r+b".
#[derive(Clone, Copy)]
pub(crate) enum Mode {
    Read = 1,
    Update = 3,
}

impl File {
    pub(crate) fn open(path: &str, mode: Mode) -> Result<Self, Refused> {
        let mut name = [0u8; 256];
        // The host wants a zero at the end.
        let room = name.get_mut(..path.len()).ok_or(Refused)?;
        room.copy_from_slice(path.as_bytes());
        if path.len() == name.len() {
            return Err(Refused);
        }
        // SAFETY: the name lives through the call and is followed by a zero.
        let handle = unsafe { syscall!(OPEN, name.as_ptr(), mode as usize, path.len()) };
        if handle == usize::MAX {
            Err(Refused)
        } else {
            Ok(Self(handle))
        }
    }

    pub(crate) fn length(&self) -> Result<u32, Refused> {
        // SAFETY: takes a handle only.
        let length = unsafe { syscall!(FLEN, self.0) };
        u32::try_from(length)
            .ok()
            .filter(|l| *l != u32::MAX)
            .ok_or(Refused)
    }

    fn seek(&mut self, offset: u32) -> Result<(), Refused> {
        // SAFETY: takes numbers only.
        match unsafe { syscall!(SEEK, self.0, offset) } {
            0 => Ok(()),
            _ => Err(Refused),
        }
    }

    /// How much of `bytes` could be filled from there.
    pub(crate) fn read_at(&mut self, offset: u32, bytes: &mut [u8]) -> Result<usize, Refused> {
        self.seek(offset)?;
        // SAFETY: address and length of a buffer that lives through the call. The answer is what was not read.
        let missing = unsafe { syscall!(READ, self.0, bytes.as_mut_ptr(), bytes.len()) };
        bytes.len().checked_sub(missing).ok_or(Refused)
    }

    pub(crate) fn write_at(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Refused> {
        self.seek(offset)?;
        // SAFETY: as for reading.
        match unsafe { syscall!(WRITE, self.0, bytes.as_ptr(), bytes.len()) } {
            0 => Ok(()),
            _ => Err(Refused),
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: takes a handle only, which nobody uses afterwards.
        unsafe { syscall!(CLOSE, self.0) };
    }
}

/// Random bytes of the host: the machine has no generator of its own.
pub(crate) fn random(bytes: &mut [u8]) {
    let read = File::open("/dev/urandom", Mode::Read).and_then(|mut file| file.read_at(0, bytes));
    // TLS on guessable keys would look as if all were well.
    assert_eq!(read.ok(), Some(bytes.len()), "no random numbers");
}

/// Ends the emulation: the node can't go on.
pub(crate) fn fail() -> ! {
    loop {
        debug::exit(debug::EXIT_FAILURE);
    }
}
