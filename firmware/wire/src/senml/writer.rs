//! Writes a pack in CBOR into a buffer of fixed size.
//!
//! Shape: a definite array of definite maps, RFC integers as labels. The time stands in the base time field and only where
//! it changes: a sweep of six channels pays for it once. Values are integers or decimal fractions (tag 4), in lowest
//! terms. The same readings always give the same bytes.

use minicbor::{Encoder, encode::write::Cursor};

use crate::{
    Decimal, Ids, Reading, Time, Value,
    limits::{MAX_PACK_BYTES, MAX_PACK_RECORDS},
    number,
};

/// Room for the array's head before its length is known; up to 23 records one byte is enough.
const HEAD: usize = 2;

/// The pack has no room for this reading: send it, and start the next one with the reading that did not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl core::fmt::Display for Full {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the pack is full: send it and start another")
    }
}

impl core::error::Error for Full {}

type EncodeError = minicbor::encode::Error<minicbor::encode::write::EndOfSlice>;

/// Writes readings with consecutive sequence numbers until the buffer, [`MAX_PACK_BYTES`] or [`MAX_PACK_RECORDS`] is
/// reached.
pub struct PackWriter<'b> {
    buffer: &'b mut [u8],
    length: usize,
    records: usize,
    first: Option<Ids>,
    base: Time,
}

impl<'b> PackWriter<'b> {
    /// An empty pack in `buffer`; its first reading has the place `first`.
    pub fn new(buffer: &'b mut [u8], first: Option<Ids>) -> Self {
        let room = buffer.len().min(MAX_PACK_BYTES);
        Self {
            buffer: &mut buffer[..room],
            length: HEAD,
            records: 0,
            first,
            base: Time::Missing,
        }
    }

    /// Appends a reading. When it does not fit, the pack stays as it was.
    pub fn push(&mut self, reading: &Reading) -> Result<(), Full> {
        if self.records == MAX_PACK_RECORDS {
            return Err(Full);
        }
        let first = self.first.filter(|_| self.records == 0);
        let base = (reading.time != self.base).then_some(reading.time);
        let room = self.buffer.get_mut(self.length..).ok_or(Full)?;
        let mut encoder = Encoder::new(Cursor::new(room));
        write_record(&mut encoder, reading, first, base).map_err(|_| Full)?;
        self.length += encoder.writer().position();
        self.records += 1;
        self.base = reading.time;
        Ok(())
    }

    /// How many readings are in it.
    pub fn len(&self) -> usize {
        self.records
    }

    /// True before the first reading.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The pack's bytes: they start where the buffer does.
    pub fn finish(mut self) -> &'b [u8] {
        match self.records {
            0 => return &[],
            1..24 => {
                self.buffer.copy_within(HEAD..self.length, 1);
                self.buffer[0] = 0x80 | self.records as u8;
                self.length -= 1;
            }
            _ => self.buffer[..HEAD].copy_from_slice(&[0x98, self.records as u8]),
        }
        &self.buffer[..self.length]
    }
}

const _: () = assert!(
    MAX_PACK_RECORDS < 256,
    "the array's head has one byte of length"
);

fn write_record(
    e: &mut Encoder<Cursor<&mut [u8]>>,
    reading: &Reading,
    first: Option<Ids>,
    base: Option<Time>,
) -> Result<(), EncodeError> {
    let labels = 2
        + u64::from(base.is_some())
        + u64::from(reading.estimated)
        + if first.is_some() { 2 } else { 0 };
    e.map(labels)?;
    if let Some(time) = base {
        // A missing time after a given one is written as what it means: now (RFC 8428 section 4.5.3).
        let ms = match time {
            Time::Absolute(ms) | Time::Relative(ms) => ms,
            Time::Missing => 0,
        };
        e.i8(-3)?;
        number::write(e, Decimal::new(ms, -3))?;
    }
    if let Some(Ids { boot, seq }) = first {
        e.str("boot")?.u64(boot)?.str("seq")?.u32(seq)?;
    }
    e.u8(0)?.str(&reading.channel.code())?;
    match reading.value {
        Value::Number(number) => {
            e.u8(2)?;
            number::write(e, number)?;
        }
        Value::Fault(fault) => {
            e.str("flt")?.u8(fault.code())?;
        }
    }
    if reading.estimated {
        e.str("est")?.bool(true)?;
    }
    Ok(())
}
