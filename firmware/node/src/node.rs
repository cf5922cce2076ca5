//! The node as a state machine: told the uptime and what happened, it says what to publish and when to wake it.

mod configure;

use core::ops::ControlFlow;

use sen_wire::{
    Channel, Hello, Ids, NodeConfig, NodeId, Reading, Receipt, Refusal, ResetReason, channel,
    config, limits::MAX_PACK_RECORDS, senml::PackWriter, topic::Kind,
};

use self::configure::restored;
use crate::{
    calibration::calibrated,
    clock::Clock,
    outbox::{Entry, Storage},
    sample::{Sample, Samples},
    schedule::Schedule,
    session::{Session, Turn},
    settings::{NoSettings, Settings},
    urgency::Urgency,
};

/// Who the node is and how it came to run.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its id.
    pub node: NodeId,
    /// Firmware version, at most 16 bytes.
    pub firmware: &'static str,
    /// Board, at most 16 bytes.
    pub board: &'static str,
    /// Why it started.
    pub reset_reason: ResetReason,
    /// This start, greater than every one before: [`FlashOutbox::boot`](crate::FlashOutbox::boot), or a [`boot_number`] that
    /// the board counts in storage of its own before it calls [`Node::start`]. A number that is used twice would give two
    /// readings the same place.
    pub boot: u64,
}

/// A boot number from the incarnation of the node's storage (random when it was formatted) and its count of starts.
pub const fn boot_number(incarnation: u16, starts: u32) -> u64 {
    (incarnation as u64) << 32 | starts as u64
}

/// What the node can only ask its board for, for the hello.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vitals {
    /// Battery, millivolts.
    pub battery_mv: Option<u16>,
    /// Received signal strength, dBm.
    pub rssi_dbm: Option<i16>,
}

/// Readings that make a pack worth sending before its time.
const FULL_PACK: u32 = MAX_PACK_RECORDS as u32;

/// A node that rests waits at least so long once connecting has failed a few times, milliseconds.
const LEAST_PATIENCE_MS: u64 = 900_000;

/// A node over its outbox and what keeps its configuration.
#[derive(Debug)]
pub struct Node<S, C = NoSettings> {
    identity: Identity,
    config: NodeConfig,
    settings: C,
    /// The channels that the board has; `None`: not known.
    board: Option<&'static [Channel]>,
    /// The last configuration that was refused, since one was taken.
    refused: Option<Refusal>,
    urgency: Urgency,
    /// The newest reading of a sweep that passed a limit.
    urgent: Option<Ids>,
    clock: Clock,
    schedule: Schedule,
    session: Session,
    storage: S,
    next_seq: u32,
    /// The newest reading recorded, in whichever boot.
    newest: Option<Ids>,
    /// The newest reading that is or was in flight.
    sent: Option<Ids>,
    /// When the oldest reading that was never in flight was recorded.
    waiting_since: u64,
    /// When the newest reading was recorded, and the sample after it is due.
    recorded_at: u64,
    next_sample_at: u64,
    /// Receipted, but storage would not take the mark yet.
    to_acknowledge: Option<Ids>,
    storage_errors: u32,
}

impl<S: Storage> Node<S> {
    /// Starts over what an earlier boot left in the outbox. The configuration is forgotten at each reset.
    pub async fn start(
        identity: Identity,
        config: NodeConfig,
        storage: S,
    ) -> Result<Self, S::Error> {
        Self::start_with(identity, config, storage, NoSettings, None).await
    }
}

