//! The retry policy: how long a call to a service may take, and how many attempts are made within that time.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use equilibrium_app::unavailable::Unavailable;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span};

/// The longest pause before the first retry; the limit doubles with each further retry. Most throttled
/// partitions and dropped connections recover at once.
const INITIAL_BACKOFF: Duration = Duration::from_millis(50);

/// Timeouts and attempts of a client's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Limit of one call of a port, including all its requests and retries.
    pub call_timeout: Duration,
    /// Limit of one attempt at one request. It should be less than half of `call_timeout`: after a lost
    /// answer, the time that is left must suffice to read the outcome of a write.
    pub attempt_timeout: Duration,
    /// Attempts at one request, including the first.
    pub max_attempts: u32,
}

impl Default for RetryPolicy {
    /// For a batch or a request that ends within tens of seconds. DynamoDB and Kinesis usually answer within
    /// 100 ms, so an attempt that takes a second is lost.
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_secs(1),
            max_attempts: 6,
        }
    }
}

impl RetryPolicy {
    /// For reads whose caller looks again by itself, at its own pace: an attempt in all. A second attempt would double the
    /// load on a store that is slow.
    pub const ONCE: Self = Self {
        call_timeout: Duration::from_secs(1),
        attempt_timeout: Duration::from_secs(1),
        max_attempts: 1,
    };

    /// The client settings `config` with the retries and timeouts of this policy.
    pub(crate) fn apply_to(self, config: &SdkConfig) -> SdkConfig {
        let retries = RetryConfig::standard()
            .with_max_attempts(self.max_attempts)
            .with_initial_backoff(INITIAL_BACKOFF)
            .with_max_backoff(self.attempt_timeout);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(self.attempt_timeout)
            .operation_attempt_timeout(self.attempt_timeout)
            .operation_timeout(self.call_timeout);
        config.to_builder().retry_config(retries).timeout_config(timeouts.build()).build()
    }

    /// The deadline of a call that begins now.
    pub(crate) fn deadline(self) -> Instant {
        Instant::now() + self.call_timeout
    }

    /// The deadline of a write that begins now; it leaves one attempt for reading the outcome of the write.
    pub(crate) fn write_deadline(self) -> Instant {
        Instant::now() + self.call_timeout - self.attempt_timeout.min(self.call_timeout / 2)
    }
}

/// The outcome of `call`, or [`Unavailable`] at the deadline; log lines of the call belong to `span`. The
/// future is boxed: a request takes kilobytes, which every future that awaits it would otherwise contain.
pub(crate) fn with_deadline<'a, T: Send + 'a>(
    deadline: Instant,
    span: Span,
    call: impl Future<Output = Result<T, Unavailable>> + Send + 'a,
) -> BoxFuture<'a, Result<T, Unavailable>> {
    let timed = async move {
        timeout_at(deadline, call).await.unwrap_or_else(|_| {
            tracing::warn!("call timed out");
            Err(Unavailable)
        })
    };
    timed.instrument(span).boxed()
}

/// The pause before retry number `retry`, counted from 0. It is random, so that clients that failed together
/// do not retry together ("Exponential Backoff And Jitter", AWS Architecture Blog). It is drawn from the generator of the
/// SDK's own pauses, which a simulation seeds.
pub(crate) fn jittered_backoff(retry: u32, max_backoff: Duration) -> Duration {
    let limit = INITIAL_BACKOFF.saturating_mul(1 << retry.min(16)).min(max_backoff);
    limit.mul_f64(fastrand::f64())
}

/// Logs the error of a request, of which the caller of a port learns only [`Unavailable`].
pub(crate) fn log_unavailable(request: &'static str, error: &dyn Error) -> Unavailable {
    let mut causes = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push_str(": ");
        causes.push_str(&cause.to_string());
        source = cause.source();
    }
    tracing::warn!(request, error = causes, "request failed");
    Unavailable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_write_leaves_time_for_one_more_attempt() {
        let ms = Duration::from_millis;
        for (call, attempt, left) in [(5000, 1000, 1000), (100, 80, 50)] {
            let policy =
                RetryPolicy { call_timeout: ms(call), attempt_timeout: ms(attempt), max_attempts: 1 };
            let gap = policy.deadline().duration_since(policy.write_deadline());
            assert!((ms(left)..ms(left + 20)).contains(&(gap + ms(1))), "{gap:?}");
        }
    }
}
