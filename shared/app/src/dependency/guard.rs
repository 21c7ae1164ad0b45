//! What is between a process and one of its dependencies: the breaker, the bulkhead and the deadline of every call.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_64;

use crate::dependency::breaker::{Admission, Breaker, BreakerSettings, BreakerState, Outcome};
use crate::dependency::metrics::{DependencyKind, DependencyMetrics};
use crate::overrides::ports::CreateError;
use crate::policy::ports::ReplaceError;
use crate::timer::Timer;
use crate::unavailable::Unavailable;

/// Calls of a dependency that an instance has in flight at most. A request of a function needs up to five: heads or chunks,
/// versions, revisions, the map of a freeze, and a quote.
pub const MAX_IN_FLIGHT: usize = 32;

/// An error of a call, which says whether the dependency failed.
pub trait CallError: From<Unavailable> {
    /// Whether the dependency did not do what was asked. A refusal of the request itself, such as a conflict, is an answer.
    fn is_failure(&self) -> bool;
}

impl CallError for Unavailable {
    fn is_failure(&self) -> bool {
        true
    }
}

impl CallError for ReplaceError {
    fn is_failure(&self) -> bool {
        matches!(self, Self::Unavailable(Unavailable))
    }
}

impl CallError for CreateError {
    fn is_failure(&self) -> bool {
        matches!(self, Self::Unavailable(Unavailable))
    }
}

/// How long a call may take, and what it says of the dependency if it takes longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// The longest time from the beginning of the call to its answer.
    pub time: Duration,
    /// Whether a call without an answer by then is a failure of the dependency. A read of a client's choice may be long by
    /// itself, and must not keep other calls from the dependency.
    pub is_failure: bool,
}

impl Deadline {
    /// A deadline at which the call is a failure.
    #[must_use]
    pub const fn of(time: Duration) -> Self {
        Self { time, is_failure: true }
    }

    /// A deadline at which the call ends.
    #[must_use]
    pub const fn of_long_read(time: Duration) -> Self {
        Self { time, is_failure: false }
    }
}

/// A change of a breaker's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerChange {
    /// The dependency.
    pub kind: DependencyKind,
    /// The state from now on.
    pub state: BreakerState,
}

type Clock = Box<dyn Fn() -> i64 + Send + Sync>;
type Observer = Box<dyn Fn(BreakerChange) + Send + Sync>;

/// A dependency of a process, whose calls share a breaker and a bulkhead.
pub struct Dependency<T> {
    kind: DependencyKind,
    /// The time in milliseconds since the epoch.
    clock: Clock,
    timer: T,
    on_change: Observer,
    calls: Mutex<Calls>,
}

struct Calls {
    breaker: Breaker,
    in_flight: usize,
    metrics: DependencyMetrics,
    /// The state of the random numbers.
    random: u64,
}

impl<T: Timer> Dependency<T> {
    /// A dependency without calls; `clock` gives the time in milliseconds since the epoch.
    pub fn new(kind: DependencyKind, clock: impl Fn() -> i64 + Send + Sync + 'static, timer: T) -> Self {
        let settings = match kind {
            DependencyKind::Cache => BreakerSettings::CACHE,
            DependencyKind::Store => BreakerSettings::STORE,
        };
        let calls = Calls {
            breaker: Breaker::new(settings),
            in_flight: 0,
            metrics: DependencyMetrics::of(kind),
            // The standard library's hasher takes its keys from the operating system's random numbers.
            random: RandomState::new().hash_one(0),
        };
        Self { kind, clock: Box::new(clock), timer, on_change: Box::new(|_| {}), calls: Mutex::new(calls) }
    }

    /// The same, with `on_change` called at each change of the breaker's state.
    #[must_use]
    pub fn observed_by(self, on_change: impl Fn(BreakerChange) + Send + Sync + 'static) -> Self {
        Self { on_change: Box::new(on_change), ..self }
    }

