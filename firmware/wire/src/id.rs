//! Ids of nodes, farms and plots: 1 to 32 of `a-z`, `0-9` and `-`. They are MQTT client ids, topic levels and InfluxDB tag
//! values alike, so they hold nothing that any of these would have to escape.

use core::{fmt, ops::Deref, str::FromStr};

use crate::limits::MAX_ID;

crate::error::errors! {
    /// Why a text is no id.
    IdError {
        Empty = "empty_id", "an id can't be empty: give it 1 to 32 of a-z, 0-9 and -";
        TooLong = "id_too_long", "an id has at most 32 characters: shorten it";
        BadCharacter = "id_character", "an id is made of a-z, 0-9 and - only: no capitals, accents, spaces, dots or slashes";
    }
}

/// Checks a node, farm or plot id.
pub fn check_id(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        Err(IdError::Empty)
    } else if !text
        .bytes()
        .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    {
        Err(IdError::BadCharacter)
    } else if text.len() > MAX_ID {
        Err(IdError::TooLong)
    } else {
        Ok(())
    }
}

/// The id of a node: also its MQTT client id and user name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(heapless::String<MAX_ID>);

impl NodeId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        check_id(text)?;
        heapless::String::try_from(text)
            .map(Self)
            .map_err(|_| IdError::TooLong)
    }
}

impl TryFrom<&str> for NodeId {
    type Error = IdError;

    fn try_from(text: &str) -> Result<Self, IdError> {
        text.parse()
    }
}

impl Deref for NodeId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for NodeId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_what_topics_and_tags_never_escape() {
        for good in ["a", "ao-tom-3", "0", "abcdefghijklmnopqrstuvwxyz-01234"] {
            assert_eq!(good.parse::<NodeId>().as_deref(), Ok(good));
        }
        for (bad, error) in [
            ("", IdError::Empty),
            ("Ao", IdError::BadCharacter),
            ("ao/1", IdError::BadCharacter),
            ("+", IdError::BadCharacter),
            ("đồng", IdError::BadCharacter),
            ("abcdefghijklmnopqrstuvwxyz-012345", IdError::TooLong),
        ] {
            assert_eq!(bad.parse::<NodeId>(), Err(error), "{bad}");
        }
    }
}
