//! The outbox: readings that no receipt has named yet, oldest first.
//!
//! [`Storage`] asks for what NOR flash gives: an append-only queue, and beside it one mark "acknowledged up to here". No
//! record is ever rewritten, so a power cut leaves either the old state or the new one. A mark that was not written in time
//! only means that some readings are sent again, and the gateway knows them by their (boot, sequence).

use core::{fmt::Debug, ops::ControlFlow};

use sen_wire::{Channel, Ids, Value};

use crate::clock::Stamp;

/// A reading in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the node's sequence, for good.
    pub ids: Ids,
    /// What was measured.
    pub channel: Channel,
    /// What came out.
    pub value: Value,
    /// When.
    pub stamp: Stamp,
}

/// A bounded queue of entries that outlives a restart (on a board) or at least a lost connection (in RAM).
///
/// Entries are appended with rising [`Ids`]. When there is no room, the oldest go first and are counted.
#[allow(
    async_fn_in_trait,
    reason = "used through generics only: no caller needs to name Send"
)]
pub trait Storage {
    /// What can go wrong with it.
    type Error: Debug;

    /// Appends an entry. If the oldest had to make room, they count as dropped unless they were acknowledged.
    async fn append(&mut self, entry: &Entry) -> Result<(), Self::Error>;

    /// Visits the entries from `from` on (itself included), oldest first, until the visitor breaks. Acknowledged ones are
    /// left out. Calls mostly continue where the one before ended: an implementation does well to remember that place.
    async fn visit(
        &mut self,
        from: Ids,
        visitor: impl FnMut(&Entry) -> ControlFlow<()>,
    ) -> Result<(), Self::Error>;

    /// All entries up to `through` (itself included) are on the gateway's disk.
    async fn acknowledge(&mut self, through: Ids) -> Result<(), Self::Error>;

    /// How many entries are not acknowledged.
    fn pending(&self) -> u32;

    /// How many entries were dropped for want of room since the storage was formatted.
    fn dropped(&self) -> u32;
}

/// An outbox of `N` entries in RAM: survives any lost connection, but no restart.
#[derive(Clone, Debug, Default)]
pub struct RamOutbox<const N: usize> {
    entries: heapless::Deque<Entry, N>,
    dropped: u32,
}

impl<const N: usize> RamOutbox<N> {
    /// An empty outbox.
    pub const fn new() -> Self {
        Self {
            entries: heapless::Deque::new(),
            dropped: 0,
        }
    }
}

impl<const N: usize> Storage for RamOutbox<N> {
    type Error = core::convert::Infallible;

    async fn append(&mut self, entry: &Entry) -> Result<(), Self::Error> {
        if self.entries.is_full() {
            self.entries.pop_front();
            self.dropped = self.dropped.saturating_add(1);
        }
        // Full after making room: an outbox of no entries at all.
        let _ = self.entries.push_back(*entry);
        Ok(())
    }

    async fn visit(
        &mut self,
        from: Ids,
        mut visitor: impl FnMut(&Entry) -> ControlFlow<()>,
    ) -> Result<(), Self::Error> {
        let _ = self
            .entries
            .iter()
            .skip_while(|entry| entry.ids < from)
            .try_for_each(&mut visitor);
        Ok(())
    }

    async fn acknowledge(&mut self, through: Ids) -> Result<(), Self::Error> {
        while self
            .entries
            .front()
            .is_some_and(|entry| entry.ids <= through)
        {
            self.entries.pop_front();
        }
        Ok(())
    }

    fn pending(&self) -> u32 {
        self.entries.len() as u32
    }

    fn dropped(&self) -> u32 {
        self.dropped
    }
}

/// A board keeps a big outbox in a static, not on the stack.
impl<S: Storage> Storage for &mut S {
    type Error = S::Error;

    async fn append(&mut self, entry: &Entry) -> Result<(), Self::Error> {
        (**self).append(entry).await
    }

    async fn visit(
        &mut self,
        from: Ids,
        visitor: impl FnMut(&Entry) -> ControlFlow<()>,
    ) -> Result<(), Self::Error> {
        (**self).visit(from, visitor).await
    }

    async fn acknowledge(&mut self, through: Ids) -> Result<(), Self::Error> {
        (**self).acknowledge(through).await
    }

    fn pending(&self) -> u32 {
        (**self).pending()
    }

    fn dropped(&self) -> u32 {
        (**self).dropped()
    }
}
