//! A [`Decimal`] in CBOR: an integer, or a decimal fraction (tag 4 of RFC 8949).

use minicbor::{Decoder, Encoder, data::IanaTag, data::Type, decode, encode};

use crate::Decimal;

/// Writes the shorter of the two forms.
pub(crate) fn write<W: encode::Write>(
    e: &mut Encoder<W>,
    number: Decimal,
) -> Result<(), encode::Error<W::Error>> {
    if number.exponent() >= 0
        && let Some(whole) = number.floor_at(0)
    {
        return e.i64(whole)?.ok();
    }
    e.tag(IanaTag::Decimal)?
        .array(2)?
        .i8(number.exponent())?
        .i64(number.mantissa())?
        .ok()
}

/// Reads either form. Floats are refused: what a configuration says is exact.
pub(crate) fn read(d: &mut Decoder<'_>) -> Result<Decimal, decode::Error> {
    if d.datatype()? != Type::Tag {
        return d.i64().map(Decimal::from);
    }
    if d.tag()? != IanaTag::Decimal.tag() || d.array()? != Some(2) {
        return Err(decode::Error::message("no decimal fraction"));
    }
    let exponent = d.i8()?;
    Ok(Decimal::new(d.i64()?, exponent))
}

/// Writes a number or null.
pub(crate) fn write_optional<W: encode::Write>(
    e: &mut Encoder<W>,
    number: Option<Decimal>,
) -> Result<(), encode::Error<W::Error>> {
    match number {
        Some(number) => write(e, number),
        None => e.null()?.ok(),
    }
}

/// Reads a number or null.
pub(crate) fn read_optional(d: &mut Decoder<'_>) -> Result<Option<Decimal>, decode::Error> {
    match d.datatype()? {
        Type::Null => d.null().map(|()| None),
        _ => read(d).map(Some),
    }
}
