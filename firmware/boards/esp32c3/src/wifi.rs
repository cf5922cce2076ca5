//! The Wi-Fi station: up as long as the access point is there, and back again afterwards.

use embassy_time::{Duration, Timer};
use esp_hal::peripherals::WIFI;
use esp_radio::wifi::{
    AuthenticationMethodConfig, Config, ControllerConfig, PowerSaveMode, WifiController, WifiError,
    sta::StationConfig,
};

/// Between two attempts: an access point that is away for a night is not asked every second.
const RETRY: Duration = Duration::from_secs(5);

/// A station of that network. An empty password is an open network.
pub fn station(
    device: WIFI<'static>,
    ssid: &str,
    password: &str,
) -> Result<WifiController<'static>, WifiError> {
    let authentication = if password.is_empty() {
        AuthenticationMethodConfig::Open
    } else {
        AuthenticationMethodConfig::WpaWpa2Personal(password.try_into()?)
    };
    let station = StationConfig::default()
        .with_ssid(ssid.try_into()?)
        .with_authentication(authentication);
    let config = ControllerConfig::default().with_initial_config(Config::Station(station));
    let mut controller = WifiController::new(device, config)?;
    // The radio sleeps between beacons: readings can wait a tenth of a second, the battery can't.
    controller.set_power_saving(PowerSaveMode::Maximum)?;
    Ok(controller)
}

/// Keeps the station connected.
#[embassy_executor::task]
pub async fn keep_connected(mut controller: WifiController<'static>) -> ! {
    loop {
        if controller.connect_async().await.is_ok() {
            let _ = controller.wait_for_disconnect_async().await;
        }
        Timer::after(RETRY).await;
    }
}
