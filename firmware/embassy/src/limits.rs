//! Every bound of a connection, by name. Together the steps of joining stay within what `sen_node` grants a connect: a step
//! that is slow then fails under its own name.

use embassy_time::Duration;
use sen_node::{runner::LINK_TIMEOUT_MS, session::WINDOW};
use sen_wire::limits::{MAX_CONFIG_BYTES, MAX_CONTROL_BYTES, MAX_PACK_BYTES};
use sen_wire::topic::MAX_TOPIC;

/// For the network to come up: cable, association or dial-up. A radio that was off starts and associates within it.
pub const LINK: Duration = Duration::from_secs(4);
/// For an address, by DHCP or IPCP.
pub const ADDRESS: Duration = Duration::from_secs(4);
/// For the answer of a name server.
pub const NAME: Duration = Duration::from_secs(3);
/// For the gateway's SYN-ACK.
pub const TCP: Duration = Duration::from_secs(4);
/// For the TLS handshake: a Cortex-M3 at 25 MHz computes for seconds.
pub const TLS: Duration = Duration::from_secs(9);
/// For CONNACK and SUBACK together.
pub const MQTT: Duration = Duration::from_secs(5);
const _: () = assert!(
    LINK.as_millis()
        + ADDRESS.as_millis()
        + NAME.as_millis()
        + TCP.as_millis()
        + TLS.as_millis()
        + MQTT.as_millis()
        < LINK_TIMEOUT_MS
);

/// For what was sent to be acknowledged by TCP.
pub const SILENCE: Duration = Duration::from_secs(20);
/// MQTT keep-alive, seconds: a dead connection that nothing is sent over is found after it.
pub const KEEP_ALIVE_S: u16 = 30;

/// MQTT's fixed header, topic length and packet identifier around a message, and room for what MQTT 5 adds in properties.
const MQTT_OVERHEAD: usize = MAX_TOPIC + 32;
/// Largest packet that comes down; the broker is told so.
pub(crate) const MQTT_RX: usize = MAX_CONFIG_BYTES + MQTT_OVERHEAD;
/// Packs that no PUBACK has come for: two, and the hello.
pub(crate) const MQTT_TX: usize =
    2 * (MAX_PACK_BYTES + MQTT_OVERHEAD) + MAX_CONTROL_BYTES + MQTT_OVERHEAD;
/// The largest TLS record of a gateway: its certificate's, in one flight with the rest of the handshake.
pub(crate) const TLS_RX: usize = 2048;
/// A record of a pack; longer writes are split.
pub(crate) const TLS_TX: usize = 1280;
/// TCP windows: a frame; two packs.
pub(crate) const TCP_RX: usize = 1536;
pub(crate) const TCP_TX: usize = 2 * TLS_TX;
/// Receipts that wait for the node: one for each pack in flight.
pub(crate) const RECEIPTS: usize = WINDOW;
