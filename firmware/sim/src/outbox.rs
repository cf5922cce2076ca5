//! An outbox on the heap: it grows with what is pending, so that a fleet that is connected costs next to nothing.

use std::{collections::VecDeque, convert::Infallible, ops::ControlFlow, sync::Arc};

use sen_node::{Entry, Storage};
use sen_wire::Ids;

use crate::fleet::Counters;

/// As many as a board keeps in a megabyte of flash.
const CAPACITY: usize = 16_384;

pub(crate) struct HeapOutbox {
    entries: VecDeque<Entry>,
    counters: Arc<Counters>,
    dropped: u32,
}

impl HeapOutbox {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self {
            entries: VecDeque::new(),
            counters,
            dropped: 0,
        }
    }
}

impl Storage for HeapOutbox {
    type Error = Infallible;

    async fn append(&mut self, entry: &Entry) -> Result<(), Infallible> {
        if self.entries.len() == CAPACITY {
            self.entries.pop_front();
            self.dropped = self.dropped.saturating_add(1);
            self.counters.dropped();
        }
        self.entries.push_back(*entry);
        Ok(())
    }

    async fn visit(
        &mut self,
        from: Ids,
        mut visitor: impl FnMut(&Entry) -> ControlFlow<()>,
    ) -> Result<(), Infallible> {
        let start = self.entries.partition_point(|entry| entry.ids < from);
        let _ = self.entries.range(start..).try_for_each(&mut visitor);
        Ok(())
    }

    async fn acknowledge(&mut self, through: Ids) -> Result<(), Infallible> {
        let freed = self.entries.partition_point(|entry| entry.ids <= through);
        self.entries.drain(..freed);
        self.entries.shrink_to(1_024);
        self.counters.receipted(freed);
        Ok(())
    }

    fn pending(&self) -> u32 {
        self.entries.len() as u32
    }

    fn dropped(&self) -> u32 {
        self.dropped
    }
}
