//! The process clock as the time by which watermarks are announced: a fast clock announces as much faster.

use equilibrium_app::clock::Clock;
use equilibrium_app::ingest::ports::Timer;

/// The process clock.
#[derive(Clone, Debug)]
pub struct ClockTimer(pub Clock);

impl Timer for ClockTimer {
    fn now_ms(&self) -> i64 {
        self.0.now_ms()
    }

    async fn wait_until(&self, at_ms: i64) {
        tokio::time::sleep(self.0.until(at_ms)).await;
    }
}
