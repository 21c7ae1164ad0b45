//! Ports that fail: before they act, after they acted, or by the death of the function.

use parking_lot::Mutex;
use std::future::{Future, pending};
use std::sync::Arc;

use equilibrium_app::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog};
use equilibrium_app::count::ports::CountsStream;
use equilibrium_app::surge::ports::{ChangeStream, MapStore, TickLog};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::{CityId, LaneCount};
use equilibrium_domain::surge::map::{ClosedTick, MapHead};

use equilibrium_simulator::rng::SplitMix64;

/// What happens at a call to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The function dies before the call has an effect.
    CrashBefore,
    /// The function dies after the call had its effect.
    CrashAfter,
    /// The call fails without effect.
    LostBefore,
    /// The call has its effect, but its answer is lost.
    LostAfter,
}

const FAULTS: [Fault; 4] = [Fault::CrashBefore, Fault::CrashAfter, Fault::LostBefore, Fault::LostAfter];

/// When there are faults.
#[derive(Debug)]
pub enum FaultSchedule {
    /// None.
    None,
    /// One call in so many, by a seed.
    Random(SplitMix64, usize),
    /// This fault at the call of this number, counted from 0, and no other.
    At(u64, Fault),
}

impl FaultSchedule {
    /// Faults by chance, about one a batch: a batch calls the ports of each of its lanes.
    #[must_use]
    pub fn random(seed: u64, lanes: LaneCount) -> Self {
        Self::Random(SplitMix64::new(seed), 25 * (lanes.get() as usize).div_ceil(4))
    }
}

/// The plan, and the calls so far.
#[derive(Clone, Debug)]
pub struct FaultInjector(Arc<Mutex<(FaultSchedule, u64)>>);

impl FaultInjector {
    /// Lets `plan` happen.
    #[must_use]
    pub fn new(plan: FaultSchedule) -> Self {
        Self(Arc::new(Mutex::new((plan, 0))))
    }

    /// Calls so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.0.lock().1
    }

    fn next(&self) -> Option<Fault> {
        let (plan, calls) = &mut *self.0.lock();
        *calls += 1;
        match plan {
            FaultSchedule::None => None,
            FaultSchedule::Random(rng, of) => (rng.below(*of) == 0).then(|| rng.one_of(&FAULTS)),
            FaultSchedule::At(number, fault) => (*calls == *number + 1).then_some(*fault),
        }
    }
}

/// A port among faults. A death shows as a call that never ends.
#[derive(Clone, Debug)]
pub struct FaultyPort<P> {
    port: P,
    fate: FaultInjector,
}

impl<P> FaultyPort<P> {
    /// `port`, suffering `fate`.
    pub fn new(port: P, fate: &FaultInjector) -> Self {
        Self { port, fate: fate.clone() }
    }

    async fn call<T, E: From<Unavailable>>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        match self.fate.next() {
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
    async fn load(&self, log: &CheckpointKey) -> Result<Vec<Vec<u8>>, Unavailable> {
        self.call(self.port.load(log)).await
    }

    async fn append(&self, log: &CheckpointKey, entry: &Entry) -> Result<(), AppendError> {
        self.call(self.port.append(log, entry)).await
    }
}

impl<P: CountsStream> CountsStream for FaultyPort<P> {
    async fn send(&self, group: CityGroup, record: Vec<u8>) -> Result<(), Unavailable> {
        self.call(self.port.send(group, record)).await
    }
}

impl<P: MapStore> MapStore for FaultyPort<P> {
    async fn save_chunk(&self, city: &CityId, name: ChunkName, chunk: &[u8]) -> Result<(), Unavailable> {
        self.call(self.port.save_chunk(city, name, chunk)).await
    }

    async fn save_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        self.call(self.port.save_head(head)).await
    }

    async fn head(&self, city: &CityId) -> Result<Option<MapHead>, Unavailable> {
        self.call(self.port.head(city)).await
    }

    async fn chunk(&self, city: &CityId, name: ChunkName) -> Result<Option<Vec<u8>>, Unavailable> {
        self.call(self.port.chunk(city, name)).await
    }
}

impl<P: ChangeStream> ChangeStream for FaultyPort<P> {
    async fn send(&self, city: &CityId, record: Vec<u8>) -> Result<(), Unavailable> {
        self.call(self.port.send(city, record)).await
    }
}

impl<P: TickLog> TickLog for FaultyPort<P> {
    async fn record(&self, map: &MapHead, ticks: &[ClosedTick]) -> Result<(), Unavailable> {
        self.call(self.port.record(map, ticks)).await
    }
}
