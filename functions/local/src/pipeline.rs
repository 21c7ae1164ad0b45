//! The walk of the data in one process: the event log, `count`, the log of counts, `surge`.

use std::sync::{Arc, Mutex, PoisonError};

use equilibrium_app::book::PolicyBook;
use equilibrium_app::counting::{CountSettings, Counter};
use equilibrium_app::ingesting::Records;
use equilibrium_app::memory::{MemoryCheckpoints, MemoryMaps, Nowhere};
use equilibrium_app::ports::{CountsStream, TickLog, Unavailable};
use equilibrium_app::pricing::{Outlets, Pricer};
use equilibrium_app::{counting, pricing};
use equilibrium_domain::id::{Lane, LaneCount};
use equilibrium_runner::driver::{InvokeError, OnFailure, Runner, Target};
use equilibrium_runner::memory::MemoryLog;
use equilibrium_runner::payload::Stream;
use equilibrium_runner::record::{Discarded, Position, ShardId};
use equilibrium_runner::settings::{MAX_BATCH_SIZE, Settings, SettingsError};

use crate::feed;

/// Groups of cities in the log of counts.
const GROUPS: u32 = 16;

/// `count` as a target of the event log.
#[derive(Debug)]
struct CountFunction {
    counter: Counter<MemoryCheckpoints, CountsLog>,
    book: Arc<PolicyBook>,
    tally: Mutex<counting::Tally>,
}

impl Target for CountFunction {
    async fn invoke(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        let handled = equilibrium_count::handle(&self.counter, payload, &self.book, NOW).await;
        let (answer, tally) = handled.map_err(|_| InvokeError::Failed)?;
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).add(tally);
        Ok(answer)
    }
}

/// `surge` as a target of the log of counts.
#[derive(Debug)]
struct SurgeFunction<T> {
    pricer: Pricer<MemoryCheckpoints, MemoryMaps, MemoryMaps, Nowhere, T>,
    book: Arc<PolicyBook>,
    tally: Mutex<pricing::Tally>,
}

impl<T: TickLog> Target for SurgeFunction<T> {
    async fn invoke(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        let handled = equilibrium_surge::handle(&self.pricer, payload, &self.book, NOW).await;
        let (answer, tally) = handled.map_err(|_| InvokeError::Failed)?;
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).add(tally);
        Ok(answer)
    }
}

/// A replay has no clock of its own: memory never ages, and nothing is waited for.
const NOW: i64 = 0;

/// The log of counts, as `count` sends to it.
#[derive(Clone, Debug)]
struct CountsLog(Arc<MemoryLog>);

impl CountsStream for CountsLog {
    async fn send(&self, group: u32, record: Vec<u8>) -> Result<(), Unavailable> {
        let hash_key = u128::MAX / u128::from(GROUPS) * u128::from(group);
        self.0.put(hash_key, group.to_string(), record, feed::arrival()).map(drop).map_err(|_| Unavailable)
    }
}

/// The event log, as a feeder puts to it.
#[derive(Clone, Debug)]
pub struct EventLog {
    log: Arc<MemoryLog>,
    lanes: LaneCount,
}

impl Records for EventLog {
    fn put(&mut self, lane: Lane, record: Vec<u8>) {
        let put = self.log.put(lane.hash_key(self.lanes), lane.to_string(), record, feed::arrival());
        put.expect("a log in memory is open until it is dropped");
    }
}

/// Nothing is given up in one process.
#[derive(Clone, Copy, Debug)]
struct NeverDiscarded;

impl OnFailure for NeverDiscarded {
    async fn report(&self, _: Discarded) {}
}

type Mapped<T> = Runner<Arc<MemoryLog>, T, NeverDiscarded>;

/// The functions and the logs between them.
#[derive(Debug)]
pub struct Pipeline<T: TickLog> {
    lanes: LaneCount,
    events: Arc<MemoryLog>,
    counts: Arc<MemoryLog>,
    count: Mapped<CountFunction>,
    surge: Mapped<SurgeFunction<T>>,
}

impl<T: TickLog> Pipeline<T> {
    /// A pipeline in which nothing has happened yet; closed ticks go to `ticks`.
    ///
    /// # Errors
    /// [`SettingsError`], never with the settings used here.
    pub fn new(lanes: LaneCount, book: &Arc<PolicyBook>, ticks: T) -> Result<Self, SettingsError> {
        let events = Arc::new(MemoryLog::new(1));
        let counts = Arc::new(MemoryLog::new(1));
        let settings = CountSettings { lanes, groups: GROUPS };
        let counter = Counter::new(settings, MemoryCheckpoints::default(), CountsLog(Arc::clone(&counts)));
        let outlets = Outlets {
            checkpoints: MemoryCheckpoints::default(),
            maps: MemoryMaps::default(),
            cache: MemoryMaps::default(),
            changes: Nowhere,
            ticks,
        };
        let count = CountFunction { counter, book: Arc::clone(book), tally: Mutex::default() };
        let pricer = Pricer::new(lanes, outlets);
        let surge = SurgeFunction { pricer, book: Arc::clone(book), tally: Mutex::default() };
        Ok(Self {
            lanes,
            count: mapped("events", &events, count)?,
            surge: mapped("counts", &counts, surge)?,
            events,
            counts,
        })
    }

    /// Where events are fed.
    pub fn event_log(&self) -> EventLog {
        EventLog { log: Arc::clone(&self.events), lanes: self.lanes }
    }

    /// Works until there is nothing left to do, and lets go what was done.
    pub async fn run(&mut self) {
        loop {
            let counted = self.count.turn(NOW).await;
            let priced = self.surge.turn(NOW).await;
            trim(&self.events, self.count.positions());
            trim(&self.counts, self.surge.positions());
            if counted.is_idle() && priced.is_idle() {
                return;
            }
        }
    }

    /// What counting came to so far.
    pub fn counted(&self) -> counting::Tally {
        self.count.target().tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where closed ticks go.
    pub fn ticks(&self) -> &T {
        self.surge.target().pricer.ticks()
    }
}

/// A mapping from the log called `name` to a function, as one would be set up on AWS.
fn mapped<F: Target>(name: &str, log: &Arc<MemoryLog>, function: F) -> Result<Mapped<F>, SettingsError> {
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
    Runner::new(settings, stream, Arc::clone(log), function, NeverDiscarded)
}

fn trim<'a>(log: &MemoryLog, positions: impl Iterator<Item = (&'a ShardId, &'a Position)>) {
    for (shard, position) in positions {
        log.trim(shard, position);
    }
}
