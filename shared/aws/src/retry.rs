//! How long a call to a service may take, and how often it is tried within that time.

use std::error::Error;
use std::future::Future;
#[cfg(feature = "kinesis")]
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use equilibrium_app::unavailable::Unavailable;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span};

/// The pause before the first retry is up to this long, before each further one up to twice as long as
/// before the last: a throttled partition or a dropped connection is mostly well again at once.
const INITIAL_BACKOFF: Duration = Duration::from_millis(50);

/// How long a caller waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// A call of a port, with all its requests and retries.
    pub call_timeout: Duration,
    /// One attempt at one request; less than half of `call`, or what is left after a lost answer does not
    /// suffice to look what came of it.
    pub attempt_timeout: Duration,
    /// Attempts at one request, the first among them.
    pub max_attempts: u32,
}

impl Default for RetryPolicy {
    /// For a batch or a request that ends within tens of seconds: DynamoDB and Kinesis answer within
    /// 100 ms as a rule, so an attempt that takes a second is lost.
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(1),
            max_attempts: 6,
        }
    }
}

impl RetryPolicy {
    pub(crate) fn retries(self) -> RetryConfig {
        RetryConfig::standard()
            .with_max_attempts(self.max_attempts)
            .with_initial_backoff(INITIAL_BACKOFF)
            .with_max_backoff(self.attempt_timeout)
    }

    pub(crate) fn timeouts(self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout(self.attempt_timeout)
            .operation_attempt_timeout(self.attempt_timeout)
            .operation_timeout(self.call_timeout)
            .build()
    }

    /// When a call that begins now ends.
    pub(crate) fn deadline(self) -> Instant {
        Instant::now() + self.call_timeout
    }

    /// When a write that begins now must have been answered, so that an attempt is left to look what
    /// came of it.
    pub(crate) fn write_deadline(self) -> Instant {
        Instant::now() + self.call_timeout - self.attempt_timeout.min(self.call_timeout / 2)
    }
}

/// The outcome of `call`, or [`Unavailable`] at the deadline; what the log hears of it stands in `span`. On
/// the heap, for a request takes kilobytes that all who wait for it would hold.
pub(crate) fn with_deadline<'a, T: Send + 'a>(
    deadline: Instant,
    span: Span,
    call: impl Future<Output = Result<T, Unavailable>> + Send + 'a,
) -> BoxFuture<'a, Result<T, Unavailable>> {
    let until = async move {
        timeout_at(deadline, call).await.unwrap_or_else(|_| {
            tracing::warn!("a call outran its deadline");
            Err(Unavailable)
        })
    };
    until.instrument(span).boxed()
}

/// How long to pause before retry number `retry`, counted from 0: by chance, so that many who failed at
/// once do not come back at once ("Exponential Backoff And Jitter", AWS Architecture Blog).
#[cfg(feature = "kinesis")]
pub(crate) fn pause(retry: u32, longest: Duration) -> Duration {
    let limit = INITIAL_BACKOFF.saturating_mul(1 << retry.min(16)).min(longest);
    let dice = RandomState::new().hash_one(retry);
    limit.mul_f64(f64::from(u32::try_from(dice >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX))
}

/// Tells the log what the caller of a port cannot act upon.
pub(crate) fn unavailable(request: &'static str, error: &dyn Error) -> Unavailable {
    let mut causes = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push_str(": ");
        causes.push_str(&cause.to_string());
        source = cause.source();
    }
    tracing::warn!(request, error = causes, "a request failed");
    Unavailable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_left_behind_every_write() {
        let ms = Duration::from_millis;
        for (call, attempt, left) in [(5000, 1000, 1000), (100, 80, 50)] {
            let patience =
                RetryPolicy { call_timeout: ms(call), attempt_timeout: ms(attempt), max_attempts: 1 };
            let gap = patience.deadline().duration_since(patience.write_deadline());
            assert!((ms(left)..ms(left + 20)).contains(&(gap + ms(1))), "{gap:?}");
        }
    }
}
