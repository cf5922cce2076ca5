//! The machine's Ethernet controller, an SMSC LAN9118, for embassy-net. Polled FIFOs, one interrupt: a frame has come.
//!
//! Register numbers, bits and the order of the reset are those of the LAN9118 datasheet (SMSC, revision 1.5), sections 3 to 5.
#![allow(unsafe_code, reason = "says where the device is")]

use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;
use static_cell::ConstStaticCell;

use crate::registers::Registers;

/// Its interrupt.
pub(crate) const IRQ: i16 = 13;

// SAFETY: the LAN9118 of the mps2-an385 (Arm AN385, table 4-1). Reading a FIFO's port takes from the FIFO: no other memory.
const CHIP: Registers = unsafe { Registers::new(0x4020_0000) };

const RX_DATA: usize = 0x00;
const TX_DATA: usize = 0x20;
const RX_STATUS: usize = 0x40;
const TX_STATUS: usize = 0x48;
const IRQ_CFG: usize = 0x54;
const INT_STS: usize = 0x58;
const INT_EN: usize = 0x5c;
const BYTE_TEST: usize = 0x64;
const FIFO_INT: usize = 0x68;
const TX_CFG: usize = 0x70;
const HW_CFG: usize = 0x74;
const RX_FIFO_INF: usize = 0x7c;
const TX_FIFO_INF: usize = 0x80;
const MAC_COMMAND: usize = 0xa4;
const MAC_DATA: usize = 0xa8;

/// "RX status FIFO level": frames wait.
const FRAME_CAME: u32 = 1 << 3;

// Registers of the MAC behind the chip's own.
const MAC_CR: u32 = 1;
const MAC_ADDRESS_HIGH: u32 = 2;
const MAC_ADDRESS_LOW: u32 = 3;
const MII_ACCESS: u32 = 6;
const MII_DATA: u32 = 7;
const MAC_BUSY: u32 = 1 << 31;
const MAC_READ: u32 = 1 << 30;

/// Ethernet head and a full IP packet.
const FRAME: usize = 1514;
const CRC: usize = 4;
const WORDS: usize = FRAME.div_ceil(4);

static WAKER: AtomicWaker = AtomicWaker::new();

/// The device is not there, or is another.
#[derive(Debug)]
pub(crate) struct Absent;

/// The controller. Its frames lie in statics: by value they would go through the stack at each move.
pub(crate) struct Lan9118 {
    received: &'static mut [u8; WORDS * 4],
    to_send: &'static mut [u8; WORDS * 4],
    address: [u8; 6],
}

fn mac_idle() {
    while CHIP.read(MAC_COMMAND) & MAC_BUSY != 0 {}
}

fn mac_read(register: u32) -> u32 {
    mac_idle();
    CHIP.write(MAC_COMMAND, MAC_BUSY | MAC_READ | register);
    mac_idle();
    CHIP.read(MAC_DATA)
}

fn mac_write(register: u32, value: u32) {
    mac_idle();
    CHIP.write(MAC_DATA, value);
    CHIP.write(MAC_COMMAND, MAC_BUSY | register);
    mac_idle();
}

/// To be called by the interrupt: it stays off until the driver has taken all frames.
pub(crate) fn on_interrupt() {
    CHIP.write(INT_EN, 0);
    CHIP.write(INT_STS, FRAME_CAME);
    WAKER.wake();
}

