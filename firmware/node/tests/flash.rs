//! The outbox in flash as it is lived with: how much it keeps, how it wears, what it refuses, and a whole node on it.
//!
//! `cargo test -p sen-node --test flash figures -- --nocapture` prints what it costs.

mod nor;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use embassy_futures::block_on;
use nor::{Dice, Nor, Tear};
use sen_node::{
    Entry, FlashOutbox, Identity, Node, Samples, Stamp, Storage,
    flash::Error,
    node::{Vitals, boot_number},
};
use sen_wire::{
    Channel, Decimal, Hello, Ids, NodeConfig, Quantity, Receipt, ResetReason, Value,
    limits::MAX_PACK_BYTES, senml::read_pack, topic::Kind,
};

const ALL: Ids = Ids { boot: 0, seq: 0 };
const INCARNATION: u16 = 0xbeef;

fn entry(boot: u64, seq: u32) -> Entry {
    Entry {
        ids: Ids { boot, seq },
        channel: Channel::first(Quantity::WaterTemperature),
        value: Value::Number(Decimal::new(2_530 + i64::from(seq % 100), -2)),
        stamp: Stamp::Utc(1_782_000_000_000 + i64::from(seq) * 150_000),
    }
}

fn ids_of<const W: usize, const P: usize>(outbox: &mut FlashOutbox<Nor<W, P>>) -> Vec<Ids> {
    let mut ids = Vec::new();
    block_on(outbox.visit(ALL, |entry| {
        ids.push(entry.ids);
        ControlFlow::Continue(())
    }))
    .expect("reads");
    ids
}

#[test]
fn keeps_what_it_says_drops_the_oldest_and_counts_them() {
    let chip = Nor::<8, 512>::new(6, 1);
    let mut outbox = block_on(FlashOutbox::open(chip, INCARNATION)).expect("opens");
    let kept = FlashOutbox::<Nor<8, 512>>::readings_kept(6);
    let boot = outbox.boot();
    for seq in 0..5_000 {
        block_on(outbox.append(&entry(boot, seq))).expect("appends");
        assert_eq!(outbox.dropped() + outbox.pending(), seq + 1);
        // The start takes a slot too.
        assert!(outbox.pending() >= kept.min(seq), "less than is promised");
    }
    let ids = ids_of(&mut outbox);
    assert_eq!(ids.len() as u32, outbox.pending());
    let expected = (outbox.dropped()..5_000).map(|seq| Ids { boot, seq });
    assert!(ids.into_iter().eq(expected));

    // What was acknowledged in time does not count as dropped.
    let dropped = outbox.dropped();
    for seq in 5_000..10_000 {
        block_on(outbox.append(&entry(boot, seq))).expect("appends");
        block_on(outbox.acknowledge(Ids { boot, seq })).expect("marks");
    }
    assert_eq!((outbox.pending(), ids_of(&mut outbox)), (0, Vec::new()));
    assert!(
        outbox.dropped() - dropped <= 20,
        "only what its own mark pushed out"
    );
}

#[test]
fn refuses_to_go_backwards() {
    let chip = Nor::<4, 512>::new(4, 1);
    let mut outbox = block_on(FlashOutbox::open(chip, INCARNATION)).expect("opens");
    let boot = outbox.boot();
    block_on(outbox.append(&entry(boot, 5))).expect("appends");
    for (boot, seq) in [(boot, 5), (boot, 4), (boot - 1, 9)] {
        assert_eq!(
            block_on(outbox.append(&entry(boot, seq))),
            Err(Error::NotRising)
        );
    }
    let mut outbox = block_on(FlashOutbox::open(outbox.into_flash(), 1)).expect("opens");
    assert_eq!(
        block_on(outbox.append(&entry(boot, 5))),
        Err(Error::NotRising)
    );
    assert_eq!(outbox.newest(), Some(Ids { boot, seq: 5 }));
    assert_eq!(
        outbox.boot(),
        boot + 1,
        "the incarnation is the one of the format"
    );
}

