//! A gateway that stores everything: what it answers to what a node publishes.

use sen_wire::{Receipt, senml::read_pack, topic::Kind};

/// The receipt of a message, and how many readings came with it.
pub(crate) fn answer(kind: Kind, payload: &[u8], time_ms: i64) -> (Receipt, usize) {
    if kind != Kind::Pack {
        return (Receipt::time_only(1, time_ms), 0);
    }
    let head = read_pack(payload, &mut |_, _| {}).expect("a pack");
    let ids = head.ids.expect("ids");
    let receipt = Receipt {
        boot: ids.boot,
        from: ids.seq,
        through: ids.seq + head.records as u32 - 1,
        time_ms,
    };
    (receipt, head.records)
}