    /// Makes a call, unless the breaker is open or too many are in flight: then it is refused at once. At its deadline it
    /// ends.
    ///
    /// # Errors
    /// Those of the call, and [`Unavailable`] for one that was refused or had no answer in time.
    pub async fn call<R, E: CallError>(
        &self,
        deadline: Deadline,
        call: impl Future<Output = Result<R, E>> + Send,
    ) -> Result<R, E> {
        let mut running = self.begin(deadline)?;
        let slept = match select(pin!(call), pin!(self.timer.sleep(deadline.time))).await {
            Either::Left((result, _)) => Some(result),
            Either::Right(_) => None,
        };
        let Some(result) = slept else {
            running.outcome = Some(if deadline.is_failure { Outcome::Failed } else { Outcome::Abandoned });
            self.calls.lock().metrics.timed_out += 1;
            return Err(Unavailable.into());
        };
        let has_failed = result.as_ref().is_err_and(CallError::is_failure);
        running.outcome = Some(if has_failed { Outcome::Failed } else { Outcome::Answered });
        result
    }

    fn begin(&self, deadline: Deadline) -> Result<Running<'_, T>, Unavailable> {
        let began_ms = (self.clock)();
        let mut calls = self.calls.lock();
        if calls.in_flight >= MAX_IN_FLIGHT {
            calls.metrics.overflowed += 1;
            return Err(Unavailable);
        }
        let Some(admission) = calls.breaker.admit(began_ms) else {
            calls.metrics.refused += 1;
            return Err(Unavailable);
        };
        calls.in_flight += 1;
        drop(calls);
        if admission.is_probe {
            self.report(BreakerState::HalfOpen);
        }
        Ok(Running { dependency: self, admission, began_ms, deadline, outcome: None })
    }
}

impl<T> Dependency<T> {
    /// The state of its breaker.
    pub fn state(&self) -> BreakerState {
        self.calls.lock().breaker.state()
    }

    /// The metrics since the last call.
    pub fn take_metrics(&self) -> DependencyMetrics {
        std::mem::replace(&mut self.calls.lock().metrics, DependencyMetrics::of(self.kind))
    }

    fn end(&self, admission: Admission, outcome: Outcome) {
        let now_ms = (self.clock)();
        let changed = {
            let calls = &mut *self.calls.lock();
            calls.in_flight -= 1;
            let before = calls.breaker.state();
            calls.random = xxh3_64(&calls.random.to_le_bytes());
            calls.breaker.end(admission, outcome, now_ms, share(calls.random));
            let state = calls.breaker.state();
            calls.metrics.opened += u64::from(state == BreakerState::Open && before != state);
            (state != before).then_some(state)
        };
        if let Some(state) = changed {
            self.report(state);
        }
    }

    fn report(&self, state: BreakerState) {
        (self.on_change)(BreakerChange { kind: self.kind, state });
    }
}

/// A number of at least 0 and less than 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
fn share(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// A call in flight. A caller that stops waiting drops it.
struct Running<'a, T> {
    dependency: &'a Dependency<T>,
    admission: Admission,
    began_ms: i64,
    deadline: Deadline,
    outcome: Option<Outcome>,
}

impl<T> Drop for Running<'_, T> {
    /// A call that is dropped after its deadline had no answer in time: nothing polled it meanwhile.
    fn drop(&mut self) {
        let outcome = self.outcome.unwrap_or_else(|| {
            let elapsed_ms = (self.dependency.clock)().saturating_sub(self.began_ms);
            let is_late = u128::try_from(elapsed_ms).is_ok_and(|ms| ms >= self.deadline.time.as_millis());
            if is_late && self.deadline.is_failure { Outcome::Failed } else { Outcome::Abandoned }
        });
        self.dependency.end(self.admission, outcome);
    }
}

impl<T> fmt::Debug for Dependency<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Dependency").field("kind", &self.kind).field("state", &state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
