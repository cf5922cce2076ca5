//! Clocks, and the node over what both networks give alike.

use embassy_executor::Spawner;
use embassy_net::Stack;
use embassy_stm32::{
    Config, Peri, Peripherals, bind_interrupts,
    flash::{self, Flash},
    peripherals::{FLASH, IWDG, PA2, PA5, RNG, USART2},
    rcc::{
        Pll, PllMul, PllPreDiv, PllQDiv, PllRDiv, PllSource, Sysclk,
        mux::{Adcsel, Clk48sel},
    },
    rng::{self, Rng},
    wdg::IndependentWatchdog,
};
use embassy_time::{Duration, Timer};
use sen_embassy::{Board, Entropy, Memory, provision, status::give_up};
use sen_node::Probes;
use sen_wire::{
    Channel, ResetReason,
    provision::{MAX_BLOCK, Provision},
};
use static_cell::ConstStaticCell;

use crate::{
    flash::{Region, Regions, regions},
    front::Front,
    trouble,
};

/// As the node configuration names it.
const NAME: &str = "stm32";

bind_interrupts!(struct Irqs {
    FLASH => flash::InterruptHandler;
    RNG => rng::InterruptHandler<RNG>;
});

/// The chip's generator of random numbers.
pub struct Noise(Rng<'static, RNG>);

impl Entropy for Noise {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

/// A random number, for what need not be secret.
pub fn random(noise: &mut Noise) -> u64 {
    noise.0.next_u64()
}

/// Starts the chip: 80 MHz from the internal oscillator, 40 MHz for the random numbers.
pub fn start() -> (Peripherals, ResetReason) {
    let reason = trouble::reset_reason();
    let mut config = Config::default();
    config.rcc.hsi = true;
    config.rcc.pll = Some(Pll {
        source: PllSource::HSI,
        prediv: PllPreDiv::DIV1,
        mul: PllMul::MUL10,
        divp: None,
        divq: Some(PllQDiv::DIV4),
        divr: Some(PllRDiv::DIV2),
    });
    config.rcc.sys = Sysclk::PLL1_R;
    config.rcc.mux.clk48sel = Clk48sel::PLL1_Q;
    config.rcc.mux.adcsel = Adcsel::SYS;
    (embassy_stm32::init(config), reason)
}

/// What is on the board, whatever its network.
pub struct Kit {
    /// LED and console.
    pub front: Front,
    /// Random numbers.
    pub noise: Noise,
    node: Region,
    settings: Region,
    outbox: Region,
    reset_reason: ResetReason,
}

impl Kit {
    /// Also starts the watchdog.
    #[allow(clippy::too_many_arguments, reason = "each is one peripheral")]
    pub fn new(
        spawner: Spawner,
        reset_reason: ResetReason,
        watchdog: Peri<'static, IWDG>,
        led: Peri<'static, PA5>,
        console: (Peri<'static, USART2>, Peri<'static, PA2>),
        flash: Peri<'static, FLASH>,
        rng: Peri<'static, RNG>,
    ) -> Self {
        if let Ok(watch) = watch(watchdog) {
            spawner.spawn(watch);
        }
        let Regions {
            node,
            settings,
            outbox,
        } = regions(Flash::new(flash, Irqs));
        Self {
            front: Front::new(led, console.0, console.1),
            noise: Noise(Rng::new(rng, Irqs)),
            node,
            settings,
            outbox,
            reset_reason,
        }
    }

    /// The node configuration. Does not return without one.
    pub async fn provision(&mut self) -> Provision<'static> {
        static BLOCK: ConstStaticCell<[u8; MAX_BLOCK]> = ConstStaticCell::new([0; _]);
        match provision::read(&mut self.node, 0, NAME, BLOCK.take()).await {
            Ok(provision) => provision,
            Err(trouble) => give_up(&mut self.front, true, trouble).await,
        }
    }
}

/// Runs the node.
pub async fn run(
    kit: Kit,
    stack: Stack<'static>,
    rssi_dbm: fn() -> Option<i16>,
    (probes, channels): (impl Probes, &'static [Channel]),
    provision: &Provision<'_>,
) -> ! {
    let board = Board {
        name: NAME,
        firmware: env!("CARGO_PKG_VERSION"),
        reset_reason: kit.reset_reason,
        stack,
        outbox: kit.outbox,
        settings: kit.settings,
        channels: Some(channels),
        probes,
        entropy: kit.noise,
        panel: kit.front,
        rssi_dbm,
        // A modem takes longer to come up than an attempt to join may take: it stays on.
        want_network: |_| {},
    };
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
    sen_embassy::run(board, provision, MEMORY.take()).await
}

/// Longest time that no task runs, in µs. The longest that anything computes is the handshake of TLS, some seconds.
const PATIENCE_US: u32 = 25_000_000;

/// Feeds the watchdog for as long as tasks run.
#[embassy_executor::task]
async fn watch(watchdog: Peri<'static, IWDG>) -> ! {
    let mut watchdog = IndependentWatchdog::new(watchdog, PATIENCE_US);
    watchdog.unleash();
    loop {
        watchdog.pet();
        Timer::after(Duration::from_secs(5)).await;
    }
}
