//! SenML in CBOR (RFC 8428 section 6), pulled out of the bytes by minicbor.
//!
//! Labels may be the integers of the RFC or, from lenient devices, texts. Numbers may be integers, decimal fractions
//! (tag 4) or floats of any width. Texts in chunks are refused: no device sends them, and they could not be borrowed.

use minicbor::{
    Decoder,
    data::{IanaTag, Type},
};

use super::{
    PackError, RecordError,
    label::Meaning,
    reader::{Source, Text},
};
use crate::Decimal;

/// What is left of an array or map: a count, or until the break byte.
type Left = Option<u64>;

pub(super) struct Cbor<'a> {
    decoder: Decoder<'a>,
    records: Left,
    labels: Left,
}

impl From<minicbor::decode::Error> for PackError {
    fn from(_: minicbor::decode::Error) -> Self {
        PackError::Malformed
    }
}

impl<'a> Cbor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, PackError> {
        let mut decoder = Decoder::new(bytes);
        let records = decoder.array()?;
        Ok(Self {
            decoder,
            records,
            labels: Some(0),
        })
    }

    /// True if another item follows.
    fn more(decoder: &mut Decoder<'a>, left: &mut Left) -> Result<bool, PackError> {
        match left {
            Some(0) => Ok(false),
            Some(count) => {
                *count -= 1;
                Ok(true)
            }
            None if decoder.datatype()? == Type::Break => {
                decoder.skip()?;
                Ok(false)
            }
            None => Ok(true),
        }
    }

    fn read_number(&mut self) -> Result<Decimal, RecordError> {
        let float = |float: Option<Decimal>, finite| {
            float.ok_or(if finite {
                RecordError::NumberRange
            } else {
                RecordError::NotFinite
            })
        };
        let d = &mut self.decoder;
        let range = |_| RecordError::NumberRange;
        match d.datatype().map_err(range)? {
            Type::U8
            | Type::U16
            | Type::U32
            | Type::U64
            | Type::I8
            | Type::I16
            | Type::I32
            | Type::I64
            | Type::Int => d.i64().map(Decimal::from).map_err(range),
            Type::F16 => d
                .f16()
                .map_err(range)
                .and_then(|v| float(Decimal::from_f32(v), v.is_finite())),
            Type::F32 => d
                .f32()
                .map_err(range)
                .and_then(|v| float(Decimal::from_f32(v), v.is_finite())),
            Type::F64 => d
                .f64()
                .map_err(range)
                .and_then(|v| float(Decimal::from_f64(v), v.is_finite())),
            Type::Tag if d.tag().map_err(range)? == IanaTag::Decimal.tag() => {
                if d.array().map_err(range)? != Some(2) {
                    return Err(RecordError::NotANumber);
                }
                let exponent = d.i8().map_err(range)?;
                d.i64()
                    .map(|mantissa| Decimal::new(mantissa, exponent))
                    .map_err(range)
            }
            Type::Null | Type::Undefined => Err(RecordError::NoValue),
            _ => Err(RecordError::NotANumber),
        }
    }
}

impl<'a> Source<'a> for Cbor<'a> {
    fn next_record(&mut self) -> Result<bool, PackError> {
        if !Self::more(&mut self.decoder, &mut self.records)? {
            let all_read = self.decoder.position() == self.decoder.input().len();
            return if all_read {
                Ok(false)
            } else {
                Err(PackError::Malformed)
            };
        }
        self.labels = self.decoder.map()?;
        Ok(true)
    }

    fn next_label(&mut self) -> Result<Option<Meaning>, PackError> {
        if !Self::more(&mut self.decoder, &mut self.labels)? {
            return Ok(None);
        }
        Ok(Some(match self.decoder.datatype()? {
            Type::String => Meaning::of_text(self.decoder.str()?.as_bytes()),
            _ => Meaning::of_int(self.decoder.i64()?),
        }))
    }

    fn number(&mut self) -> Result<Result<Decimal, RecordError>, PackError> {
        let start = self.decoder.position();
        let number = self.read_number();
        if number.is_err() {
            self.decoder.set_position(start);
            self.skip()?;
        }
        Ok(number)
    }

    fn text(&mut self) -> Result<Option<Text<'a>>, PackError> {
        if self.decoder.datatype()? == Type::String {
            return Ok(Some(Text {
                raw: self.decoder.str()?,
                escaped: false,
            }));
        }
        self.skip()?;
        Ok(None)
    }

    fn boolean(&mut self) -> Result<Option<bool>, PackError> {
        if self.decoder.datatype()? == Type::Bool {
            return Ok(Some(self.decoder.bool()?));
        }
        self.skip()?;
        Ok(None)
    }

    fn skip(&mut self) -> Result<(), PackError> {
        // minicbor would pass over a break byte as if it were a value.
        if self.decoder.datatype()? == Type::Break {
            return Err(PackError::Malformed);
        }
        Ok(self.decoder.skip()?)
    }
}
