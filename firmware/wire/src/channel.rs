//! A channel: a quantity, and which of several on the same node.

use core::{
    fmt::{self, Write},
    str::FromStr,
};

use crate::{Quantity, limits::MAX_INSTANCE};

/// Longest wire code, in bytes.
pub const MAX_CODE: usize = 4;

crate::error::errors! {
    /// The text is no channel.
    ChannelError {
        Unknown = "unknown_channel", "no such channel: use a name or code of the quantity table; further probes are salinity_2 (sal2) to salinity_9 (sal9)";
    }
}

/// What a series measures: a quantity and an instance from 1 to 9. Its name is `salinity` or `salinity_2`, its code on the
/// wire `sal` or `sal2`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Channel {
    quantity: Quantity,
    instance: u8,
}

impl Channel {
    /// A channel; `None` unless the instance is 1 to 9.
    pub const fn new(quantity: Quantity, instance: u8) -> Option<Self> {
        match instance {
            1..=MAX_INSTANCE => Some(Self { quantity, instance }),
            _ => None,
        }
    }

    /// The first, mostly the only, channel of a quantity.
    pub const fn first(quantity: Quantity) -> Self {
        Self {
            quantity,
            instance: 1,
        }
    }

    /// What it measures.
    pub const fn quantity(self) -> Quantity {
        self.quantity
    }

    /// Which one on the node, from 1.
    pub const fn instance(self) -> u8 {
        self.instance
    }

    /// A number for storage. It stays the same for ever: quantities are append-only.
    pub const fn to_u16(self) -> u16 {
        (self.quantity as u16) << 4 | self.instance as u16
    }

    /// The channel of a stored number.
    pub fn from_u16(stored: u16) -> Option<Self> {
        Self::new(
            Quantity::from_id(u8::try_from(stored >> 4).ok()?)?,
            (stored & 0xf) as u8,
        )
    }

    /// The short code that nodes write.
    pub fn code(self) -> heapless::String<MAX_CODE> {
        let mut code = heapless::String::new();
        // Codes have at most three letters: a test walks the whole table.
        let _ = code.push_str(self.quantity.code());
        if self.instance > 1 {
            let _ = write!(code, "{}", self.instance);
        }
        code
    }

    /// The channel of a code or name.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(quantity) = Quantity::parse(text) {
            return Some(Self::first(quantity));
        }
        let (&last, _) = text.as_bytes().split_last()?;
        let instance = last
            .checked_sub(b'0')
            .filter(|instance| (2..=MAX_INSTANCE).contains(instance))?;
        let stem = text.get(..text.len() - 1)?;
        let quantity = match stem.strip_suffix('_') {
            Some(name) => Quantity::parse(name).filter(|quantity| quantity.name() == name),
            None => Quantity::parse(stem).filter(|quantity| quantity.code() == stem),
        };
        Self::new(quantity?, instance)
    }
}

impl FromStr for Channel {
    type Err = ChannelError;

    fn from_str(text: &str) -> Result<Self, ChannelError> {
        Self::parse(text).ok_or(ChannelError::Unknown)
    }
}

impl From<Quantity> for Channel {
    fn from(quantity: Quantity) -> Self {
        Self::first(quantity)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.quantity.name())?;
        if self.instance > 1 {
            write!(f, "_{}", self.instance)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, string::ToString};

    use super::*;

    #[test]
    fn every_text_and_number_leads_back_to_one_channel() {
        let mut texts = HashSet::new();
        for &quantity in Quantity::ALL {
            for instance in 1..=MAX_INSTANCE {
                let channel = Channel::new(quantity, instance).unwrap();
                let (code, name) = (channel.code().to_string(), channel.to_string());
                assert_eq!(Channel::parse(&code), Some(channel), "{code}");
                assert_eq!(Channel::parse(&name), Some(channel), "{name}");
                assert_eq!(Channel::from_u16(channel.to_u16()), Some(channel));
                assert!(texts.insert(code.clone()), "{code} is taken");
                assert!(
                    name == code || texts.insert(name.clone()),
                    "{name} is taken"
                );
            }
        }
    }

    #[test]
    fn refuses_what_is_no_channel() {
        for text in [
            "",
            "1",
            "sal0",
            "sal1",
            "sal10",
            "salinity_1",
            "salinity2",
            "sal_2",
            "Salinity",
            "x",
            "_2",
            "đ2",
        ] {
            assert_eq!(Channel::parse(text), None, "{text}");
        }
        assert_eq!(Channel::from_u16(0xffff), None);
        assert_eq!(Channel::from_u16(0), None);
    }

    /// Stored numbers are for ever: if this fails, the table was reordered.
    #[test]
    fn stored_numbers_stay() {
        assert_eq!(Channel::parse("at").unwrap().to_u16(), 0x001);
        assert_eq!(Channel::parse("sal2").unwrap().to_u16(), 0x0f2);
        assert_eq!(Channel::parse("soil_potassium").unwrap().to_u16(), 0x211);
    }
}
