//! The bytes of page headers and records, each with a checksum of its own. No I/O.

use sen_wire::{Channel, Decimal, Fault, Ids, Value};

use crate::{checksum::CRC, clock::Stamp, outbox::Entry};

/// A record without the padding to whole words.
pub(super) const RECORD_BYTES: usize = 24;
/// A page header without the padding to whole words.
pub(super) const HEADER_BYTES: usize = 48;

/// "Sen" and the version of the layout. A later version keeps the header's size, its first 8 bytes and its checksum.
const MAGIC: [u8; 4] = *b"Sen\x01";
/// No place at all: before every reading.
pub(super) const NO_IDS: Ids = Ids { boot: 0, seq: 0 };

/// What a page begins with: all that was true when it was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Pages of the ring.
    pub(super) pages: u16,
    /// Random, since the format.
    pub(super) incarnation: u16,
    /// Which page since the format, from 0. It lies at this number modulo the pages of the ring.
    pub(super) sequence: u32,
    /// Starts of the node since the format.
    pub(super) starts: u32,
    /// Entries appended since the format: the first of this page has this ordinal.
    pub(super) appended: u32,
    /// The ordinal of the first entry that was neither acknowledged nor dropped.
    pub(super) head: u32,
    /// Entries dropped since the format.
    pub(super) dropped: u32,
    /// The newest entry before this page, or [`NO_IDS`].
    pub(super) newest: Ids,
}

/// What stands where a header should.
pub(super) enum Heading {
    /// Nothing of ours, or torn.
    None,
    /// A header.
    Header(Header),
    /// The whole header of another version of this layout.
    OtherVersion,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0xff; HEADER_BYTES];
        let mut at = 0;
        put(&mut bytes, &mut at, &MAGIC);
        put(&mut bytes, &mut at, &self.pages.to_le_bytes());
        put(&mut bytes, &mut at, &self.incarnation.to_le_bytes());
        for number in [
            self.sequence,
            self.starts,
            self.appended,
            self.head,
            self.dropped,
        ] {
            put(&mut bytes, &mut at, &number.to_le_bytes());
        }
        put(&mut bytes, &mut at, &self.newest.boot.to_le_bytes());
        put(&mut bytes, &mut at, &self.newest.seq.to_le_bytes());
        let crc = CRC.checksum(&bytes[..HEADER_BYTES - 4]);
        bytes[HEADER_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Heading {
        let crc = CRC.checksum(&bytes[..HEADER_BYTES - 4]);
        if bytes[..3] != MAGIC[..3] || crc != u32_at(bytes, HEADER_BYTES - 4) {
            return Heading::None;
        }
        if bytes[..4] != MAGIC {
            return Heading::OtherVersion;
        }
        Heading::Header(Self {
            pages: u16::from_le_bytes(field(bytes, 4)),
            incarnation: u16::from_le_bytes(field(bytes, 6)),
            sequence: u32_at(bytes, 8),
            starts: u32_at(bytes, 12),
            appended: u32_at(bytes, 16),
            head: u32_at(bytes, 20),
            dropped: u32_at(bytes, 24),
            newest: Ids {
                boot: u64::from_le_bytes(field(bytes, 28)),
                seq: u32_at(bytes, 36),
            },
        })
    }
}

/// One record, in one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// A reading.
    Entry(Packed),
    /// All entries with a lower ordinal are acknowledged.
    Mark {
        /// That ordinal.
        head: u32,
    },
    /// The node started. Entries after it belong to this boot, from 0.
    Start {
        /// For which time since the format.
        starts: u32,
        /// The ordinal of the next entry, said once more: the last record before a cut may read well now and badly later.
        appended: u32,
    },
    /// Entries after it count from here.
    Base(Ids),
    /// The page is full, and the one after it in the ring may already be half erased.
    Closing,
}

/// What stands in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// Nothing, as far as reading can tell.
    Erased,
    /// A write that power did not last for.
    Torn,
    /// A record.
    Record(Record),
}

const ENTRY: u8 = 0x01;
const MARK: u8 = 0x02;
const START: u8 = 0x03;
const BASE: u8 = 0x04;
const CLOSING: u8 = 0x05;
const KIND: u8 = 0x0f;
/// The stamp is an uptime.
const UPTIME: u8 = 0x10;
/// The value is a fault.
const FAULT: u8 = 0x20;

