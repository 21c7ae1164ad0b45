//! A function's instances: several are alive, some with outdated state; they die and are replaced.

use std::sync::Arc;

use equilibrium_app::policy::policy_set::PolicySet;
use equilibrium_domain::id::LaneCount;
use equilibrium_event_source::poller::{InvokeError, Target};
use equilibrium_simulator::rng::SplitMix64;
use parking_lot::Mutex;
use serde_json::Value;

use super::deployment::{Deployment, SimulatedCityProcessor, SimulatedLaneProcessor};
use super::{FaultLevel, poll_once};

/// How many batches may be delivered once more.
const MAX_REPEATABLE_BATCHES: usize = 50;

/// A function as Lambda invokes it.
pub(super) trait Handler: Send {
    /// The function's name.
    const NAME: &'static str;

    /// Handles a batch.
    fn handle(
        &self,
        payload: &[u8],
        policies: &Arc<PolicySet>,
        now_ms: i64,
    ) -> impl Future<Output = Response> + Send;
}

/// A function's response to a batch.
pub(super) struct Response {
    payload: Vec<u8>,
    /// Records whose sequence number was already processed.
    skipped: u64,
    /// Late events; `surge` receives no events.
    late: u64,
}

impl Handler for SimulatedLaneProcessor {
    const NAME: &'static str = "count";

    async fn handle(&self, payload: &[u8], policies: &Arc<PolicySet>, now_ms: i64) -> Response {
        let handled = equilibrium_count::handle_event(self, payload, policies, now_ms).await;
        let (payload, metrics) = handled.expect("the poller sends Kinesis events");
        Response { payload, skipped: metrics.checkpoint.skipped, late: metrics.late }
    }
}

impl Handler for SimulatedCityProcessor {
    const NAME: &'static str = "surge";

    async fn handle(&self, payload: &[u8], policies: &Arc<PolicySet>, now_ms: i64) -> Response {
        let handled = equilibrium_surge::handle_event(self, payload, policies, now_ms).await;
        let (payload, metrics) = handled.expect("the poller sends Kinesis events");
        Response { payload, skipped: metrics.checkpoint.skipped, late: 0 }
    }
}

/// The instances of one function, as the target of its event source mapping.
pub(super) struct Instances<'a, H> {
    deployment: &'a Deployment,
    level: FaultLevel,
    start: fn(&Deployment) -> H,
    state: Mutex<State<H>>,
}

struct State<H> {
    rng: SplitMix64,
    alive: Vec<Instance<H>>,
    started: usize,
    /// Batches delivered before.
    delivered: Vec<Vec<u8>>,
}

struct Instance<H> {
    number: usize,
    /// The lanes that were deployed when it was started.
    lanes: LaneCount,
    handler: H,
}

/// An instance's response to a batch; none if it died.
struct Handled {
    instance: usize,
    response: Option<Response>,
}

impl<'a, H: Handler> Instances<'a, H> {
    pub(super) fn new(
        deployment: &'a Deployment,
        level: FaultLevel,
        seed: u64,
        start: fn(&Deployment) -> H,
    ) -> Self {
        let rng = SplitMix64::new(seed);
        let state = State { rng, alive: Vec::new(), started: 0, delivered: Vec::new() };
        Self { deployment, level, start, state: Mutex::new(state) }
    }

    /// Has one of the instances handle a batch, and removes it if it dies.
    fn handle(&self, state: &mut State<H>, payload: &[u8]) -> Handled {
        let is_random = self.level == FaultLevel::Random;
        state.alive.retain(|instance| !self.deployment.is_retired(instance.lanes));
        if state.alive.is_empty() || (is_random && state.rng.percent(5)) {
            let (number, lanes) = (state.started, self.deployment.lanes());
            state.alive.push(Instance { number, lanes, handler: (self.start)(self.deployment) });
            state.started += 1;
        }
        let at = if is_random { state.rng.below(state.alive.len()) } else { 0 };
        let Instance { number, handler, .. } = &state.alive[at];
        let (instance, now_ms) = (*number, self.deployment.now_ms());
        let response = poll_once(handler.handle(payload, &self.deployment.policies, now_ms));
        if response.is_none() {
            state.alive.swap_remove(at);
        }
        Handled { instance, response }
    }

    /// Delivers an old batch once more, whatever has happened since.
    fn repeat_batch(&self, state: &mut State<H>) {
        let at = state.rng.below(state.delivered.len());
        let payload = state.delivered[at].clone();
        let handled = self.handle(state, &payload);
        self.trace(&payload, "repeated", &handled, false);
    }

    fn trace(&self, payload: &[u8], delivery: &str, handled: &Handled, is_lost: bool) {
        if !self.deployment.trace.is_on() {
            return;
        }
        let batch: Value = serde_json::from_slice(payload).expect("the poller sends JSON");
        let records = batch["Records"].as_array().map_or(&[][..], Vec::as_slice);
        let id = |record: Option<&Value>| {
            let id = record.and_then(|record| record["eventID"].as_str()).unwrap_or_default();
            id.split_once(':')
                .map(|(shard, sequence)| (shard.to_owned(), sequence.to_owned()))
                .unwrap_or_default()
        };
        let ((shard, first), (_, last)) = (id(records.first()), id(records.last()));
        self.deployment.trace.write(
            "batch",
            format_args!(
                "function={} shard={shard} first={first} last={last} records={} delivery={delivery} instance={} outcome={}",
                H::NAME,
                records.len(),
                handled.instance,
                outcome(handled, is_lost),
            ),
        );
    }
}

impl<H: Handler> Target for Instances<'_, H> {
    async fn invoke(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        let mut state = self.state.lock();
        let is_random = self.level == FaultLevel::Random;
        if is_random && !state.delivered.is_empty() && state.rng.percent(10) {
            self.repeat_batch(&mut state);
        }
        if is_random && state.delivered.len() < MAX_REPEATABLE_BATCHES {
            state.delivered.push(payload.to_vec());
        }
        let handled = self.handle(&mut state, payload);
        // A lost response: the event source retries a batch that succeeded.
        let is_lost = is_random && handled.response.is_some() && state.rng.percent(10);
        self.trace(payload, "new", &handled, is_lost);
        let response = handled.response.filter(|_| !is_lost).ok_or(InvokeError::Failed)?;
        Ok(response.payload)
    }
}

fn outcome(handled: &Handled, is_lost: bool) -> String {
    let Some(response) = &handled.response else { return "crashed".to_owned() };
    let Response { payload, skipped, late } = response;
    let counts = format!("skipped={skipped} late={late}");
    if is_lost {
        return format!("response_lost {counts}");
    }
    let response: Value = serde_json::from_slice(payload).expect("a handler responds with JSON");
    let failures = response["batchItemFailures"].as_array().map_or(&[][..], Vec::as_slice);
    let failed: Vec<&str> = failures.iter().filter_map(|item| item["itemIdentifier"].as_str()).collect();
    let outcome =
        if failed.is_empty() { "succeeded".to_owned() } else { format!("failed:{}", failed.join(",")) };
    format!("{outcome} {counts}")
}
