//! TLS 1.3 in front of the broker, for nodes: the handshake here, MQTT behind it on a loopback socket of our own.
//!
//! The broker library's own TLS listener can't be told how large a record may be (a node has no 16 KiB to receive one in),
//! which versions and suites there are, or who was refused and why; and it brings a second crypto library. A silent client
//! costs a task and a socket until [`HANDSHAKE`] and nobody else anything.
//!
//! No early data, no tickets: a node that resumes nothing has nothing to keep, and nothing of it can be replayed.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::{AlertDescription, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::DoorError;
use super::identity::{Identity, provider};
use crate::ingest::Ingest;

/// A client that does not finish its handshake is let go after this; a node at 25 MHz computes for seconds.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// Largest record that is sent, header and all: a node's receive buffer is little more than this.
pub const RECORD: usize = 1024;
/// How much of a connection is under way within the gateway, each direction.
const BUFFER: usize = 2048;
/// How long one direction may still deliver after the other has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Pause after the system could not give a socket.
const BREATH: Duration = Duration::from_millis(200);
/// Room that the handshake's other messages take beside the certificates in one record.
const BESIDE_CERTIFICATES: usize = 256;

/// Who is at the far end of each loopback socket. The broker sees only the near one.
#[derive(Debug, Clone, Default)]
pub(super) struct Peers(Arc<Mutex<HashMap<SocketAddr, SocketAddr>>>);

impl Peers {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SocketAddr, SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node's address, if the connection came through the TLS door.
    pub(super) fn of(&self, near: SocketAddr) -> Option<SocketAddr> {
        self.lock().get(&near).copied()
    }
}

/// One entry of [`Peers`], for as long as the connection lives.
struct Seat(Peers, SocketAddr);

impl Seat {
    fn take(peers: &Peers, near: SocketAddr, far: SocketAddr) -> Self {
        peers.lock().insert(near, far);
        Self(peers.clone(), near)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

/// The door.
pub(super) struct Front {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    broker: SocketAddr,
    peers: Peers,
    room: Arc<Semaphore>,
    ingest: Ingest,
}

impl Front {
    /// Binds `listen`; what comes through goes to `broker`, at most `most` connections at once.
    pub(super) async fn bind(
        listen: SocketAddr,
        identity: &Identity,
        broker: SocketAddr,
        peers: Peers,
        most: usize,
        ingest: Ingest,
    ) -> Result<Self, DoorError> {
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|source| DoorError::ListenTls {
                addr: listen,
                source,
            })?;
        let chain: usize = identity.certified().cert.iter().map(|c| c.len()).sum();
        if chain + BESIDE_CERTIFICATES > RECORD {
            tracing::warn!(
                "tls: the certificates take {chain} bytes; nodes may have no room for a handshake of more than {RECORD}: use one small certificate"
            );
        }
        Ok(Self {
            listener,
            acceptor: TlsAcceptor::from(Arc::new(server(identity)?)),
            broker,
            peers,
            room: Arc::new(Semaphore::new(most)),
            ingest,
        })
    }

    pub(super) fn addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until dropped; connections end with it.
    pub(super) async fn run(self) {
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let (socket, from) = match self.listener.accept().await {
                Ok(come) => come,
                Err(e) => {
                    tracing::warn!("tls: no connection can be taken: {e}");
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            };
            // Full: the socket is closed, and the node tries again later.
            let Ok(seat) = self.room.clone().try_acquire_owned() else {
                continue;
            };
            let (acceptor, peers) = (self.acceptor.clone(), self.peers.clone());
            let (ingest, broker) = (self.ingest.clone(), self.broker);
            connections.spawn(async move {
                let _seat = seat;
                match shake(&acceptor, socket).await {
                    Ok(stream) => {
                        if let Err(e) = carry(stream, broker, &peers, from).await {
                            tracing::debug!("tls: {from}: {e}");
                        }
                    }
                    Err(refused) => {
                        let (reason, detail) = refused.said();
                        ingest.refused_before_name(from, reason, &detail);
                    }
                }
            });
        }
    }
}

fn server(identity: &Identity) -> Result<ServerConfig, rustls::Error> {
    let resolver = SingleCertAndKey::from(identity.certified().as_ref().clone());
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.max_fragment_size = Some(RECORD);
    // The suite that costs a node least, also where a client would rather have another.
    config.ignore_client_order = true;
    config.max_early_data_size = 0;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

/// Why there was no handshake.
enum Refused {
    Silent,
    Failed(io::Error),
}

impl Refused {
    /// A label for counters and a sentence.
    fn said(&self) -> (&'static str, String) {
        let tls = |e: &io::Error| {
            e.get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
                .cloned()
        };
        match self {
            Self::Silent => (
                "tls_silent",
                format!("no TLS handshake within {} s", HANDSHAKE.as_secs()),
            ),
            Self::Failed(e) => match tls(e) {
                Some(rustls::Error::AlertReceived(alert)) if is_about_certificate(alert) => (
                    "tls_wrong_key",
                    format!(
                        "it does not take this gateway's key ({alert:?}): flash it again with this gateway's, or give the gateway its old key back"
                    ),
                ),
                Some(rustls::Error::AlertReceived(alert)) => {
                    ("tls_alert", format!("it ended the handshake: {alert:?}"))
                }
                Some(e) => (
                    "tls_handshake",
                    format!("no TLS 1.3 handshake: {e}; it speaks TLS 1.3, or use the plain port"),
                ),
                None if e.kind() == io::ErrorKind::UnexpectedEof => (
                    "tls_gone",
                    "it went away within the handshake; a node that has another gateway's key pinned does so".to_owned(),
                ),
                None => ("tls_gone", format!("it went away within the handshake: {e}")),
            },
        }
    }
}

fn is_about_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as A;
    matches!(
        alert,
        A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::UnknownCA
            | A::AccessDenied
            | A::DecryptError
    )
}

type Stream = tokio_rustls::server::TlsStream<TcpStream>;

async fn shake(acceptor: &TlsAcceptor, socket: TcpStream) -> Result<Stream, Refused> {
    let _ = socket.set_nodelay(true);
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(e)) => Err(Refused::Failed(e)),
        Err(_) => Err(Refused::Silent),
    }
}

/// Carries bytes both ways until one side ends, and then what is under way.
async fn carry(
    stream: Stream,
    broker: SocketAddr,
    peers: &Peers,
    from: SocketAddr,
) -> io::Result<()> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    // Bound before it connects: the broker must not see the connection before we know its seat.
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let _seat = Seat::take(peers, socket.local_addr()?, from);
    let inner = socket.connect(broker).await?;
    inner.set_nodelay(true)?;
    let (node_read, node_write) = tokio::io::split(stream);
    let (broker_read, broker_write) = inner.into_split();
    let up = pour(node_read, broker_write);
    let down = pour(broker_read, node_write);
    tokio::pin!(up, down);
    // A peer that is gone without a word would hold the other direction open for ever.
    tokio::select! {
        ended = &mut up => {
            ended?;
            let _ = tokio::time::timeout(LAST_WORDS, down).await;
        }
        ended = &mut down => {
            ended?;
            let _ = tokio::time::timeout(LAST_WORDS, up).await;
        }
    }
    Ok(())
}

async fn pour(from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut from = BufReader::with_capacity(BUFFER, from);
    tokio::io::copy_buf(&mut from, &mut to).await?;
    to.shutdown().await
}
