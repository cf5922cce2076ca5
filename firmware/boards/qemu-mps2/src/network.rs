//! The network: Ethernet, or PPP over the second UART.

use embassy_executor::Spawner;
use embassy_net::{Config, Runner, Stack, StackResources};
use static_cell::ConstStaticCell;

use crate::{host, unmask};

#[cfg(feature = "ethernet")]
type Device = crate::lan9118::Lan9118;
#[cfg(not(feature = "ethernet"))]
type Device = embassy_net_ppp::Device<'static>;

/// TCP, DNS, DHCP.
const SOCKETS: usize = 3;

#[embassy_executor::task]
async fn serve(mut runner: Runner<'static, Device>) -> ! {
    runner.run().await
}

fn stack(spawner: Spawner, device: Device, config: Config) -> Stack<'static> {
    static RESOURCES: ConstStaticCell<StackResources<SOCKETS>> =
        ConstStaticCell::new(StackResources::new());
    let mut seed = [0; 8];
    host::random(&mut seed);
    let seed = u64::from_le_bytes(seed);
    let (stack, runner) = embassy_net::new(device, config, RESOURCES.take(), seed);
    if let Ok(token) = serve(runner) {
        spawner.spawn(token);
    }
    stack
}

#[cfg(feature = "ethernet")]
pub(crate) fn start(spawner: Spawner) -> Option<Stack<'static>> {
    let device = crate::lan9118::Lan9118::start().ok()?;
    unmask(crate::lan9118::IRQ);
    Some(stack(spawner, device, Config::dhcpv4(Default::default())))
}

// Not inlined: what it needs of the stack would lie under the node for ever.
#[cfg(not(feature = "ethernet"))]
#[inline(never)]
pub(crate) fn start(spawner: Spawner) -> Option<Stack<'static>> {
    use crate::uart::modem::{self, Modem};
    use embassy_net_ppp::{Runner, State};

    #[embassy_executor::task]
    async fn dial(runner: Runner<'static>, modem: Modem, stack: Stack<'static>) -> ! {
        // No name, no password: the modem has the operator's.
        sen_embassy::ppp::keep_up(runner, modem, b"", b"", stack).await
    }

    static STATE: ConstStaticCell<State<2, 2>> = ConstStaticCell::new(State::new());
    let (device, runner) = embassy_net_ppp::new(STATE.take());
    let stack = stack(spawner, device, Config::default());
    let modem = modem::start();
    unmask(modem::IRQ);
    spawner.spawn(dial(runner, modem, stack).ok()?);
    Some(stack)
}
