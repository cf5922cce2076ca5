//! The outbox in NOR flash: it survives power loss at any word written and in the middle of any erasure.
//!
//! # Layout
//! ```text
//! page   0        1        2        3            one page is erased at a time, in this order, round and round
//!     +--------+--------+--------+--------+
//!     | n = 4  | n = 5  | n = 2  | n = 3  |      page n lies at n mod 4; the newest is 5, the oldest 2
//!     +--------+--------+--------+--------+
//! page   | header 48 | slot 24 | slot 24 | ... | closing | closing |       each rounded up to whole words
//! header | "Sen" version, pages, incarnation, n, starts, appended, head, dropped, newest Ids, CRC-32 |
//! slot   | kind and flags 1, exponent or fault 1, channel 2, Ids less base 2, time 6, mantissa 8, CRC-32 4 |
//! ```
//! Each slot holds one record, written once, in one call: an entry, a mark (all entries before this one are acknowledged),
//! a start of the node, a new base for the Ids, or the closing of the page. A record's CRC-32 covers its page number and
//! slot too. Entries are counted from the format on; a mark, a header and a start name an entry by that ordinal.
//!
//! A page is turned in this order: the closing record; the next page is erased; its header is written, with all that is
//! true by then. From the closing record on, what the next page still holds is no part of the log, so a half-erased page is
//! never read, and the header says everything that stood there and is still needed. Pages are erased just before they are
//! used: that a page *reads* as erased is never relied upon.
//!
//! # Guarantees
//! For power cuts at any point, any number of them, as long as the flash keeps what it has confirmed:
//! - An entry that was appended is there, unchanged and in its place, until it is acknowledged or is the oldest of a full
//!   log. At least `(pages - 1) * data slots` records are kept; the oldest go a page at a time.
//! - An append, a mark or a start that was cut short has happened or has not.
//! - A mark is never further than what was acknowledged.
//! - [`dropped`](Storage::dropped) counts each entry that had to go before its mark was written: none is missing from it. If
//!   a mark was cut short or needed the room itself, acknowledged entries may be among them, at most a page's worth each time.
//! - [`boot`](FlashOutbox::boot) is greater in every start than in all before (since the format), so no two readings ever
//!   get the same Ids.
//! - All pages are erased equally often, give or take one, and one more for each cut between the erasure of a page and its
//!   first record.
//!
//! A write that fails with the power on is tried in the next slots; what nobody could read back may turn up later as an
//! entry, under the Ids that it was given, and as no other.
//!
//! Not covered: bits that rot. A spoilt record is passed over, a spoilt page is a hole in the sequence; if it is the newest
//! page, boot numbers of its time are given once more. And each start takes two slots, so a board that restarts without end
//! pushes out what is pending, at a page for every 83 starts (words of 4 bytes, pages of 4096).
//!
//! `tests/flash_cuts.rs` cuts the power at every word, `tests/flash.rs` lives with it;
//! `cargo test -p sen-node --test flash figures -- --nocapture` prints what it costs. With words of 4 bytes and pages of
//! 4096: 24.7 bytes a reading; a month of 6 channels every 15 minutes takes 106 pages (424 KiB); 6.0 pages are erased for
//! 1000 readings that wait, 7.1 if each sweep gets its receipt; to open a full month takes 154 reads of 10.8 kB together.
//!
//! # Flash that it works on
//! It asks [`NorFlash`] for the least: words are written once, and after a cut those of the last call are undefined
//! ([embedded-storage](https://docs.rs/embedded-storage/0.3/embedded_storage/nor_flash/trait.NorFlash.html)). That covers
//! SPI NOR (ESP32: words of 4 bytes, pages of 4096) and STM32 with ECC (words of 8 to 32 bytes), where
//! - a torn word may fail to be read: it counts as torn if the rest of its page can be read;
//! - a word may [read as erased and yet not be writable](http://efton.sk/STM32/gotcha/g99.html), or hold bits that were half
//!   written: the slot after the last record is left out after each start, and every record is read back.
//!
//! Espressif gives [100 000 erasures](https://docs.espressif.com/projects/esp-faq/en/latest/software-framework/storage/nvs.html)
//! as typical for a page, ST 10 000 (STM32L4R7 datasheet, endurance from -40 to 105 °C).
//!
//! The flash given is all the outbox's: give it a partition, as `embassy_embedded_hal::flash::partition` makes one.
//!
//! # Why not a library
//! `sequential-storage` 8.0 (`queue`) is the nearest, and does not fit:
//! - To acknowledge is to `pop`, which overwrites each item's checksum with zeros and so requires `MultiwriteNorFlash`: that
//!   leaves out flash with ECC. There is no mark for "up to here".
//! - `push(_, allow_overwrite_old_data = true)` erases the oldest page and does not tell how many items went.
//! - `iter` begins at the oldest item always; without `pop` each pack of a long backlog would read all before it again.
//! - A page's state is four zero bits in its first and last word, without checksum or number. After a cut in the middle of
//!   an erasure the page may seem to be any kind, and so which page is the newest.
//! - The boot counter, the count of drops and the newest Ids would need its `map`, in a second region, and an order of
//!   writes between both.
//!
//! `ekv` is a key-value store on an LSM tree, which merges: what waits is written again and again.

mod log;
mod pages;
mod record;

use core::{fmt, ops::ControlFlow};

