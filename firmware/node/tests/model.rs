//! The node against a link and a gateway that misbehave: receipts lost, doubled, delayed and out of turn; packs lost;
//! connections cut; power cut; an outbox that overflows. Deterministic: a failure names the seed.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::ControlFlow,
};

use embassy_futures::block_on;
use sen_node::{
    Entry, Identity, Node, RamOutbox, Samples, Storage, node::Vitals, node::boot_number,
};
use sen_wire::{
    Decimal, Hello, Ids, NodeConfig, Quantity, Reading, Receipt, ResetReason, Time, Value,
    limits::MAX_PACK_BYTES, senml::read_pack, topic::Kind,
};

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % n
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// The outbox that a board would have in flash: it keeps a log of what left it, and fails now and then.
struct Watched<const N: usize> {
    inner: RamOutbox<N>,
    acknowledged: BTreeSet<Ids>,
    dropped: BTreeSet<Ids>,
    appended: BTreeSet<Ids>,
    dice: Dice,
    fails: u64,
}

impl<const N: usize> Watched<N> {
    fn new(seed: u64, fails: u64) -> Self {
        Self {
            inner: RamOutbox::new(),
            acknowledged: BTreeSet::new(),
            dropped: BTreeSet::new(),
            appended: BTreeSet::new(),
            dice: Dice(seed),
            fails,
        }
    }

    fn ids(&self) -> BTreeSet<Ids> {
        let mut ids = BTreeSet::new();
        let all = Ids { boot: 0, seq: 0 };
        let Ok(()) = block_on(self.inner.clone().visit(all, |entry| {
            ids.insert(entry.ids);
            ControlFlow::Continue(())
        }));
        ids
    }

    fn try_it(&mut self) -> Result<(), ()> {
        if self.dice.percent(self.fails) {
            Err(())
        } else {
            Ok(())
        }
    }
}

impl<const N: usize> Storage for Watched<N> {
    type Error = ();

    async fn append(&mut self, entry: &Entry) -> Result<(), ()> {
        self.try_it()?;
        assert!(
            self.appended.last() < Some(&entry.ids),
            "appended in order, and once"
        );
        let before = self.ids();
        let Ok(()) = self.inner.append(entry).await;
        self.dropped.extend(before.difference(&self.ids()));
        self.appended.insert(entry.ids);
        Ok(())
    }

    async fn visit(
        &mut self,
        from: Ids,
        visitor: impl FnMut(&Entry) -> ControlFlow<()>,
    ) -> Result<(), ()> {
        self.try_it()?;
        let Ok(()) = self.inner.visit(from, visitor).await;
        Ok(())
    }

    async fn acknowledge(&mut self, through: Ids) -> Result<(), ()> {
        self.try_it()?;
        let before = self.ids();
        let Ok(()) = self.inner.acknowledge(through).await;
        self.acknowledged.extend(before.difference(&self.ids()));
        Ok(())
    }

    fn pending(&self) -> u32 {
        self.inner.pending()
    }

    fn dropped(&self) -> u32 {
        self.inner.dropped()
    }
}

/// The gateway's side: what is on disk, and receipts as the contract says them.
#[derive(Default)]
struct Gateway {
    journal: BTreeMap<Ids, Reading>,
    hellos: usize,
}

impl Gateway {
    fn receive(&mut self, kind: Kind, payload: &[u8], now_utc: i64) -> Receipt {
        if kind == Kind::Hello {
            let hello = Hello::decode(payload).expect("a hello");
            self.hellos += 1;
            return Receipt::time_only(hello.boot.expect("a boot"), now_utc);
        }
        let mut readings = Vec::new();
        let head = read_pack(payload, &mut |_, record| {
            let mut reading = record
                .and_then(|record| record.resolve())
                .expect("a reading");
            if let Time::Relative(ms) = reading.time {
                reading.time = Time::Absolute(now_utc + ms);
            }
            assert!(
                matches!(reading.time, Time::Absolute(at) if at <= now_utc),
                "taken after it arrived: {reading:?}"
            );
            readings.push(reading);
        })
        .expect("a pack");
        let Ids { boot, seq } = head.ids.expect("ids");
        for (seq, reading) in (seq..).zip(readings) {
            let known = self.journal.entry(Ids { boot, seq }).or_insert(reading);
            assert_eq!(
                (known.channel, known.value),
                (reading.channel, reading.value),
                "one place, one reading"
            );
        }
        // The whole run of readings around this pack that is on disk.
        let has = |seq| self.journal.contains_key(&Ids { boot, seq });
        let mut receipt = Receipt {
            boot,
            from: seq,
            through: seq + head.records as u32 - 1,
            time_ms: now_utc,
        };
        while receipt.from > 0 && has(receipt.from - 1) {
            receipt.from -= 1;
        }
        while has(receipt.through + 1) {
            receipt.through += 1;
        }
        receipt
    }
}