impl Lan9118 {
    /// Resets it and turns it on; call once.
    pub(crate) fn start() -> Result<Self, Absent> {
        static RECEIVED: ConstStaticCell<[u8; WORDS * 4]> = ConstStaticCell::new([0; _]);
        static TO_SEND: ConstStaticCell<[u8; WORDS * 4]> = ConstStaticCell::new([0; _]);
        if CHIP.read(BYTE_TEST) != 0x8765_4321 {
            return Err(Absent);
        }
        CHIP.write(HW_CFG, 1);
        while CHIP.read(HW_CFG) & 1 != 0 {}
        // 5 KiB for what is sent, and a bit that must be one.
        CHIP.write(HW_CFG, 5 << 16 | 1 << 20);
        // Interrupt from the first frame on.
        CHIP.write(FIFO_INT, 0x48 << 24);
        CHIP.write(TX_CFG, 1 << 1);
        // Full duplex, both directions on, no promiscuous mode.
        mac_write(MAC_CR, 1 << 20 | 1 << 3 | 1 << 2);
        CHIP.write(INT_STS, u32::MAX);
        CHIP.write(INT_EN, 0);
        // On, active high, push-pull.
        CHIP.write(IRQ_CFG, 1 << 8 | 1 << 4 | 1);
        let [a, b, c, d] = mac_read(MAC_ADDRESS_LOW).to_le_bytes();
        let [e, f, ..] = mac_read(MAC_ADDRESS_HIGH).to_le_bytes();
        Ok(Self {
            received: RECEIVED.take(),
            to_send: TO_SEND.take(),
            address: [a, b, c, d, e, f],
        })
    }
}

/// The PHY's basic status, bit 2 (IEEE 802.3, clause 22.2.4.2).
fn cable_in() -> bool {
    const PHY: u32 = 1 << 11;
    const BASIC_STATUS: u32 = 1 << 6;
    mac_write(MII_ACCESS, PHY | BASIC_STATUS);
    while mac_read(MII_ACCESS) & 1 != 0 {}
    mac_read(MII_DATA) & 1 << 2 != 0
}

pub(crate) struct Received<'a>(&'a mut [u8]);
pub(crate) struct Sending<'a>(&'a mut [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, take: F) -> R {
        let status = CHIP.read(RX_STATUS);
        let length = (status >> 16 & 0x3fff) as usize;
        // The checksum comes along, and the FIFO wants to be read to the frame's end, whatever of it there is room for.
        let mut room = self.0.chunks_exact_mut(4);
        for _ in 0..length.div_ceil(4) {
            let word = CHIP.read(RX_DATA).to_le_bytes();
            if let Some(room) = room.next() {
                room.copy_from_slice(&word);
            }
        }
        let length = length.saturating_sub(CRC).min(self.0.len());
        take(&mut self.0[..length])
    }
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let result = fill(&mut self.0[..length]);
        // Command A: first and last segment, its length. Command B: the frame's length.
        CHIP.write(TX_DATA, 1 << 13 | 1 << 12 | length as u32);
        CHIP.write(TX_DATA, length as u32);
        for word in self.0.chunks_exact(4).take(length.div_ceil(4)) {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(word);
            CHIP.write(TX_DATA, u32::from_le_bytes(bytes));
        }
        // The chip stops when nobody reads how it went.
        while CHIP.read(TX_FIFO_INF) >> 16 & 0xff != 0 {
            CHIP.read(TX_STATUS);
        }
        result
    }
}

impl Driver for Lan9118 {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Received<'_>, Sending<'_>)> {
        if CHIP.read(RX_FIFO_INF) >> 16 & 0xff == 0 {
            WAKER.register(context.waker());
            // One that slipped in since has set its bit in INT_STS: this raises the interrupt at once.
            CHIP.write(INT_EN, FRAME_CAME);
            return None;
        }
        Some((Received(self.received), Sending(self.to_send)))
    }

    fn transmit(&mut self, _context: &mut Context<'_>) -> Option<Sending<'_>> {
        // Room for a frame: the emulated wire takes them at once.
        while CHIP.read(TX_FIFO_INF) & 0xffff < FRAME as u32 + 16 {}
        Some(Sending(self.to_send))
    }

    fn link_state(&mut self, _context: &mut Context<'_>) -> LinkState {
        if cable_in() {
            LinkState::Up
        } else {
            LinkState::Down
        }
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME;
        capabilities.max_burst_size = Some(1);
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}