impl Record {
    /// The record's bytes for this slot and no other: the checksum covers where it stands.
    pub(super) fn encode(&self, sequence: u32, slot: u16) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        let mut at = 0;
        match self {
            Self::Entry(packed) => {
                let flags = ENTRY | packed.flags;
                put(&mut bytes, &mut at, &[flags, packed.exponent as u8]);
                put(&mut bytes, &mut at, &packed.channel.to_le_bytes());
                put(&mut bytes, &mut at, &packed.offset.to_le_bytes());
                put(&mut bytes, &mut at, &packed.stamp.to_le_bytes()[..6]);
                put(&mut bytes, &mut at, &packed.mantissa.to_le_bytes());
            }
            Self::Mark { head } => {
                put(&mut bytes, &mut at, &[MARK, 0, 0, 0]);
                put(&mut bytes, &mut at, &head.to_le_bytes());
            }
            Self::Start { starts, appended } => {
                put(&mut bytes, &mut at, &[START, 0, 0, 0]);
                put(&mut bytes, &mut at, &starts.to_le_bytes());
                put(&mut bytes, &mut at, &appended.to_le_bytes());
            }
            Self::Base(ids) => {
                put(&mut bytes, &mut at, &[BASE, 0, 0, 0]);
                put(&mut bytes, &mut at, &ids.boot.to_le_bytes());
                put(&mut bytes, &mut at, &ids.seq.to_le_bytes());
            }
            Self::Closing => put(&mut bytes, &mut at, &[CLOSING]),
        }
        let crc = record_crc(&bytes, sequence, slot);
        bytes[RECORD_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }
}

impl Slot {
    /// What stands in a slot's bytes, padding included.
    pub(super) fn decode(bytes: &[u8], sequence: u32, slot: u16) -> Self {
        if bytes.iter().all(|byte| *byte == 0xff) {
            return Self::Erased;
        }
        let Some(bytes) = bytes.first_chunk::<RECORD_BYTES>() else {
            return Self::Torn;
        };
        if record_crc(bytes, sequence, slot) != u32_at(bytes, RECORD_BYTES - 4) {
            return Self::Torn;
        }
        Self::Record(match bytes[0] & KIND {
            ENTRY => {
                let stamp = u64::from_le_bytes(field(bytes, 4)) as i64 >> 16;
                Record::Entry(Packed {
                    flags: bytes[0] & !KIND,
                    exponent: bytes[1] as i8,
                    channel: u16::from_le_bytes(field(bytes, 2)),
                    offset: u16::from_le_bytes(field(bytes, 4)),
                    stamp,
                    mantissa: i64::from_le_bytes(field(bytes, 12)),
                })
            }
            MARK => Record::Mark {
                head: u32_at(bytes, 4),
            },
            START => Record::Start {
                starts: u32_at(bytes, 4),
                appended: u32_at(bytes, 8),
            },
            BASE => Record::Base(Ids {
                boot: u64::from_le_bytes(field(bytes, 4)),
                seq: u32_at(bytes, 12),
            }),
            CLOSING => Record::Closing,
            _ => return Self::Torn,
        })
    }
}

/// An entry as its record holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    flags: u8,
    exponent: i8,
    channel: u16,
    offset: u16,
    stamp: i64,
    mantissa: i64,
}

/// Times have 48 bits: 4459 years around 1970. A clock that is further off is as wrong there.
const MAX_STAMP: i64 = (1 << 47) - 1;

impl Packed {
    /// Packs an entry; `None` if it lies too far from the base.
    pub(super) fn new(entry: &Entry, base: Ids) -> Option<Self> {
        if entry.ids.boot != base.boot {
            return None;
        }
        let offset = u16::try_from(entry.ids.seq.checked_sub(base.seq)?).ok()?;
        let (uptime, stamp) = match entry.stamp {
            Stamp::Utc(ms) => (0, ms.clamp(-MAX_STAMP, MAX_STAMP)),
            Stamp::Uptime(ms) => (UPTIME, ms.min(MAX_STAMP as u64) as i64),
        };
        let (fault, exponent, mantissa) = match entry.value {
            Value::Number(number) => (0, number.exponent(), number.mantissa()),
            Value::Fault(fault) => (FAULT, fault.code() as i8, 0),
        };
        Some(Self {
            flags: uptime | fault,
            exponent,
            channel: entry.channel.to_u16(),
            offset,
            stamp,
            mantissa,
        })
    }

    /// Its place.
    pub(super) fn ids(&self, base: Ids) -> Ids {
        Ids {
            boot: base.boot,
            seq: base.seq.saturating_add(u32::from(self.offset)),
        }
    }

    /// The entry; `None` if it is of a channel or fault that this version can't name.
    pub(super) fn entry(&self, base: Ids) -> Option<Entry> {
        Some(Entry {
            ids: self.ids(base),
            channel: Channel::from_u16(self.channel)?,
            value: match self.flags & FAULT {
                0 => Value::Number(Decimal::new(self.mantissa, self.exponent)),
                _ => Value::Fault(Fault::from_code(self.exponent as u8)?),
            },
            stamp: match self.flags & UPTIME {
                0 => Stamp::Utc(self.stamp),
                _ => Stamp::Uptime(self.stamp.unsigned_abs()),
            },
        })
    }
}

fn record_crc(bytes: &[u8; RECORD_BYTES], sequence: u32, slot: u16) -> u32 {
    let mut digest = CRC.digest();
    digest.update(&sequence.to_le_bytes());
    digest.update(&slot.to_le_bytes());
    digest.update(&bytes[..RECORD_BYTES - 4]);
    digest.finalize()
}

