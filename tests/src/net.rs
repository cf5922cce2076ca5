//! Ports for servers that can't choose one themselves.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Ports are drawn from below Linux' ephemeral range (32768..). Inside that range a client that
/// retries a port on which nothing listens can be given that very port as its source and so
/// connect to itself: a "server" that echoes what it is sent.
const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;

/// A loopback address on which nothing listens right now.
///
/// The port is free when this returns and may be taken a moment later: who starts a server on it
/// tries again with another one when the server can't bind it.
///
/// # Panics
/// When no port in the range is free.
#[must_use]
pub fn free_addr() -> SocketAddr {
    for _ in 0..1000 {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + random_u16() % COUNT));
        if TcpListener::bind(addr).is_ok() {
            return addr;
        }
    }
    panic!("no free port in {FIRST}..{}", FIRST + COUNT);
}

fn random_u16() -> u16 {
    let mut bytes = [0; 2];
    getrandom::fill(&mut bytes).expect("the operating system has random numbers");
    u16::from_ne_bytes(bytes)
}
