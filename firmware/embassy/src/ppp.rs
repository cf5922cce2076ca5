//! PPP over a serial line, kept up: what a 4G modem gives once it is in data mode.

use core::cell::Cell;

use embassy_futures::select::select;
use embassy_net::{ConfigV4, Ipv4Cidr, Stack, StaticConfigV4};
use embassy_net_ppp::{Config, Runner};
use embassy_time::{Duration, Timer};
use embedded_io_async::{BufRead, Write};

/// How long the peer may take to agree. The PPP library does not repeat a frame that was lost, so then it begins anew.
const NEGOTIATION: Duration = Duration::from_secs(5);
/// Between two attempts.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

/// Brings the link up, again whenever it falls, for ever. `user` and `password` are those of PAP; empty for none.
pub async fn keep_up<S: BufRead + Write>(
    mut runner: Runner<'_>,
    mut line: S,
    user: &[u8],
    password: &[u8],
    stack: Stack<'_>,
) -> ! {
    loop {
        once(&mut runner, &mut line, user, password, stack).await;
        Timer::after(PAUSE).await;
    }
}

/// Brings the link up and returns when it is down, or if it does not come up.
pub(crate) async fn once<S: BufRead + Write>(
    runner: &mut Runner<'_>,
    line: S,
    user: &[u8],
    password: &[u8],
    stack: Stack<'_>,
) {
    let up = Cell::new(false);
    let config = Config {
        username: user,
        password,
    };
    let link = runner.run(line, config, |status| {
        if let Some(address) = status.address {
            up.set(true);
            let mut config = StaticConfigV4 {
                address: Ipv4Cidr::new(address, 32),
                gateway: status.peer_address,
                dns_servers: Default::default(),
            };
            for server in status.dns_servers.into_iter().flatten() {
                // Two at most, and there is room for three.
                let _ = config.dns_servers.push(server);
            }
            stack.set_config_v4(ConfigV4::Static(config));
        }
    });
    let patience = async {
        Timer::after(NEGOTIATION).await;
        while up.get() {
            // Once it is up, the link's own end is what counts.
            core::future::pending::<()>().await;
        }
    };
    // Dropped or ended, it is down.
    select(link, patience).await;
    stack.set_config_v4(ConfigV4::None);
}
