//! The Wi-Fi station: up as long as the access point is there, and back again afterwards.

use core::sync::atomic::{AtomicI16, Ordering};

use embassy_futures::select::{Either, select};
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

/// A station of that network.
pub fn station(
    device: WIFI<'static>,
    network: &Wifi<'_>,
) -> Result<WifiController<'static>, WifiError> {
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

/// Keeps the station connected.
#[embassy_executor::task]
pub async fn keep_connected(mut controller: WifiController<'static>) -> ! {
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
