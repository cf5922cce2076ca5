//! What somebody asks to be written onto a board, and the job that it comes to. The command line and the page both go through
//! here: what one shows, the other writes.

use std::path::PathBuf;

use sen_wire::provision::{Gateway, Hidden, KEY_BYTES, Mobile, Provision, Tls, Wifi};

use super::layout::Layout;
use super::{FlashError, Job, Kind};
use crate::config::Secret;

/// Where nodes reach this gateway.
#[derive(Debug, Clone, Default)]
pub struct Door {
    /// Port in the open.
    pub plain: Option<u16>,
    /// Port by TLS, and the key that nodes pin.
    pub secured: Option<(u16, [u8; KEY_BYTES])>,
}

/// What a node shall know before it speaks, but for its password.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its id.
    pub node: String,
    /// Its board.
    pub board: String,
    /// The gateway's name or IPv4 address.
    pub host: String,
    /// The gateway's port; its own if left out.
    pub port: Option<u16>,
    /// Connect in the open.
    pub plain: bool,
    /// Name and password of the Wi-Fi.
    pub wifi: Option<(String, Option<Secret>)>,
    /// Access point of the mobile network, user and password.
    pub mobile: Option<(String, Option<String>, Option<Secret>)>,
    /// Whether the status LED is used.
    pub led: bool,
    /// Speed of the probes' bus, bit/s.
    pub bus_baud: Option<u32>,
}

/// The image that goes with it.
#[derive(Debug)]
pub struct Image {
    /// Where it comes from, and its bytes; `None`: the node configuration alone is written.
    pub file: Option<(PathBuf, Vec<u8>)>,
    /// What kind of image it is.
    pub kind: Kind,
    /// What lies where, unless the image says so itself.
    pub layout: Option<Layout>,
}

/// The order can't be carried out.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// No TLS for nodes.
    #[error(
        "the gateway has no TLS for nodes: set broker.tls_listen, or connect in the open on a network of your own"
    )]
    NoTls,
    /// No port in the open.
    #[error("the gateway listens nowhere in the open: connect by TLS, or name a port")]
    NoPlain,
    /// The job can't be made.
    #[error(transparent)]
    Flash(#[from] FlashError),
}

impl Order {
    /// Works out what goes where.
    ///
    /// # Errors
    /// [`OrderError`].
    pub fn job(&self, door: &Door, password: &Secret, image: Image) -> Result<Job, OrderError> {
        let secured = door.secured.as_ref();
        let (own, tls) = if self.plain {
            (door.plain.ok_or(OrderError::NoPlain), Tls::Off)
        } else {
            let (port, key) = secured.ok_or(OrderError::NoTls)?;
            (Ok(*port), Tls::Pinned(key))
        };
        let port = match self.port {
            Some(port) => port,
            None => own?,
        };
        let hidden = |secret: &'_ Option<Secret>| secret.as_ref().map(|s| s.reveal().to_owned());
        let wifi_password = self.wifi.as_ref().and_then(|(_, p)| hidden(p));
        let apn_password = self.mobile.as_ref().and_then(|(_, _, p)| hidden(p));
        let gateway = Gateway {
            host: &self.host,
            port,
            tls,
        };
        let node = Provision {
            wifi: self.wifi.as_ref().map(|(name, _)| Wifi {
                name,
                password: wifi_password.as_deref().map(Hidden),
            }),
            mobile: self.mobile.as_ref().map(|(apn, user, _)| Mobile {
                apn,
                user: user.as_deref(),
                password: apn_password.as_deref().map(Hidden),
            }),
            led: self.led,
            bus_baud: self.bus_baud,
            ..Provision::new(&self.node, password.reveal(), gateway, &self.board)
        };
        Ok(Job::new(
            image.file,
            image.kind,
            image.layout.as_ref(),
            &node,
        )?)
    }
}

/// A password of the right length, for a job that is only shown: whatever is wrong with it is found before the real one is
/// made.
#[must_use]
pub fn stand_in() -> Secret {
    Secret::from("0".repeat(26))
}
