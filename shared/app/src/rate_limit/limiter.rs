//! The limiter of calls: first by what this instance has seen of a client, then by what all instances have.

use std::time::Duration;

use equilibrium_domain::rate::Rate;
use parking_lot::Mutex;

use crate::rate_limit::memory_rates::MemoryRates;
use crate::rate_limit::ports::{Admission, RateKey, RateStore};
use crate::timer::{Timer, is_within, with_timeout};

/// How long a call waits for the store: many times as long as a cache in the same region takes, and little beside a response.
pub const STORE_TIMEOUT: Duration = Duration::from_millis(25);

/// A store that has not answered is left alone for this time, in milliseconds: while it hangs, one call a second waits for it.
pub const STORE_PAUSE_MS: i64 = 1_000;

/// Limits calls by a store that all instances share.
///
/// A client that exceeds its rate at one instance is refused without the store, which a flood so does not reach. A store that
/// cannot be asked refuses no call: then each instance admits a client's rate for itself.
#[derive(Debug)]
pub struct RateLimiter<S, T> {
    own: MemoryRates,
    shared: S,
    timer: T,
    failed_at_ms: Mutex<Option<i64>>,
}

impl<S: RateStore, T: Timer> RateLimiter<S, T> {
    /// A limiter over a store, which a timer bounds the calls of.
    pub fn new(shared: S, timer: T) -> Self {
        Self { own: MemoryRates::default(), shared, timer, failed_at_ms: Mutex::default() }
    }

    /// Takes one call of a rate at `now_us`, in microseconds since the epoch.
    ///
    /// # Errors
    /// The time to wait.
    pub async fn admit(&self, key: RateKey, rate: Rate, now_us: i64) -> Admission {
        self.own.admit(key, rate, now_us)?;
        let now_ms = now_us.div_euclid(1_000);
        if is_within(*self.failed_at_ms.lock(), STORE_PAUSE_MS, now_ms) {
            return Ok(());
        }
        let taken = with_timeout(&self.timer, STORE_TIMEOUT, self.shared.take(key, rate, now_us)).await;
        if let Some(Ok(admission)) = taken {
            return admission;
        }
        *self.failed_at_ms.lock() = Some(now_ms);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;
    use crate::unavailable::Unavailable;

    /// A store that answers, fails or hangs.
    #[derive(Debug, Default)]
    struct Store {
        rates: MemoryRates,
        fails: bool,
        hangs: bool,
        calls: AtomicUsize,
    }

    impl RateStore for &Store {
        async fn take(&self, key: RateKey, rate: Rate, now_us: i64) -> Result<Admission, Unavailable> {
            self.calls.fetch_add(1, SeqCst);
            if self.hangs {
                std::future::pending::<()>().await;
            }
            if self.fails { Err(Unavailable) } else { self.rates.take(key, rate, now_us).await }
        }
    }

    fn rate() -> Rate {
        Rate::per_minute(10).unwrap()
    }

    fn limiter(store: &Store) -> RateLimiter<&Store, impl Timer + use<'_>> {
        RateLimiter::new(store, tokio::time::sleep)
    }

    async fn admitted(limiter: &RateLimiter<&Store, impl Timer>, calls: usize, now_us: i64) -> usize {
        let mut admitted = 0;
        for _ in 0..calls {
            admitted += usize::from(limiter.admit(RateKey(1), rate(), now_us).await.is_ok());
        }
        admitted
    }

    #[tokio::test]
    async fn the_instances_of_a_deployment_admit_one_rate_together() {
        let store = Store::default();
        let (one, other) = (limiter(&store), limiter(&store));
        assert_eq!(admitted(&one, 6, 0).await, 6);
        assert_eq!(admitted(&other, 10, 0).await, 4);
    }

    #[tokio::test]
    async fn a_flood_at_one_instance_does_not_reach_the_store() {
        let store = Store::default();
        let limiter = limiter(&store);
        assert_eq!(admitted(&limiter, 1_000, 0).await, 10);
        assert_eq!(store.calls.load(SeqCst), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_down_or_hangs_leaves_each_instance_its_own_rate() {
        for store in [Store { fails: true, ..Store::default() }, Store { hangs: true, ..Store::default() }] {
            let limiter = limiter(&store);
            let start = tokio::time::Instant::now();
            assert_eq!(admitted(&limiter, 100, 0).await, 10);
            assert_eq!(store.calls.load(SeqCst), 1);
            assert!(start.elapsed() <= STORE_TIMEOUT);
            assert_eq!(admitted(&limiter, 1, 60_000_000).await, 1);
            assert_eq!(store.calls.load(SeqCst), 2);
        }
    }
}
