//! Links only if no decoder of the firmware can panic, whatever bytes come: a panic on a board is a reset, and bytes that
//! cause one come again after it.
//!
//! The panic handler calls a function that does not exist. If the optimiser leaves any call of it behind, the linker fails and
//! names `a_decoder_can_panic`; `scripts/no-panic.sh` then says from where.
#![no_std]
#![no_main]
#![allow(unsafe_code, reason = "entry points that the linker must keep")]

use core::{hint::black_box, panic::PanicInfo, str::from_utf8};

use sen_wire::{
    Channel, Decimal, Hello, NodeConfig, NodeId, Receipt, Topic, provision::Provision, senml,
};

unsafe extern "C" {
    fn a_decoder_can_panic() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: never linked; that is the point.
    unsafe { a_decoder_can_panic() }
}

/// An entry point for each decoder, over bytes that nothing is known about.
macro_rules! decoders {
    ($($name:ident: |$bytes:ident| $decode:expr;)+) => {
        $(
            #[inline(never)]
            fn $name($bytes: &[u8]) {
                let _ = black_box($decode);
            }
        )+

        /// Calls them all.
        #[unsafe(no_mangle)]
        // SAFETY: the linker's entry; never run.
        extern "C" fn _start() {
            let bytes: &[u8] = black_box(&[]);
            $( $name(bytes); )+
        }
    };
}

decoders! {
    pack: |bytes| senml::read_pack(bytes, &mut |_, record| {
        let _ = black_box(record.and_then(|record| record.resolve()));
    });
    receipt: |bytes| Receipt::decode(bytes);
    hello: |bytes| Hello::decode(bytes).is_ok();
    config: |bytes| NodeConfig::decode(bytes);
    provision: |bytes| Provision::decode(bytes);
    topic: |bytes| from_utf8(bytes).map(|text| Topic::parse(text).is_ok());
    node_id: |bytes| from_utf8(bytes).map(|text| text.parse::<NodeId>());
    channel: |bytes| from_utf8(bytes).map(Channel::parse);
    decimal: |bytes| from_utf8(bytes).map(|text| text.parse::<Decimal>());
}
