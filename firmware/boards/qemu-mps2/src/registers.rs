//! Access to the registers of a device, the one place where addresses are dereferenced.
#![allow(unsafe_code, reason = "memory-mapped registers are raw addresses")]

/// The registers of one device.
#[derive(Clone, Copy)]
pub(crate) struct Registers(usize);

impl Registers {
    /// # Safety
    /// `base` is the address of a device of this machine whose 32-bit registers lie at the offsets that are asked for
    /// (below 4 KiB), and touching them has no effect on memory.
    pub(crate) const unsafe fn new(base: usize) -> Self {
        Self(base)
    }

    pub(crate) fn read(self, offset: usize) -> u32 {
        // SAFETY: as promised to `new`; the devices are aligned, and so are the offsets.
        unsafe { ((self.0 + offset) as *const u32).read_volatile() }
    }

    pub(crate) fn write(self, offset: usize, value: u32) {
        // SAFETY: as for `read`.
        unsafe { ((self.0 + offset) as *mut u32).write_volatile(value) }
    }
}
