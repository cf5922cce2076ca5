//! What a node must know before it can speak: the block that is written to a flash partition (ESP32) or page (STM32) when a
//! board is flashed, and read once at start.
//!
//! ```text
//! offset  bytes
//! 0       4     magic "SENP"
//! 4       2     format, little-endian; now 1
//! 6       2     n, length of the CBOR, little-endian
//! 8       4     CRC-32 (ISO-HDLC) of bytes 4..8 and the CBOR, little-endian
//! 12      n     CBOR map, keys below
//!               0xff to the end of the page
//! ```
//! | key | what | key | what |
//! |---|---|---|---|
//! | 0 | node id, text | 7 | Wi-Fi password, text |
//! | 1 | node password, text | 8 | APN, text |
//! | 2 | gateway's name or IPv4 address, text | 9, 10 | user and password of the APN, text |
//! | 3 | gateway's port | 11 | board that it is for, text |
//! | 4 | TLS, bool | 12 | status LED may light, bool |
//! | 5 | gateway's P-256 key, 65 bytes | 13 | speed of the probe bus, bit/s |
//! | 6 | Wi-Fi name, text | | |
//!
//! Keys 0 to 4 and 11 must be there, 5 when 4 is true: a block that has lost its key never means a connection in the open.
//! Unknown keys are skipped; what an older firmware must not skip raises the format, which it then refuses by name. Magic,
//! format, length and CRC stay where they are in every format.
//!
//! ```
//! use sen_wire::provision::{Gateway, PAGE, Provision, ProvisionError, Tls};
//!
//! let node = Provision::new("pond-3", "correct-horse-battery", Gateway { host: "192.168.1.10", port: 8883, tls: Tls::Off }, "esp32c3");
//! let mut page = [0xff; PAGE];
//! node.encode(&mut page)?;
//! assert_eq!(Provision::for_board(&page, "esp32c3")?, node);
//! assert_eq!(Provision::for_board(&page, "stm32f405"), Err(ProvisionError::OtherBoard));
//! # Ok::<(), ProvisionError>(())
//! ```

mod cbor;
mod error;

use core::fmt;
use core::net::Ipv4Addr;

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};

pub use error::{Field, ProvisionError};

use crate::id::check_id;
use crate::limits::MAX_HELLO_TEXT;

/// The page or partition that holds the block, in bytes; what the block leaves is `0xff`.
pub const PAGE: usize = 4096;
/// Longest block, head and CBOR, in bytes: as much as a node has to read of the page.
pub const MAX_BLOCK: usize = 640;
/// Name of the partition on boards that have a table of them.
pub const PARTITION: &str = "sen_node";
/// The format that this version writes; it reads this and every older one.
pub const FORMAT: u16 = 1;
/// Shortest node password, in bytes: the gateway keeps a fast hash only, so it must not be guessable.
pub const MIN_PASSWORD: usize = 16;
/// Longest node password, Wi-Fi password, APN, or user and password of an APN, in bytes.
pub const MAX_SECRET: usize = 64;
/// Longest name of the gateway, in bytes.
pub const MAX_HOST: usize = 64;
/// Longest Wi-Fi name, in bytes (IEEE 802.11-2020, section 9.4.2.2).
pub const MAX_WIFI_NAME: usize = 32;
/// An uncompressed point of P-256: `0x04`, x, y (SEC 1, section 2.3.3).
pub const KEY_BYTES: usize = 65;

const MAGIC: [u8; 4] = *b"SENP";
const HEAD: usize = 12;
// Read once at start: a table would cost more flash than it saves time.
const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// Text that does not print.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hidden<'a>(pub &'a str);

impl fmt::Debug for Hidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How the connection to the gateway is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls<'a> {
    /// Not at all: password and readings travel in the open. For a cable or a network of one's own.
    Off,
    /// TLS 1.3 to the one gateway that holds the private half of this key: [`KEY_BYTES`] of an uncompressed P-256 point.
    Pinned(&'a [u8; KEY_BYTES]),
}

/// Where the node connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gateway<'a> {
    /// Host name or IPv4 address, 1 to [`MAX_HOST`] bytes of printable ASCII without blanks.
    pub host: &'a str,
    /// TCP port, not 0.
    pub port: u16,
    /// Protection of the connection.
    pub tls: Tls<'a>,
}

impl Gateway<'_> {
    /// The address, if `host` is one: no DNS is needed then.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.host.parse().ok()
    }
}

/// A wireless network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wifi<'a> {
    /// Its name (SSID), 1 to [`MAX_WIFI_NAME`] bytes.
    pub name: &'a str,
    /// Its password, 8 to [`MAX_SECRET`] bytes; `None` for an open network.
    pub password: Option<Hidden<'a>>,
}

/// A mobile network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mobile<'a> {
    /// Access point name, 1 to [`MAX_SECRET`] bytes.
    pub apn: &'a str,
    /// User name, where the operator wants one.
    pub user: Option<&'a str>,
    /// Password, where the operator wants one.
    pub password: Option<Hidden<'a>>,
}

/// All that a node must know before it can speak. Borrows from the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provision<'a> {
    /// Node id, as [`check_id`] says: also MQTT client id and user name.
    pub node: &'a str,
    /// The node's password at the gateway, [`MIN_PASSWORD`] to [`MAX_SECRET`] bytes.
    pub password: Hidden<'a>,
    /// Where it connects.
    pub gateway: Gateway<'a>,
    /// The wireless network, if it uses one.
    pub wifi: Option<Wifi<'a>>,
    /// The mobile network, if it uses one.
    pub mobile: Option<Mobile<'a>>,
    /// The board's name as its firmware says it in the hello, 1 to 16 bytes.
    pub board: &'a str,
    /// Whether the status LED may light; a node on a battery saves it.
    pub led: bool,
    /// Speed of the bus of the probes (RS-485), bit/s, 300 to 1 000 000; `None`: as the probes' profiles say.
    pub bus_baud: Option<u32>,
}

