//! The log over the ring of pages: where it begins and ends, and how a page is turned.

use embedded_storage_async::nor_flash::NorFlash;
use sen_wire::Ids;

use super::{
    Error,
    pages::{Pages, TRIES, Window},
    record::{Header, Heading, NO_IDS, Packed, Record, Slot},
};
use crate::{node::boot_number, outbox::Entry};

/// Between two records of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) sequence: u32,
    slot: u16,
    /// What the next entries count from.
    base: Ids,
    /// The newest entry before this place.
    pub(super) before: Ids,
    /// Which entry since the format comes next.
    pub(super) ordinal: u32,
}

impl Place {
    fn beginning(header: &Header) -> Self {
        Self {
            sequence: header.sequence,
            slot: 0,
            base: header.newest,
            before: header.newest,
            ordinal: header.appended,
        }
    }
}

/// The log, and all that has to be known to go on with it.
pub(super) struct Log<F> {
    pages: Pages<F>,
    incarnation: u16,
    /// The page that is written to.
    sequence: u32,
    /// The oldest page that holds anything.
    oldest: u32,
    /// Its next slot.
    tail: u16,
    /// It may be that the page after it is half erased.
    closed: bool,
    /// A write did not end well: the next record is a [`Record::Start`] once more, since nobody knows what will be read.
    unsure: bool,
    base: Ids,
    starts: u32,
    appended: u32,
    newest: Ids,
    head: u32,
    dropped: u32,
}

impl<F: NorFlash> Log<F> {
    /// Finds the log on the flash and goes on with it; on flash that holds none, begins one.
    pub(super) async fn open(flash: F, incarnation: u16) -> Result<Self, Error<F::Error>> {
        let mut pages = Pages::new(flash)?;
        let count = pages.count();
        let mut newest: Option<Header> = None;
        let (mut failure, mut unreadable, mut other_layout) = (None, 0, false);
        for page in 0..count {
            match pages.heading(page).await {
                Ok(Heading::Header(header)) if u32::from(header.pages) == count => {
                    if newest.is_none_or(|newest| newest.sequence < header.sequence) {
                        newest = Some(header);
                    }
                }
                Ok(Heading::None) => {}
                Ok(Heading::Header(_) | Heading::OtherVersion) => other_layout = true,
                // On flash with ECC, a torn header. On all pages: the flash itself.
                Err(error) => {
                    failure = Some(error);
                    unreadable += 1;
                }
            }
        }
        match (newest, failure) {
            (Some(header), _) => Self::recover(pages, &header).await,
            (None, Some(error)) if unreadable == count => Err(Error::Flash(error)),
            (None, _) if other_layout => Err(Error::OtherLayout),
            (None, _) => Self::begin(pages, incarnation).await,
        }
    }

    /// Erases everything. The page with the newest numbers goes last, so that a cut in between leaves them standing.
    pub(super) async fn format(flash: F, incarnation: u16) -> Result<Self, Error<F::Error>> {
        let mut pages = Pages::new(flash)?;
        let mut newest: Option<u32> = None;
        for page in 0..pages.count() {
            if let Ok(Heading::Header(header)) = pages.heading(page).await {
                newest = newest.max(Some(header.sequence));
            }
        }
        let newest = newest.map_or(0, |newest| pages.place(newest));
        for page in newest + 1..=newest + pages.count() {
            pages.erase(page).await.map_err(Error::Flash)?;
        }
        Self::begin(pages, incarnation).await
    }

    async fn begin(pages: Pages<F>, incarnation: u16) -> Result<Self, Error<F::Error>> {
        let header = Header {
            pages: pages.count() as u16,
            incarnation,
            sequence: 0,
            starts: 0,
            appended: 0,
            head: 0,
            dropped: 0,
            newest: NO_IDS,
        };
        let mut log = Self::at(pages, &header);
        log.begin_page(&header).await?;
        Ok(log)
    }

