//! The Wi-Fi station: up as long as the node wants a network and the access point is there, and back again afterwards.

use core::{
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicBool, AtomicI16, Ordering},
    task::Poll,
};

use embassy_futures::select::{Either, select};
use embassy_sync::{
    blocking_mutex::raw::CriticalSectionRawMutex, signal::Signal, waitqueue::AtomicWaker,
};
use embassy_time::{Duration, Timer};
use esp_hal::peripherals::WIFI;
use esp_radio::wifi::{
    AuthenticationMethodConfig, Config, ControllerConfig, PowerSaveMode, WifiController, WifiError,
    sta::StationConfig,
};
use sen_wire::provision::Wifi;

/// Between two attempts: an access point that is away for a night is not asked every second.
const RETRY: Duration = Duration::from_secs(5);
/// How often the signal is looked at.
const LOOK: Duration = Duration::from_secs(30);

/// dBm; 0 while there is no connection.
static RSSI_DBM: AtomicI16 = AtomicI16::new(0);

/// Received signal strength, if there is a connection.
pub fn rssi_dbm() -> Option<i16> {
    Some(RSSI_DBM.load(Ordering::Relaxed)).filter(|dbm| *dbm != 0)
}

static WANTED: AtomicBool = AtomicBool::new(true);
static CHANGED: AtomicWaker = AtomicWaker::new();

/// Turns the radio on, or off until it is wanted again.
pub fn want(on: bool) {
    WANTED.store(on, Ordering::Relaxed);
    CHANGED.wake();
}

/// Waits until the radio is wanted, or is not.
async fn wanted(on: bool) {
    poll_fn(|context| {
        CHANGED.register(context.waker());
        match WANTED.load(Ordering::Relaxed) == on {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

/// How the radio's first start went.
static STARTED: Signal<CriticalSectionRawMutex, bool> = Signal::new();

/// Waits until the radio is on, so that its noise is there. False: it does not start.
pub async fn started() -> bool {
    STARTED.wait().await
}

/// A station of that network.
fn station<'d>(device: WIFI<'d>, network: &Wifi<'_>) -> Result<WifiController<'d>, WifiError> {
    let authentication = match network.password {
        Some(password) => AuthenticationMethodConfig::WpaWpa2Personal(password.0.try_into()?),
        None => AuthenticationMethodConfig::Open,
    };
    let station = StationConfig::default()
        .with_ssid(network.name.try_into()?)
        .with_authentication(authentication);
    let config = ControllerConfig::default().with_initial_config(Config::Station(station));
    let mut controller = WifiController::new(device, config)?;
    // The radio sleeps between beacons: readings can wait for some tenths of a second, the battery can't.
    controller.set_power_saving(PowerSaveMode::Maximum)?;
    Ok(controller)
}

/// Keeps the station up and connected while the node wants it. Meanwhile the chip does not sleep: the radio holds a lock.
#[embassy_executor::task]
pub async fn serve(mut device: WIFI<'static>, network: Wifi<'static>) -> ! {
    loop {
        let controller = station(device.reborrow(), &network);
        STARTED.signal(controller.is_ok());
        match controller {
            Ok(mut controller) => {
                let connected = pin!(keep_connected(&mut controller));
                select(connected, wanted(false)).await;
            }
            Err(_) => Timer::after(RETRY).await,
        }
        RSSI_DBM.store(0, Ordering::Relaxed);
        wanted(true).await;
    }
}

async fn keep_connected(controller: &mut WifiController<'_>) -> ! {
    loop {
        if controller.connect_async().await.is_ok() {
            loop {
                let rssi_dbm = controller.rssi().ok().and_then(|dbm| dbm.try_into().ok());
                RSSI_DBM.store(rssi_dbm.unwrap_or(0), Ordering::Relaxed);
                let away = controller.wait_for_disconnect_async();
                if let Either::First(_) = select(away, Timer::after(LOOK)).await {
                    break;
                }
            }
            RSSI_DBM.store(0, Ordering::Relaxed);
        }
        Timer::after(RETRY).await;
    }
}