/// Acknowledging the same, or what is not there, writes nothing.
#[test]
fn a_repeated_receipt_costs_no_flash() {
    let chip = Nor::<4, 512>::new(4, 1);
    let mut outbox = block_on(FlashOutbox::open(chip.clone(), INCARNATION)).expect("opens");
    let boot = outbox.boot();
    for seq in 0..8 {
        block_on(outbox.append(&entry(boot, seq))).expect("appends");
    }
    block_on(outbox.acknowledge(Ids { boot, seq: 3 })).expect("marks");
    let before = chip.0.borrow().steps;
    for seq in [3, 2, 0] {
        block_on(outbox.acknowledge(Ids { boot, seq })).expect("marks");
    }
    block_on(outbox.acknowledge(ALL)).expect("marks");
    assert_eq!(chip.0.borrow().steps, before);
    block_on(outbox.acknowledge(Ids {
        boot: u64::MAX,
        seq: 0,
    }))
    .expect("marks");
    assert_eq!(outbox.pending(), 0);
}

#[test]
fn another_layout_is_left_alone_until_it_is_formatted() {
    let chip = Nor::<4, 512>::new(6, 1);
    let mut outbox = block_on(FlashOutbox::open(chip.clone(), INCARNATION)).expect("opens");
    let boot = outbox.boot();
    for seq in 0..200 {
        block_on(outbox.append(&entry(boot, seq))).expect("appends");
    }
    // The same flash, but a partition of two pages less.
    let smaller = Nor::<4, 512>::new(4, 1);
    {
        let (from, to) = (chip.0.borrow(), &mut *smaller.0.borrow_mut());
        to.copy_from(&from);
    }
    let before = smaller.0.borrow().steps;
    let refused = block_on(FlashOutbox::open(smaller.clone(), 1)).map(|_| ());
    assert_eq!(refused, Err(Error::OtherLayout));
    assert_eq!(smaller.0.borrow().steps, before, "nothing is written");
    let mut outbox = block_on(FlashOutbox::format(smaller, 0x1234)).expect("formats");
    assert_eq!(outbox.boot(), boot_number(0x1234, 1));
    assert_eq!((outbox.dropped(), ids_of(&mut outbox)), (0, Vec::new()));

    let tiny = block_on(FlashOutbox::open(Nor::<4, 512>::new(2, 1), 1)).map(|_| ());
    assert_eq!(tiny, Err(Error::PageCount));
}

/// The flash fails now and then, with the power on: what was confirmed stays, what was refused may be there.
#[test]
fn lives_on_with_a_flash_that_fails_at_times() {
    for seed in 1..200 {
        let chip = Nor::<4, 512>::new(4, seed);
        let mut outbox = block_on(FlashOutbox::open(chip.clone(), INCARNATION)).expect("opens");
        let mut boot = outbox.boot();
        let mut dice = Dice(seed);
        let (mut confirmed, mut refused, mut through) = (Vec::new(), Vec::new(), ALL);
        for seq in 0..60 {
            chip.0.borrow_mut().failing = 20;
            match block_on(outbox.append(&entry(boot, seq))) {
                Ok(()) => confirmed.push(Ids { boot, seq }),
                Err(_) => refused.push(Ids { boot, seq }),
            }
            if dice.below(8) == 0
                && let Some(last) = confirmed.last()
                && block_on(outbox.acknowledge(*last)).is_ok()
            {
                through = *last;
            }
            chip.0.borrow_mut().failing = 0;
            if dice.below(20) == 0 {
                outbox = block_on(FlashOutbox::open(chip.clone(), INCARNATION)).expect("opens");
                boot = outbox.boot();
            }
            let seen = ids_of(&mut outbox);
            assert!(seen.is_sorted_by(|a, b| a < b), "seed {seed}");
            for ids in &seen {
                assert!(
                    confirmed.contains(ids) || refused.contains(ids),
                    "seed {seed}: invented"
                );
            }
            let kept: Vec<_> = confirmed.iter().filter(|ids| **ids > through).collect();
            let dropped = outbox.dropped() as usize;
            for ids in kept.iter().skip(dropped) {
                assert!(seen.contains(ids), "seed {seed}: {ids:?} was lost");
            }
        }
    }
}

