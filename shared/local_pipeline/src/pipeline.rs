//! The pipeline in one process: event log, `count`, counts log, `surge`.

use parking_lot::Mutex;
use std::sync::Arc;

use equilibrium_app::clock::Clock;
use equilibrium_app::count::lane_processor::{CountSettings, LaneProcessor};
use equilibrium_app::count::metrics::CountMetrics;
use equilibrium_app::memory::NoOp;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::surge::city_processor::{CityProcessor, SurgeSinks};
use equilibrium_app::surge::metrics::SurgeMetrics;
use equilibrium_app::surge::ports::TickLog;
use equilibrium_embedded::store::{GROUPS, Store};
use equilibrium_embedded::stream_log::StreamLog;
use equilibrium_event_source::poller::{EventSourcePoller, InvokeError, NeverDiscard, Target};
use equilibrium_event_source::settings::{MAX_BATCH_SIZE, Settings, SettingsError};
use equilibrium_lambda::kinesis::encode::Stream;

/// `count` as a target of the event log.
#[derive(Debug)]
struct CountFunction<P> {
    processor: LaneProcessor<Store, Store, NoOp>,
    policies: P,
    clock: Clock,
    metrics: Mutex<CountMetrics>,
}

impl<P: PolicySource> Target for CountFunction<P> {
    async fn invoke(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        let now_ms = self.clock.now_ms();
        let handled = equilibrium_count::handle_event(&self.processor, payload, &self.policies, now_ms).await;
        let (response, metrics) = handled.map_err(|_| InvokeError::Failed)?;
        self.metrics.lock().add(metrics);
        Ok(response)
    }
}

/// `surge` as a target of the counts log. It writes no cache: the map readers share its process and its store.
#[derive(Debug)]
struct SurgeFunction<T, P> {
    processor: CityProcessor<Store, Store, NoOp, NoOp, T>,
    policies: P,
    clock: Clock,
    metrics: Mutex<SurgeMetrics>,
}

impl<T: TickLog, P: PolicySource> Target for SurgeFunction<T, P> {
    async fn invoke(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        let now_ms = self.clock.now_ms();
        let handled = equilibrium_surge::handle_event(&self.processor, payload, &self.policies, now_ms).await;
        let (response, metrics) = handled.map_err(|_| InvokeError::Failed)?;
        self.metrics.lock().add(metrics);
        Ok(response)
    }
}

type Poller<T> = EventSourcePoller<Arc<StreamLog>, T, NeverDiscard>;

/// The functions `count` and `surge`, each polling its log.
#[derive(Debug)]
pub struct Pipeline<T: TickLog, P: PolicySource> {
    store: Store,
    count: Poller<CountFunction<P>>,
    surge: Poller<SurgeFunction<T, P>>,
}

/// The outcome of a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipelineState {
    /// Records were processed.
    Busy,
    /// Nothing was processed, and no record is left.
    Idle,
    /// Nothing was processed, and failed batches are to be retried.
    Retrying,
}

impl<T: TickLog, P: PolicySource + Clone> Pipeline<T, P> {
    /// A pipeline that continues from the state in the store and sends closed ticks to `ticks`.
    ///
    /// # Errors
    /// [`SettingsError`], never with the settings used here.
    pub fn new(store: Store, policies: P, ticks: T) -> Result<Self, SettingsError> {
        let (lanes, clock) = (store.lanes(), store.clock());
        let settings = CountSettings { lanes, groups: GROUPS };
        let count = CountFunction {
            processor: LaneProcessor::new(settings, store.clone(), store.clone(), NoOp),
            policies: policies.clone(),
            clock: clock.clone(),
            metrics: Mutex::default(),
        };
        let sinks = SurgeSinks { maps: store.clone(), cache: NoOp, changes: NoOp, ticks };
        let surge = SurgeFunction {
            processor: CityProcessor::new(store.clone(), sinks),
            policies,
            clock,
            metrics: Mutex::default(),
        };
        Ok(Self {
            count: poller("events", store.events(), count)?,
            surge: poller("counts", store.counts(), surge)?,
            store,
        })
    }

    /// Whether another instance has taken a log of this one: it must be replaced by a fresh one.
    pub fn is_fenced(&self) -> bool {
        self.count.target().processor.is_fenced() || self.surge.target().processor.is_fenced()
    }

    /// Processes one batch of each log and trims the logs. `None` if the instance `fails` after the first of them.
    pub async fn poll(&mut self, fails: impl FnOnce() -> bool) -> Option<PipelineState> {
        let now_ms = self.store.clock().now_ms();
        let count = self.count.poll(now_ms).await;
        if fails() {
            return None;
        }
        let surge = self.surge.poll(now_ms).await;
        self.store.trim_events(self.count.positions());
        self.store.trim_counts(self.surge.positions());
        Some(match (count.is_idle() && surge.is_idle(), self.backlog()) {
            (false, _) => PipelineState::Busy,
            (true, 0) => PipelineState::Idle,
            (true, _) => PipelineState::Retrying,
        })
    }

    /// Polls until nothing is processed any more.
    pub async fn run(&mut self) {
        while self.poll(|| false).await == Some(PipelineState::Busy) {}
    }

    /// The records that have not been processed.
    pub fn backlog(&self) -> usize {
        self.count.backlog() + self.surge.backlog()
    }

    /// The metrics of `count` so far.
    pub fn count_metrics(&self) -> CountMetrics {
        self.count.target().metrics.lock().clone()
    }

    /// The metrics of `surge` so far.
    pub fn surge_metrics(&self) -> SurgeMetrics {
        self.surge.target().metrics.lock().clone()
    }

    /// The sink of closed ticks.
    pub fn ticks(&self) -> &T {
        self.surge.target().processor.ticks()
    }
}

/// The event source mapping from the log called `name` to a function.
fn poller<F: Target>(name: &str, log: &Arc<StreamLog>, function: F) -> Result<Poller<F>, SettingsError> {
    let settings = Settings {
        batch_size: MAX_BATCH_SIZE,
        report_batch_item_failures: true,
        poll_ms: 0,
        ..Settings::default()
    };
    let stream = Stream {
        arn: format!("arn:aws:kinesis:us-east-1:000000000000:stream/{name}").into(),
        region: "us-east-1".into(),
        role_arn: "arn:aws:iam::000000000000:role/equilibrium".into(),
    };
    EventSourcePoller::new(settings, stream, Arc::clone(log), function, NeverDiscard)
}