fn put(bytes: &mut [u8], at: &mut usize, field: &[u8]) {
    bytes[*at..*at + field.len()].copy_from_slice(field);
    *at += field.len();
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(field(bytes, at))
}

#[cfg(test)]
mod tests {
    use sen_wire::Quantity;

    use super::*;

    fn entry(value: Value, stamp: Stamp) -> Entry {
        Entry {
            ids: Ids { boot: 7, seq: 100 },
            channel: Channel::new(Quantity::Salinity, 9).unwrap(),
            value,
            stamp,
        }
    }

    #[test]
    fn every_entry_reads_back_as_it_was() {
        let base = Ids { boot: 7, seq: 40 };
        let mut values = std::vec![
            Value::Number(Decimal::ZERO),
            Value::Number(Decimal::new(i64::MIN, i8::MIN)),
            Value::Number(Decimal::new(i64::MAX, i8::MAX)),
        ];
        values.extend(Fault::ALL.iter().copied().map(Value::Fault));
        for value in values {
            for stamp in [
                Stamp::Utc(1_782_000_000_123),
                Stamp::Utc(-1),
                Stamp::Utc(-MAX_STAMP),
                Stamp::Utc(MAX_STAMP),
                Stamp::Uptime(0),
                Stamp::Uptime(MAX_STAMP as u64),
            ] {
                let entry = entry(value, stamp);
                let record = Record::Entry(Packed::new(&entry, base).unwrap());
                let bytes = record.encode(3, 5);
                let Slot::Record(Record::Entry(packed)) = Slot::decode(&bytes, 3, 5) else {
                    panic!("no entry")
                };
                assert_eq!(packed.entry(base), Some(entry));
                assert_eq!(Slot::decode(&bytes, 4, 5), Slot::Torn, "another page's");
                assert_eq!(Slot::decode(&bytes, 3, 6), Slot::Torn, "another slot's");
            }
        }
        let far = entry(Value::Number(Decimal::ZERO), Stamp::Utc(i64::MIN));
        let packed = Packed::new(&far, base).unwrap();
        assert_eq!(packed.entry(base).unwrap().stamp, Stamp::Utc(-MAX_STAMP));
    }

    #[test]
    fn a_base_that_does_not_reach_is_refused() {
        let entry = entry(Value::Number(Decimal::ZERO), Stamp::Utc(0));
        for (boot, seq) in [(6, 100), (8, 100), (7, 101)] {
            assert_eq!(Packed::new(&entry, Ids { boot, seq }), None);
        }
        let mut last = entry;
        last.ids.seq = 65_535;
        assert!(Packed::new(&last, Ids { boot: 7, seq: 0 }).is_some());
        last.ids.seq = 65_536;
        assert_eq!(Packed::new(&last, Ids { boot: 7, seq: 0 }), None);
    }

    #[test]
    fn other_records_read_back_and_a_flipped_bit_shows() {
        for record in [
            Record::Mark { head: 0xfeed_f00d },
            Record::Start {
                starts: 77,
                appended: 1_000,
            },
            Record::Base(Ids {
                boot: u64::MAX,
                seq: u32::MAX,
            }),
            Record::Closing,
        ] {
            let mut bytes = record.encode(9, 1);
            assert_eq!(Slot::decode(&bytes, 9, 1), Slot::Record(record));
            for bit in 0..RECORD_BYTES * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Slot::decode(&bytes, 9, 1), Slot::Torn, "bit {bit}");
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
        assert_eq!(Slot::decode(&[0xff; 32], 9, 1), Slot::Erased);
        assert_eq!(Slot::decode(&[0; 32], 9, 1), Slot::Torn);
    }

    /// Frozen: flash in the field holds these. If this fails, the layout changed and wants a new version.
    #[test]
    fn the_bytes_stay() {
        let header = Header {
            pages: 128,
            incarnation: 0xbeef,
            sequence: 1,
            starts: 2,
            appended: 3,
            head: 4,
            dropped: 5,
            newest: Ids {
                boot: 0xbeef_0000_0002,
                seq: 6,
            },
        };
        let bytes = header.encode();
        assert_eq!(bytes[..16], *b"Sen\x01\x80\0\xef\xbe\x01\0\0\0\x02\0\0\0");
        assert_eq!(
            bytes[16..40],
            *b"\x03\0\0\0\x04\0\0\0\x05\0\0\0\x02\0\0\0\xef\xbe\0\0\x06\0\0\0"
        );
        assert!(matches!(Header::decode(&bytes), Heading::Header(read) if read == header));
        let entry = entry(Value::Number(Decimal::new(-253, -1)), Stamp::Uptime(0x1234));
        let packed = Packed::new(&entry, Ids { boot: 7, seq: 0 }).unwrap();
        let bytes = Record::Entry(packed).encode(1, 2);
        assert_eq!(
            bytes[..20],
            *b"\x11\xff\xf9\0\x64\0\x34\x12\0\0\0\0\x03\xff\xff\xff\xff\xff\xff\xff"
        );
    }
}
