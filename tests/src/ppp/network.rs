//! The network behind the line: a TCP that ends here and goes on to this machine's loopback.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant as Stamp;
use smoltcp::wire::{HardwareAddress, IpCidr};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::mpsc::{self, Receiver};

use super::GATEWAY;

const MTU: usize = 1500;
const WINDOW: usize = 16 << 10;

/// Packets on their way in and out.
#[derive(Default)]
struct Packets {
    to_us: VecDeque<Vec<u8>>,
    to_board: Vec<Vec<u8>>,
}

pub(super) struct Network {
    started: Instant,
    packets: Packets,
    interface: Interface,
    sockets: SocketSet<'static>,
    /// The socket that waits for the board's next connection.
    listening: SocketHandle,
    connections: Vec<Connection>,
    port: u16,
    changed: Arc<Notify>,
}

/// One connection of the board, and the host's end of it.
struct Connection {
    socket: SocketHandle,
    host: Host,
}

enum Host {
    Connecting(Receiver<Option<TcpStream>>),
    Open(TcpStream),
    /// Nothing more comes from it or goes to it.
    Gone,
}

impl Network {
    pub(super) fn new(port: u16) -> Self {
        let started = Instant::now();
        let mut packets = Packets::default();
        let config = Config::new(HardwareAddress::Ip);
        let mut interface = Interface::new(config, &mut packets, Stamp::ZERO);
        interface.update_ip_addrs(|addresses| {
            // There is room for several.
            let _ = addresses.push(IpCidr::new(GATEWAY.into(), 24));
        });
        let mut sockets = SocketSet::new(Vec::new());
        let listening = listen(&mut sockets, port);
        Self {
            started,
            packets,
            interface,
            sockets,
            listening,
            connections: Vec::new(),
            port,
            changed: Arc::default(),
        }
    }

    /// A packet of the board.
    pub(super) fn take(&mut self, packet: Vec<u8>) {
        self.packets.to_us.push_back(packet);
    }

    /// Waits for news of the host. What an open connection has to read is looked for at each poll.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Does what can be done now; gives what goes to the board.
    pub(super) fn poll(&mut self) -> Vec<Vec<u8>> {
        for _ in 0..2 {
            let now = Stamp::from_millis(self.started.elapsed().as_millis() as i64);
            self.interface
                .poll(now, &mut self.packets, &mut self.sockets);
            self.accept();
            let sockets = &mut self.sockets;
            self.connections.retain_mut(|connection| {
                let keep = connection.carry(sockets.get_mut(connection.socket));
                if !keep {
                    sockets.remove(connection.socket);
                }
                keep
            });
        }
        std::mem::take(&mut self.packets.to_board)
    }

    fn accept(&mut self) {
        let state = self.sockets.get::<Socket<'_>>(self.listening).state();
        if state == State::Listen {
            return;
        }
        let (send, receive) = mpsc::channel(1);
        let (port, changed) = (self.port, Arc::clone(&self.changed));
        tokio::spawn(async move {
            let stream = TcpStream::connect(("127.0.0.1", port)).await.ok();
            let _ = send.send(stream).await;
            changed.notify_one();
        });
        self.connections.push(Connection {
            socket: self.listening,
            host: Host::Connecting(receive),
        });
        self.listening = listen(&mut self.sockets, self.port);
    }
}

fn listen(sockets: &mut SocketSet<'static>, port: u16) -> SocketHandle {
    let buffer = || SocketBuffer::new(vec![0; WINDOW]);
    let mut socket = Socket::new(buffer(), buffer());
    // The line is slow: what was sent must not be sent twice for want of patience.
    socket.set_nagle_enabled(false);
    // A new socket, and a port that is not 0.
    let _ = socket.listen(port);
    sockets.add(socket)
}

impl Connection {
    /// Carries bytes both ways; false when both ends are done.
    fn carry(&mut self, socket: &mut Socket<'_>) -> bool {
        if let Host::Connecting(coming) = &mut self.host {
            match coming.try_recv() {
                Ok(Some(stream)) => self.host = Host::Open(stream),
                Ok(None) => {
                    socket.abort();
                    self.host = Host::Gone;
                }
                Err(_) => {}
            }
        }
        if let Host::Open(stream) = &self.host
            && !pass(stream, socket)
        {
            self.host = Host::Gone;
        }
        !matches!(self.host, Host::Gone) || socket.is_open()
    }
}

/// False when the host's end is done.
fn pass(stream: &TcpStream, socket: &mut Socket<'_>) -> bool {
    while socket.can_recv() {
        match socket.recv(|bytes| match stream.try_write(bytes) {
            Ok(written) => (written, written > 0),
            Err(_) => (0, false),
        }) {
            Ok(true) => {}
            _ => break,
        }
    }
    while socket.can_send() {
        let read = socket.send(|room| match stream.try_read(room) {
            Ok(read) => (read, Ok(read)),
            Err(error) => (0, Err(error)),
        });
        match read {
            Ok(Ok(0)) => {
                socket.close();
                return false;
            }
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            _ => {
                socket.abort();
                return false;
            }
        }
    }
    // The board has closed, or reset: drop the host's end too.
    socket.may_recv() || socket.state() == State::SynReceived
}

impl Device for Packets {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Stamp) -> Option<(Received, Sending<'_>)> {
        let packet = self.to_us.pop_front()?;
        Some((Received(packet), Sending(&mut self.to_board)))
    }

    fn transmit(&mut self, _: Stamp) -> Option<Sending<'_>> {
        Some(Sending(&mut self.to_board))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

struct Sending<'a>(&'a mut Vec<Vec<u8>>);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut packet = vec![0; length];
        let result = fill(&mut packet);
        self.0.push(packet);
        result
    }
}
