//! The ring of pages on the flash: where headers and slots lie, and how they are read, written and erased.

use core::num::NonZeroU32;

use embedded_storage_async::nor_flash::NorFlash;

use super::{
    Error,
    record::{HEADER_BYTES, Header, Heading, RECORD_BYTES, Record, Slot},
};

/// The largest word: a slot or header never grows past these sizes.
const MAX_WORD: usize = 32;
const MAX_HEADER: usize = HEADER_BYTES.next_multiple_of(MAX_WORD);
/// Slots of a page for [`Record::Closing`]: a second one, since a cut may have spoilt the first without a trace.
const CLOSING_SLOTS: u16 = 2;
/// How often a read or a write is tried.
pub(super) const TRIES: usize = 3;

pub(super) struct Pages<F> {
    flash: F,
    count: NonZeroU32,
}

impl<F: NorFlash> Pages<F> {
    const HEADER: usize = HEADER_BYTES.next_multiple_of(F::WRITE_SIZE);
    const SLOT: usize = RECORD_BYTES.next_multiple_of(F::WRITE_SIZE);
    /// Slots of a page.
    pub(super) const SLOTS: u16 = {
        assert!(
            F::WRITE_SIZE <= MAX_WORD && F::WRITE_SIZE.is_multiple_of(F::READ_SIZE),
            "words of at most 32 bytes, each of them whole reads"
        );
        let slots = (F::ERASE_SIZE - Self::HEADER) / Self::SLOT;
        assert!(
            slots >= 8 && slots <= u16::MAX as usize,
            "pages of a few hundred bytes at least, and of less than 1.5 MB"
        );
        slots as u16
    };
    /// Those of them that hold anything but [`Record::Closing`].
    pub(super) const DATA_SLOTS: u16 = Self::SLOTS - CLOSING_SLOTS;

    pub(super) fn new(flash: F) -> Result<Self, Error<F::Error>> {
        let count = flash.capacity() / F::ERASE_SIZE;
        match u16::try_from(count).map(|count| NonZeroU32::new(count.into())) {
            Ok(Some(count)) if count.get() >= 3 => Ok(Self { flash, count }),
            _ => Err(Error::PageCount),
        }
    }

    pub(super) fn count(&self) -> u32 {
        self.count.get()
    }

    pub(super) fn into_flash(self) -> F {
        self.flash
    }

    pub(super) fn flash(&self) -> &F {
        &self.flash
    }

    /// Which of the flash's pages has this number.
    pub(super) fn place(&self, sequence: u32) -> u32 {
        sequence % self.count
    }

    fn address(&self, sequence: u32) -> u32 {
        self.place(sequence) * F::ERASE_SIZE as u32
    }

    fn slot_address(&self, sequence: u32, slot: u16) -> u32 {
        self.address(sequence) + (Self::HEADER + usize::from(slot) * Self::SLOT) as u32
    }

    async fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        let mut tries = 1;
        loop {
            match self.flash.read(address, bytes).await {
                Err(_) if tries < TRIES => tries += 1,
                result => return result,
            }
        }
    }

    /// The header on the page where this sequence number belongs, whatever number it has.
    pub(super) async fn heading(&mut self, sequence: u32) -> Result<Heading, F::Error> {
        let mut bytes = [0; MAX_HEADER];
        let address = self.address(sequence);
        self.read(address, &mut bytes[..Self::HEADER]).await?;
        let heading = bytes.first_chunk().map_or(Heading::None, Header::decode);
        Ok(match heading {
            // A header at a place where none of its number is ever written is none.
            Heading::Header(header)
                if u32::from(header.pages) == self.count()
                    && self.place(header.sequence) != self.place(sequence) =>
            {
                Heading::None
            }
            heading => heading,
        })
    }

    /// Writes a header, and says whether it reads back.
    pub(super) async fn write_header(&mut self, header: &Header) -> Result<bool, F::Error> {
        let mut bytes = [0xff; MAX_HEADER];
        bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
        let address = self.address(header.sequence);
        let bytes = &bytes[..Self::HEADER];
        self.flash.write(address, bytes).await?;
        let read = self.heading(header.sequence).await?;
        Ok(matches!(read, Heading::Header(read) if read == *header))
    }

    pub(super) async fn erase(&mut self, sequence: u32) -> Result<(), F::Error> {
        let address = self.address(sequence);
        self.flash
            .erase(address, address + F::ERASE_SIZE as u32)
            .await
    }

    /// What stands in a slot, by way of the window.
    ///
    /// On flash with ECC a torn word can't be read at all. So a slot that fails each time, while the page's header can be
    /// read, is torn; if that can't be read either, it is the flash that fails.
    pub(super) async fn slot(
        &mut self,
        window: &mut Window,
        sequence: u32,
        slot: u16,
    ) -> Result<Slot, F::Error> {
        if window.sequence != sequence || !(window.first..window.end).contains(&slot) {
            let most = (WINDOW_BYTES / Self::SLOT) as u16;
            window.sequence = sequence;
            window.first = slot;
            window.end = slot.saturating_add(most).min(Self::SLOTS);
            let length = usize::from(window.end.saturating_sub(slot)) * Self::SLOT;
            let address = self.slot_address(sequence, slot);
            let many = window.bytes.get_mut(..length).unwrap_or_default();
            if self.read(address, many).await.is_err() {
                window.end = slot + 1;
                let one = window.bytes.get_mut(..Self::SLOT).unwrap_or_default();
                if self.read(address, one).await.is_err() {
                    window.end = slot; // Nothing, should the next line return.
                    self.heading(sequence).await?;
                    return Ok(Slot::Torn);
                }
            }
        }
        let at = usize::from(slot - window.first) * Self::SLOT;
        let bytes = window.bytes.get(at..at + Self::SLOT);
        Ok(bytes.map_or(Slot::Torn, |bytes| Slot::decode(bytes, sequence, slot)))
    }

    /// Writes a record, and says whether it reads back: a write that failed may be there, and one that did not may not.
    pub(super) async fn write_slot(
        &mut self,
        sequence: u32,
        slot: u16,
        record: &Record,
    ) -> Result<bool, F::Error> {
        let mut bytes = [0xff; MAX_WORD];
        bytes[..RECORD_BYTES].copy_from_slice(&record.encode(sequence, slot));
        let address = self.slot_address(sequence, slot);
        let _ = self.flash.write(address, &bytes[..Self::SLOT]).await;
        let mut window = Window::new();
        let read = self.slot(&mut window, sequence, slot).await?;
        Ok(read == Slot::Record(*record))
    }
}

/// Several slots a read.
const WINDOW_BYTES: usize = 8 * MAX_WORD;

/// The slots that were read last: of one page, and none that were written since.
pub(super) struct Window {
    sequence: u32,
    first: u16,
    end: u16,
    bytes: [u8; WINDOW_BYTES],
}

impl Window {
    pub(super) fn new() -> Self {
        Self {
            sequence: 0,
            first: 0,
            end: 0,
            bytes: [0; WINDOW_BYTES],
        }
    }
}
