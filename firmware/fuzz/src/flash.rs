//! Flash of any content: it opens, or says why not, and then it takes readings and gives them back.

use std::{cell::RefCell, convert::Infallible, ops::ControlFlow, rc::Rc};

use crc::{CRC_32_ISO_HDLC, Crc};
use embassy_futures::block_on;
use embedded_storage_async::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use sen_node::{
    Entry, FlashOutbox, FlashSettings, NoSettings, Settings, Stamp, Storage, flash::Error,
};
use sen_wire::{Channel, Decimal, Ids, Quantity, Value, limits::MAX_CONFIG_BYTES};

use crate::{
    Input, golden,
    node::{listen, start},
};

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// NOR flash of pages of `P` bytes and words of 4, that keeps what it is given. A word that is written twice is a panic.
#[derive(Clone, Debug)]
struct Chip<const P: usize>(Rc<RefCell<Vec<u8>>>);

impl<const P: usize> Chip<P> {
    fn of(bytes: Vec<u8>) -> Self {
        assert!(bytes.len().is_multiple_of(P));
        Self(Rc::new(RefCell::new(bytes)))
    }
}

impl<const P: usize> ErrorType for Chip<P> {
    type Error = Infallible;
}

impl<const P: usize> ReadNorFlash for Chip<P> {
    const READ_SIZE: usize = 4;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.copy_from_slice(&self.0.borrow()[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.borrow().len()
    }
}

impl<const P: usize> NorFlash for Chip<P> {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = P;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Infallible> {
        assert_eq!(to as usize, from as usize + P, "one whole page");
        self.0.borrow_mut()[from as usize..to as usize].fill(0xff);
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Infallible> {
        assert!(offset.is_multiple_of(4) && bytes.len().is_multiple_of(4));
        let chip = &mut self.0.borrow_mut()[offset as usize..][..bytes.len()];
        assert!(
            chip.iter().all(|byte| *byte == 0xff),
            "written a second time"
        );
        chip.copy_from_slice(bytes);
        Ok(())
    }
}

/// The bytes over the pages, the rest erased.
fn pages<const P: usize>(bytes: &[u8], count: usize) -> Vec<u8> {
    let mut all = vec![0xff; P * count];
    all.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    all
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

const PAGE: usize = 512;
const PAGES: usize = 4;
const HEADER: usize = 48;
const SLOT: usize = 24;
const ALL: Ids = Ids { boot: 0, seq: 0 };

/// Makes each page's header one of this layout, with the number that it says or the nearest that belongs there, and all
/// checksums right: what stands in the fields stays as it came.
fn forge(flash: &mut [u8]) {
    for (place, page) in flash.chunks_mut(PAGE).enumerate() {
        let said = number(page, 8);
        let sequence = said - said % PAGES as u32 + place as u32;
        put(page, 0, b"Sen\x01");
        put(page, 4, &(PAGES as u16).to_le_bytes());
        put(page, 8, &sequence.to_le_bytes());
        let crc = CRC.checksum(&page[..HEADER - 4]);
        put(page, HEADER - 4, &crc.to_le_bytes());
        for (slot, bytes) in page[HEADER..].chunks_exact_mut(SLOT).enumerate() {
            if bytes.iter().any(|byte| *byte != 0xff) {
                let mut digest = CRC.digest();
                digest.update(&sequence.to_le_bytes());
                digest.update(&(slot as u16).to_le_bytes());
                digest.update(&bytes[..SLOT - 4]);
                put(bytes, SLOT - 4, &digest.finalize().to_le_bytes());
            }
        }
    }
}

/// The first byte says whether the checksums are made right.
pub(crate) fn outbox(bytes: &[u8]) {
    let mut input = Input(bytes);
    let forged = input.u8() % 2 == 1;
    let mut flash = pages::<PAGE>(input.0, PAGES);
    if forged {
        forge(&mut flash);
    }
    let chip = Chip::<PAGE>::of(flash);
    let mut outbox = match block_on(FlashOutbox::open(chip.clone(), 7)) {
        Ok(outbox) => outbox,
        // Checksums that are right by forgery only: such flash says that its numbers are used up.
        Err(Error::NotKept) if forged => return,
        Err(Error::OtherLayout) => {
            block_on(FlashOutbox::format(chip.clone(), 7)).expect("can be formatted")
        }
        Err(error) => panic!("{error}"),
    };
    // What it holds is in order, and a node can send it.
    let mut held = 0u32;
    let mut newest = None;
    block_on(outbox.visit(ALL, |entry| {
        assert!(forged || Some(entry.ids) > newest, "the entries rise");
        newest = Some(entry.ids);
        held += 1;
        ControlFlow::Continue(())
    }))
    .expect("reads");
    let boot = outbox.boot();
    let mut node = start(boot, &mut outbox, NoSettings).expect("starts");
    node.connected(0);
    listen(&mut node, 20_000, !forged);
    drop(node);
    // It takes readings, if there is a place left for them,
    let last = outbox.newest().unwrap_or(ALL);
    let first = Ids { boot, seq: 0 }.max(Ids {
        boot: last.boot,
        seq: last.seq.saturating_add(1),
    });
    let used_up = forged && last >= first;
    let entries: Vec<_> = (0..3)
        .map(|more| Entry {
            ids: Ids {
                boot: first.boot,
                seq: first.seq.saturating_add(more),
            },
            channel: Channel::first(Quantity::Salinity),
            value: Value::Number(Decimal::new(i64::from(more), -1)),
            stamp: Stamp::Utc(1_700_000_000_000),
        })
        .collect();
    let taken: Vec<_> = entries
        .iter()
        .take_while(|entry| match block_on(outbox.append(entry)) {
            Ok(()) => true,
            // Numbers that are used up, as above.
            Err(_) if forged => false,
            Err(error) => panic!("{error}"),
        })
        .collect();
    assert!(used_up || forged || taken.len() == 3);
    // gives them back,
    let mut given = Vec::new();
    block_on(outbox.visit(first, |entry| {
        given.push(*entry);
        ControlFlow::Continue(())
    }))
    .expect("reads");
    if !forged {
        assert!(given.iter().eq(taken.iter().copied()), "{given:?}");
    }
    // and lets go of them.
    let Some(through) = taken.last().map(|entry| entry.ids) else {
        return;
    };
    match block_on(outbox.acknowledge(through)) {
        Ok(()) => {}
        Err(_) if forged => return,
        Err(error) => panic!("{error}"),
    }
    let dropped = outbox.dropped();
    assert!(forged || outbox.pending() == 0);
    // After a restart all is as it was.
    match block_on(FlashOutbox::open(chip, 8)) {
        Ok(again) if !forged => {
            assert_eq!(
                (again.pending(), again.newest(), again.dropped()),
                (0, Some(through), dropped)
            );
            assert!(again.boot() > boot);
        }
        Ok(_) => {}
        Err(error) => assert!(forged, "{error}"),
    }
}

/// Flash as the outbox itself writes it: fresh, in use, round and round; as it is, and to be forged.
pub(crate) fn outboxes() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (entries, acknowledged) in [(0, 0), (3, 0), (12, 5), (40, 20), (75, 0), (200, 190)] {
        let chip = Chip::<PAGE>::of(vec![0xff; PAGE * PAGES]);
        let mut outbox = block_on(FlashOutbox::open(chip.clone(), 7)).expect("opens");
        let boot = outbox.boot();
        for seq in 0..entries {
            let entry = Entry {
                ids: Ids { boot, seq },
                channel: Channel::first(Quantity::ALL[seq as usize % Quantity::ALL.len()]),
                value: match seq % 7 {
                    0 => Value::Fault(sen_wire::Fault::Crc),
                    _ => Value::Number(Decimal::new(i64::from(seq) * 37, -2)),
                },
                stamp: match seq % 3 {
                    0 => Stamp::Uptime(u64::from(seq) * 1_000),
                    _ => Stamp::Utc(1_700_000_000_000 + i64::from(seq)),
                },
            };
            block_on(outbox.append(&entry)).expect("appends");
        }
        if acknowledged > 0 {
            let seq = acknowledged;
            block_on(outbox.acknowledge(Ids { boot, seq })).expect("marks");
        }
        drop(block_on(FlashOutbox::open(chip.clone(), 7)).expect("opens"));
        for forged in [0, 1] {
            seeds.push([&[forged][..], &chip.0.borrow()].concat());
        }
    }
    seeds
}

const SETTINGS_PAGE: usize = 2048;
const SETTINGS_PAGES: usize = 2;

/// The first byte says whether magic, length and checksum are made right.
pub(crate) fn settings(bytes: &[u8]) {
    let mut input = Input(bytes);
    let forged = input.u8() % 2 == 1;
    let mut flash = pages::<SETTINGS_PAGE>(input.0, SETTINGS_PAGES);
    if forged {
        for page in flash.chunks_mut(SETTINGS_PAGE) {
            let length = number(page, 8) % (MAX_CONFIG_BYTES as u32 + 2);
            put(page, 0, b"SenC");
            put(page, 8, &length.to_le_bytes());
            let mut digest = CRC.digest();
            digest.update(&page[..12]);
            digest.update(&page[16..16 + length as usize]);
            put(page, 12, &digest.finalize().to_le_bytes());
        }
    }
    let chip = Chip::<SETTINGS_PAGE>::of(flash);
    let mut settings = FlashSettings::new(chip.clone()).expect("two pages");
    let mut buffer = [0; MAX_CONFIG_BYTES];
    let kept = block_on(settings.load(&mut buffer)).expect("reads");
    assert!(kept.is_none_or(|length| length <= MAX_CONFIG_BYTES));
    let mut node = start(1, sen_node::RamOutbox::<4>::new(), &mut settings).expect("starts");
    node.connected(0);
    listen(&mut node, 20_000, true);
    drop(node);
    let config = input.bytes(usize::from(bytes.len() as u8));
    block_on(settings.store(config)).expect("is kept");
    for mut settings in [settings, FlashSettings::new(chip).expect("two pages")] {
        let length = block_on(settings.load(&mut buffer)).expect("reads");
        assert_eq!(length.map(|length| &buffer[..length]), Some(config));
    }
}

pub(crate) fn settings_pages() -> Vec<Vec<u8>> {
    let mut seeds = vec![vec![0]];
    let chip = Chip::<SETTINGS_PAGE>::of(vec![0xff; SETTINGS_PAGE * SETTINGS_PAGES]);
    let mut settings = FlashSettings::new(chip.clone()).expect("two pages");
    for config in golden("config") {
        block_on(settings.store(&config)).expect("is kept");
        for forged in [0, 1] {
            seeds.push([&[forged][..], &chip.0.borrow()].concat());
        }
    }
    seeds
}
