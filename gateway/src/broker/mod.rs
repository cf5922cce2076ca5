//! The two doors through which uplinks come in. Both hand them to the same [`Ingest`](crate::ingest::Ingest) and
//! acknowledge only what it says is on disk.

mod downlinks;
pub mod embedded;
pub mod external;
pub mod identity;
mod retained;
pub mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use sen_wire::Receipt;
use sen_wire::limits::MAX_CONTROL_BYTES;
use sen_wire::topic::{Kind, Topic};

/// How a door is doing, for health and metrics.
#[derive(Debug, Default)]
pub struct DoorState {
    connected: AtomicBool,
    clients: AtomicUsize,
}

impl DoorState {
    /// Whether nodes (embedded) or the broker (external) can be heard.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Clients connected; for an external broker this connection only.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    fn set_connected(&self, on: bool) {
        self.connected.store(on, Ordering::Relaxed);
    }

    fn client_came(&self) {
        metrics::gauge!("sen_clients")
            .set((self.clients.fetch_add(1, Ordering::Relaxed) + 1) as f64);
    }

    fn client_went(&self) {
        let before = self
            .clients
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                Some(n.saturating_sub(1))
            })
            .unwrap_or_default();
        metrics::gauge!("sen_clients").set(before.saturating_sub(1) as f64);
    }
}

/// A door's state, shared.
pub type SharedState = Arc<DoorState>;

/// The door can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The address is taken or not ours.
    #[error(
        "mqtt: can't listen on {addr}; stop what uses it, or set broker.listen to another address"
    )]
    Listen {
        /// As configured.
        addr: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The address for TLS is taken or not ours.
    #[error(
        "mqtts: can't listen on {addr}; stop what uses it, or set broker.tls_listen to another address"
    )]
    ListenTls {
        /// As configured.
        addr: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// TLS can't be set up.
    #[error("mqtts: TLS can't be set up")]
    Tls(#[from] rustls::Error),
    /// The key towards nodes can't be had.
    #[error(transparent)]
    Identity(#[from] identity::IdentityError),
    /// A file for TLS can't be used.
    #[error("mqtt: {path} can't be read; set broker.ca_file to a certificate in PEM form")]
    Certificate {
        /// As configured.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The journal could not be read for retained messages.
    #[error(transparent)]
    Journal(#[from] crate::journal::ReadError),
}

/// A receipt as topic and payload.
fn receipt_message(node: &str, receipt: &Receipt) -> Option<(String, Vec<u8>)> {
    let mut buffer = [0u8; MAX_CONTROL_BYTES];
    let payload = receipt.encode(&mut buffer).ok()?;
    Some((
        Topic {
            node,
            kind: Kind::Receipt,
        }
        .to_string(),
        payload.to_vec(),
    ))
}