/// What can't be read back is written again, or refused. Whichever copies turn out to be there, it is one entry, and takes
/// none of the others with it; one that was refused may be seen until the next is acknowledged.
#[test]
fn an_entry_written_twice_is_one_entry() {
    for failing in 0..12 {
        let chip = Nor::<4, 512>::new(4, 1);
        let mut outbox = block_on(FlashOutbox::open(chip.clone(), INCARNATION)).expect("opens");
        let boot = outbox.boot();
        block_on(outbox.append(&entry(boot, 0))).expect("appends");
        chip.0.borrow_mut().failing_reads = failing;
        let kept = block_on(outbox.append(&entry(boot, 1))).is_ok();
        chip.0.borrow_mut().failing_reads = 0;
        block_on(outbox.append(&entry(boot, 2))).expect("appends");

        let seen = ids_of(&mut outbox);
        let expected = [0, 1, 2].map(|seq| Ids { boot, seq });
        assert!(seen == expected || (!kept && seen == [expected[0], expected[2]]));
        block_on(outbox.acknowledge(Ids { boot, seq: 1 })).expect("marks");
        for _ in 0..2 {
            let seen = ids_of(&mut outbox);
            assert!(
                seen == expected[2..] || (!kept && seen == expected[1..]),
                "{failing} reads failed: {seen:?}"
            );
            assert_eq!(outbox.pending(), 1);
            outbox = block_on(FlashOutbox::open(chip.clone(), INCARNATION)).expect("opens");
        }
        block_on(outbox.acknowledge(Ids { boot, seq: 2 })).expect("marks");
        assert_eq!((outbox.pending(), ids_of(&mut outbox)), (0, Vec::new()));
    }
}

#[test]
fn wears_all_pages_alike() {
    let chip = Nor::<8, 512>::new(7, 3);
    let mut seq = 0;
    for start in 1..=40 {
        let mut outbox = block_on(FlashOutbox::open(chip.clone(), INCARNATION)).expect("opens");
        let boot = outbox.boot();
        for _ in 0..100 * start % 977 {
            seq += 1;
            block_on(outbox.append(&entry(boot, seq))).expect("appends");
            if seq % 6 == 0 {
                block_on(outbox.acknowledge(Ids { boot, seq })).expect("marks");
            }
        }
    }
    let erasures = chip.0.borrow().erasures.clone();
    let (least, most) = (erasures.iter().min(), erasures.iter().max());
    assert!(least > Some(&100), "many turns: {erasures:?}");
    assert!(
        most.zip(least)
            .is_some_and(|(most, least)| most - least <= 1),
        "{erasures:?}"
    );
}

/// What it costs, on the flash of an ESP32: words of 4 bytes, pages of 4096, a partition of 512 KiB.
/// 6 channels every 15 minutes, without a gateway: until when nothing is lost, and how long the flash lasts. The partition is
/// what an ESP32-C3 of 4 MiB has left beside two images of 1.5 MiB.
#[test]
fn outlasts_a_month_offline_and_many_years_of_use() {
    const A_DAY: u32 = 24 * 4 * 6;
    const PAGES: usize = 128;
    let chip = Nor::<4, 4096>::new(PAGES, 1);
    let mut outbox = block_on(FlashOutbox::open(chip.clone(), INCARNATION)).expect("opens");
    let boot = outbox.boot();
    let mut seq = 0;
    while outbox.dropped() == 0 {
        block_on(outbox.append(&entry(boot, seq))).expect("appends");
        seq += 1;
    }
    let days = f64::from(seq - 1) / f64::from(A_DAY);
    println!(
        "512 KiB: {} readings before the first is dropped, {days:.1} days",
        seq - 1
    );
    assert!(days >= 30.0);

    // A year in which each sweep gets a receipt of its own: the most that is written.
    block_on(outbox.acknowledge(Ids { boot, seq })).expect("marks");
    let erased = || chip.0.borrow().erasures.iter().sum::<u32>();
    let before = erased();
    for sweep in 0..365 * A_DAY / 6 {
        let first = seq + sweep * 6;
        for seq in first..first + 6 {
            block_on(outbox.append(&entry(boot, seq))).expect("appends");
        }
        let last = Ids {
            boot,
            seq: first + 5,
        };
        block_on(outbox.acknowledge(last)).expect("marks");
    }
    let a_year = f64::from(erased() - before) / PAGES as f64;
    println!("a year with a receipt each sweep: each page is erased {a_year:.1} times");
    // A tenth of what ST promises, a hundredth of what is typical of an ESP32's flash.
    assert!(1_000.0 / a_year > 50.0);
}