impl<S: Storage, C: Settings> Node<S, C> {
    /// Starts over what an earlier boot left in the outbox, with the configuration that it left in `settings`; with
    /// `default` if there is none, or none that this firmware takes. `board`: the channels that the board has probes for; a
    /// configuration that names others is refused.
    pub async fn start_with(
        identity: Identity,
        default: NodeConfig,
        mut storage: S,
        mut settings: C,
        board: Option<&'static [Channel]>,
    ) -> Result<Self, S::Error> {
        let (config, refused) = restored(default, &mut settings, board).await;
        let mut clock = Clock::new(identity.boot);
        let mut newest = None;
        let all = Ids { boot: 0, seq: 0 };
        storage
            .visit(all, |entry| {
                clock.saw(entry.ids.boot, entry.stamp);
                newest = Some(entry.ids);
                ControlFlow::Continue(())
            })
            .await?;
        Ok(Self {
            session: Session::new(&identity.node),
            schedule: Schedule::new(config.sample_every_s),
            clock,
            identity,
            config,
            settings,
            board,
            refused,
            urgency: Urgency::default(),
            urgent: None,
            storage,
            next_seq: 0,
            newest,
            sent: None,
            waiting_since: 0,
            recorded_at: 0,
            next_sample_at: 0,
            to_acknowledge: None,
            storage_errors: 0,
        })
    }

    /// The configuration in force.
    pub fn config(&self) -> &NodeConfig {
        &self.config
    }

    /// The last configuration that was refused, if none was taken since.
    pub fn refused(&self) -> Option<Refusal> {
        self.refused
    }

    /// Its clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Its outbox.
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// Its outbox, for the board to look after; entries come and go through the node only.
    pub fn storage_mut(&mut self) -> &mut S {
        &mut self.storage
    }

    /// Ends the node, as a power cut does: the outbox is what stays.
    pub fn into_storage(self) -> S {
        self.storage
    }

    /// How often storage failed: each time a reading was lost, or will be sent once more.
    pub fn storage_errors(&self) -> u32 {
        self.storage_errors
    }

    /// The uptime at which to sample next.
    pub fn sample_at(&self, now: u64) -> u64 {
        let wall = self.clock.wall(now);
        now.saturating_add_signed(self.schedule.next(wall) - wall)
    }

    /// Takes a sweep's samples and calibrates them. Each gets its place in the sequence here, once.
    pub async fn record(&mut self, now: u64, samples: &Samples) {
        self.schedule.mark_done(self.clock.wall(now));
        self.recorded_at = now;
        self.next_sample_at = self.sample_at(now);
        let values: heapless::Vec<Sample, { sen_wire::limits::MAX_CONFIG_CHANNELS }> = samples
            .as_slice()
            .iter()
            .map(|sample| Sample {
                value: calibrated(&self.config, samples, sample),
                ..*sample
            })
            .collect();
        let stamp = samples
            .at()
            .map_or_else(|| self.clock.stamp(now), crate::Stamp::Utc);
        for sample in &values {
            let ids = Ids {
                boot: self.identity.boot,
                seq: self.next_seq,
            };
            // A reading that storage refuses keeps its number: the gateway shall see the hole.
            self.next_seq = self.next_seq.saturating_add(1);
            let entry = Entry {
                ids,
                channel: sample.channel,
                value: sample.value,
                stamp,
            };
            if self.storage.append(&entry).await.is_err() {
                self.storage_errors = self.storage_errors.saturating_add(1);
                continue;
            }
            if self.sent >= self.newest {
                self.waiting_since = now;
            }
            self.newest = Some(ids);
        }
        if self.urgency.passes(&self.config.limits, &values) {
            self.urgent = self.newest;
        }
    }

    /// The uptime at which to connect; `None`: connected. A sample may bring it forward.
    pub fn connect_at(&self) -> Option<u64> {
        self.session.connect_at(self.unsent(), self.is_urgent())
    }

    /// The uptime at which to take the link down until [`connect_at`](Self::connect_at); `None`: it stays up, or is down.
    pub fn rest_at(&self) -> Option<u64> {
        let listen_ms = u64::from(self.config.listen_s?) * 1000;
        self.session.rest_at(listen_ms, self.unsent())
    }

    /// The link was taken down to rest.
    pub fn rested(&mut self, now: u64) {
        self.session.rested(now, self.patience_ms());
    }

