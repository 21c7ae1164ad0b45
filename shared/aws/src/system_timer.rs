//! The time of a function: the machine's clock, which goes on while an instance is frozen.

use std::time::Duration;

use equilibrium_app::clock::system_now_ms;
use equilibrium_app::ingest::ports::Timer;
use tokio::time::sleep;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemTimer;

impl Timer for SystemTimer {
    fn now_ms(&self) -> i64 {
        system_now_ms()
    }

    async fn wait_until(&self, at_ms: i64) {
        let wait_ms = u64::try_from(at_ms.saturating_sub(system_now_ms())).unwrap_or(0);
        sleep(Duration::from_millis(wait_ms)).await;
    }
}
