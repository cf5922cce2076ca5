//! The outbox in flash against a chip whose power goes at every word written and in the middle of every erasure.

mod nor;

use std::ops::ControlFlow;

use embassy_futures::block_on;
use nor::{Dice, Failure, Nor, Tear};
use sen_node::{Entry, FlashOutbox, Stamp, Storage, flash::Error};
use sen_wire::{Channel, Decimal, Fault, Ids, Quantity, Value};

const ALL: Ids = Ids { boot: 0, seq: 0 };
const INCARNATION: u16 = 0xbeef;
const PAGES: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Op {
    Append,
    /// This share of what is pending, in percent.
    Acknowledge(u8),
    /// From this share of what was ever appended on, a few entries.
    Visit(u8),
    Restart,
}

fn script(seed: u64, ops: usize) -> Vec<Op> {
    let mut dice = Dice(seed);
    (0..ops)
        .map(|at| match dice.below(100) {
            // A long outage in the middle: the log overflows.
            0..16 if !(ops / 4..ops * 3 / 4).contains(&at) => {
                Op::Acknowledge(dice.below(101) as u8)
            }
            16..24 => Op::Visit(dice.below(101) as u8),
            24..28 => Op::Restart,
            _ => Op::Append,
        })
        .collect()
}

/// What was being done when the power went.
#[derive(Clone, Copy, Debug)]
enum Pending {
    Nothing,
    Append(Entry),
    Acknowledge(usize),
}

/// Something that was read after a cut and may not be read after the next.
#[derive(Clone, Copy, Debug)]
struct Fading {
    what: Pending,
    first_before: usize,
    dropped_before: u32,
}

struct World<const W: usize, const P: usize> {
    chip: Nor<W, P>,
    outbox: Option<FlashOutbox<Nor<W, P>>>,
    boot: u64,
    seq: u32,
    /// Every entry that is known to have been appended.
    entries: Vec<Entry>,
    /// The first of them that is neither acknowledged nor dropped.
    first: usize,
    dropped: u32,
    doing: Pending,
    fading: Option<Fading>,
    /// Entries that faded: they may still be counted.
    faded: usize,
    cuts: usize,
}

type Lost = Error<Failure>;

impl<const W: usize, const P: usize> World<W, P> {
    fn new(seed: u64, ecc: bool) -> Self {
        let chip = Nor::new(PAGES, seed);
        chip.0.borrow_mut().ecc = ecc;
        Self {
            chip,
            outbox: None,
            boot: 0,
            seq: 0,
            entries: Vec::new(),
            first: 0,
            dropped: 0,
            doing: Pending::Nothing,
            fading: None,
            faded: 0,
            cuts: 0,
        }
    }

    fn outbox(&mut self) -> &mut FlashOutbox<Nor<W, P>> {
        self.outbox.as_mut().expect("open")
    }

    fn next_entry(&mut self) -> Entry {
        let n = self.entries.len() as i64;
        // Now and then storage refused some, and their numbers are skipped; once, very many.
        self.seq += match n % 50 {
            7 => 3,
            21 => 70_000,
            _ => 1,
        };
        Entry {
            ids: Ids {
                boot: self.boot,
                seq: self.seq,
            },
            channel: Channel::new(Quantity::Salinity, 1 + (n % 9) as u8).expect("a channel"),
            value: match n % 11 {
                3 => Value::Fault(Fault::Crc),
                _ => Value::Number(Decimal::new(n * 1_000_003, -3)),
            },
            stamp: match n % 5 {
                2 => Stamp::Uptime(n as u64),
                _ => Stamp::Utc(1_782_000_000_000 + n),
            },
        }
    }

    /// Drops that have happened since the last look, while nothing else was lost.
    fn see_drops(&mut self) {
        if self.faded > 0 {
            return self.check();
        }
        let dropped = self.outbox().dropped();
        self.first += dropped.checked_sub(self.dropped).expect("only ever more") as usize;
        self.dropped = dropped;
    }

