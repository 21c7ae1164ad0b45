//! Ports that fail: before they act, after they acted, or by the death of the instance.

use std::future::{Future, pending};
use std::sync::Arc;

use equilibrium_app::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog, Loaded};
use equilibrium_app::count::ports::CountsStream;
use equilibrium_app::history::ports::HistoryStore;
use equilibrium_app::laws::ports::DayStore;
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::surge::ports::{ChangeStream, TickLog};
use equilibrium_app::unavailable::{SendError, Unavailable};
use equilibrium_domain::count::city_group::CityGroup;
use equilibrium_domain::event_sourced::Entry;
use equilibrium_domain::id::{CityId, LaneId};
use equilibrium_domain::surge::daily::{DayFigures, LocalDay};
use equilibrium_domain::surge::history::HistoryKey;
use equilibrium_domain::surge::map::{ChunkName, ClosedTick, MapHead};
use parking_lot::Mutex;

use super::schedule::{Fault, FaultSchedule, Faults};
use super::trace::Trace;

/// Injects the faults of one schedule into the calls of all ports.
#[derive(Clone)]
pub(super) struct FaultInjector {
    faults: Arc<Mutex<Faults>>,
    trace: Trace,
}

impl FaultInjector {
    pub(super) fn new(schedule: FaultSchedule, trace: &Trace) -> Self {
        Self { faults: Arc::new(Mutex::new(Faults::new(schedule))), trace: trace.clone() }
    }

    /// The number of calls so far.
    pub(super) fn calls(&self) -> u64 {
        self.faults.lock().calls()
    }

    fn next_fault(&self, port: &str, operation: &str) -> Option<Fault> {
        let (call, fault) = self.faults.lock().next_call();
        if let Some(fault) = fault {
            self.trace.write("fault", format_args!("call={call} port={port}.{operation} fault={fault}"));
        }
        fault
    }
}

/// A port whose calls suffer the injector's faults. A death shows as a call that never ends.
#[derive(Clone)]
pub(super) struct FaultyPort<P> {
    port: P,
    /// The function and the port, as `count.checkpoints`.
    name: &'static str,
    injector: FaultInjector,
}

impl<P> FaultyPort<P> {
    pub(super) fn new(port: P, name: &'static str, injector: &FaultInjector) -> Self {
        Self { port, name, injector: injector.clone() }
    }

    async fn call<T, E: From<Unavailable>>(
        &self,
        operation: &str,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match self.injector.next_fault(self.name, operation) {
            None => call.await,
            Some(Fault::CrashBefore) => pending().await,
            Some(Fault::CrashAfter) => {
                drop(call.await);
                pending().await
            }
            Some(Fault::LostBefore) => Err(Unavailable.into()),
            Some(Fault::LostAfter) => {
                drop(call.await);
                Err(Unavailable.into())
            }
        }
    }
}

impl<P: CheckpointLog> CheckpointLog for FaultyPort<P> {
    async fn load(&self, log: &CheckpointKey, next: Option<u64>) -> Result<Loaded, Unavailable> {
        self.call("load", self.port.load(log, next)).await
    }

    async fn save_snapshot(
        &self,
        key: &CheckpointKey,
        number: u64,
        snapshot: &[u8],
    ) -> Result<(), Unavailable> {
        self.call("save_snapshot", self.port.save_snapshot(key, number, snapshot)).await
    }

    async fn append(&self, key: &CheckpointKey, entry: &Entry) -> Result<(), AppendError> {
        let append = async {
            let result = self.port.append(key, entry).await;
            let outcome = match result {
                Ok(()) => "appended",
                Err(AppendError::Conflict) => "conflict",
                Err(AppendError::Unavailable(_)) => "unavailable",
            };
            let Entry { number, bytes, snapshot, .. } = entry;
            let is_compacted = snapshot.is_some();
            self.injector.trace.write(
                "append",
                format_args!(
                    "key={key} entry={number} bytes={} compacted={is_compacted} outcome={outcome}",
                    bytes.len()
                ),
            );
            result
        };
        self.call("append", append).await
    }
}

impl<P: CountsStream> CountsStream for FaultyPort<P> {
    async fn send(&self, lane: LaneId, group: CityGroup, record: Vec<u8>) -> Result<(), SendError> {
        self.call("send", self.port.send(lane, group, record)).await
    }
}

impl<P: MapStore> MapStore for FaultyPort<P> {
    async fn save_chunk(&self, city: &CityId, name: ChunkName, chunk: &[u8]) -> Result<(), Unavailable> {
        self.call("save_chunk", self.port.save_chunk(city, name, chunk)).await
    }

    async fn save_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        self.call("save_head", self.port.save_head(head)).await
    }

    async fn head(&self, city: &CityId) -> Result<Option<MapHead>, Unavailable> {
        self.call("head", self.port.head(city)).await
    }

    async fn chunk(&self, city: &CityId, name: ChunkName) -> Result<Option<Vec<u8>>, Unavailable> {
        self.call("chunk", self.port.chunk(city, name)).await
    }
}

impl<P: HistoryStore> HistoryStore for FaultyPort<P> {
    async fn save_history(&self, city: &CityId, key: HistoryKey, item: &[u8]) -> Result<(), Unavailable> {
        self.call("save_history", self.port.save_history(city, key, item)).await
    }

    async fn history(
        &self,
        city: &CityId,
        from: HistoryKey,
        limit: usize,
    ) -> Result<Vec<(HistoryKey, Vec<u8>)>, Unavailable> {
        self.call("history", self.port.history(city, from, limit)).await
    }
}

impl<P: DayStore> DayStore for FaultyPort<P> {
    async fn save_day(&self, city: &CityId, day: LocalDay, figures: &DayFigures) -> Result<(), Unavailable> {
        self.call("save_day", self.port.save_day(city, day, figures)).await
    }

    async fn days(
        &self,
        city: &CityId,
        from: LocalDay,
        to: LocalDay,
    ) -> Result<Vec<(LocalDay, DayFigures)>, Unavailable> {
        self.call("days", self.port.days(city, from, to)).await
    }
}

impl<P: ChangeStream> ChangeStream for FaultyPort<P> {
    async fn send(&self, city: &CityId, record: Vec<u8>) -> Result<(), SendError> {
        self.call("send", self.port.send(city, record)).await
    }
}

impl<P: TickLog> TickLog for FaultyPort<P> {
    async fn record(&self, map: &MapHead, ticks: &[ClosedTick]) -> Result<(), Unavailable> {
        self.call("record", self.port.record(map, ticks)).await
    }
}
