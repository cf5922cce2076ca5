//! Why a node can't join, for people: a number of flashes, a word for programs, and a sentence that says what to do.

use core::fmt;

use sen_wire::provision::ProvisionError;

/// Why a node is not joined. The order is that of joining: a later one means that all before it went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The node configuration can't be used; the node does not start.
    Provision(ProvisionError),
    /// The flash of the outbox fails; the node does not start.
    Storage,
    /// No network: cable out, Wi-Fi not found or its password wrong, no mobile network.
    NoLink,
    /// The network gives no address.
    NoAddress,
    /// The gateway's name is not known here.
    NoName,
    /// Nobody answers at the gateway's address and port.
    NoAnswer,
    /// Who answers does not hold the gateway's key.
    WrongKey,
    /// Who answers does not speak the protocol: TLS or MQTT fails before anybody has said who they are.
    Protocol,
    /// The gateway does not know the node or its password.
    Credentials,
    /// The gateway knows the node and does not want it any more.
    Revoked,
    /// The gateway refuses for another reason, for now.
    Refused,
    /// The connection was up and broke.
    Lost,
}

impl Trouble {
    /// Flashes of the LED.
    pub const fn flashes(self) -> u8 {
        match self {
            Self::NoLink => 1,
            Self::NoAddress => 2,
            Self::NoName => 3,
            Self::NoAnswer | Self::Lost => 4,
            Self::WrongKey => 5,
            Self::Protocol => 6,
            Self::Credentials => 7,
            Self::Revoked => 8,
            Self::Refused => 9,
            Self::Storage => 10,
            Self::Provision(_) => 11,
        }
    }

    /// A stable label for logs and programs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Provision(error) => error.reason(),
            Self::Storage => "storage",
            Self::NoLink => "no_link",
            Self::NoAddress => "no_address",
            Self::NoName => "no_name",
            Self::NoAnswer => "no_answer",
            Self::WrongKey => "wrong_key",
            Self::Protocol => "protocol",
            Self::Credentials => "credentials",
            Self::Revoked => "revoked",
            Self::Refused => "refused",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Provision(error) => return error.fmt(f),
            Self::Storage => "the flash of the outbox fails: change the board",
            Self::NoLink => "no network: check cable, Wi-Fi name and password, SIM or antenna",
            Self::NoAddress => "the network gives no address: check its DHCP server",
            Self::NoName => "the gateway's name is not known in this network: check it, or give its address",
            Self::NoAnswer => "no answer from the gateway: check its address and port, and that it runs",
            Self::WrongKey => "who answers is not this node's gateway: after a new gateway key, flash the node again",
            Self::Protocol => "who answers does not speak this protocol: check port and TLS",
            Self::Credentials => "the gateway does not know this node or its password: add it, or flash it again",
            Self::Revoked => "the gateway has revoked this node",
            Self::Refused => "the gateway refuses for now: see its log",
            Self::Lost => "the connection broke",
        })
    }
}

impl core::error::Error for Trouble {}

impl From<ProvisionError> for Trouble {
    fn from(error: ProvisionError) -> Self {
        Self::Provision(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::string::ToString;

    const ALL: [Trouble; 12] = [
        Trouble::Provision(ProvisionError::Crc),
        Trouble::Storage,
        Trouble::NoLink,
        Trouble::NoAddress,
        Trouble::NoName,
        Trouble::NoAnswer,
        Trouble::WrongKey,
        Trouble::Protocol,
        Trouble::Credentials,
        Trouble::Revoked,
        Trouble::Refused,
        Trouble::Lost,
    ];

    #[test]
    fn tells_every_trouble_apart() {
        let reasons: BTreeSet<_> = ALL.iter().map(|trouble| trouble.reason()).collect();
        assert_eq!(reasons.len(), ALL.len());
        let mut by_flashes: BTreeMap<u8, std::vec::Vec<Trouble>> = BTreeMap::new();
        for trouble in ALL {
            by_flashes
                .entry(trouble.flashes())
                .or_default()
                .push(trouble);
        }
        by_flashes.retain(|_, same| same.len() > 1);
        // What was up and broke looks like a gateway that is away: it most often is.
        assert_eq!(
            by_flashes.into_values().collect::<std::vec::Vec<_>>(),
            [std::vec![Trouble::NoAnswer, Trouble::Lost]]
        );
    }

    #[test]
    fn says_the_fault_of_a_node_configuration_by_its_own_name() {
        let trouble = Trouble::from(ProvisionError::OtherBoard);
        assert_eq!(trouble.reason(), "provision_other_board");
        assert_eq!(trouble.to_string(), ProvisionError::OtherBoard.to_string());
    }
}