    fn act(&mut self, op: Op) -> Result<(), Lost> {
        self.doing = Pending::Nothing;
        match op {
            Op::Append => {
                let entry = self.next_entry();
                self.doing = Pending::Append(entry);
                block_on(self.outbox().append(&entry))?;
                self.entries.push(entry);
                self.see_drops();
            }
            Op::Acknowledge(percent) => {
                let target =
                    self.first + (self.entries.len() - self.first) * usize::from(percent) / 100;
                let Some(last) = target.checked_sub(1) else {
                    return Ok(());
                };
                let through = self.entries[last].ids;
                self.doing = Pending::Acknowledge(target);
                block_on(self.outbox().acknowledge(through))?;
                self.see_drops();
                self.first = self.first.max(target);
            }
            Op::Visit(percent) => {
                let from = self.entries.len() * usize::from(percent) / 100;
                for from in [from, from + 2, from + 5] {
                    self.visit_some(from, 3)?;
                }
            }
            Op::Restart => {
                self.chip.0.borrow_mut().power_cycle();
                self.open()?;
                self.check();
                return Ok(());
            }
        }
        self.doing = Pending::Nothing;
        if self.faded == 0 {
            let pending = self.entries.len() - self.first;
            assert_eq!(self.outbox().pending() as usize, pending);
        }
        Ok(())
    }

    fn visit_some(&mut self, from: usize, most: usize) -> Result<(), Lost> {
        let Some(first) = self.entries.get(from) else {
            return Ok(());
        };
        let ids = first.ids;
        let mut seen = Vec::new();
        block_on(self.outbox().visit(ids, |entry| {
            if seen.len() == most {
                return ControlFlow::Break(());
            }
            seen.push(*entry);
            ControlFlow::Continue(())
        }))?;
        let expected = self.entries.iter().skip(from.max(self.first)).take(most);
        assert!(seen.iter().eq(expected), "visit from {ids:?}: {seen:?}");
        Ok(())
    }

    fn open(&mut self) -> Result<(), Lost> {
        self.outbox = None;
        let outbox = block_on(FlashOutbox::open(self.chip.clone(), INCARNATION))?;
        assert!(outbox.boot() > self.boot, "a boot number twice");
        self.boot = outbox.boot();
        self.seq = 0;
        self.outbox = Some(outbox);
        Ok(())
    }

    /// After a cut: power, and open until it is open.
    fn recover(&mut self, second: Option<(u64, Tear)>) {
        self.cuts += 1;
        self.chip.power_on();
        if let Some((steps, tear)) = second {
            self.chip.cut_after(steps, tear);
        }
        while let Err(error) = self.open() {
            assert_eq!(error, Error::Flash(Failure::Power));
            self.cuts += 1;
            self.chip.power_on();
        }
        self.check();
    }

