//! A TCP proxy that can be broken while connections run through it.
//!
//! Ours, since the fault-injection proxies of the registry are either programs of another
//! ecosystem or unmaintained; what the tests need is a screenful.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use std::sync::Arc;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the proxy does to bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Holds every chunk for so long.
    Delay(Duration),
    /// Passes at most so many bytes at a time, each in a segment of its own.
    Split(usize),
    /// Swallows everything in both directions, connections stay open; new ones are accepted.
    BlackHole,
    /// Closes every connection with a reset, and new ones as soon as they come.
    Reset,
    /// Passes so many more bytes of each connection to the server, then resets it: the server
    /// sees a cut message.
    CutAfter(usize),
}

/// A running proxy. It and its connections end when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    fault: watch::Sender<Fault>,
    open: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a port of its own and passes everything on to `to`.
    ///
    /// # Errors
    /// When it can't bind.
    pub async fn start(to: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let (fault, faults) = watch::channel(Fault::None);
        let open = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&open);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let faults = faults.clone();
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    count.fetch_add(1, Ordering::SeqCst);
                    // Errors are what the proxy is for: both sides see them.
                    let _ = serve(client, to, faults).await;
                    count.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Ok(Self {
            addr,
            fault,
            open,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Breaks or mends it, from the next byte on.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Connections that are open through it.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.fault.send_replace(Fault::Reset);
    }
}

async fn serve(
    client: TcpStream,
    to: SocketAddr,
    mut faults: watch::Receiver<Fault>,
) -> std::io::Result<()> {
    if *faults.borrow() == Fault::Reset {
        return reset(client);
    }
    let server = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    // The halves stay borrowed here, so that both sockets can be reset at the end.
    let (mut client, mut server) = (client, server);
    let cut = {
        let (client_in, client_out) = client.split();
        let (server_in, server_out) = server.split();
        let watch_reset = async {
            // An error means that the proxy is gone: reset as well.
            let _ = faults.clone().wait_for(|f| *f == Fault::Reset).await;
        };
        tokio::select! {
            end = pump(client_in, server_out, faults.clone(), true) => end?,
            end = pump(server_in, client_out, faults.clone(), false) => end?,
            () = watch_reset => true,
        }
    };
    if cut || *faults.borrow_and_update() == Fault::Reset {
        reset(client)?;
        reset(server)?;
    }
    Ok(())
}

/// Passes bytes on until the end (false) or until it has to cut (true).
async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    faults: watch::Receiver<Fault>,
    up: bool,
) -> std::io::Result<bool> {
    let mut buffer = vec![0; 16 << 10];
    let mut left = None;
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return Ok(false);
        }
        let fault = *faults.borrow();
        match fault {
            Fault::None => to.write_all(&buffer[..n]).await?,
            Fault::Delay(delay) => {
                tokio::time::sleep(delay).await;
                to.write_all(&buffer[..n]).await?;
            }
            Fault::Split(size) => {
                for chunk in buffer[..n].chunks(size.max(1)) {
                    to.write_all(chunk).await?;
                    // Lets the other side read this much before there is more.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            Fault::BlackHole => {}
            Fault::Reset => return Ok(true),
            Fault::CutAfter(bytes) if up => {
                let rest = left.get_or_insert(bytes);
                let pass = n.min(*rest);
                to.write_all(&buffer[..pass]).await?;
                to.flush().await?;
                *rest -= pass;
                if *rest == 0 {
                    return Ok(true);
                }
            }
            Fault::CutAfter(_) => to.write_all(&buffer[..n]).await?,
        }
    }
}

/// Closes with RST instead of FIN.
fn reset(stream: TcpStream) -> std::io::Result<()> {
    stream.set_zero_linger()?;
    drop(stream);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let addr = listener.local_addr().expect("has an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut r, mut w) = stream.split();
                    let _ = tokio::io::copy(&mut r, &mut w).await;
                });
            }
        });
        addr
    }

    #[tokio::test]
    async fn splits_swallows_and_resets() {
        let proxy = Proxy::start(echo().await).await.expect("binds");
        let mut client = TcpStream::connect(proxy.addr()).await.expect("connects");
        proxy.set(Fault::Split(2));
        client.write_all(b"hello").await.expect("writes");
        let mut got = [0; 5];
        client.read_exact(&mut got).await.expect("reads");
        assert_eq!(&got, b"hello");

        proxy.set(Fault::BlackHole);
        client.write_all(b"lost").await.expect("writes");
        let silent = tokio::time::timeout(Duration::from_millis(100), client.read(&mut got)).await;
        assert!(silent.is_err());

        proxy.set(Fault::Reset);
        assert!(client.read(&mut got).await.is_err());
    }
}
