//! Reads a pack: walks the records, applies the base fields, hands each record to the caller.
//!
//! The format-specific part is a [`Source`]; everything that RFC 8428 says about labels is here, once for both formats.

use super::{
    ABSOLUTE_FROM_MS, LATEST_MS, PackError, RecordError,
    cbor::Cbor,
    json::Json,
    label::{Label, Meaning},
};
use crate::{
    Channel, Decimal, Fault, Ids, Reading, Time, Value,
    limits::{MAX_BOOT, MAX_NAME, MAX_UNIT, MAX_UPLINK_BYTES, MAX_UPLINK_RECORDS},
};

/// SenML's version (RFC 8428 section 4.4): the default, and the only one there is.
const VERSION: i64 = 10;

/// What holds for the pack as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackHead {
    /// The first record's place in the node's sequence; `None` for devices that know nothing of it.
    pub ids: Option<Ids>,
    /// How many records there were, refused ones included.
    pub records: usize,
    /// Some record's time is relative to now: the node has no clock yet.
    pub relative: bool,
}

/// One record, base fields applied. Borrowed texts live as long as the sink runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its place in the pack, from 0; its sequence number is that of the pack plus this.
    pub index: usize,
    /// The name up to and with the last `/` or `:`; the same in the whole pack.
    pub prefix: &'a str,
    /// The rest of the name: the channel.
    pub name: &'a str,
    /// The unit, if one was given.
    pub unit: Option<&'a str>,
    /// The value, as given in that unit.
    pub value: Value,
    /// When it was taken.
    pub time: Time,
    /// The node marked the time as placed backwards.
    pub estimated: bool,
}

impl Record<'_> {
    /// The reading in the channel's canonical unit. A relative time makes it estimated.
    pub fn resolve(&self) -> Result<Reading, RecordError> {
        let channel = Channel::parse(self.name).ok_or(RecordError::UnknownChannel)?;
        let value = match (self.value, self.unit) {
            (Value::Number(number), Some(unit)) => Value::Number(
                channel
                    .quantity()
                    .convert(number, unit)
                    .ok_or(RecordError::UnknownUnit)?,
            ),
            (value, _) => value,
        };
        let estimated = self.estimated || matches!(self.time, Time::Relative(_));
        Ok(Reading {
            channel,
            value,
            time: self.time,
            estimated,
        })
    }
}

/// Reads a pack in CBOR or JSON and hands each record, or why it was refused, to `sink` with its index.
///
/// The sink runs while the pack is read: keep what it got only if the whole call returns `Ok`.
pub fn read_pack(
    bytes: &[u8],
    sink: &mut impl FnMut(usize, Result<Record<'_>, RecordError>),
) -> Result<PackHead, PackError> {
    if bytes.len() > MAX_UPLINK_BYTES {
        return Err(PackError::TooLarge);
    }
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'[') => read(Json::new(bytes)?, sink),
        _ => match bytes.first() {
            Some(0x80..=0x9f) => read(Cbor::new(bytes)?, sink),
            _ => Err(PackError::NotAPack),
        },
    }
}

/// A format: yields records, labels and values. A value asked for as a kind that it is not is skipped, and said to be so.
pub(super) trait Source<'a> {
    /// Goes to the next record; false at the end of the pack.
    fn next_record(&mut self) -> Result<bool, PackError>;
    /// Goes to the next label of the record; `None` at its end.
    fn next_label(&mut self) -> Result<Option<Meaning>, PackError>;
    /// The label's value as a number.
    fn number(&mut self) -> Result<Result<Decimal, RecordError>, PackError>;
    /// The label's value as text; `None` if it is something else.
    fn text(&mut self) -> Result<Option<Text<'a>>, PackError>;
    /// The label's value as a boolean; `None` if it is something else.
    fn boolean(&mut self) -> Result<Option<bool>, PackError>;
    /// Passes over the label's value.
    fn skip(&mut self) -> Result<(), PackError>;
}

/// A text as it stands in the payload: in JSON perhaps with escapes in it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Text<'a> {
    pub(super) raw: &'a str,
    pub(super) escaped: bool,
}

impl Text<'_> {
    /// Appends it; false if there is no room for it or an escape is broken.
    fn append_to<const N: usize>(self, buffer: &mut heapless::String<N>) -> bool {
        if self.escaped {
            super::json::unescape(self.raw, buffer)
        } else {
            buffer.push_str(self.raw).is_ok()
        }
    }
}

