//! The dependencies of a function, by the machine's clock: its cache, and the store of all tables.
//!
//! A change of a breaker's state is a line of the log. The clients of the SDK repeat requests within the deadline, at most as
//! often as their retry policy says; nothing else repeats a call.

use std::sync::Arc;
use std::time::Duration;

use equilibrium_app::clock::system_now_ms;
use equilibrium_app::dependency::breaker::BreakerState;
use equilibrium_app::dependency::guard::{BreakerChange, Dependency};
use equilibrium_app::dependency::guarded::{Deadlines, Guarded};
use equilibrium_app::dependency::metrics::DependencyKind;
use tokio::time::{Sleep, sleep};

use crate::retry::RetryPolicy;

/// Tokio's timer.
pub type SleepFn = fn(Duration) -> Sleep;

/// The breaker, bulkhead and deadlines of the cache.
#[must_use]
pub fn cache() -> Arc<Dependency<SleepFn>> {
    of(DependencyKind::Cache)
}

/// The breaker, bulkhead and deadlines of the store.
#[must_use]
pub fn store() -> Arc<Dependency<SleepFn>> {
    of(DependencyKind::Store)
}

/// A port of the cache.
pub fn of_cache<P>(port: P, cache: &Arc<Dependency<SleepFn>>) -> Guarded<P, SleepFn> {
    Guarded::new(port, cache, Deadlines::CACHE)
}

/// A port of the store, whose client has this retry policy.
pub fn of_store<P>(port: P, store: &Arc<Dependency<SleepFn>>, retry: RetryPolicy) -> Guarded<P, SleepFn> {
    Guarded::new(port, store, Deadlines::of(retry.call_timeout))
}

fn of(kind: DependencyKind) -> Arc<Dependency<SleepFn>> {
    Arc::new(Dependency::new(kind, system_now_ms, sleep as SleepFn).observed_by(log))
}

fn log(change: BreakerChange) {
    let dependency = change.kind.as_str();
    match change.state {
        BreakerState::Open => tracing::warn!(dependency, "breaker opened"),
        BreakerState::HalfOpen => tracing::info!(dependency, "breaker half-open: one call probes"),
        BreakerState::Closed => tracing::info!(dependency, "breaker closed"),
    }
}
