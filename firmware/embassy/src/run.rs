//! The entry point that a board's `main` calls once its network runs.

use core::pin::{Pin, pin};

use embassy_embedded_hal::flash::partition::Partition;
use embassy_futures::select::{Either3, select3};
use embassy_net::Stack;
use embassy_sync::{blocking_mutex::raw::NoopRawMutex, mutex::Mutex, zerocopy_channel::Channel};
use embassy_time::{Duration, Timer};
use embedded_storage_async::nor_flash::NorFlash;
use sen_node::{FlashOutbox, FlashSettings, Identity, Node, Probes, Storage, flash};
use sen_wire::{
    Channel as ProbeChannel, NodeConfig, NodeId, ResetReason,
    provision::{Field, Provision, ProvisionError},
};

use crate::{
    apart::apart,
    join::{Joiner, Memory},
    link::MailLink,
    mail::Signals,
    mqtt::{Down, Post},
    status::{News, Panel, Status, give_up, show},
    timer::EmbassyTimer,
    trouble::Trouble,
};

/// Random bytes that nobody can guess: the keys of TLS are made of them.
pub trait Entropy {
    /// Fills `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// What a board brings.
#[allow(missing_debug_implementations, reason = "the network stack has none")]
pub struct Board<F, G, P, E, L> {
    /// Its name, as in the node configuration and the hello, at most 16 bytes.
    pub name: &'static str,
    /// Firmware version, at most 16 bytes.
    pub firmware: &'static str,
    /// Why it started.
    pub reset_reason: ResetReason,
    /// The network; its runner, and what brings it up, are tasks of the board.
    pub stack: Stack<'static>,
    /// The partition of the outbox, and nothing but it: three pages at least.
    pub outbox: F,
    /// The partition of the settings, and nothing but it: two pages at least.
    pub settings: G,
    /// The channels that there are probes for; `None`: whatever the configuration names is asked of the probes.
    pub channels: Option<&'static [ProbeChannel]>,
    /// Its probes.
    pub probes: P,
    /// Its random numbers.
    pub entropy: E,
    /// Its LED and serial line.
    pub panel: L,
    /// Received signal strength in dBm, where there is a radio.
    pub rssi_dbm: fn() -> Option<i16>,
    /// Called with true before each attempt to join, and with false once the node has said goodbye: until it has something
    /// to send the board may do without a network. One that must not, or need not, does nothing.
    pub want_network: fn(bool),
}

/// How long to wait before flash that failed is tried again.
const FLASH_RETRY: Duration = Duration::from_secs(10);

/// Runs the node for ever: it measures whatever the network does, keeps what it measures in flash, and sends it when it can.
pub async fn run<F, G, P, E, L>(
    board: Board<F, G, P, E, L>,
    provision: &Provision<'_>,
    memory: &mut Memory,
) -> !
where
    F: NorFlash,
    G: NorFlash,
    P: Probes,
    E: Entropy,
    L: Panel,
{
    let Board {
        name,
        firmware,
        reset_reason,
        stack,
        outbox,
        settings,
        channels,
        mut probes,
        mut entropy,
        mut panel,
        rssi_dbm,
        want_network,
    } = board;
    let id: NodeId = match provision.node.parse() {
        Ok(id) => id,
        // Whoever decoded it has checked it.
        Err(_) => {
            let trouble = ProvisionError::Bad(Field::Node).into();
            give_up(&mut panel, provision.led, trouble).await
        }
    };
    let (outbox, settings) = (Shared::new(outbox), Shared::new(settings));
    let mut incarnation = [0; 2];
    entropy.fill(&mut incarnation);
    let identity = |boot| Identity {
        node: id.clone(),
        firmware,
        board: name,
        reset_reason,
        boot,
    };
    let mut place = None;
    {
        let starting = pin!(start(
            &mut place,
            (&outbox, &settings),
            u16::from_le_bytes(incarnation),
            identity,
            channels,
            &mut panel,
        ));
        apart(starting).await;
    }
    let Some(node) = place.as_mut() else {
        // Not reached: there is a node in it by now.
        give_up(&mut panel, provision.led, Trouble::Storage).await
    };
    panel.line(format_args!(
        "sen node={} board={name} firmware={firmware} boot={} pending={} gateway={}:{}",
        provision.node,
        node.storage().boot(),
        node.storage().pending(),
        provision.gateway.host,
        provision.gateway.port
    ));

    let signals = Signals::new();
    let news = News::new();
    let mut up = Channel::new(&mut memory.up);
    let mut receipts = Channel::new(&mut memory.receipts);
    let mut configs = Channel::new(&mut memory.configs);
    let (up_in, up_out) = up.split();
    let (receipts_in, receipts_out) = receipts.split();
    let (configs_in, configs_out) = configs.split();
    let mut link = MailLink {
        signals: &signals,
        up: up_in,
        receipts: receipts_out,
        configs: configs_out,
        rssi_dbm,
        open: false,
    };
    let joiner = Joiner {
        stack,
        provision,
        entropy: &mut entropy,
        buffers: &mut memory.buffers,
        post: Post {
            up: up_out,
            down: Down {
                receipts: receipts_in,
                configs: configs_in,
            },
            signals: &signals,
        },
        news: &news,
        want_network,
    };
    let mut timer = EmbassyTimer;
    // Pinned where they are made: passed on by value, each would stand here twice, and once on the stack.
    let node = pin!(sen_node::run(node, &mut link, &mut probes, &mut timer));
    let joiner = pin!(joiner.run());
    let status = pin!(show(&mut panel, provision.led, &news));
    match select3(apart(node), apart(joiner), apart(status)).await {
        Either3::First(never) | Either3::Second(never) | Either3::Third(never) => never,
    }
}

/// Opens the outbox, however long it takes, and starts a node over it, in `place`. An outbox of another layout, left by other
/// firmware, is given up: nothing here can read it.
async fn start<'f, F: NorFlash, G: NorFlash>(
    place: &mut Option<Started<'f, F, G>>,
    (outbox, settings): (&'f Shared<F>, &'f Shared<G>),
    incarnation: u16,
    identity: impl Fn(u64) -> Identity,
    channels: Option<&'static [ProbeChannel]>,
    panel: &mut impl Panel,
) {
    let mut format = false;
    while place.is_none() {
        let trouble = Status::Trouble(Trouble::Storage);
        let part = whole(outbox).await;
        let opened = {
            let opening = pin!(open(part, format, incarnation));
            apart(opening).await
        };
        format = matches!(opened, Err(flash::Error::OtherLayout));
        match (opened, FlashSettings::new(whole(settings).await)) {
            (Ok(outbox), Ok(settings)) => {
                let identity = identity(outbox.boot());
                let default = NodeConfig::default();
                let node = Node::start_with(identity, default, outbox, settings, channels);
                let node = pin!(node);
                let starting = pin!(fill(place, node));
                if let Err(error) = apart(starting).await {
                    panel.line(format_args!("{trouble}: {error}"));
                }
            }
            (Err(error), _) => panel.line(format_args!("{trouble}: {error}")),
            (_, Err(error)) => panel.line(format_args!("{trouble}: {error}")),
        }
        if place.is_none() && !format {
            Timer::after(FLASH_RETRY).await;
        }
    }
}

/// What the future makes, in its place.
async fn fill<T, E>(
    place: &mut Option<T>,
    making: Pin<&mut impl Future<Output = Result<T, E>>>,
) -> Result<(), E> {
    *place = Some(making.await?);
    Ok(())
}

async fn open<F: NorFlash>(
    flash: F,
    format: bool,
    incarnation: u16,
) -> Result<FlashOutbox<F>, flash::Error<F::Error>> {
    if format {
        FlashOutbox::format(flash, incarnation).await
    } else {
        FlashOutbox::open(flash, incarnation).await
    }
}

type Started<'f, F, G> = Node<FlashOutbox<Part<'f, F>>, FlashSettings<Part<'f, G>>>;
type Shared<F> = Mutex<NoopRawMutex, F>;
type Part<'f, F> = Partition<'f, NoopRawMutex, F>;

/// All of a flash, lent: an outbox that can't be opened does not take the flash with it.
async fn whole<F: NorFlash>(flash: &Shared<F>) -> Part<'_, F> {
    let size = flash.lock().await.capacity();
    Partition::new(flash, 0, size as u32)
}