/// What the records so far have set.
#[derive(Default)]
struct Base<'a> {
    name: Text<'a>,
    unit: Option<Text<'a>>,
    time: Option<Decimal>,
    value: Option<Decimal>,
}

/// One record's own labels. The first thing that is wrong with it stays in `refused`.
#[derive(Default)]
struct Fields<'a> {
    seen: u32,
    name: Text<'a>,
    unit: Option<Text<'a>>,
    time: Option<Decimal>,
    value: Option<Value>,
    estimated: bool,
    boot: Option<u64>,
    seq: Option<u32>,
    refused: Option<RecordError>,
}

impl Fields<'_> {
    fn refuse(&mut self, error: RecordError) {
        self.refused.get_or_insert(error);
    }

    fn set_value(&mut self, value: Result<Value, RecordError>) {
        match value {
            _ if self.value.is_some() => self.refuse(RecordError::SeveralValues),
            Ok(value) => self.value = Some(value),
            Err(error) => self.refuse(error),
        }
    }

    fn has(&self, label: Label) -> bool {
        self.seen & 1 << label as u32 != 0
    }
}

fn read<'a>(
    mut source: impl Source<'a>,
    sink: &mut impl FnMut(usize, Result<Record<'_>, RecordError>),
) -> Result<PackHead, PackError> {
    let mut base = Base::default();
    let mut head = PackHead {
        ids: None,
        records: 0,
        relative: false,
    };
    let mut pack_prefix: Option<heapless::String<MAX_NAME>> = None;

    while source.next_record()? {
        if head.records == MAX_UPLINK_RECORDS {
            return Err(PackError::TooManyRecords);
        }
        let fields = read_fields(&mut source, &mut base)?;
        let index = head.records;
        head.records += 1;
        if index == 0 {
            head.ids = match (fields.boot, fields.seq) {
                (Some(boot), Some(seq)) => Some(Ids { boot, seq }),
                (None, None) => None,
                _ => return Err(PackError::BadSequence),
            };
        } else if fields.has(Label::Boot) || fields.has(Label::Seq) {
            return Err(PackError::BadSequence);
        }
        if head.ids.is_some_and(|ids| {
            u32::try_from(index)
                .ok()
                .and_then(|i| ids.seq.checked_add(i))
                .is_none()
        }) {
            return Err(PackError::BadSequence);
        }

        let mut full = heapless::String::<MAX_NAME>::new();
        if !base.name.append_to(&mut full) || !fields.name.append_to(&mut full) {
            sink(
                index,
                Err(fields.refused.unwrap_or(RecordError::NameTooLong)),
            );
            continue;
        }
        let end = full.rfind(['/', ':']).map_or(0, |at| at + 1);
        let (prefix, name) = full.split_at_checked(end).unwrap_or(("", &full));
        match &pack_prefix {
            Some(first) if first != prefix => return Err(PackError::MixedNames),
            Some(_) => {}
            None => pack_prefix = heapless::String::try_from(prefix).ok(),
        }

        let mut unit_text = heapless::String::<MAX_UNIT>::new();
        let record = resolve_fields(&fields, &base).and_then(|(value, time)| {
            let unit = match fields.unit.or(base.unit) {
                Some(unit) if !unit.append_to(&mut unit_text) => {
                    return Err(RecordError::UnknownUnit);
                }
                Some(_) => Some(unit_text.as_str()),
                None => None,
            };
            Ok(Record {
                index,
                prefix,
                name,
                unit,
                value,
                time,
                estimated: fields.estimated,
            })
        });
        head.relative |= matches!(
            record,
            Ok(Record {
                time: Time::Relative(_),
                ..
            })
        );
        sink(index, record);
    }
    if head.records == 0 {
        Err(PackError::NotAPack)
    } else {
        Ok(head)
    }
}