use embedded_storage_async::nor_flash::NorFlash;
use sen_wire::Ids;

use self::{
    log::{Log, Place},
    pages::{Pages, Window},
};
use crate::outbox::{Entry, Storage};

/// Why the outbox could not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// The flash failed. The outbox may be asked again.
    Flash(E),
    /// The flash has less than 3 pages, or more than 65 535.
    PageCount,
    /// The flash holds an outbox of another version or size: [`format`](FlashOutbox::format) it, or go back to the firmware
    /// that can send what it holds.
    OtherLayout,
    /// The flash did not keep what was written.
    NotKept,
    /// The entry's Ids are not greater than all before.
    NotRising,
}

impl<E: fmt::Debug> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(error) => write!(f, "the flash failed: {error:?}"),
            Self::PageCount => f.write_str("the outbox needs 3 to 65535 pages of flash"),
            Self::OtherLayout => {
                f.write_str("the flash holds an outbox of another version or size: format it")
            }
            Self::NotKept => f.write_str("the flash did not keep what was written"),
            Self::NotRising => f.write_str("the entry is not newer than all before"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for Error<E> {}

/// An outbox in NOR flash.
pub struct FlashOutbox<F> {
    log: Log<F>,
    /// At or before the first entry that is pending.
    head: Place,
    /// Where the last visit ended.
    cursor: Option<Place>,
}

impl<F: NorFlash> FlashOutbox<F> {
    /// Readings that `pages` pages keep for certain, if nothing else is written between them.
    pub const fn readings_kept(pages: u32) -> u32 {
        pages.saturating_sub(1) * Pages::<F>::DATA_SLOTS as u32
    }

    /// Opens the outbox that the flash holds, and counts the start. If it holds none, it is formatted, and `incarnation`
    /// shall be random.
    pub async fn open(flash: F, incarnation: u16) -> Result<Self, Error<F::Error>> {
        Self::start(Log::open(flash, incarnation).await?).await
    }

    /// Erases the flash, with all that it holds, and opens it. `incarnation` shall be random.
    pub async fn format(flash: F, incarnation: u16) -> Result<Self, Error<F::Error>> {
        Self::start(Log::format(flash, incarnation).await?).await
    }

    async fn start(mut log: Log<F>) -> Result<Self, Error<F::Error>> {
        log.start().await?;
        let head = log.head();
        let head = log.find(|header| header.appended <= head).await?;
        Ok(Self {
            log,
            head,
            cursor: None,
        })
    }

    /// The boot number of this start: greater than that of every start before.
    pub fn boot(&self) -> u64 {
        self.log.boot()
    }

    /// The newest entry ever appended, acknowledged or not.
    pub fn newest(&self) -> Option<Ids> {
        self.log.newest()
    }

    /// The flash.
    pub fn flash(&self) -> &F {
        self.log.pages().flash()
    }

    /// Ends the outbox, as a power cut does.
    pub fn into_flash(self) -> F {
        self.log.into_pages().into_flash()
    }

    /// A place that no pending entry lies before.
    async fn head(&mut self) -> Result<Place, Error<F::Error>> {
        if !self.log.has(&self.head) {
            let head = self.log.head();
            self.head = self.log.find(|header| header.appended <= head).await?;
        }
        Ok(self.head)
    }
}

impl<F> fmt::Debug for FlashOutbox<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlashOutbox")
            .field("head", &self.head)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

impl<F: NorFlash> Storage for FlashOutbox<F> {
    type Error = Error<F::Error>;

    async fn append(&mut self, entry: &Entry) -> Result<(), Self::Error> {
        self.log.append(entry).await
    }

    async fn visit(
        &mut self,
        from: Ids,
        mut visitor: impl FnMut(&Entry) -> ControlFlow<()>,
    ) -> Result<(), Self::Error> {
        let head = self.head().await?;
        let mut place = match self.cursor {
            Some(place) if place.before < from && self.log.has(&place) => place,
            _ => self.log.find(|header| header.newest < from).await?,
        };
        if place.ordinal < head.ordinal {
            place = head;
        }
        let mut window = Window::new();
        loop {
            let here = place;
            let Some(found) = self.log.next(&mut place, &mut window).await? else {
                break;
            };
            if found.ordinal < self.log.head() || found.ids < from {
                continue;
            }
            if let Some(entry) = found.entry
                && visitor(&entry).is_break()
            {
                place = here;
                break;
            }
        }
        self.cursor = Some(place);
        Ok(())
    }

    async fn acknowledge(&mut self, through: Ids) -> Result<(), Self::Error> {
        // First, since it may move the head.
        self.log.make_room(1).await?;
        let mut place = self.head().await?;
        let mut window = Window::new();
        let head = loop {
            let here = place;
            match self.log.next(&mut place, &mut window).await? {
                Some(found) if found.ids <= through => {}
                Some(found) => {
                    place = here;
                    // Not the place's: a start or a header in between may have put the count right.
                    break found.ordinal;
                }
                None => break self.log.appended(),
            }
        };
        if head > self.log.head() {
            self.log.mark(head).await?;
            place.ordinal = head;
            self.head = place;
        }
        Ok(())
    }

    fn pending(&self) -> u32 {
        self.log.pending()
    }

    fn dropped(&self) -> u32 {
        self.log.dropped()
    }
}
