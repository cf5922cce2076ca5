//! A whole node: what it finds in flash when it starts, what it is sent, and what it makes of its samples.

use embassy_futures::block_on;
use sen_node::{
    FlashOutbox, FlashSettings, Identity, Node, Probes, Samples, Storage, calibration::apply, run,
};
use sen_wire::{Calibration, Channel, Decimal, NodeConfig, ResetReason};

use crate::{
    entries,
    outside::{Device, any, keep, text},
};

/// Probes that say anything.
struct Anything;

impl Probes for Anything {
    async fn sample(&mut self, wanted: &[Channel], samples: &mut Samples) {
        for channel in any(wanted) {
            match any(0) {
                0 => samples.value(*channel, Decimal::new(any(1), any(1))),
                1 => samples.raw(*channel, Decimal::new(any(1), any(1))),
                _ => samples.fault(*channel, any(sen_wire::Fault::Other)),
            }
        }
    }

    fn battery_mv(&mut self) -> Option<u16> {
        any(None)
    }
}

entries! {
    /// From its start to its last message.
    fn node_runs() {
        block_on(async {
            let outbox = FlashOutbox::open(Device, any(1)).await.ok()?;
            let settings = FlashSettings::new(Device).ok()?;
            let identity = Identity {
                node: text().parse().ok()?,
                firmware: text(),
                board: text(),
                reset_reason: any(ResetReason::PowerOn),
                boot: any(outbox.boot()),
            };
            let board = any(Some(&[] as &[Channel]));
            let default = NodeConfig::default();
            let mut node = Node::start_with(identity, default, outbox, settings, board)
                .await
                .ok()?;
            if any(true) {
                run(&mut node, &mut Device, &mut Anything, &mut Device).await;
            }
            Some(())
        });
    }

    /// What only a tool or a command at the board asks for.
    fn node_formats_its_flash() {
        if let Ok(outbox) = block_on(FlashOutbox::format(Device, any(1))) {
            keep((outbox.newest(), outbox.pending(), outbox.dropped()));
        }
    }

    /// Also one that was never checked.
    fn node_calibrates() {
        keep(apply(any(&SOME), Decimal::new(any(1), any(1)), any(None)));
    }
}

const SOME: Calibration = Calibration {
    channel: Channel::first(sen_wire::Quantity::Ph),
    curve: sen_wire::Curve::Ph,
    version: 0,
    at_ms: 0,
    points: sen_wire::calibration::Points::new(),
};
