//! What comes over the network, and the block that was written when the board was flashed.

use sen_wire::{
    Channel, Decimal, Fault, Hello, NodeConfig, NodeId, Quantity, Receipt, RefusalReason, Topic,
    calibration::saturation_mg_l, provision::Provision, senml,
};

use crate::{
    entries,
    outside::{any, bytes, keep, text},
};

entries! {
    fn wire_pack() {
        let head = senml::read_pack(bytes(), &mut |index, record| {
            keep(record.and_then(|record| record.resolve()).map(|reading| (index, reading)));
        });
        keep(head);
    }

    fn wire_receipt() {
        keep(Receipt::decode(bytes()));
    }

    fn wire_hello() {
        keep(Hello::decode(bytes()).map(|hello| hello.refusal()));
    }

    fn wire_config() {
        keep(NodeConfig::decode(bytes()));
    }

    fn wire_provision() {
        keep(Provision::for_board(bytes(), text()).map(|provision| provision.gateway.address()));
    }

    fn wire_topic() {
        keep(Topic::parse(text()));
    }

    fn wire_names() {
        keep(text().parse::<NodeId>());
        keep(Channel::parse(text()));
        keep(Quantity::parse(text()));
        keep(Fault::from_name(text()));
    }

    fn wire_numbers() {
        keep(Channel::from_u16(any(1)));
        keep(Fault::from_code(any(1)));
        keep(RefusalReason::from_code(any(1)));
        keep(saturation_mg_l(decimal()));
    }

    fn wire_decimal() {
        keep(text().parse::<Decimal>());
        keep(decimal().cmp(&decimal()));
        keep(decimal().checked_add(decimal()));
        keep(decimal().scaled(any(1)));
        keep(decimal().floor_at(any(1)));
        keep(decimal().near_f64());
    }
}

fn decimal() -> Decimal {
    Decimal::new(any(1), any(1))
}