    /// What the outbox holds now against what it must hold.
    fn check(&mut self) {
        let mut visible = Vec::new();
        block_on(self.outbox().visit(ALL, |entry| {
            visible.push(*entry);
            ControlFlow::Continue(())
        }))
        .expect("power");
        let (newest, dropped) = (self.outbox().newest(), self.outbox().dropped());
        let (pending, doing) = (self.outbox().pending() as usize, self.doing);
        let fading = self.fading.map(|fading| fading.what);

        let mut lists = vec![self.entries.clone()];
        if let Pending::Append(entry) = doing {
            lists.push([&self.entries[..], &[entry]].concat());
        }
        if let Some(Pending::Append(faded)) = fading {
            for mut list in lists.clone() {
                list.retain(|entry| entry.ids != faded.ids);
                lists.push(list);
            }
        }
        let drops = dropped.checked_sub(self.dropped).expect("only ever more") as usize;
        let marks = [Some(doing), fading].map(|doing| match doing {
            Some(Pending::Acknowledge(target)) => target,
            _ => 0,
        });
        // The list that explains what is seen, where it begins, and how many entries faded.
        let explain = |list: &Vec<Entry>| {
            let last = list.last().map(|entry| entry.ids);
            // A header may remember an entry that has faded since.
            let remembered = matches!(fading, Some(Pending::Append(faded)) if Some(faded.ids) == newest && last < newest);
            if (last != newest && !remembered) || !list.ends_with(&visible) {
                return None;
            }
            let mut was = self.first;
            let mut faded = self.faded;
            if let Some(Pending::Append(entry)) = fading
                && let Some(at) = self.entries.iter().position(|known| *known == entry)
                && !list.contains(&entry)
            {
                was -= usize::from(at < self.first);
                faded += 1;
            }
            let first = list.len() - visible.len();
            // A mark that faded: as it was without it, less what has been dropped since.
            let earlier = self.fading.map(|fading| fading.first_before);
            let dropped_since = self.fading.map(|fading| {
                fading.first_before + (self.dropped - fading.dropped_before) as usize
            });
            let was = [Some(was), earlier, dropped_since];
            let fits = was.into_iter().flatten().any(|was| {
                [0, marks[0], marks[1]].into_iter().any(|mark| {
                    (drops.saturating_sub(faded)..=drops).any(|drops| {
                        first == mark.max(was + drops) || first == mark.max(was) + drops
                    })
                })
            });
            fits.then_some((list.clone(), first, faded))
        };
        let Some((list, first, faded)) = lists.iter().find_map(explain) else {
            let ids = |list: &[Entry]| list.iter().map(|entry| entry.ids).collect::<Vec<_>>();
            panic!(
                "something was lost, changed, invented or not counted: {:?} of {:?}, newest {newest:?}, {drops} more drops, {} faded, doing {doing:?}, fading {:?}",
                ids(&visible),
                ids(&self.entries[self.first..]),
                self.faded,
                self.fading,
            )
        };
        self.faded = faded;
        assert!((visible.len()..=visible.len() + self.faded).contains(&pending));

        self.entries = list;
        self.first = first;
        self.dropped = dropped;
        self.doing = Pending::Nothing;
    }

    fn steps(&self) -> u64 {
        self.chip.0.borrow().steps
    }
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    steps: u64,
    tear: Tear,
    /// One more, so many steps later.
    second: Option<(u64, Tear)>,
}

/// Says which cut it was, if a test fails.
struct Named(Cut);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{:?}", self.0);
        }
    }
}

/// Runs the script, cuts the power, and goes on for a while. Returns how often the power was cut.
fn run<const W: usize, const P: usize>(script: &[Op], ecc: bool, cut: Cut) -> usize {
    let _named = Named(cut);
    let mut world = World::<W, P>::new(cut.steps + 1, ecc);
    world.chip.cut_after(cut.steps, cut.tear);
    let mut left = usize::MAX;
    if world.open().is_err() {
        after_cut(&mut world, cut);
        left = 30;
    }
    for op in script {
        if left == 0 {
            break;
        }
        left = left.saturating_sub(usize::from(left != usize::MAX));
        if world.act(*op).is_err() {
            if world.cuts == 0 {
                after_cut(&mut world, cut);
                left = 30;
            } else {
                world.recover(None);
            }
        }
    }
    // And all is well in the end.
    world.doing = Pending::Nothing;
    world.chip.power_on();
    world.chip.0.borrow_mut().power_cycle();
    world.open().expect("power");
    world.check();
    world.fading = None;
    for op in [Op::Append, Op::Acknowledge(50), Op::Visit(60), Op::Restart] {
        world.act(op).expect("power");
    }
    world.cuts
}

fn after_cut<const W: usize, const P: usize>(world: &mut World<W, P>, cut: Cut) {
    let (doing, first_before, dropped_before) = (world.doing, world.first, world.dropped);
    if cut.tear == Tear::Fading {
        world.fading = Some(Fading {
            what: doing,
            first_before,
            dropped_before,
        });
    }
    world.recover(cut.second);
}

