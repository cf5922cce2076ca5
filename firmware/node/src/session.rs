//! What is under way to the gateway: a window of packs in flight, and when each has to go again.
//!
//! MQTT's own acknowledgement speaks for one hop and is not looked at here. A pack stays in flight until receipts have
//! named all its readings; it goes again after a time-out and after each reconnect. Readings are freed from the front only:
//! storage has one mark. A pack that is receipted out of turn waits, done, for those before it.
//!
//! **Rest.** A node whose configuration names a listen window takes its link down when the window is over and everything is
//! receipted, and connects again when it has something to send. Receipts that do not come keep it up for
//! [`OVERTIME_MS`] at most; where connecting fails time and again it tries no oftener than it would have sent, so that an
//! outage of the network does not empty the battery.

use sen_wire::{Ids, Receipt};

/// Packs in flight at once: enough to hide the round trip of a slow link, few enough for a broker's small queue.
pub const WINDOW: usize = 4;

/// Longest first wait for a receipt; it doubles from the third try on, up to eight times. Once a round trip was measured, four of
/// them are enough, but no less than the shortest.
const RESEND_MS: u64 = 30_000;
const RESEND_LEAST_MS: u64 = 3_000;

/// A pack that one sent after it has overtaken is taken for lost, after this wait: MQTT keeps the order, so does the gateway.
const OVERTAKEN_MS: u64 = 1_000;

/// Wait before connecting again: doubles with each failure, up to [`RECONNECT_MAX_MS`], plus up to half as much by node, so
/// that a hundred nodes do not come back in the same second after a power cut.
const RECONNECT_MS: u64 = 1_000;
const RECONNECT_MAX_MS: u64 = 64_000;

/// A node without a clock holds its packs so long after a connect: the hello's receipt brings the time.
const CLOCK_GRACE_MS: u64 = 10_000;

/// Wait after storage could not be read.
const STORAGE_RETRY_MS: u64 = 10_000;

/// How long after its listen window a node that rests waits for receipts.
pub const OVERTIME_MS: u64 = 60_000;

/// Failures in a row after which a node that rests no longer hurries.
const PATIENT_FROM: u32 = 3;

/// All nodes sample in the same second; those that rest connect within so many milliseconds after it.
const SPREAD_MS: u64 = 20_000;

/// A pack under way: readings `first..=last` of one boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pack {
    pub(crate) boot: u64,
    pub(crate) first: u32,
    pub(crate) last: u32,
    /// When to send it again; `None`: receipted.
    resend_at: Option<u64>,
    tries: u32,
    /// When it went out; `None` once it went out again.
    sent_at: Option<u64>,
}

impl Pack {
    pub(crate) fn end(&self) -> Ids {
        Ids {
            boot: self.boot,
            seq: self.last,
        }
    }
}

/// What the node may send next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Hello,
    /// The in-flight pack at this place, again.
    Again(usize),
    /// A new pack.
    New,
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Session {
    connected_at: Option<u64>,
    hello_due: bool,
    /// No pack goes before.
    hold_until: u64,
    in_flight: heapless::Vec<Pack, WINDOW>,
    resend_ms: u64,
    failures: u32,
    reconnect_at: u64,
    /// The same for a reading that can't wait.
    hurried_at: u64,
    /// Down because there was nothing to do, not because it failed.
    resting: bool,
    jitter: u64,
}

impl Session {
    /// `salt` spreads the reconnects of different nodes.
    pub(crate) fn new(salt: &str) -> Self {
        // FNV-1a.
        let jitter = salt.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self {
            connected_at: None,
            hello_due: false,
            hold_until: 0,
            in_flight: heapless::Vec::new(),
            resend_ms: RESEND_MS,
            failures: 0,
            reconnect_at: 0,
            hurried_at: 0,
            resting: false,
            jitter,
        }
    }

