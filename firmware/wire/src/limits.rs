//! Every bound of the protocol, by name. A sender stays within the node's side; a reader refuses what passes its own.

/// Longest node, farm or plot id, in bytes.
pub const MAX_ID: usize = 32;
/// Largest pack that a node writes: one Ethernet frame with its MQTT, TLS, TCP and IP headers.
pub const MAX_PACK_BYTES: usize = 1024;
/// Most records in a pack that a node writes.
pub const MAX_PACK_RECORDS: usize = 96;
/// Largest pack that the gateway reads.
pub const MAX_UPLINK_BYTES: usize = 16 * 1024;
/// Most records in a pack that the gateway reads.
pub const MAX_UPLINK_RECORDS: usize = 1024;
/// Longest resolved SenML name (base name + name), in bytes.
pub const MAX_NAME: usize = 64;
/// Longest SenML unit, in bytes.
pub const MAX_UNIT: usize = 16;
/// Largest receipt or hello.
pub const MAX_CONTROL_BYTES: usize = 160;
/// Longest firmware version or board name in a hello, in bytes.
pub const MAX_HELLO_TEXT: usize = 16;
/// Most channels in a node's configuration.
pub const MAX_CONFIG_CHANNELS: usize = 16;
/// Largest boot number: what a double, hence any JSON reader, holds exactly.
pub const MAX_BOOT: u64 = (1 << 53) - 1;
/// Largest configuration. All calibrations and limits with numbers of up to 7 digits fit.
pub const MAX_CONFIG_BYTES: usize = 1024;
/// Most calibrations in a node's configuration.
pub const MAX_CONFIG_CALIBRATIONS: usize = 8;
/// Most limits at which to send at once in a node's configuration.
pub const MAX_CONFIG_LIMITS: usize = 8;
/// Most points in a calibration.
pub const MAX_CALIBRATION_POINTS: usize = 2;
/// Highest instance of a quantity on one node.
pub const MAX_INSTANCE: u8 = 9;