fn read_fields<'a>(
    source: &mut impl Source<'a>,
    base: &mut Base<'a>,
) -> Result<Fields<'a>, PackError> {
    let mut fields = Fields::default();
    while let Some(meaning) = source.next_label()? {
        let label = match meaning {
            Meaning::Known(label) => label,
            Meaning::Ignored => {
                source.skip()?;
                continue;
            }
            Meaning::MustUnderstand => return Err(PackError::MustUnderstand),
        };
        if fields.has(label) {
            return Err(PackError::DuplicateKey);
        }
        fields.seen |= 1 << label as u32;
        // What a record gets wrong about itself refuses the record; what it gets wrong about those after it, the pack.
        match label {
            Label::BaseName => base.name = source.text()?.ok_or(PackError::Malformed)?,
            Label::BaseUnit => base.unit = Some(source.text()?.ok_or(PackError::Malformed)?),
            Label::BaseTime => {
                base.time = Some(source.number()?.map_err(|_| PackError::Malformed)?)
            }
            Label::BaseValue => {
                base.value = Some(source.number()?.map_err(|_| PackError::Malformed)?)
            }
            Label::BaseVersion if whole(source)? != Some(VERSION) => {
                return Err(PackError::UnsupportedVersion);
            }
            Label::Boot => {
                let boot = whole(source)?.and_then(|boot| u64::try_from(boot).ok());
                fields.boot = Some(
                    boot.filter(|boot| *boot <= MAX_BOOT)
                        .ok_or(PackError::BadSequence)?,
                );
            }
            Label::Seq => {
                let seq = whole(source)?.and_then(|seq| u32::try_from(seq).ok());
                fields.seq = Some(seq.ok_or(PackError::BadSequence)?);
            }
            Label::Name => match source.text()? {
                Some(name) => fields.name = name,
                None => fields.refuse(RecordError::BadField),
            },
            Label::Unit => match source.text()? {
                Some(unit) => fields.unit = Some(unit),
                None => fields.refuse(RecordError::BadField),
            },
            Label::Estimated => match source.boolean()? {
                Some(estimated) => fields.estimated = estimated,
                None => fields.refuse(RecordError::BadField),
            },
            Label::Time => match source.number()? {
                Ok(time) => fields.time = Some(time),
                Err(_) => fields.refuse(RecordError::BadTime),
            },
            Label::Value => {
                let number = source.number()?;
                fields.set_value(number.map(Value::Number));
            }
            Label::Fault => {
                let code = whole(source)?.and_then(|code| u8::try_from(code).ok());
                let fault = code
                    .and_then(Fault::from_code)
                    .ok_or(RecordError::UnknownFault);
                fields.set_value(fault.map(Value::Fault));
            }
            Label::TextValue | Label::BooleanValue | Label::DataValue => {
                source.skip()?;
                fields.set_value(Err(RecordError::NotANumber));
            }
            // Sums are not kept: a record with nothing else has no value. The version, when it is ours, says nothing.
            Label::Sum | Label::BaseSum | Label::UpdateTime => source.skip()?,
            Label::BaseVersion => {}
        }
    }
    Ok(fields)
}

/// A whole number; `None` if it is anything else.
fn whole<'a>(source: &mut impl Source<'a>) -> Result<Option<i64>, PackError> {
    let number = source.number()?.ok();
    Ok(number
        .filter(|number| number.exponent() >= 0)
        .and_then(|number| number.floor_at(0)))
}

/// The record's value and time with the base fields applied (RFC 8428 section 4.1).
fn resolve_fields(fields: &Fields<'_>, base: &Base<'_>) -> Result<(Value, Time), RecordError> {
    if let Some(error) = fields.refused {
        return Err(error);
    }
    let value = match (fields.value, base.value) {
        (Some(Value::Number(number)), Some(base)) => {
            Value::Number(number.checked_add(base).ok_or(RecordError::NumberRange)?)
        }
        (Some(value), _) => value,
        (None, _) => return Err(RecordError::NoValue),
    };
    let seconds = match (fields.time, base.time) {
        (Some(time), Some(base)) => time.checked_add(base).ok_or(RecordError::BadTime)?,
        (Some(time), None) | (None, Some(time)) => time,
        (None, None) => return Ok((value, Time::Missing)),
    };
    // Finer than a millisecond is cut off, always towards the past.
    match seconds.floor_at(-3) {
        Some(ms @ ABSOLUTE_FROM_MS..=LATEST_MS) => Ok((value, Time::Absolute(ms))),
        Some(ms) if ms > -ABSOLUTE_FROM_MS && ms < ABSOLUTE_FROM_MS => {
            Ok((value, Time::Relative(ms)))
        }
        _ => Err(RecordError::BadTime),
    }
}
