//! The parts of the internal flash, as `partitions.csv` lays them out.

use core::ops::Range;

use embassy_embedded_hal::flash::partition::Partition;
use embassy_stm32::flash::{Async, Flash};
use embassy_sync::{blocking_mutex::raw::NoopRawMutex, mutex::Mutex};
use static_cell::StaticCell;

include!(concat!(env!("OUT_DIR"), "/layout.rs"));

type Shared = Mutex<NoopRawMutex, Flash<'static, Async>>;
/// A part of the flash.
pub type Region = Partition<'static, NoopRawMutex, Flash<'static, Async>>;

/// What this firmware keeps in flash.
pub struct Regions {
    /// Who the node is, written by whoever flashes it.
    pub node: Region,
    /// The settings that the gateway sends.
    pub settings: Region,
    /// The outbox.
    pub outbox: Region,
}

/// The regions. Once only.
pub fn regions(flash: Flash<'static, Async>) -> Regions {
    static FLASH: StaticCell<Shared> = StaticCell::new();
    let flash: &'static Shared = FLASH.init(Mutex::new(flash));
    let region = |range: Range<u32>| Partition::new(flash, range.start, range.end - range.start);
    Regions {
        node: region(SEN_NODE),
        settings: region(SEN_SETTINGS),
        outbox: region(SEN_OUTBOX),
    }
}
