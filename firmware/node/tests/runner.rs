//! The async loop on virtual time: it samples on schedule whatever the link does, gives up on a link that hangs, and
//! publishes what it has when a link works.

mod gateway;

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{pending, poll_fn},
    rc::Rc,
    task::Poll,
};

use embassy_futures::{block_on, select::select, yield_now};
use sen_node::{Identity, Link, Node, Probes, RamOutbox, Samples, Storage, Timer, run};
use sen_wire::{Channel, Decimal, NodeConfig, Quantity, Receipt, ResetReason, topic::Kind};

const UTC: i64 = 1_700_000_000_000;

/// Time passes when nobody can do anything but wait for it.
struct VirtualTimer(Rc<Cell<u64>>);

impl Timer for VirtualTimer {
    fn uptime_ms(&self) -> u64 {
        self.0.get()
    }

    async fn sleep_until(&mut self, uptime_ms: u64) {
        yield_now().await;
        while self.0.get() < uptime_ms {
            assert!(self.0.get() < 10_000_000, "nothing left to wait for");
            self.0.set((self.0.get() + 1_000).min(uptime_ms));
            yield_now().await;
        }
    }
}

/// The gateway behind a link: counts the readings that arrive, and has a receipt for each message.
#[derive(Default)]
struct Down {
    receipts: RefCell<VecDeque<Receipt>>,
    arrived: Rc<Cell<usize>>,
}

impl Down {
    fn take(&self, kind: Kind, payload: &[u8], uptime_ms: u64) {
        let (receipt, readings) = gateway::answer(kind, payload, UTC + uptime_ms as i64);
        self.arrived.set(self.arrived.get() + readings);
        self.receipts.borrow_mut().push_back(receipt);
    }

    async fn next(&self, buffer: &mut [u8]) -> (Kind, usize) {
        let receipt = poll_fn(|_| match self.receipts.borrow_mut().pop_front() {
            Some(receipt) => Poll::Ready(receipt),
            None => Poll::Pending,
        })
        .await;
        (Kind::Receipt, receipt.encode(buffer).expect("room").len())
    }
}

/// Refuses, then hangs while connecting, then hangs while publishing, then works.
struct BadLink {
    now: Rc<Cell<u64>>,
    connects: Rc<Cell<u32>>,
    down: Down,
}

impl Link for BadLink {
    type Error = ();

    async fn connect(&mut self) -> Result<(), ()> {
        self.connects.set(self.connects.get() + 1);
        match self.connects.get() {
            1 => Err(()),
            2 => pending().await,
            _ => Ok(()),
        }
    }

    async fn publish(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ()> {
        if self.connects.get() == 3 {
            pending::<()>().await;
        }
        self.down.take(kind, payload, self.now.get());
        Ok(())
    }

    async fn receive(&mut self, buffer: &mut [u8]) -> Result<(Kind, usize), ()> {
        Ok(self.down.next(buffer).await)
    }
}

struct OneProbe(Rc<RefCell<Vec<u64>>>, Rc<Cell<u64>>);

impl Probes for OneProbe {
    async fn sample(&mut self, _wanted: &[Channel], samples: &mut Samples) {
        self.0.borrow_mut().push(self.1.get());
        samples.value(Quantity::Salinity, Decimal::new(19, -1));
    }
}

#[test]
fn samples_on_schedule_whatever_the_link_does_and_delivers_when_it_can() {
    let now = Rc::new(Cell::new(0));
    let (connects, arrived) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let sampled = Rc::new(RefCell::new(Vec::new()));
    let identity = Identity {
        node: "n1".parse().expect("an id"),
        firmware: "test",
        board: "host",
        reset_reason: ResetReason::PowerOn,
        boot: 1,
    };
    let config = NodeConfig {
        sample_every_s: 10,
        ..NodeConfig::default()
    };
    let mut outbox = RamOutbox::<64>::new();
    let Ok(mut node) = block_on(Node::start(identity, config, &mut outbox));
    let mut link = BadLink {
        now: now.clone(),
        connects: connects.clone(),
        down: Down {
            arrived: arrived.clone(),
            ..Down::default()
        },
    };
    let mut probes = OneProbe(sampled.clone(), now.clone());
    let mut timer = VirtualTimer(now.clone());
    let stop = async {
        while now.get() < 200_000 {
            yield_now().await;
        }
    };
    block_on(select(
        run(&mut node, &mut link, &mut probes, &mut timer),
        stop,
    ));

    assert!(connects.get() >= 4);
    let sampled = sampled.borrow();
    assert!((19..=22).contains(&sampled.len()), "{sampled:?}");
    assert!(
        sampled.windows(2).all(|pair| pair[1] - pair[0] <= 11_000),
        "{sampled:?}"
    );
    assert!(arrived.get() + node.storage().pending() as usize >= sampled.len());
    assert!(
        node.storage().pending() <= 1,
        "what was sampled while the link was bad went when it was good"
    );
}

/// Works, and counts how often it is up and down.
#[derive(Default)]
struct GoodLink {
    now: Rc<Cell<u64>>,
    up: bool,
    connects: Rc<Cell<u32>>,
    disconnects: Rc<Cell<u32>>,
    down: Down,
}

impl Link for GoodLink {
    type Error = ();

    async fn connect(&mut self) -> Result<(), ()> {
        assert!(!self.up, "it was taken down before");
        self.up = true;
        self.connects.set(self.connects.get() + 1);
        Ok(())
    }

    async fn publish(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ()> {
        assert!(self.up);
        self.down.take(kind, payload, self.now.get());
        Ok(())
    }

    async fn receive(&mut self, buffer: &mut [u8]) -> Result<(Kind, usize), ()> {
        Ok(self.down.next(buffer).await)
    }

    async fn disconnect(&mut self) {
        self.up = false;
        self.disconnects.set(self.disconnects.get() + 1);
    }
}

#[test]
fn takes_the_link_down_between_one_sending_and_the_next() {
    let now = Rc::new(Cell::new(0));
    let mut link = GoodLink {
        now: now.clone(),
        ..GoodLink::default()
    };
    let (connects, disconnects, arrived) = (
        link.connects.clone(),
        link.disconnects.clone(),
        link.down.arrived.clone(),
    );
    let sampled = Rc::new(RefCell::new(Vec::new()));
    let identity = Identity {
        node: "n1".parse().expect("an id"),
        firmware: "test",
        board: "host",
        reset_reason: ResetReason::PowerOn,
        boot: 1,
    };
    let config = NodeConfig {
        sample_every_s: 60,
        send_every_s: 600,
        listen_s: Some(5),
        ..NodeConfig::default()
    };
    let mut outbox = RamOutbox::<64>::new();
    let Ok(mut node) = block_on(Node::start(identity, config, &mut outbox));
    let mut probes = OneProbe(sampled.clone(), now.clone());
    let mut timer = VirtualTimer(now.clone());
    let stop = async {
        while now.get() < 3_600_000 {
            yield_now().await;
        }
    };
    block_on(select(
        run(&mut node, &mut link, &mut probes, &mut timer),
        stop,
    ));
    // One at the start, then one for each ten minutes.
    assert!((6..=7).contains(&connects.get()), "{}", connects.get());
    assert!(connects.get() - disconnects.get() <= 1);
    assert!((60..=62).contains(&sampled.borrow().len()));
    assert!(
        arrived.get() + 10 >= sampled.borrow().len(),
        "{}",
        arrived.get()
    );
    assert_eq!(
        arrived.get() + node.storage().pending() as usize,
        sampled.borrow().len()
    );
}