#[test]
fn figures() {
    const MONTH: u32 = 30 * 24 * 4 * 6;
    type Partition = FlashOutbox<Nor<4, 4096>>;
    let slots = Partition::readings_kept(2);
    println!(
        "{slots} readings a page of 4096 bytes: {:.1} bytes each",
        4096.0 / f64::from(slots)
    );
    let pages = (2..)
        .find(|pages| Partition::readings_kept(*pages) >= MONTH)
        .expect("some");
    println!(
        "a month of 6 channels every 15 minutes, {MONTH} readings: {pages} pages, {} KiB",
        pages * 4
    );
    println!(
        "128 pages, 512 KiB: {} readings kept",
        Partition::readings_kept(128)
    );
    assert!(pages <= 128);

    let chip = Nor::<4, 4096>::new(128, 1);
    let mut outbox = block_on(FlashOutbox::open(chip.clone(), INCARNATION)).expect("opens");
    let boot = outbox.boot();
    let erased = |chip: &Nor<4, 4096>| chip.0.borrow().erasures.iter().sum::<u32>();
    let before = erased(&chip);
    for seq in 0..MONTH {
        block_on(outbox.append(&entry(boot, seq))).expect("appends");
    }
    assert_eq!(
        outbox.pending(),
        MONTH,
        "a month without a gateway is kept whole"
    );
    let offline = f64::from(erased(&chip) - before) / f64::from(MONTH) * 1000.0;

    let reads = |chip: &Nor<4, 4096>| (chip.0.borrow().reads, chip.0.borrow().bytes_read);
    let cost = |what: &str, before: (u64, u64), after: (u64, u64)| {
        println!(
            "{what}: {} reads, {} bytes",
            after.0 - before.0,
            after.1 - before.1
        );
    };
    let before = reads(&chip);
    let mut outbox = block_on(FlashOutbox::open(outbox.into_flash(), 1)).expect("opens");
    cost("opening it with that month in it", before, reads(&chip));
    assert!(reads(&chip).0 - before.0 < 400);
    let before = reads(&chip);
    assert_eq!(ids_of(&mut outbox).len() as u32, MONTH);
    cost("visiting all of it", before, reads(&chip));
    let before = reads(&chip);
    for seq in (0..MONTH).step_by(72) {
        let mut left = 72;
        block_on(outbox.visit(Ids { boot, seq }, |_| {
            left -= 1;
            if left == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }))
        .expect("reads");
        let last = Ids {
            boot,
            seq: seq + 71,
        };
        block_on(outbox.acknowledge(last)).expect("marks");
    }
    cost(
        "draining it in packs of 72, with receipts",
        before,
        reads(&chip),
    );
    assert_eq!((outbox.pending(), outbox.dropped()), (0, 0));

    let before = erased(&chip);
    let boot = outbox.boot();
    for seq in 0..MONTH {
        block_on(outbox.append(&entry(boot, seq))).expect("appends");
        if seq % 6 == 5 {
            block_on(outbox.acknowledge(Ids { boot, seq })).expect("marks");
        }
    }
    let online = f64::from(erased(&chip) - before) / f64::from(MONTH) * 1000.0;
    println!(
        "pages erased for 1000 readings: {offline:.1} offline, {online:.1} with a receipt for each sweep of 6"
    );
    let years = 128.0 / (online * 0.576 * 365.0) * 10_000.0;
    println!("so 10 000 erasures of each of 128 pages last {years:.0} years at 576 readings a day");
}

/// The gateway's side: what came, by its place.
#[derive(Default)]
struct Gateway(BTreeMap<Ids, Value>);