    /// When to connect; `None`: connected. `unsent` as for [`turn`](Self::turn); `urgent`: it can't wait.
    pub(crate) fn connect_at(&self, unsent: Option<u64>, urgent: bool) -> Option<u64> {
        match (self.connected_at, urgent) {
            (Some(_), _) => None,
            (None, true) => Some(self.hurried_at),
            (None, false) if self.resting => {
                Some(unsent.map_or(u64::MAX, |at| at.saturating_add(self.jitter % SPREAD_MS)))
            }
            (None, false) => Some(self.reconnect_at),
        }
    }

    /// True while the link is down because there was nothing to do.
    pub(crate) fn is_resting(&self) -> bool {
        self.resting
    }

    /// When a node with this listen window shall take its link down; `None`: it is down.
    pub(crate) fn rest_at(&self, listen_ms: u64, unsent: Option<u64>) -> Option<u64> {
        let over = self.connected_at?.saturating_add(listen_ms);
        let at_work = !self.is_settled() || unsent.is_some_and(|at| at <= over);
        Some(if at_work { over + OVERTIME_MS } else { over })
    }

    /// The link was taken down to rest. If something was still under way, that was a failure; see
    /// [`disconnected`](Self::disconnected).
    pub(crate) fn rested(&mut self, now: u64, patience_ms: u64) {
        let settled = self.is_settled();
        self.disconnected(now, Some(patience_ms));
        if settled {
            self.failures = 0;
            self.hurried_at = now;
            self.resting = true;
        }
    }

    fn is_settled(&self) -> bool {
        !self.hello_due && self.in_flight.is_empty()
    }

    pub(crate) fn connected(&mut self, now: u64, clock_set: bool) {
        self.connected_at = Some(now);
        self.resting = false;
        self.hello_due = true;
        self.hold_until = if clock_set { now } else { now + CLOCK_GRACE_MS };
        for pack in &mut self.in_flight {
            pack.resend_at = pack.resend_at.map(|_| now);
            pack.tries = 0;
        }
    }

    /// The link failed. `patience_ms`: how long a node that rests waits once it has failed a few times.
    pub(crate) fn disconnected(&mut self, now: u64, patience_ms: Option<u64>) {
        self.connected_at = None;
        self.resting = false;
        let wait = (RECONNECT_MS << self.failures.min(6)).min(RECONNECT_MAX_MS);
        self.failures = self.failures.saturating_add(1);
        let patience = patience_ms.filter(|_| self.failures > PATIENT_FROM);
        self.jitter = self
            .jitter
            .rotate_left(7)
            .wrapping_mul(0x2545_f491_4f6c_dd1d);
        let spread = self.jitter % (wait / 2);
        self.hurried_at = now + wait + spread;
        self.reconnect_at = now + patience.unwrap_or(0).max(wait) + spread;
    }

    /// What the last hello said is no longer so.
    pub(crate) fn hello_again(&mut self) {
        self.hello_due = true;
    }

    /// The clock is set: packs need wait for it no longer.
    pub(crate) fn release(&mut self) {
        self.hold_until = 0;
    }

    /// Storage could not be read: try again in a while.
    pub(crate) fn storage_failed(&mut self, now: u64) {
        self.hold_until = now + STORAGE_RETRY_MS;
    }

    /// What may go now. `unsent`: since when a pack of new readings is ready to go, if at all.
    pub(crate) fn turn(&self, now: u64, unsent: Option<u64>) -> Turn {
        if self.connected_at.is_none() {
            return Turn::Nothing;
        }
        if self.hello_due {
            return Turn::Hello;
        }
        if now < self.hold_until {
            return Turn::Nothing;
        }
        let due = |pack: &Pack| pack.resend_at.is_some_and(|at| at <= now);
        match self.in_flight.iter().position(due) {
            Some(place) => Turn::Again(place),
            None if !self.in_flight.is_full() && unsent.is_some_and(|at| at <= now) => Turn::New,
            None => Turn::Nothing,
        }
    }

