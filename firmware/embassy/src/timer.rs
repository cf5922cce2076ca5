//! The node's clock over embassy's.

use embassy_time::Instant;
use sen_node::Timer;

/// embassy-time, whichever driver the board brings.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmbassyTimer;

impl Timer for EmbassyTimer {
    fn uptime_ms(&self) -> u64 {
        Instant::now().as_millis()
    }

    async fn sleep_until(&mut self, uptime_ms: u64) {
        // Later than embassy can count: never.
        match Instant::try_from_millis(uptime_ms) {
            Some(at) => embassy_time::Timer::at(at).await,
            None => core::future::pending().await,
        }
    }
}
