//! Reading the verdicts, which probes nothing.

use std::time::Duration;

use equilibrium_domain::health::report::Report;
use parking_lot::Mutex;

use crate::health::ports::VerdictStore;
use crate::timer::{Timer, with_timeout};

/// How long a request waits for the store.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// Reads the verdicts of a store. While the store does not answer, the verdicts that were read last age until they are
/// unknown.
#[derive(Debug)]
pub struct HealthReader<S, T> {
    store: S,
    timer: T,
    interval_ms: i64,
    last: Mutex<Option<Report>>,
}

impl<S: VerdictStore, T: Timer> HealthReader<S, T> {
    /// A reader that has read nothing yet.
    pub fn new(store: S, timer: T, interval_ms: i64) -> Self {
        Self { store, timer, interval_ms, last: Mutex::default() }
    }

    /// The verdicts as they count at `now_ms`, in milliseconds since the epoch.
    pub async fn report(&self, now_ms: i64) -> Report {
        let read = with_timeout(&self.timer, READ_TIMEOUT, self.store.verdicts()).await;
        let mut last = self.last.lock();
        if let Some(Ok(verdicts)) = read {
            *last = Some(Report::of(verdicts, now_ms, self.interval_ms));
        }
        let report = last.get_or_insert_with(|| Report::unknown(now_ms, self.interval_ms));
        report.view(now_ms)
    }
}