impl<'a> Provision<'a> {
    /// A node on a cable, its LED allowed; set the other fields as needed.
    pub const fn new(
        node: &'a str,
        password: &'a str,
        gateway: Gateway<'a>,
        board: &'a str,
    ) -> Self {
        Self {
            node,
            password: Hidden(password),
            gateway,
            wifi: None,
            mobile: None,
            board,
            led: true,
            bus_baud: None,
        }
    }

    /// Writes the block to the front of `buffer` and leaves the rest as it is. [`MAX_BLOCK`] bytes are always enough.
    ///
    /// # Errors
    /// `Bad` names the first field that breaks a bound; `NoRoom` if the buffer is too small.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], ProvisionError> {
        self.check()?;
        let (head, body) = buffer
            .split_at_mut_checked(HEAD)
            .ok_or(ProvisionError::NoRoom)?;
        let mut cursor = minicbor::encode::write::Cursor::new(&mut *body);
        minicbor::encode(cbor::Raw::from(self), &mut cursor).map_err(|_| ProvisionError::NoRoom)?;
        let length = cursor.position();
        let written = body.get(..length).ok_or(ProvisionError::NoRoom)?;
        let short = u16::try_from(length).map_err(|_| ProvisionError::NoRoom)?;
        head[..4].copy_from_slice(&MAGIC);
        head[4..6].copy_from_slice(&FORMAT.to_le_bytes());
        head[6..8].copy_from_slice(&short.to_le_bytes());
        let crc = checksum(&head[4..8], written);
        head[8..].copy_from_slice(&crc.to_le_bytes());
        buffer.get(..HEAD + length).ok_or(ProvisionError::NoRoom)
    }

    /// Reads the block at the front of a page (or of its first [`MAX_BLOCK`] bytes). For tools; firmware takes
    /// [`Provision::for_board`].
    ///
    /// # Errors
    /// Any [`ProvisionError`] but `OtherBoard` and `NoRoom`.
    pub fn decode(page: &'a [u8]) -> Result<Self, ProvisionError> {
        let (head, rest) = page
            .split_first_chunk::<HEAD>()
            .ok_or(ProvisionError::Length)?;
        // Erased flash reads 0xff on most chips, 0x00 on some.
        if head.iter().all(|b| *b == 0xff) || head.iter().all(|b| *b == 0) {
            return Err(ProvisionError::Empty);
        }
        let [m0, m1, m2, m3, f0, f1, l0, l1, c0, c1, c2, c3] = *head;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(ProvisionError::Magic);
        }
        let body = rest
            .get(..usize::from(u16::from_le_bytes([l0, l1])))
            .ok_or(ProvisionError::Length)?;
        if checksum(&[f0, f1, l0, l1], body) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err(ProvisionError::Crc);
        }
        // After the CRC: a flipped bit is not a newer format.
        match u16::from_le_bytes([f0, f1]) {
            0 => Err(ProvisionError::Malformed),
            FORMAT => {
                let read: Self = cbor::read(body)?;
                read.check()?;
                Ok(read)
            }
            _ => Err(ProvisionError::Newer),
        }
    }

    /// Reads the block, and refuses one that was made for another board than this firmware's.
    ///
    /// # Errors
    /// As [`Provision::decode`], and `OtherBoard`.
    pub fn for_board(page: &'a [u8], board: &str) -> Result<Self, ProvisionError> {
        let read = Self::decode(page)?;
        if read.board == board {
            Ok(read)
        } else {
            Err(ProvisionError::OtherBoard)
        }
    }

    fn check(&self) -> Result<(), ProvisionError> {
        use Field as F;
        let holds = |field, good| {
            if good {
                Ok(())
            } else {
                Err(ProvisionError::Bad(field))
            }
        };
        let within = |field, text: &str, from: usize, to: usize| {
            holds(field, (from..=to).contains(&text.len()))
        };
        let Gateway { host, port, tls } = self.gateway;
        holds(F::Node, check_id(self.node).is_ok())?;
        within(F::Password, self.password.0, MIN_PASSWORD, MAX_SECRET)?;
        within(F::Host, host, 1, MAX_HOST)?;
        holds(F::Host, host.bytes().all(|b| b.is_ascii_graphic()))?;
        holds(F::Port, port != 0)?;
        if let Tls::Pinned(key) = tls {
            holds(F::GatewayKey, key[0] == 4)?;
        }
        if let Some(wifi) = &self.wifi {
            within(F::WifiName, wifi.name, 1, MAX_WIFI_NAME)?;
            if let Some(Hidden(password)) = wifi.password {
                within(F::WifiPassword, password, 8, MAX_SECRET)?;
            }
        }
        if let Some(mobile) = &self.mobile {
            within(F::Apn, mobile.apn, 1, MAX_SECRET)?;
            within(F::ApnUser, mobile.user.unwrap_or("-"), 1, MAX_SECRET)?;
            let password = mobile.password.map_or("-", |Hidden(text)| text);
            within(F::ApnPassword, password, 1, MAX_SECRET)?;
        }
        within(F::Board, self.board, 1, MAX_HELLO_TEXT)?;
        holds(
            F::BusBaud,
            self.bus_baud
                .is_none_or(|baud| (300..=1_000_000).contains(&baud)),
        )
    }
}

fn checksum(format_and_length: &[u8], body: &[u8]) -> u32 {
    let mut digest = CRC.digest();
    digest.update(format_and_length);
    digest.update(body);
    digest.finalize()
}
