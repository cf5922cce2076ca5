//! Why a block is not taken.

use core::fmt;

macro_rules! fields {
    ($($variant:ident = $name:literal;)+) => {
        /// A field of the block.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the names say it")]
        pub enum Field { $($variant,)+ }

        impl Field {
            /// Every field.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name, as people and tools write it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

fields! {
    Node = "node";
    Password = "password";
    Host = "host";
    Port = "port";
    Tls = "tls";
    GatewayKey = "gateway_key";
    WifiName = "wifi_name";
    WifiPassword = "wifi_password";
    Apn = "apn";
    ApnUser = "apn_user";
    ApnPassword = "apn_password";
    Board = "board";
    Led = "led";
    BusBaud = "bus_baud";
}

/// Why a block was refused, or can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProvisionError {
    /// Erased flash: the board was never given its configuration.
    Empty,
    /// Something else stands there.
    Magic,
    /// Whole, but of a format that came after this version.
    Newer,
    /// Longer than what was read.
    Length,
    /// The checksum does not match: torn or worn flash, or a transfer that failed.
    Crc,
    /// The checksum matches, but it is not the CBOR map that it must be.
    Malformed,
    /// A field that must be there is not.
    Missing(Field),
    /// A field breaks its bound.
    Bad(Field),
    /// Made for another board.
    OtherBoard,
    /// The buffer is smaller than the block.
    NoRoom,
}

impl ProvisionError {
    /// A stable label for counters and for a node's last words on its serial line.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "provision_empty",
            Self::Magic => "provision_magic",
            Self::Newer => "provision_newer",
            Self::Length => "provision_length",
            Self::Crc => "provision_crc",
            Self::Malformed => "provision_malformed",
            Self::Missing(_) => "provision_missing",
            Self::Bad(_) => "provision_bad",
            Self::OtherBoard => "provision_other_board",
            Self::NoRoom => "provision_no_room",
        }
    }
}

impl fmt::Display for ProvisionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "no node configuration: the flash is erased; write one with `sen flash`",
            Self::Magic => "no node configuration: other data stands in its place; check the partition or address",
            Self::Newer => "the node configuration is of a newer format: update the firmware, or write it with an older `sen`",
            Self::Length => "the node configuration is longer than its page: write it again",
            Self::Crc => "the node configuration is damaged: write it again",
            Self::Malformed => "the node configuration is not a CBOR map of this format: write it again with `sen flash`",
            Self::Missing(field) => return write!(f, "the node configuration lacks {}", field.name()),
            Self::Bad(field) => return write!(f, "{} of the node configuration is too short, too long or out of range", field.name()),
            Self::OtherBoard => "the node configuration is for another board: flash the image of this board",
            Self::NoRoom => "the buffer is smaller than the node configuration: give it MAX_BLOCK bytes",
        })
    }
}

impl core::error::Error for ProvisionError {}
