//! Waiting, which the runtime of a process does: a use case is given a timer, and so runs on any.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

/// How long a request that has something to answer by waits for a dependency whose last call failed: longer than a store takes
/// that has come back, and with three such waits (policies, map, freeze) less than the 50 ms in which a price is answered.
pub const FAILING_TIMEOUT: Duration = Duration::from_millis(15);

/// Waits for time to pass.
pub trait Timer: Send + Sync {
    /// Ends after `time`.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

/// The timer of an asynchronous runtime, as `tokio::time::sleep`.
impl<S, F> Timer for S
where
    S: Fn(Duration) -> F + Send + Sync,
    F: Future<Output = ()> + Send,
{
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send {
        self(time)
    }
}

/// The future's output, if it completes within `time`.
pub(crate) async fn with_timeout<F: Future>(
    timer: &impl Timer,
    time: Duration,
    future: F,
) -> Option<F::Output> {
    match select(pin!(future), pin!(timer.sleep(time))).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// Whether `now_ms` is less than `span_ms` after `since_ms`. A moment in the future does not count: the clock was set
/// back.
pub(crate) fn is_within(since_ms: Option<i64>, span_ms: i64, now_ms: i64) -> bool {
    since_ms.is_some_and(|since_ms| (0..span_ms).contains(&(now_ms - since_ms)))
}
