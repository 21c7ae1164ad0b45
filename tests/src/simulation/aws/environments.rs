//! A function's execution environments: Lambda invokes any that is free, and replaces them at will.

use std::sync::Arc;
use std::time::Duration;

use equilibrium_app::checkpoint::metrics::CheckpointMetrics;
use equilibrium_app::policy::policy_set::PolicySet;
use equilibrium_event_source::poller::{InvokeError, Target};
use equilibrium_event_source::settings::MAX_PAYLOAD_BYTES;
use equilibrium_simulator::rng::SplitMix64;
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};

use super::SimulatedClock;
use super::faults::{AwsFaults, happens};

/// From the batch to the handler: the invocation of a warm environment.
const INVOCATION: Duration = Duration::from_millis(10);
/// The start of an environment before that.
const COLD_START: Duration = Duration::from_millis(150);
/// The timeout of the functions (`infra/deployment.json`).
const TIMEOUT: Duration = Duration::from_mins(1);
/// Within this time an invocation dies that dies.
const CRASH_WITHIN_US: usize = 30_000;

/// A function's handler with what it has in memory.
pub(super) trait Function: Send + Sync + 'static {
    /// Handles a batch: the response, and what the checkpoint logs made of it.
    fn handle(
        &self,
        payload: &[u8],
        policies: &Arc<PolicySet>,
        now_ms: i64,
    ) -> impl Future<Output = (Vec<u8>, CheckpointMetrics)> + Send;
}

/// The environments of one function.
pub(super) struct Environments<F> {
    start: Box<dyn Fn() -> F + Send + Sync>,
    policies: Arc<PolicySet>,
    clock: SimulatedClock,
    state: Mutex<State<F>>,
}

struct State<F> {
    rng: SplitMix64,
    faults: AwsFaults,
    free: Vec<Environment<F>>,
    metrics: FunctionMetrics,
}

struct Environment<F> {
    function: F,
    is_new: bool,
}

/// What the environments of a function did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionMetrics {
    /// Invocations.
    pub invocations: u64,
    /// Those that died.
    pub crashes: u64,
    /// The time of the handler in those that answered, in milliseconds: most of it waits for services.
    pub handled_ms: i64,
    /// What the checkpoint logs made of the others.
    pub checkpoint: CheckpointMetrics,
}

impl<F: Function> Environments<F> {
    /// So many environments, none of which has been invoked.
    pub(super) fn new(
        (count, seed): (usize, u64),
        clock: SimulatedClock,
        policies: &Arc<PolicySet>,
        start: impl Fn() -> F + Send + Sync + 'static,
    ) -> Arc<Self> {
        let free = (0..count).map(|_| Environment { function: start(), is_new: true }).collect();
        let (rng, metrics) = (SplitMix64::new(seed), FunctionMetrics::default());
        let state = State { rng, faults: AwsFaults::NONE, free, metrics };
        let (start, policies) = (Box::new(start), Arc::clone(policies));
        Arc::new(Self { start, policies, clock, state: Mutex::new(state) })
    }

    /// Sets what the invocations from here on suffer.
    pub(super) fn set_faults(&self, faults: AwsFaults) {
        self.state.lock().faults = faults;
    }

    pub(super) fn metrics(&self) -> FunctionMetrics {
        self.state.lock().metrics.clone()
    }

    fn new_environment(&self) -> Environment<F> {
        Environment { function: (self.start)(), is_new: true }
    }

    /// Takes an environment that is free, and draws when the invocation dies, if it does.
    fn take(&self) -> (Environment<F>, Duration) {
        let mut state = self.state.lock();
        let State { rng, faults, free, metrics } = &mut *state;
        metrics.invocations += 1;
        let dies = happens(faults.crash_one_in, rng);
        let limit = if dies { Duration::from_micros(rng.below(CRASH_WITHIN_US) as u64) } else { TIMEOUT };
        if free.is_empty() {
            return (self.new_environment(), limit);
        }
        let at = rng.below(free.len());
        (free.swap_remove(at), limit)
    }

    /// Has an environment free again, or a new one in its place. Returns whether the response is lost.
    fn put_back(&self, mut environment: Environment<F>, checkpoint: CheckpointMetrics) -> bool {
        let mut state = self.state.lock();
        let State { rng, faults, free, metrics } = &mut *state;
        environment.is_new = false;
        let is_swapped = happens(faults.swap_one_in, rng);
        free.push(if is_swapped { self.new_environment() } else { environment });
        metrics.checkpoint.add(checkpoint);
        happens(faults.response_lost_one_in, rng)
    }
}

/// The function as the target of a mapping.
pub(super) struct Alias<F>(pub(super) Arc<Environments<F>>);

impl<F: Function> Target for Alias<F> {
    async fn invoke(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        assert!(payload.len() <= MAX_PAYLOAD_BYTES, "a payload of {} bytes", payload.len());
        let (environment, limit) = self.0.take();
        sleep(if environment.is_new { COLD_START + INVOCATION } else { INVOCATION }).await;
        let now_ms = self.0.clock.now_ms();
        let handled = timeout(limit, environment.function.handle(payload, &self.0.policies, now_ms)).await;
        let Ok((response, metrics)) = handled else {
            let mut state = self.0.state.lock();
            state.metrics.crashes += 1;
            let replacement = self.0.new_environment();
            state.free.push(replacement);
            return Err(InvokeError::Failed);
        };
        let handled_ms = self.0.clock.now_ms() - now_ms;
        self.0.state.lock().metrics.handled_ms += handled_ms;
        if self.0.put_back(environment, metrics) { Err(InvokeError::Failed) } else { Ok(response) }
    }
}
