//! The load of one process: what its functions answered since it began to serve.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use equilibrium_domain::capacity::system::Observed;

use crate::capacity::ports::LoadSource;
use crate::policy::ports::PolicySource;
use crate::unavailable::Unavailable;

/// The shortest time of which a mean is taken, in milliseconds: a tick of a policy that states none.
const MIN_SPAN_MS: i64 = 5_000;

/// What a process answered. Counting is one addition to a counter.
#[derive(Debug, Default)]
pub struct ProcessLoad {
    start_ms: AtomicI64,
    events: AtomicU64,
    /// Events and calls before the process began to serve: those of the past.
    earlier: [AtomicU64; 2],
    calls: AtomicU64,
    prices: AtomicU64,
    quotes: AtomicU64,
    confirmations: AtomicU64,
}

impl ProcessLoad {
    /// The load of a process that begins to serve at `now_ms`, in milliseconds since the epoch.
    #[must_use]
    pub fn new(now_ms: i64) -> Self {
        Self { start_ms: AtomicI64::new(now_ms), ..Self::default() }
    }

    /// The process begins to serve at `now_ms`, in milliseconds since the epoch: events until now are of the past.
    pub fn start(&self, now_ms: i64) {
        self.start_ms.store(now_ms, Ordering::Relaxed);
        for (earlier, counter) in self.earlier.iter().zip([&self.events, &self.calls]) {
            earlier.store(counter.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Counts a call that brought so many events.
    pub fn add_call(&self, events: u64) {
        self.events.fetch_add(events, Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request for a price or a map.
    pub fn add_price(&self) {
        self.prices.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request of a quote, or of its confirmation.
    pub fn add_quote(&self, is_confirmation: bool) {
        let counter = if is_confirmation { &self.confirmations } else { &self.quotes };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Events so far, those of the past among them.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// The means a second at `now_ms`; nothing before there is a span to take them of.
    fn means(&self, now_ms: i64) -> Observed {
        let span_ms = now_ms.saturating_sub(self.start_ms.load(Ordering::Relaxed));
        if span_ms < MIN_SPAN_MS {
            return Observed::default();
        }
        #[expect(clippy::cast_precision_loss, reason = "rates need no more digits than a float has")]
        let mean = |count: u64| count as f64 * 1_000.0 / span_ms as f64;
        let [earlier_events, earlier_calls] =
            self.earlier.each_ref().map(|counter| counter.load(Ordering::Relaxed));
        let events = mean(self.events().saturating_sub(earlier_events));
        let calls = mean(self.calls.load(Ordering::Relaxed).saturating_sub(earlier_calls));
        let rate = |counter: &AtomicU64| Some(mean(counter.load(Ordering::Relaxed)));
        Observed {
            events_per_s: Some(events),
            events_per_call: (calls > 0.0).then(|| events / calls),
            price_requests_per_s: rate(&self.prices),
            quotes_per_s: rate(&self.quotes),
            confirmations_per_s: rate(&self.confirmations),
            ..Observed::default()
        }
    }
}

/// The load of a process with the cities of its policies.
#[derive(Debug)]
pub struct ServedLoad<'a, P> {
    /// What the process answered.
    pub load: &'a ProcessLoad,
    /// Its policies.
    pub policies: &'a P,
}

impl<P: PolicySource + Sync> LoadSource for ServedLoad<'_, P> {
    async fn observed(&self, now_ms: i64) -> Result<Observed, Unavailable> {
        let policies = self.policies.policies(now_ms).await.ok();
        #[expect(clippy::cast_precision_loss, reason = "a process has fewer than 2^53 cities")]
        let cities = policies.map(|policies| policies.cities(None).count() as f64);
        Ok(Observed { cities, ..self.load.means(now_ms) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_the_past_are_not_in_the_means() {
        let load = ProcessLoad::default();
        load.add_call(1_000_000);
        load.start(10_000);
        assert_eq!(load.means(14_999), Observed::default());
        for _ in 0..20 {
            load.add_call(100);
            load.add_price();
        }
        load.add_quote(false);
        load.add_quote(true);
        let means = load.means(20_000);
        assert_eq!((means.events_per_s, means.events_per_call), (Some(200.0), Some(100.0)));
        assert_eq!((means.price_requests_per_s, means.quotes_per_s), (Some(2.0), Some(0.1)));
        assert_eq!(means.confirmations_per_s, Some(0.1));
        assert_eq!(load.events(), 1_002_000);
    }

    #[test]
    fn without_a_call_its_events_are_not_known() {
        let load = ProcessLoad::default();
        load.start(0);
        let means = load.means(60_000);
        assert_eq!((means.events_per_s, means.events_per_call), (Some(0.0), None));
    }
}
