//! The walk of the data in one process: the event log, `count`, the log of counts, `surge`.

use parking_lot::Mutex;
use std::sync::Arc;

use equilibrium_app::count::lane_processor::{CountSettings, LaneProcessor};
use equilibrium_app::count::metrics::CountMetrics;
use equilibrium_app::memory::NoOp;
use equilibrium_app::policy::policy_set::PolicySet;
use equilibrium_app::surge::city_processor::{CityProcessor, SurgeSinks};
use equilibrium_app::surge::metrics::SurgeMetrics;
use equilibrium_app::surge::ports::TickLog;
use equilibrium_embedded::stream_log::StreamLog;
use equilibrium_event_source::poller::{EventSourcePoller, InvokeError, NeverDiscard, Target};
use equilibrium_event_source::settings::{MAX_BATCH_SIZE, Settings, SettingsError};
use equilibrium_lambda::kinesis::encode::Stream;

use equilibrium_app::clock::Clock;
use equilibrium_embedded::store::{GROUPS, Store};

/// `count` as a target of the event log.
#[derive(Debug)]
struct CountFunction {
    counter: LaneProcessor<Store, Store, NoOp>,
    book: Arc<PolicySet>,
    clock: Clock,
    tally: Mutex<CountMetrics>,
}

impl Target for CountFunction {
    async fn invoke(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        let now = self.clock.now_ms();
        let handled = equilibrium_count::handle_event(&self.counter, payload, &self.book, now).await;
        let (answer, tally) = handled.map_err(|_| InvokeError::Failed)?;
        self.tally.lock().add(tally);
        Ok(answer)
    }
}

/// `surge` as a target of the log of counts. The maps' readers are in the same process and need no cache.
#[derive(Debug)]
struct SurgeFunction<T> {
    pricer: CityProcessor<Store, Store, NoOp, NoOp, T>,
    book: Arc<PolicySet>,
    clock: Clock,
    tally: Mutex<SurgeMetrics>,
}

impl<T: TickLog> Target for SurgeFunction<T> {
    async fn invoke(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        let now = self.clock.now_ms();
        let handled = equilibrium_surge::handle_event(&self.pricer, payload, &self.book, now).await;
        let (answer, tally) = handled.map_err(|_| InvokeError::Failed)?;
        self.tally.lock().add(tally);
        Ok(answer)
    }
}

type Mapped<T> = EventSourcePoller<Arc<StreamLog>, T, NeverDiscard>;

/// The functions and the logs between them.
#[derive(Debug)]
pub struct Pipeline<T: TickLog> {
    store: Store,
    count: Mapped<CountFunction>,
    surge: Mapped<SurgeFunction<T>>,
}

/// What a turn found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipelineState {
    /// Something to do.
    Busy,
    /// Nothing, and nothing is left.
    Idle,
    /// Nothing, but what failed is to be tried again.
    Stuck,
}

impl<T: TickLog> Pipeline<T> {
    /// A pipeline that goes on with what is in the store; closed ticks go to `ticks`.
    ///
    /// # Errors
    /// [`SettingsError`], never with the settings used here.
    pub fn new(store: Store, book: &Arc<PolicySet>, ticks: T) -> Result<Self, SettingsError> {
        let (lanes, clock) = (store.lanes(), store.clock());
        let settings = CountSettings { lanes, groups: GROUPS };
        let counter = LaneProcessor::new(settings, store.clone(), store.clone(), NoOp);
        let outlets =
            SurgeSinks { checkpoints: store.clone(), maps: store.clone(), cache: NoOp, changes: NoOp, ticks };
        let count = CountFunction { counter, book: Arc::clone(book), clock, tally: Mutex::default() };
        let pricer = CityProcessor::new(lanes, outlets);
        let surge = SurgeFunction { pricer, book: Arc::clone(book), clock, tally: Mutex::default() };
        Ok(Self {
            count: mapped("events", store.events(), count)?,
            surge: mapped("counts", store.counts(), surge)?,
            store,
        })
    }

    /// Counts and prices what is there, and lets it go.
    pub async fn poll(&mut self) -> PipelineState {
        let now = self.store.clock().now_ms();
        let counted = self.count.poll(now).await;
        let priced = self.surge.poll(now).await;
        self.store.trim_events(self.count.positions());
        self.store.trim_counts(self.surge.positions());
        match (counted.is_idle() && priced.is_idle(), self.count.backlog() + self.surge.backlog()) {
            (false, _) => PipelineState::Busy,
            (true, 0) => PipelineState::Idle,
            (true, _) => PipelineState::Stuck,
        }
    }

    /// Works until there is nothing left to do.
    pub async fn run(&mut self) {
        while self.poll().await == PipelineState::Busy {}
    }

    /// What counting came to so far.
    pub fn counted(&self) -> CountMetrics {
        self.count.target().tally.lock().clone()
    }

    /// What pricing came to so far.
    pub fn priced(&self) -> SurgeMetrics {
        self.surge.target().tally.lock().clone()
    }

    /// Where closed ticks go.
    pub fn ticks(&self) -> &T {
        self.surge.target().pricer.ticks()
    }
}

/// A mapping from the log called `name` to a function, as one would be set up on AWS.
fn mapped<F: Target>(name: &str, log: &Arc<StreamLog>, function: F) -> Result<Mapped<F>, SettingsError> {
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
