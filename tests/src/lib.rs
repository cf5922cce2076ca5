//! Harness of the end-to-end tests and of the benchmark.
//!
//! Every test drives the real `sen` binary against real servers (InfluxDB 1.6, VictoriaMetrics,
//! Mosquitto, Chromium) or against [`fake_influx`], which stands in for InfluxDB 2.
//!
//! Rules that the modules keep, and that tests may rely on:
//! - every server has its own temporary folder and a port of its own ([`net`]); nothing is shared
//!   between tests and nothing is left behind;
//! - a child process dies with the test, also when the test itself is killed ([`process`]);
//! - nobody sleeps and hopes: [`wait::until`] waits for a state and says what it waited for;
//! - a failed test prints the end of each server's log and keeps the folder.
//!
//! The harness encodes packs itself ([`pack`]) instead of borrowing the encoder under test.

pub mod audit;
pub mod browser;
pub mod device;
pub mod dice;
pub mod disk;
pub mod fake_influx;
pub mod herd;
pub mod http;
pub mod influxd;
pub mod load;
pub mod mosquitto;
pub mod mqtt;
pub mod net;
pub mod pack;
pub mod process;
pub mod promises;
pub mod proxy;
pub mod rough;
pub mod sen;
pub mod small_disk;
pub mod storm;
pub mod victoria;
pub mod wait;
