//! The far end of a mobile network: speaks PPP with the board and connects it to this machine, without privileges.
//!
//! pppd wants a kernel device and root. This says yes to what a modem's network says yes to (RFC 1661, RFC 1332), and hands
//! the IP packets to smoltcp: whatever port of [`GATEWAY`] the board connects to is that port of the host's loopback.

mod frame;
mod negotiate;
mod network;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::wait;
use frame::{Deframer, frame};
use negotiate::Negotiation;
use network::Network;

/// The network's own address, and the board's.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// The board's.
pub const BOARD: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);

const LCP: u16 = 0xc021;
const IPCP: u16 = 0x8021;
const IP: u16 = 0x0021;

/// A running peer. It ends when it is dropped.
#[derive(Debug)]
pub struct Peer {
    deaf: watch::Sender<bool>,
    agreed: Arc<AtomicUsize>,
    task: JoinHandle<Result<()>>,
}

impl Peer {
    /// Connects to the socket that carries the board's serial line, and passes TCP to `port` of this machine.
    ///
    /// # Errors
    /// When the socket does not come up.
    pub async fn start(socket: &Path, port: u16) -> Result<Self> {
        let line = wait::until("the board's serial line", wait::PATIENCE, || async {
            Ok(Some(UnixStream::connect(socket).await?))
        })
        .await?;
        let (deaf, hears) = watch::channel(false);
        let agreed = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(serve(line, port, hears, Arc::clone(&agreed)));
        Ok(Self { deaf, agreed, task })
    }

    /// Swallows everything in both directions while true: a modem in a dead spot.
    pub fn deaf(&self, deaf: bool) {
        self.deaf.send_replace(deaf);
    }

    /// How often both sides have agreed on addresses.
    #[must_use]
    pub fn agreed(&self) -> usize {
        self.agreed.load(Ordering::SeqCst)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut line: UnixStream,
    port: u16,
    deaf: watch::Receiver<bool>,
    agreed: Arc<AtomicUsize>,
) -> Result<()> {
    let mut deframer = Deframer::default();
    let mut negotiation = Negotiation::default();
    let mut network = Network::new(port);
    let mut buffer = [0; 4096];
    loop {
        let mut out = Vec::new();
        tokio::select! {
            read = line.read(&mut buffer) => {
                let read = read?;
                anyhow::ensure!(read > 0, "the board's line was closed");
                for (protocol, body) in deframer.feed(&buffer[..read]) {
                    match protocol {
                        IP => network.take(body),
                        LCP | IPCP => {
                            out.extend(negotiation.answer(protocol, &body));
                            agreed.store(negotiation.agreed(), Ordering::SeqCst);
                        }
                        _ => {}
                    }
                }
            }
            () = network.changed() => {}
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
        out.extend(network.poll().into_iter().map(|packet| (IP, packet)));
        if !*deaf.borrow() {
            for (protocol, body) in out {
                line.write_all(&frame(protocol, &body)).await?;
            }
        }
    }
}
