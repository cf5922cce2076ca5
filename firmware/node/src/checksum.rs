//! The checksum of what is kept in flash.

use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// One table of 1 KiB for the whole node: the faster ones take a board's flash for a checksum of 24 bytes a minute.
pub(crate) static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);