/// How many steps the script takes from the first power on, uncut.
fn steps<const W: usize, const P: usize>(script: &[Op]) -> u64 {
    let mut world = World::<W, P>::new(1, false);
    world.open().expect("power");
    for op in script {
        world.act(*op).expect("power");
    }
    assert!(world.dropped > 0, "the script overflows the log");
    world.steps()
}

fn cut_everywhere<const W: usize, const P: usize>(script: &[Op], ecc: bool) -> usize {
    let mut cuts = 0;
    for at in 0..steps::<W, P>(script) {
        for tear in Tear::ALL {
            let cut = Cut {
                steps: at,
                tear,
                second: None,
            };
            let here = run::<W, P>(script, ecc, cut);
            assert_eq!(here, 1, "{cut:?}");
            cuts += here;
        }
    }
    cuts
}

#[test]
fn survives_a_cut_at_every_word_and_erasure() {
    let cuts = cut_everywhere::<4, 320>(&script(1, 150), false)
        + cut_everywhere::<8, 320>(&script(2, 150), true)
        + cut_everywhere::<32, 384>(&script(3, 150), true)
        + cut_everywhere::<1, 320>(&script(4, 80), false);
    println!("{cuts} cuts");
    assert!(cuts >= 10_000, "{cuts}");
}

#[test]
fn survives_a_second_cut_while_it_recovers() {
    let script = script(5, 150);
    let steps = steps::<8, 320>(&script);
    let mut dice = Dice(0x5eed);
    let mut cuts = 0;
    for at in 0..steps {
        for tear in Tear::ALL {
            let second = Tear::ALL[dice.below(5) as usize];
            // A cut leaves one thing to fade; two at once are more than the model follows.
            let second = match (tear, second) {
                (_, Tear::Fading) => Tear::Call,
                (_, second) => second,
            };
            let cut = Cut {
                steps: at,
                tear,
                second: Some((dice.below(9), second)),
            };
            cuts += run::<8, 320>(&script, at % 2 == 0, cut);
        }
    }
    println!("{cuts} cuts");
    assert!(cuts as u64 > steps * 9);
}

/// Cuts wherever they fall, as many as there are, each tear, both kinds of flash.
fn run_with_cuts<const W: usize, const P: usize>(ops: &[Op], cuts: &[(u64, Tear)], ecc: bool) {
    let mut world = World::<W, P>::new(7, ecc);
    let mut cuts = cuts.iter();
    let arm = |world: &World<W, P>, cut: Option<&(u64, Tear)>| {
        if let Some((steps, tear)) = cut {
            world.chip.cut_after(*steps, *tear);
        }
    };
    world.open().expect("power");
    arm(&world, cuts.next());
    for op in ops {
        if world.act(*op).is_err() {
            world.recover(cuts.next().copied());
            if !world.chip.is_armed() {
                arm(&world, cuts.next());
            }
        }
    }
    world.doing = Pending::Nothing;
    world.chip.power_on();
    world.open().expect("power");
    world.check();
}

mod random {
    use proptest::prelude::*;

    use super::*;

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            12 => Just(Op::Append),
            2 => (0..=100u8).prop_map(Op::Acknowledge),
            1 => (0..=100u8).prop_map(Op::Visit),
            1 => Just(Op::Restart),
        ]
    }

    fn cut() -> impl Strategy<Value = (u64, Tear)> {
        // Without fading: the model follows one thing that fades, not many.
        (0..60u64, proptest::sample::select(&Tear::ALL[..4]))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

        #[test]
        fn survives_any_workload_and_any_cuts(
            ops in prop::collection::vec(op(), 0..300),
            cuts in prop::collection::vec(cut(), 0..20),
            ecc: bool,
        ) {
            run_with_cuts::<4, 320>(&ops, &cuts, ecc);
            run_with_cuts::<8, 320>(&ops, &cuts, ecc);
            run_with_cuts::<32, 384>(&ops, &cuts, ecc);
        }
    }
}