    /// As it was when this page was begun.
    fn at(pages: Pages<F>, header: &Header) -> Self {
        Self {
            pages,
            incarnation: header.incarnation,
            sequence: header.sequence,
            oldest: header.sequence,
            tail: 0,
            closed: false,
            unsure: false,
            base: header.newest,
            starts: header.starts,
            appended: header.appended,
            newest: header.newest,
            head: header.head,
            dropped: header.dropped,
        }
    }

    /// Reads the newest page through, and finds where the oldest is.
    async fn recover(pages: Pages<F>, header: &Header) -> Result<Self, Error<F::Error>> {
        let mut log = Self::at(pages, header);
        let mut window = Window::new();
        for slot in 0..Pages::<F>::SLOTS {
            let found = log
                .pages
                .slot(&mut window, log.sequence, slot)
                .await
                .map_err(Error::Flash)?;
            match found {
                Slot::Erased => continue,
                Slot::Torn => {}
                Slot::Record(record) => log.replay(&record),
            }
            log.closed = slot >= Pages::<F>::DATA_SLOTS;
            log.tail = slot + 1;
        }
        if log.tail == 0 {
            // The cut may have come while the header was written: it may read well now and badly later.
            log.begin_page(header).await?;
        } else {
            // The last word before the cut may read as erased and yet be spoilt. Nothing is ever written there.
            log.tail += 1;
        }
        // The very oldest may be half erased, if the newest is closed. Then the start turns the page before anything is read.
        let after = log.sequence.saturating_add(1);
        let first = after.saturating_sub(log.pages.count());
        for sequence in first..log.sequence {
            if log.header(sequence).await?.is_some() {
                log.oldest = sequence;
                break;
            }
        }
        Ok(log)
    }

    fn replay(&mut self, record: &Record) {
        match *record {
            Record::Entry(packed) => {
                let ids = packed.ids(self.base);
                // Not greater: written once more, since it could not be read back at the time.
                if ids > self.newest {
                    self.newest = ids;
                    self.appended = self.appended.saturating_add(1);
                }
            }
            Record::Mark { head } => self.head = self.head.max(head),
            Record::Start { starts, appended } => {
                self.starts = starts;
                self.appended = appended;
                self.base = self.first_ids(starts);
            }
            Record::Base(ids) => self.base = ids,
            Record::Closing => {}
        }
    }

    fn first_ids(&self, starts: u32) -> Ids {
        Ids {
            boot: boot_number(self.incarnation, starts),
            seq: 0,
        }
    }

    /// Counts this start.
    pub(super) async fn start(&mut self) -> Result<(), Error<F::Error>> {
        let starts = self.starts.saturating_add(1);
        let mut tries = 1;
        loop {
            self.make_room(1).await?;
            let appended = self.appended;
            match self.put(&Record::Start { starts, appended }).await {
                // A start that was cut short without a trace has spoilt this very slot.
                Err(Error::NotKept) if tries < TRIES => tries += 1,
                result => return result,
            }
        }
    }

    pub(super) async fn append(&mut self, entry: &Entry) -> Result<(), Error<F::Error>> {
        if entry.ids <= self.newest {
            return Err(Error::NotRising);
        }
        let slots = 1 + u16::from(self.unsure || Packed::new(entry, self.base).is_none());
        self.make_room(slots).await?;
        if Packed::new(entry, self.base).is_none() {
            self.put(&Record::Base(entry.ids)).await?;
        }
        // Always some by now.
        match Packed::new(entry, self.base) {
            Some(packed) => self.put(&Record::Entry(packed)).await,
            None => Err(Error::NotRising),
        }
    }

    /// Writes down that the entries before this one are acknowledged.
    pub(super) async fn mark(&mut self, head: u32) -> Result<(), Error<F::Error>> {
        self.put(&Record::Mark { head }).await
    }

