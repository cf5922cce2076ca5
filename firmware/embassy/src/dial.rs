//! From "is there a network" to an open TCP connection, each step with its limit and its name.

use embassy_net::{IpAddress, Stack, dns::DnsQueryType, tcp::TcpSocket};
use embassy_time::{Duration, with_timeout};
use sen_wire::provision::Gateway;

use crate::{
    limits::{ADDRESS, LINK, NAME, SILENCE, TCP},
    trouble::Trouble,
};

pub(crate) async fn dial<'a>(
    stack: Stack<'a>,
    gateway: &Gateway<'_>,
    rx: &'a mut [u8],
    tx: &'a mut [u8],
) -> Result<TcpSocket<'a>, Trouble> {
    within(LINK, stack.wait_link_up(), Trouble::NoLink).await?;
    within(ADDRESS, stack.wait_config_up(), Trouble::NoAddress).await?;
    let address = match gateway.address() {
        Some(address) => IpAddress::Ipv4(address),
        None => {
            let query = stack.dns_query(gateway.host, DnsQueryType::A);
            let found = within(NAME, query, Trouble::NoName).await?;
            *found
                .ok()
                .as_ref()
                .and_then(|addresses| addresses.first())
                .ok_or(Trouble::NoName)?
        }
    };
    let mut socket = TcpSocket::new(stack, rx, tx);
    socket.set_timeout(Some(SILENCE));
    // Packs are whole messages already; a receipt must not wait for a second one.
    socket.set_nagle_enabled(false);
    within(
        TCP,
        socket.connect((address, gateway.port)),
        Trouble::NoAnswer,
    )
    .await?
    .map_err(|_| Trouble::NoAnswer)?;
    Ok(socket)
}

/// The outcome of `work`, or `trouble` if it takes longer than `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = T>,
    trouble: Trouble,
) -> Result<T, Trouble> {
    with_timeout(limit, work).await.map_err(|_| trouble)
}