    /// When [`turn`](Self::turn) will have something, if nothing comes in before.
    pub(crate) fn wake_at(&self, unsent: Option<u64>) -> u64 {
        if self.connected_at.is_none() {
            return u64::MAX;
        }
        if self.hello_due {
            return 0;
        }
        let again = self
            .in_flight
            .iter()
            .filter_map(|pack| pack.resend_at)
            .min();
        let new = unsent.filter(|_| !self.in_flight.is_full());
        again
            .into_iter()
            .chain(new)
            .min()
            .map_or(u64::MAX, |at| at.max(self.hold_until))
    }

    pub(crate) fn hello_sent(&mut self) {
        self.hello_due = false;
    }

    pub(crate) fn pack(&self, place: usize) -> Option<Pack> {
        self.in_flight.get(place).copied()
    }

    /// A new pack is on its way.
    pub(crate) fn sent(&mut self, first: Ids, last: u32, now: u64) {
        let pack = Pack {
            boot: first.boot,
            first: first.seq,
            last,
            resend_at: Some(now + self.resend_ms),
            tries: 0,
            sent_at: Some(now),
        };
        // There is room: turn() said New.
        let _ = self.in_flight.push(pack);
    }

    /// The pack at `place` went again, with what of it was still there and fitted. If its end no longer fitted (times are
    /// longer once the clock is set), it and all packs after it are cut off, to be packed anew; returns the last reading
    /// that stays in flight then.
    pub(crate) fn sent_again(
        &mut self,
        place: usize,
        first: u32,
        last: u32,
        now: u64,
    ) -> Option<Ids> {
        let pack = self.in_flight.get_mut(place)?;
        pack.resend_at = Some(now + (self.resend_ms << pack.tries.min(3)));
        pack.tries = pack.tries.saturating_add(1);
        pack.sent_at = None;
        pack.first = first;
        if last == pack.last {
            return None;
        }
        pack.last = last;
        let end = pack.end();
        self.in_flight.truncate(place + 1);
        Some(end)
    }

    /// The pack at `place` is no longer in the outbox: it was the oldest when there was no room.
    pub(crate) fn gone(&mut self, place: usize) {
        if place < self.in_flight.len() {
            self.in_flight.remove(place);
        }
    }

    /// A receipt came.
    pub(crate) fn receipt(&mut self, now: u64, receipt: &Receipt) -> Effect {
        // The link is good for something: the next failure is the first.
        self.failures = 0;
        let range = receipt.range();
        let mut effect = Effect::default();
        let mut front = true;
        for pack in &mut self.in_flight {
            if pack.boot == receipt.boot && range.contains(&pack.first) {
                if range.contains(&pack.last) {
                    let answered = pack.resend_at.take().and(pack.sent_at);
                    let round_trip = answered.map(|at| now.saturating_sub(at));
                    if let Some(round_trip) = round_trip.filter(|ms| *ms < RESEND_MS) {
                        effect.fresh = true;
                        // Up at once, down slowly.
                        let calmer = self.resend_ms - self.resend_ms / 8;
                        self.resend_ms =
                            calmer.max(4 * round_trip).clamp(RESEND_LEAST_MS, RESEND_MS);
                    }
                } else if front {
                    pack.first = receipt.through + 1;
                    effect.freed = Some(Ids {
                        boot: pack.boot,
                        seq: receipt.through,
                    });
                }
            }
            front &= pack.resend_at.is_none();
        }
        let last_done = self
            .in_flight
            .iter()
            .rposition(|pack| pack.resend_at.is_none());
        for pack in self.in_flight.iter_mut().take(last_done.unwrap_or(0)) {
            pack.resend_at = pack.resend_at.map(|at| at.min(now + OVERTAKEN_MS));
        }
        let done = self
            .in_flight
            .iter()
            .take_while(|pack| pack.resend_at.is_none())
            .count();
        if let Some(last) = done.checked_sub(1).and_then(|last| self.pack(last)) {
            effect.freed = effect.freed.max(Some(last.end()));
        }
        self.in_flight.drain(..done);
        effect
    }
}

/// What a receipt brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    /// Up to where the outbox can be freed.
    pub(crate) freed: Option<Ids>,
    /// It answers a pack that went out once and just now: the receipt, and the time in it, was made since.
    pub(crate) fresh: bool,
}

#[cfg(test)]
mod tests;