    fn patience_ms(&self) -> u64 {
        (u64::from(self.config.send_every_s) * 1000).max(LEAST_PATIENCE_MS)
    }

    fn is_urgent(&self) -> bool {
        self.urgent > self.sent
    }

    /// The link is up, subscribed to the node's receipt and config topics.
    pub fn connected(&mut self, now: u64) {
        self.session.connected(now, self.clock.utc(now).is_some());
    }

    /// The link is down, or would not come up.
    pub fn disconnected(&mut self, now: u64) {
        let patience = self.config.listen_s.map(|_| self.patience_ms());
        self.session.disconnected(now, patience);
    }

    /// The next message to publish, written to the front of `buffer`: its kind and length. Call until it is `None`. The
    /// buffer holds [`MAX_PACK_BYTES`](sen_wire::limits::MAX_PACK_BYTES).
    pub async fn poll(
        &mut self,
        now: u64,
        vitals: Vitals,
        buffer: &mut [u8],
    ) -> Option<(Kind, usize)> {
        loop {
            match self.session.turn(now, self.unsent()) {
                Turn::Nothing => return None,
                Turn::Hello => {
                    self.session.hello_sent();
                    let channel = self.refused.and_then(|refused| refused.channel);
                    let channel = channel.map(Channel::code).unwrap_or_default();
                    let hello = self.hello(now, vitals, &channel);
                    // Texts longer than the protocol allows are the board's mistake: then there is no hello, but data.
                    if let Ok(bytes) = hello.encode(buffer) {
                        return Some((Kind::Hello, bytes.len()));
                    }
                }
                Turn::Again(place) => {
                    let pack = self.session.pack(place)?;
                    let first = Ids {
                        boot: pack.boot,
                        seq: pack.first,
                    };
                    let Some((first, last, length)) =
                        self.pack(now, first, Some(pack.end()), buffer).await?
                    else {
                        self.session.gone(place);
                        continue;
                    };
                    if let Some(end) = self.session.sent_again(place, first.seq, last, now) {
                        self.sent = Some(end);
                    }
                    return Some((Kind::Pack, length));
                }
                Turn::New => {
                    let from = self.sent.map_or(Ids { boot: 0, seq: 0 }, after);
                    let Some((first, last, length)) = self.pack(now, from, None, buffer).await?
                    else {
                        self.sent = self.newest;
                        continue;
                    };
                    self.session.sent(first, last, now);
                    self.sent = Some(Ids {
                        boot: first.boot,
                        seq: last,
                    });
                    return Some((Kind::Pack, length));
                }
            }
        }
    }

    /// The uptime at which [`poll`](Self::poll) will have something, if nothing comes in before.
    pub fn wake_at(&self) -> u64 {
        self.session.wake_at(self.unsent())
    }

    /// A message came down. What can't be read is ignored: the gateway repeats what matters.
    pub async fn receive(&mut self, now: u64, kind: Kind, payload: &[u8]) {
        match kind {
            Kind::Receipt => {
                let Ok(receipt) = Receipt::decode(payload) else {
                    return;
                };
                let effect = self.session.receipt(now, &receipt);
                self.to_acknowledge = self.to_acknowledge.max(effect.freed);
                if let Some(through) = self.to_acknowledge {
                    match self.storage.acknowledge(through).await {
                        Ok(()) => self.to_acknowledge = None,
                        Err(_) => self.storage_errors = self.storage_errors.saturating_add(1),
                    }
                }
                let Some(utc_ms) = receipt.time() else {
                    // The gateway answers and has no time to give: waiting for it is of no use.
                    self.session.release();
                    return;
                };
                if self.clock.sync(now, utc_ms, effect.fresh) {
                    self.session.release();
                    // The slots lie elsewhere now; the one that we are in was sampled when it was still called otherwise.
                    self.schedule.mark_done(self.clock.wall(now));
                }
            }
            Kind::Config => self.receive_config(now, payload).await,
            Kind::Pack | Kind::Hello => {}
        }
    }