impl Gateway {
    fn receive(&mut self, kind: Kind, payload: &[u8], time_ms: i64) -> Receipt {
        if kind == Kind::Hello {
            let hello = Hello::decode(payload).expect("a hello");
            return Receipt::time_only(hello.boot.expect("a boot"), time_ms);
        }
        let mut values = Vec::new();
        let head = read_pack(payload, &mut |_, record| {
            let reading = record.and_then(|record| record.resolve());
            values.push(reading.expect("a reading").value);
        })
        .expect("a pack");
        let Ids { boot, seq } = head.ids.expect("ids");
        for (seq, value) in (seq..).zip(values) {
            let known = self.0.entry(Ids { boot, seq }).or_insert(value);
            assert_eq!(*known, value, "one place, one reading");
        }
        Receipt {
            boot,
            from: seq,
            through: seq + head.records as u32 - 1,
            time_ms,
        }
    }
}

/// Sends all that the node has to say. A share of the receipts is lost.
fn converse<S: Storage>(node: &mut Node<S>, now: u64, gateway: &mut Gateway, lost: &mut Dice) {
    let mut buffer = [0; MAX_PACK_BYTES];
    let time_ms = 1_782_000_000_000 + now as i64;
    while let Some((kind, length)) = block_on(node.poll(now, Vitals::default(), &mut buffer)) {
        let receipt = gateway.receive(kind, &buffer[..length], time_ms);
        if lost.below(10) < 3 {
            continue;
        }
        let mut bytes = [0; 64];
        let bytes = receipt.encode(&mut bytes).expect("room");
        block_on(node.receive(now, Kind::Receipt, bytes));
    }
}

/// A node loses its power a thousand times, anywhere. Whatever it took down arrives, once, under one place.
#[test]
fn a_node_on_flash_loses_nothing_and_numbers_nothing_twice() {
    let chip = Nor::<8, 2048>::new(16, 11);
    chip.0.borrow_mut().ecc = true;
    let mut dice = Dice(12);
    let mut gateway = Gateway::default();
    let (mut value, mut taken_down) = (0, BTreeSet::new());
    for life in 0..=1_000 {
        let last = life == 1_000;
        chip.power_on();
        if !last {
            chip.cut_after(dice.below(500), Tear::ALL[dice.below(5) as usize]);
        }
        let Ok(outbox) = block_on(FlashOutbox::open(chip.clone(), INCARNATION)) else {
            continue;
        };
        let identity = Identity {
            node: "pond-3".parse().expect("an id"),
            firmware: "test",
            board: "host",
            reset_reason: ResetReason::PowerOn,
            boot: outbox.boot(),
        };
        let Ok(mut node) = block_on(Node::start(identity, NodeConfig::default(), outbox)) else {
            continue;
        };
        let mut now = 1_000;
        for sweep in 0..30 {
            now += 900_000;
            let mut samples = Samples::default();
            let first = value;
            for quantity in [Quantity::Salinity, Quantity::Ph, Quantity::Turbidity] {
                value += 1;
                samples.value(quantity, Decimal::new(value, 0));
            }
            block_on(node.record(now, &samples));
            if !chip.0.borrow().on {
                break;
            }
            assert_eq!(node.storage_errors(), 0);
            taken_down.extend(
                (first + 1..=value)
                    .map(|value| Value::Number(Decimal::new(value, 0)))
                    .map(text),
            );
            if last || sweep % 4 == life % 4 {
                node.connected(now);
                for _ in 0..if last { 300 } else { 1 } {
                    converse(&mut node, now, &mut gateway, &mut dice);
                    now += 60_000;
                }
                node.disconnected(now);
            }
        }
        if last {
            assert_eq!((node.storage().pending(), node.storage().dropped()), (0, 0));
        }
    }
    let arrived: BTreeSet<String> = gateway.0.values().copied().map(text).collect();
    assert_eq!(arrived.len(), gateway.0.len(), "no reading has two places");
    assert!(taken_down.len() > 10_000, "{}", taken_down.len());
    let lost: Vec<_> = taken_down.difference(&arrived).collect();
    assert!(lost.is_empty(), "{} lost: {lost:?}", lost.len());
}

fn text(value: Value) -> String {
    format!("{value:?}")
}