struct World {
    dice: Dice,
    gateway: Gateway,
    down: VecDeque<(Kind, Vec<u8>)>,
    /// Wall time, and the uptime that it belongs to.
    utc: i64,
    uptime: u64,
    next_value: i64,
    truth: BTreeMap<i64, i64>,
}

impl World {
    fn pass(&mut self, ms: u64) {
        self.utc += ms as i64;
        self.uptime += ms;
    }

    fn samples(&mut self) -> Samples {
        let mut samples = Samples::default();
        for quantity in [
            Quantity::Salinity,
            Quantity::WaterTemperature,
            Quantity::DissolvedOxygen,
        ] {
            // Every value only once in a run: a reading that comes twice is seen.
            self.next_value += 1;
            self.truth.insert(self.next_value, self.utc);
            samples.value(quantity, Decimal::new(self.next_value, 0));
        }
        samples
    }

    /// What the node wants to say reaches the gateway with this chance; so do the receipts.
    fn converse<const N: usize>(&mut self, node: &mut Node<Watched<N>>, chance: u64) {
        let mut buffer = [0; MAX_PACK_BYTES];
        while let Some((kind, length)) =
            block_on(node.poll(self.uptime, Vitals::default(), &mut buffer))
        {
            for _ in 0..1 + u64::from(self.dice.percent(10)) {
                if self.dice.percent(chance) {
                    let receipt = self.gateway.receive(kind, &buffer[..length], self.utc);
                    let mut bytes = [0; 64];
                    let bytes = receipt.encode(&mut bytes).expect("room").to_vec();
                    self.down.push_back((Kind::Receipt, bytes));
                }
            }
        }
        self.pass(20);
        for _ in 0..self.down.len() {
            let Some(message) = self.down.pop_front() else {
                break;
            };
            match self.dice.below(100) {
                roll if roll >= chance => {}                      // lost
                roll if roll < 5 => self.down.push_back(message), // out of turn
                roll => {
                    block_on(node.receive(self.uptime, message.0, &message.1));
                    if roll < 10 {
                        block_on(node.receive(self.uptime, message.0, &message.1));
                    }
                }
            }
        }
    }
}

fn identity(boot: u64) -> Identity {
    Identity {
        node: "pond-3".parse().expect("an id"),
        firmware: "test",
        board: "host",
        reset_reason: ResetReason::PowerOn,
        boot,
    }
}

fn start<const N: usize>(boot: u64, storage: Watched<N>, send_every_s: u32) -> Node<Watched<N>> {
    let config = NodeConfig {
        sample_every_s: 60,
        send_every_s,
        ..NodeConfig::default()
    };
    let fails = storage.fails;
    let mut storage = storage;
    storage.fails = 0; // A board whose storage can't be read at start does not start.
    let Ok(mut node) = block_on(Node::start(identity(boot), config, storage)) else {
        panic!("starts")
    };
    set_fails(&mut node, fails);
    node
}

fn set_fails<const N: usize>(node: &mut Node<Watched<N>>, fails: u64) {
    node.storage_mut().fails = fails;
}