    /// When the readings that were never in flight are to go: at once if they fill a pack or stem from an earlier boot,
    /// else when the oldest has waited long enough. `None`: there are none.
    fn unsent(&self) -> Option<u64> {
        let newest = self.newest.filter(|newest| Some(*newest) > self.sent)?;
        let waiting = match self.sent {
            Some(sent) if sent.boot == newest.boot => newest.seq - sent.seq,
            _ if newest.boot == self.identity.boot => newest.seq.saturating_add(1),
            _ => FULL_PACK,
        };
        // A node that rests comes for many packs at once.
        if self.is_urgent() || waiting >= FULL_PACK && !self.session.is_resting() {
            return Some(0);
        }
        let due = self.waiting_since + u64::from(self.config.send_every_s) * 1000;
        // Nothing more would come to travel with: a node that rests need not wait for it.
        let alone = self.config.listen_s.is_some() && due <= self.next_sample_at;
        Some(if alone { self.recorded_at } else { due })
    }

    /// Packs the entries from `from` on: as many as fit, are of one boot and follow each other, and are not past `end`.
    /// Returns the first, the last one's number and the pack's length; `Some(None)` if there is no such entry, `None` if
    /// storage can't be read for now.
    async fn pack(
        &mut self,
        now: u64,
        from: Ids,
        end: Option<Ids>,
        buffer: &mut [u8],
    ) -> Option<Option<(Ids, u32, usize)>> {
        let clock = &self.clock;
        let mut pack: Option<(Ids, PackWriter<'_>)> = None;
        let mut buffer = Some(buffer);
        let visited = self
            .storage
            .visit(from, |entry| {
                if end.is_some_and(|end| entry.ids > end) {
                    return ControlFlow::Break(());
                }
                let (time, estimated) = clock.place(entry.ids.boot, entry.stamp, now);
                let reading = Reading {
                    channel: entry.channel,
                    value: entry.value,
                    time,
                    estimated,
                };
                if let Some(buffer) = buffer.take() {
                    pack = Some((entry.ids, PackWriter::new(buffer, Some(entry.ids))));
                }
                let Some((first, writer)) = &mut pack else {
                    return ControlFlow::Break(());
                };
                let expected = Ids {
                    boot: first.boot,
                    seq: first.seq.saturating_add(writer.len() as u32),
                };
                match entry.ids == expected && writer.push(&reading).is_ok() {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            })
            .await;
        if visited.is_err() {
            self.storage_errors = self.storage_errors.saturating_add(1);
            self.session.storage_failed(now);
            return None;
        }
        Some(
            pack.filter(|(_, writer)| !writer.is_empty())
                .map(|(first, writer)| {
                    let last = first.seq + (writer.len() as u32 - 1);
                    (first, last, writer.finish().len())
                }),
        )
    }

    fn hello<'a>(
        &self,
        now: u64,
        vitals: Vitals,
        refused_channel: &'a heapless::String<{ channel::MAX_CODE }>,
    ) -> Hello<'a> {
        Hello {
            firmware: Some(self.identity.firmware),
            board: Some(self.identity.board),
            boot: Some(self.identity.boot),
            reset_reason: Some(self.identity.reset_reason),
            battery_mv: vitals.battery_mv,
            rssi_dbm: vitals.rssi_dbm,
            config_version: Some(self.config.version),
            dropped: Some(self.storage.dropped()),
            pending: Some(self.storage.pending()),
            uptime_ms: Some(now),
            refused_version: self.refused.and_then(|refused| refused.version),
            refused_reason: self.refused.map(|refused| refused.reason),
            refused_channel: Some(refused_channel.as_str()).filter(|code| !code.is_empty()),
            config_format: Some(config::FORMAT),
        }
    }
}

/// The place after this one in the same boot.
fn after(ids: Ids) -> Ids {
    Ids {
        boot: ids.boot,
        seq: ids.seq.saturating_add(1),
    }
}
