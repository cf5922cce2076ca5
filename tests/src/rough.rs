//! Links as bad as radio, one fate for each connection.
//!
//! Beside [`crate::proxy`], whose fault holds for all connections at once and is switched by the test: here every node's
//! link goes wrong by itself. A connection's fate is drawn from the dice, the node's id (read from its CONNECT) and how many
//! connections that node has made, so it does not depend on who came first. It may delay, split, and be cut in the middle of
//! a message: on the way up, or on the way down, where the node can't know what arrived.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::dice::Dice;

/// How rough.
#[derive(Debug, Clone, Copy)]
pub struct Roughness {
    /// So many connections of a node are cut; later ones only delay and split, so that it gets to an end. A node backs off
    /// longer with each failure: more than a few cuts test nothing but patience.
    pub cuts: usize,
    /// Longest delay of a chunk.
    pub delay: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Fate {
    delay: Duration,
    split: Option<usize>,
    /// Bytes up, bytes down.
    cut: (Option<usize>, Option<usize>),
}

impl Fate {
    fn draw(mut dice: Dice, nth: usize, rough: Roughness) -> Self {
        let longest = u64::try_from(rough.delay.as_millis()).unwrap_or(u64::MAX);
        let mut below = |range| usize::try_from(dice.within(range)).unwrap_or(0);
        let delay = match below(0..3) {
            0 => Duration::from_millis(below(1..longest.max(2)) as u64),
            _ => Duration::ZERO,
        };
        let split = (below(0..3) == 0).then(|| below(1..200));
        let cut = match (nth < rough.cuts, below(0..3)) {
            (false, _) => (None, None),
            // Hello and subscription are some 200 bytes, a pack up to 1 KiB, a receipt some 50.
            (true, 0) => (None, Some(below(10..300))),
            (true, _) => (Some(below(200..4_000)), None),
        };
        Self { delay, split, cut }
    }
}

#[derive(Debug, Default)]
struct Counts {
    cuts: AtomicUsize,
    /// By node: connections, and how many of them were cut.
    nodes: Mutex<HashMap<String, (usize, usize)>>,
}

impl Counts {
    fn node<T>(&self, id: &str, change: impl FnOnce(&mut (usize, usize)) -> T) -> T {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        change(nodes.entry(id.to_owned()).or_default())
    }
}

/// The links of all nodes to one server. They end when it is dropped.
#[derive(Debug)]
pub struct RoughLinks {
    addr: SocketAddr,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

impl RoughLinks {
    /// Listens on a port of its own and passes everything on to `to`.
    ///
    /// # Errors
    /// When it can't bind.
    pub async fn start(to: SocketAddr, dice: Dice, rough: Roughness) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let all = Arc::clone(&counts);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (dice, counts) = (dice.clone(), Arc::clone(&all));
                tokio::spawn(async move {
                    // Errors are what it is for: both sides see them.
                    let _ = serve(client, to, &dice, rough, &counts).await;
                });
            }
        });
        Ok(Self { addr, counts, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connections cut in the middle so far.
    #[must_use]
    pub fn cuts(&self) -> usize {
        self.counts.cuts.load(SeqCst)
    }

    /// How often that node's link was cut.
    #[must_use]
    pub fn cuts_of(&self, node: &str) -> usize {
        self.counts.node(node, |(_, cuts)| *cuts)
    }
}

impl Drop for RoughLinks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The client id of a CONNECT (MQTT 3.1.1, 3.1): fixed header, 10 bytes of variable header, then the id with its length.
fn client_id(bytes: &[u8]) -> Option<&str> {
    // The remaining length goes on as long as the top bit is set.
    let rest = 1 + bytes.get(1..5)?.iter().position(|b| b & 0x80 == 0)? + 1;
    let at = rest + 10;
    let length = u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]);
    std::str::from_utf8(bytes.get(at + 2..at + 2 + usize::from(length))?).ok()
}

async fn serve(
    mut client: TcpStream,
    to: SocketAddr,
    dice: &Dice,
    rough: Roughness,
    counts: &Counts,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let mut first = Vec::with_capacity(512);
    let id = loop {
        if client.read_buf(&mut first).await? == 0 {
            return Ok(());
        }
        if let Some(id) = client_id(&first) {
            break id.to_owned();
        }
    };
    let nth = counts.node(&id, |(connections, cuts)| {
        *connections += 1;
        // What the gateway's own death cut short is no cut of the link.
        *cuts
    });
    let connection = counts.node(&id, |(connections, _)| *connections);
    let fate = Fate::draw(dice.of(&id, connection as u64), nth, rough);
    server.write_all(&first).await?;
    let cut = {
        let (client_in, client_out) = client.split();
        let (server_in, server_out) = server.split();
        tokio::select! {
            end = pump(client_in, server_out, fate, fate.cut.0.map(|n| n.saturating_sub(first.len()))) => end?,
            end = pump(server_in, client_out, fate, fate.cut.1) => end?,
        }
    };
    if cut {
        counts.cuts.fetch_add(1, SeqCst);
        counts.node(&id, |(_, cuts)| *cuts += 1);
        // Closes with RST instead of FIN.
        client.set_zero_linger()?;
        server.set_zero_linger()?;
    }
    Ok(())
}

/// Passes bytes on until the end (false) or until it has to cut (true).
async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    fate: Fate,
    mut left: Option<usize>,
) -> std::io::Result<bool> {
    let mut buffer = vec![0; 4 << 10];
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return Ok(false);
        }
        if !fate.delay.is_zero() {
            tokio::time::sleep(fate.delay).await;
        }
        let pass = left.map_or(n, |left| n.min(left));
        for chunk in buffer[..pass].chunks(fate.split.unwrap_or(pass).max(1)) {
            to.write_all(chunk).await?;
            if fate.split.is_some() {
                // Lets the other side read this much before there is more.
                tokio::task::yield_now().await;
            }
        }
        if let Some(left) = &mut left {
            *left -= pass;
            if *left == 0 {
                return Ok(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use rumqttc::mqttbytes::v4::{Connect, Packet};

    use super::*;

    #[test]
    fn reads_the_id_of_a_connect() {
        for id in ["n1", &"x".repeat(200)] {
            let mut connect = Connect::new(id);
            connect.set_login(id, "secret");
            let mut bytes = BytesMut::new();
            Packet::Connect(connect)
                .write(&mut bytes, 1 << 16)
                .expect("small");
            assert_eq!(client_id(&bytes), Some(id));
            assert_eq!(client_id(&bytes[..12]), None);
        }
    }

    #[test]
    fn the_first_connections_are_cut_and_later_ones_are_not() {
        let rough = Roughness {
            cuts: 2,
            delay: Duration::from_millis(30),
        };
        for seed in 0..100 {
            let of = |nth| Fate::draw(Dice::new(seed), nth, rough);
            assert!(of(1).cut.0.is_some() != of(1).cut.1.is_some());
            assert_eq!(of(2).cut, (None, None));
        }
    }
}
