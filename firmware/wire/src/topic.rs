//! MQTT topics: `sen/1/{node}/{pack|hello|raw|receipt|config}`. The `1` is the protocol's version: a node of another version
//! stands beside this one on the same broker.

use core::fmt::{self, Write};

use crate::{
    id::{IdError, check_id},
    limits::MAX_ID,
};

/// Longest topic, in bytes.
pub const MAX_TOPIC: usize = PREFIX.len() + MAX_ID + "/receipt".len();

/// What the gateway subscribes to, QoS 1 (for the embedded broker: what its publish hook looks for).
pub const UPLINK_FILTERS: [&str; 3] = ["sen/1/+/pack", "sen/1/+/hello", "sen/1/+/raw"];

const PREFIX: &str = "sen/1/";

/// What a topic carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Readings, node to gateway, QoS 1.
    Pack,
    /// What the node is, node to gateway, QoS 1, on each connect.
    Hello,
    /// What probes gave on channels that nobody has calibrated yet, node to gateway: a pack without places in the sequence, its
    /// numbers in the probes' own terms (millivolts of an analog one). For whoever calibrates: it is shown and kept nowhere,
    /// so that no rule and no chart takes it for a value. The channel's readings say `not_calibrated` meanwhile.
    Raw,
    /// What is on disk, gateway to node, QoS 1.
    Receipt,
    /// What the node shall do, gateway to node, QoS 1, retained.
    Config,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Pack,
        Self::Hello,
        Self::Raw,
        Self::Receipt,
        Self::Config,
    ];

    /// The topic's last level.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Pack => "pack",
            Kind::Hello => "hello",
            Kind::Raw => "raw",
            Kind::Receipt => "receipt",
            Kind::Config => "config",
        }
    }

    /// True where the node publishes and the gateway subscribes.
    pub const fn is_uplink(self) -> bool {
        matches!(self, Kind::Pack | Kind::Hello | Kind::Raw)
    }
}

/// A topic of the protocol; its `Display` is the MQTT topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Topic<'a> {
    /// The node's id, valid as [`check_id`] says when it came from [`Topic::parse`].
    pub node: &'a str,
    /// What the topic carries.
    pub kind: Kind,
}

/// Why a topic is not one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TopicError {
    /// Not `sen/1/{node}/{kind}`.
    Unknown,
    /// The third level is not a node id.
    Node(IdError),
}

impl TopicError {
    /// A stable label for counters.
    pub const fn reason(&self) -> &'static str {
        match self {
            TopicError::Unknown => "unknown_topic",
            TopicError::Node(id) => id.reason(),
        }
    }
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopicError::Unknown => {
                f.write_str("publish to sen/1/{node}/pack or sen/1/{node}/hello")
            }
            TopicError::Node(id) => write!(f, "node id in the topic: {id}"),
        }
    }
}

impl core::error::Error for TopicError {}

impl<'a> Topic<'a> {
    /// Takes a topic apart.
    pub fn parse(topic: &'a str) -> Result<Self, TopicError> {
        let (node, last) = topic
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('/'))
            .ok_or(TopicError::Unknown)?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == last);
        let kind = kind.ok_or(TopicError::Unknown)?;
        check_id(node).map_err(TopicError::Node)?;
        Ok(Self { node, kind })
    }

    /// The topic as text on the stack. A node id that is too long is cut; one that [`check_id`] passes never is.
    pub fn to_text(self) -> heapless::String<MAX_TOPIC> {
        let mut text = heapless::String::new();
        let _ = write!(text, "{self}");
        text
    }
}

impl fmt::Display for Topic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}/{}", self.node, self.kind.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_what_it_parses() {
        let longest = "abcdefghijklmnopqrstuvwxyz-01234";
        for kind in Kind::ALL {
            let topic = Topic {
                node: longest,
                kind,
            };
            assert_eq!(Topic::parse(&topic.to_text()), Ok(topic));
        }
        assert_eq!(
            Topic {
                node: "n1",
                kind: Kind::Pack
            }
            .to_text(),
            "sen/1/n1/pack"
        );
    }

    #[test]
    fn refuses_other_topics() {
        for other in [
            "",
            "sen/1/n1",
            "sen/2/n1/pack",
            "sen/1/n1/pack/x",
            "sen/1/n1/Pack",
            "sen/1/n1/",
        ] {
            assert_eq!(Topic::parse(other), Err(TopicError::Unknown), "{other}");
        }
        assert_eq!(
            Topic::parse("sen/1//pack"),
            Err(TopicError::Node(IdError::Empty))
        );
        assert_eq!(
            Topic::parse("sen/1/+/pack"),
            Err(TopicError::Node(IdError::BadCharacter))
        );
    }
}
