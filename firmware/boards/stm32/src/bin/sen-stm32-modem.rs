//! A Sen node on a Nucleo-L476RG with a 4G modem (SIM7600, A7670): pins, network, spawn.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicI16, Ordering};

use embassy_executor::Spawner;
use embassy_net::{Config, Stack, StackResources};
use embassy_net_ppp::{Device, Runner, State};
use embassy_stm32::{
    bind_interrupts,
    gpio::{Level, Output, Speed},
    peripherals,
    usart::{self, BufferedUart},
};
use sen_embassy::{
    Trouble,
    modem::{Attendant, DialError, Dialled, keep_up},
    status::give_up,
};
use sen_stm32::{
    Kit,
    probes::{self, Wires},
    random, run, start,
};
use sen_wire::provision::Mobile;
use static_cell::ConstStaticCell;

bind_interrupts!(struct Irqs {
    USART1 => usart::BufferedInterruptHandler<peripherals::USART1>;
});

/// TCP, DNS.
const SOCKETS: usize = 2;
/// A frame and a half: what comes while TLS computes.
const SERIAL_RX: usize = 2304;
const SERIAL_TX: usize = 512;

/// dBm; 0 while it is not known.
static RSSI_DBM: AtomicI16 = AtomicI16::new(0);

/// The switch of the modem's supply, and the signal for the hello.
struct Supply(Output<'static>);

impl Attendant for Supply {
    fn supply(&mut self, on: bool) {
        self.0.set_level(on.into());
    }

    fn dialled(&mut self, dialled: Result<Dialled, DialError>) {
        let rssi_dbm = dialled.ok().and_then(|dialled| dialled.rssi_dbm);
        RSSI_DBM.store(rssi_dbm.unwrap_or(0), Ordering::Relaxed);
    }
}

#[embassy_executor::task]
async fn modem(
    runner: Runner<'static>,
    serial: BufferedUart<'static>,
    mut supply: Supply,
    mobile: Mobile<'static>,
    stack: Stack<'static>,
) -> ! {
    keep_up(runner, serial, &mobile, stack, &mut supply).await
}

#[embassy_executor::task]
async fn network(mut runner: embassy_net::Runner<'static, Device<'static>>) -> ! {
    runner.run().await
}

#[embassy_executor::main]
async fn main(spawner: Spawner) -> ! {
    let (p, reason) = start();
    let console = (p.USART2, p.PA2);
    let mut kit = Kit::new(spawner, reason, p.IWDG, p.PA5, console, p.FLASH, p.RNG);
    let provision = kit.provision().await;
    let wires = Wires {
        i2c: p.I2C1,
        scl: p.PB8,
        sda: p.PB9,
        one_wire: p.PB5,
        bus: p.USART3,
        bus_tx: p.PC10,
        bus_rx: p.PC11,
        adc: p.ADC1,
        battery: p.PC0,
    };
    let probes = probes::start(wires, provision.bus_baud);

    let supply = Supply(Output::new(p.PC9, Level::High, Speed::Low));
    static RX: ConstStaticCell<[u8; SERIAL_RX]> = ConstStaticCell::new([0; _]);
    static TX: ConstStaticCell<[u8; SERIAL_TX]> = ConstStaticCell::new([0; _]);
    // 115 200 bit/s, as the modem comes.
    let config = usart::Config::default();
    let (rx, tx) = (p.PA10, p.PA9);
    let serial = BufferedUart::new(p.USART1, rx, tx, TX.take(), RX.take(), Irqs, config);
    let (Ok(serial), Some(mobile)) = (serial, provision.mobile) else {
        give_up(&mut kit.front, provision.led, Trouble::NoLink).await
    };

    static STATE: ConstStaticCell<State<2, 2>> = ConstStaticCell::new(State::new());
    let (device, ppp) = embassy_net_ppp::new(STATE.take());
    static RESOURCES: ConstStaticCell<StackResources<SOCKETS>> =
        ConstStaticCell::new(StackResources::new());
    let seed = random(&mut kit.noise);
    let (stack, runner) = embassy_net::new(device, Config::default(), RESOURCES.take(), seed);
    let modem = modem(ppp, serial, supply, mobile, stack);
    if let (Ok(modem), Ok(network)) = (modem, network(runner)) {
        spawner.spawn(modem);
        spawner.spawn(network);
    }
    let rssi_dbm = || Some(RSSI_DBM.load(Ordering::Relaxed)).filter(|dbm| *dbm != 0);
    run(kit, stack, rssi_dbm, probes, &provision).await
}