    /// Room for so many records in the page that is written to.
    pub(super) async fn make_room(&mut self, records: u16) -> Result<(), Error<F::Error>> {
        let records = records + u16::from(self.unsure);
        if self.closed || self.tail.saturating_add(records) > Pages::<F>::DATA_SLOTS {
            self.turn().await?;
        }
        if self.unsure {
            let (starts, appended) = (self.starts, self.appended);
            self.put(&Record::Start { starts, appended }).await?;
        }
        Ok(())
    }

    async fn put(&mut self, record: &Record) -> Result<(), Error<F::Error>> {
        self.keep(record).await?;
        self.replay(record);
        Ok(())
    }

    /// Writes a record to the next slot that takes it.
    async fn keep(&mut self, record: &Record) -> Result<(), Error<F::Error>> {
        // Until it has been read back; a caller that goes away in the middle leaves it so.
        self.unsure = true;
        for _ in 0..TRIES {
            let slot = self.tail;
            if slot >= Pages::<F>::DATA_SLOTS {
                break;
            }
            self.tail += 1;
            let kept = self.pages.write_slot(self.sequence, slot, record).await;
            if kept.map_err(Error::Flash)? {
                self.unsure = false;
                return Ok(());
            }
        }
        Err(Error::NotKept)
    }

    /// Goes on to the next page of the ring; the oldest entries are there, and make room. A cut or a failure anywhere in
    /// here, and it is done once more from its beginning.
    async fn turn(&mut self) -> Result<(), Error<F::Error>> {
        if !self.closed {
            for slot in self.tail.max(Pages::<F>::DATA_SLOTS)..Pages::<F>::SLOTS {
                self.tail = slot + 1;
                let kept = self.pages.write_slot(self.sequence, slot, &Record::Closing);
                if kept.await.map_err(Error::Flash)? {
                    break;
                }
            }
            self.closed = true;
        }
        let next = self.sequence.saturating_add(1);
        if let Some(dead) = next.checked_sub(self.pages.count()) {
            self.drop_through(dead).await?;
        }
        let header = self.header_for(next);
        self.begin_page(&header).await?;
        self.sequence = next;
        self.tail = 0;
        self.closed = false;
        self.unsure = false;
        self.base = header.newest;
        Ok(())
    }

    /// Erases the header's page and writes it there.
    async fn begin_page(&mut self, header: &Header) -> Result<(), Error<F::Error>> {
        let erased = self.pages.erase(header.sequence).await;
        erased.map_err(Error::Flash)?;
        let kept = self.pages.write_header(header).await;
        match kept.map_err(Error::Flash)? {
            true => Ok(()),
            false => Err(Error::NotKept),
        }
    }

    /// Takes a page and all before it off the log.
    async fn drop_through(&mut self, dead: u32) -> Result<(), Error<F::Error>> {
        let mut sequence = dead.saturating_add(1);
        let first = loop {
            match self.header(sequence).await? {
                Some(header) => break header.appended,
                None if sequence < self.sequence => sequence += 1,
                // Not even the newest page has a header: nothing is left.
                None => break self.appended,
            }
        };
        self.oldest = self.oldest.max(sequence);
        self.dropped = self.dropped.saturating_add(first.saturating_sub(self.head));
        self.head = self.head.max(first);
        Ok(())
    }

    fn header_for(&self, sequence: u32) -> Header {
        Header {
            pages: self.pages.count() as u16,
            incarnation: self.incarnation,
            sequence,
            starts: self.starts,
            appended: self.appended,
            head: self.head,
            dropped: self.dropped,
            newest: self.newest,
        }
    }

    /// A page's header; `None` if it is spoilt.
    async fn header(&mut self, sequence: u32) -> Result<Option<Header>, Error<F::Error>> {
        let heading = match self.pages.heading(sequence).await {
            Ok(heading) => heading,
            // If the newest page's can be read, it is not the flash that fails.
            Err(_) => {
                let newest = self.pages.heading(self.sequence).await;
                newest.map_err(Error::Flash)?;
                return Ok(None);
            }
        };
        Ok(match heading {
            Heading::Header(header)
                if header.sequence == sequence && header.incarnation == self.incarnation =>
            {
                Some(header)
            }
            _ => None,
        })
    }