fn run<const N: usize>(seed: u64, fails: u64) {
    let mut world = World {
        dice: Dice(seed),
        gateway: Gateway::default(),
        down: VecDeque::new(),
        utc: 1_700_000_000_000,
        uptime: 0,
        next_value: 0,
        truth: BTreeMap::new(),
    };
    let mut starts = 1;
    let send_every_s = [0, 300][world.dice.below(2) as usize];
    let mut node = start(
        boot_number(0xbeef, starts),
        Watched::<N>::new(seed, fails),
        send_every_s,
    );
    for _ in 0..400 {
        let pause = 1 + world.dice.below(90_000);
        world.pass(pause);
        if node.sample_at(world.uptime) <= world.uptime {
            let samples = world.samples();
            block_on(node.record(world.uptime, &samples));
        }
        match world.dice.below(100) {
            0..4 => {
                // Power cut.
                starts += 1;
                world.uptime = 0;
                node = start(
                    boot_number(0xbeef, starts),
                    node.into_storage(),
                    send_every_s,
                );
            }
            4..20 if node.connect_at().is_none() => node.disconnected(world.uptime),
            20..50 if node.connect_at().is_some_and(|at| at <= world.uptime) => {
                node.connected(world.uptime)
            }
            _ => {}
        }
        let chance = [0, 50, 90][world.dice.below(3) as usize];
        world.converse(&mut node, chance);

        // Nothing acknowledged is lost, and no reading goes without a receipt.
        for ids in &node.storage().acknowledged {
            assert!(
                world.gateway.journal.contains_key(ids),
                "{ids:?} was freed and is not on disk"
            );
        }
    }

    // A good link: everything drains.
    set_fails(&mut node, 0);
    node.disconnected(world.uptime);
    world.pass(100_000);
    node.connected(world.uptime);
    for _ in 0..2_000 {
        if node.storage().pending() == 0 {
            break;
        }
        world.converse(&mut node, 100);
        world.pass(1_000);
    }
    let watched = node.into_storage();
    assert_eq!(watched.pending(), 0, "drains");
    assert_eq!(watched.inner.dropped() as usize, watched.dropped.len());
    let arrived: BTreeSet<Ids> = world.gateway.journal.keys().copied().collect();
    let accounted: BTreeSet<Ids> = arrived.union(&watched.dropped).copied().collect();
    assert_eq!(
        accounted, watched.appended,
        "each reading arrived, or was counted as dropped"
    );

    // No reading has two places, and each carries its time: exactly once the clock was set, else no later than it was.
    let mut values = BTreeSet::new();
    for reading in world.gateway.journal.values() {
        let Value::Number(number) = reading.value else {
            panic!("only numbers")
        };
        let value = number.floor_at(0).expect("whole");
        assert!(values.insert(value), "{value} came under two places");
        match reading.time {
            Time::Absolute(ms) if !reading.estimated => {
                assert!((ms - world.truth[&value]).abs() < 30_000)
            }
            Time::Absolute(_) | Time::Relative(_) => assert!(reading.estimated),
            Time::Missing => panic!("a time"),
        }
    }
    assert!(world.gateway.hellos > 0);
}

#[test]
fn nothing_is_lost_over_a_link_that_misbehaves() {
    for seed in 1..=200 {
        let outcome = std::panic::catch_unwind(|| run::<1500>(seed, 0));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}

#[test]
fn an_outbox_that_overflows_drops_the_oldest_and_counts() {
    for seed in 1..=200 {
        let outcome = std::panic::catch_unwind(|| run::<90>(seed, 0));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}

#[test]
fn storage_that_fails_now_and_then_costs_no_reading_that_it_took() {
    for seed in 1..=100 {
        let outcome = std::panic::catch_unwind(|| run::<400>(seed, 5));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}

#[test]
fn takes_a_newer_configuration_only() {
    let mut node = start(1, Watched::<8>::new(1, 0), 0);
    let mut buffer = [0; 160];
    for (version, every, expected) in [
        (2, 300, 300),
        (1, 10, 300),
        (2, 20, 300),
        (3, 0, 300),
        (3, 60, 60),
    ] {
        let config = NodeConfig {
            version,
            sample_every_s: every,
            ..NodeConfig::default()
        };
        let bytes = config.encode(&mut buffer).expect("room");
        block_on(node.receive(1_000, Kind::Config, bytes));
        assert_eq!(node.config().sample_every_s, expected);
    }
    block_on(node.receive(1_000, Kind::Config, b"junk"));
    block_on(node.receive(1_000, Kind::Receipt, b"junk"));
    assert_eq!(node.config().version, 3);
}

#[test]
fn a_node_without_a_clock_waits_for_the_time_but_not_for_ever() {
    let mut node = start(1, Watched::<64>::new(1, 0), 0);
    let mut samples = Samples::default();
    samples.value(Quantity::Salinity, Decimal::new(19, -1));
    block_on(node.record(0, &samples));
    let mut buffer = [0; MAX_PACK_BYTES];
    let mut poll = |node: &mut Node<_>, now| {
        block_on(node.poll(now, Vitals::default(), &mut buffer)).map(|(kind, _)| kind)
    };
    node.connected(1_000);
    assert_eq!(poll(&mut node, 1_000), Some(Kind::Hello));
    assert_eq!(poll(&mut node, 1_001), None);
    assert_eq!(node.wake_at(), 11_000);
    assert_eq!(poll(&mut node, 11_000), Some(Kind::Pack), "relative to now");
    node.disconnected(12_000);
    node.connected(20_000);
    assert_eq!(poll(&mut node, 20_000), Some(Kind::Hello));
    let mut bytes = [0; 64];
    let receipt = Receipt::time_only(1, 1_700_000_020_000)
        .encode(&mut bytes)
        .expect("room");
    block_on(node.receive(20_100, Kind::Receipt, receipt));
    assert_eq!(
        poll(&mut node, 20_100),
        Some(Kind::Pack),
        "the time is known: at once"
    );
}
