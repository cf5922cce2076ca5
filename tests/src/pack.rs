//! SenML packs as a node writes them, built here and not by the code under test.

use std::fmt::Write;

use bytes::Bytes;
use minicbor::Encoder;
use minicbor::data::{Int, Tag};

/// One value, exactly as a probe says it: `mantissa * 10^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal(pub i64, pub i8);

impl Decimal {
    /// The nearest binary number, through the decimal text: what any reader of the text gets.
    ///
    /// # Panics
    /// Never: the text is a number.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        format!("{}e{}", self.0, self.1)
            .parse()
            .expect("mantissa and exponent make a number")
    }
}

impl std::fmt::Display for Decimal {
    /// As a person would write it: `32.5`, `-0.05`, `1200`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(mantissa, exponent) = *self;
        if exponent >= 0 {
            let zeros = usize::from(exponent.unsigned_abs());
            return write!(f, "{mantissa}{}", "0".repeat(zeros));
        }
        let places = usize::from(exponent.unsigned_abs());
        let digits = format!("{:0>1$}", mantissa.unsigned_abs(), places + 1);
        let (whole, part) = digits.split_at(digits.len() - places);
        let sign = if mantissa < 0 { "-" } else { "" };
        write!(f, "{sign}{whole}.{part}")
    }
}

/// One record of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Wire code of the channel (`sal`, `sal2`).
    pub channel: &'static str,
    /// ms UTC.
    pub at: i64,
    /// Value or fault code.
    pub value: Result<Decimal, u8>,
}

/// Consecutive readings of one boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    /// Boot and the first record's place in its sequence; none for a device without them.
    pub place: Option<(u64, u32)>,
    /// The readings.
    pub records: Vec<Record>,
}

impl Pack {
    /// As SenML JSON.
    #[must_use]
    pub fn json(&self) -> Bytes {
        let mut text = String::from("[");
        for (i, record) in self.records.iter().enumerate() {
            if i > 0 {
                text.push(',');
            }
            text.push('{');
            if i == 0
                && let Some((boot, seq)) = self.place
            {
                // Writing to a String never fails.
                let _ = write!(text, "\"boot\":{boot},\"seq\":{seq},");
            }
            let (s, ms) = (record.at.div_euclid(1000), record.at.rem_euclid(1000));
            let _ = write!(text, "\"n\":\"{}\",\"t\":{s}.{ms:03}", record.channel);
            let _ = match record.value {
                Ok(value) => write!(text, ",\"v\":{value}"),
                Err(fault) => write!(text, ",\"flt\":{fault}"),
            };
            text.push('}');
        }
        text.push(']');
        Bytes::from(text)
    }

    /// As SenML CBOR.
    ///
    /// # Panics
    /// Never: the encoder writes to memory.
    #[must_use]
    pub fn cbor(&self) -> Bytes {
        self.encode()
            .expect("writing to a vector does not fail")
            .into()
    }

    fn encode(&self) -> Result<Vec<u8>, minicbor::encode::Error<std::convert::Infallible>> {
        let mut e = Encoder::new(Vec::new());
        e.array(self.records.len() as u64)?;
        for (i, record) in self.records.iter().enumerate() {
            let place = self.place.filter(|_| i == 0);
            // name, value or fault, time
            e.map(3 + if place.is_some() { 2 } else { 0 })?;
            if let Some((boot, seq)) = place {
                e.str("boot")?.u64(boot)?.str("seq")?.u32(seq)?;
            }
            e.i8(0)?.str(record.channel)?;
            match record.value {
                Ok(value) => decimal(e.i8(2)?, value)?,
                Err(fault) => {
                    e.str("flt")?.u8(fault)?;
                }
            }
            decimal(e.i8(6)?, Decimal(record.at, -3))?;
        }
        Ok(e.into_writer())
    }
}

/// A decimal fraction (RFC 8949, 3.4.4), or a plain integer when it is one.
fn decimal<W: minicbor::encode::Write>(
    e: &mut Encoder<W>,
    Decimal(mantissa, exponent): Decimal,
) -> Result<(), minicbor::encode::Error<W::Error>> {
    if exponent == 0 {
        e.int(Int::from(mantissa))?;
    } else {
        e.tag(Tag::new(4))?
            .array(2)?
            .i8(exponent)?
            .int(Int::from(mantissa))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_the_standard_says() {
        let pack = Pack {
            place: Some((7, 40)),
            records: vec![
                Record {
                    channel: "sal",
                    at: 1_764_000_000_050,
                    value: Ok(Decimal(325, -1)),
                },
                Record {
                    channel: "wt",
                    at: 1_764_000_000_050,
                    value: Err(3),
                },
            ],
        };
        assert_eq!(
            pack.json(),
            "[{\"boot\":7,\"seq\":40,\"n\":\"sal\",\"t\":1764000000.050,\"v\":32.5},\
             {\"n\":\"wt\",\"t\":1764000000.050,\"flt\":3}]"
        );
        assert_eq!(pack.cbor()[0], 0x82);
        assert_eq!(Decimal(325, -1).as_f64(), 32.5);
        assert_eq!(Decimal(-5, -2).to_string(), "-0.05");
        assert_eq!(Decimal(12, 2).to_string(), "1200");
    }
}