    /// The beginning of the newest page for which this holds, or of the oldest. It holds for a page only if it does for
    /// all before.
    pub(super) async fn find(
        &mut self,
        holds: impl Fn(&Header) -> bool,
    ) -> Result<Place, Error<F::Error>> {
        // The page is among low..high, or it is the best so far.
        let (mut low, mut high) = (self.oldest, self.sequence.saturating_add(1));
        let mut best = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let mut asked = middle;
            let answer = loop {
                match self.header(asked).await? {
                    None if asked + 1 < high => asked += 1,
                    answer => break answer,
                }
            };
            match answer {
                Some(header) if (best.is_none() && asked == self.oldest) || holds(&header) => {
                    best = Some(Place::beginning(&header));
                    low = asked + 1;
                }
                _ => high = middle,
            }
        }
        let end = Place {
            sequence: self.sequence,
            slot: self.tail,
            base: self.base,
            before: self.newest,
            ordinal: self.appended,
        };
        Ok(best.unwrap_or(end))
    }

    /// The entry after a place, which moves behind it. `None`: that was all.
    pub(super) async fn next(
        &mut self,
        place: &mut Place,
        window: &mut Window,
    ) -> Result<Option<Found>, Error<F::Error>> {
        loop {
            let full = Pages::<F>::DATA_SLOTS;
            if place.sequence >= self.sequence && place.slot >= self.tail.min(full) {
                return Ok(None);
            }
            if place.slot >= full {
                let mut sequence = place.sequence.saturating_add(1);
                *place = loop {
                    match self.header(sequence).await? {
                        Some(header) => break Place::beginning(&header),
                        None if sequence < self.sequence => sequence += 1,
                        None => return Ok(None),
                    }
                };
                continue;
            }
            let slot = self.pages.slot(window, place.sequence, place.slot).await;
            let slot = slot.map_err(Error::Flash)?;
            place.slot += 1;
            match slot {
                Slot::Record(Record::Start { starts, appended }) => {
                    place.base = self.first_ids(starts);
                    place.ordinal = appended;
                }
                Slot::Record(Record::Base(ids)) => place.base = ids,
                Slot::Record(Record::Entry(packed)) => {
                    let ids = packed.ids(place.base);
                    if ids <= place.before {
                        continue;
                    }
                    let ordinal = place.ordinal;
                    place.ordinal = ordinal.saturating_add(1);
                    place.before = ids;
                    return Ok(Some(Found {
                        ordinal,
                        ids,
                        entry: packed.entry(place.base),
                    }));
                }
                Slot::Erased | Slot::Torn | Slot::Record(Record::Mark { .. } | Record::Closing) => {
                }
            }
        }
    }

    pub(super) fn has(&self, place: &Place) -> bool {
        place.sequence >= self.oldest
    }

    /// The ordinal of the first entry that is neither acknowledged nor dropped.
    pub(super) fn head(&self) -> u32 {
        self.head
    }

    /// The ordinal of the next entry to come.
    pub(super) fn appended(&self) -> u32 {
        self.appended
    }

    pub(super) fn pending(&self) -> u32 {
        self.appended.saturating_sub(self.head)
    }

    pub(super) fn dropped(&self) -> u32 {
        self.dropped
    }

    pub(super) fn newest(&self) -> Option<Ids> {
        (self.newest != NO_IDS).then_some(self.newest)
    }

    pub(super) fn boot(&self) -> u64 {
        boot_number(self.incarnation, self.starts)
    }

    pub(super) fn pages(&self) -> &Pages<F> {
        &self.pages
    }

    pub(super) fn into_pages(self) -> Pages<F> {
        self.pages
    }
}

/// An entry of the log.
pub(super) struct Found {
    pub(super) ordinal: u32,
    pub(super) ids: Ids,
    /// `None` if this version can't name its channel or fault.
    pub(super) entry: Option<Entry>,
}
