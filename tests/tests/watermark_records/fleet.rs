//! A fleet of producers over one event log and one board, by a simulated clock.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use equilibrium_app::ingest::ingester::Ingester;
use equilibrium_app::ingest::pace::Pace;
use equilibrium_app::ingest::ports::{Board, BoardError, EventLog, Timer, Turn, WatermarkBoard};
use equilibrium_app::memory::MemoryWatermarkBoard;
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::event::watermark;
use equilibrium_domain::event::watermark_board::BoardPart;
use equilibrium_domain::id::{LaneCount, LaneId};
use equilibrium_domain::pseudonym::PseudonymKey;
use equilibrium_domain::time::Timestamp;
use equilibrium_domain::wire;
use equilibrium_simulator::rng::SplitMix64;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

/// A multiple of the tick.
pub const START_MS: i64 = 1_772_816_400_000;
pub const TICK_MS: i64 = 5_000;
const LATENESS_MS: i64 = 5_000;
/// Usual latencies from a function.
const PUT: Duration = Duration::from_millis(12);
const READ: Duration = Duration::from_millis(5);
const WRITE: Duration = Duration::from_millis(8);

/// The simulated clock.
#[derive(Clone, Copy)]
pub struct SimulatedTimer(pub Instant);

impl Timer for SimulatedTimer {
    fn now_ms(&self) -> i64 {
        START_MS + i64::try_from(self.0.elapsed().as_millis()).unwrap()
    }

    async fn wait_until(&self, at_ms: i64) {
        let after = Duration::from_millis(u64::try_from(at_ms - START_MS).unwrap_or(0));
        sleep_until(self.0 + after).await;
    }
}

/// A log that counts its records and keeps the greatest watermark and the first tick of each lane and city.
#[derive(Clone)]
pub struct CountingLog {
    pub lanes: LaneCount,
    pub state: Arc<Mutex<LogState>>,
}

#[derive(Default)]
pub struct LogState {
    pub events: u64,
    pub watermarks: u64,
    pub bytes_of_watermarks: u64,
    pub reached: HashMap<(LaneId, u32), (i64, i64)>,
    /// The greatest time of each city's accepted events.
    pub greatest: HashMap<u32, i64>,
    /// Whether puts of watermark records never end.
    pub hangs: bool,
}

impl EventLog for CountingLog {
    async fn put(&self, lane: LaneId, record: Vec<u8>) -> Result<(), Unavailable> {
        if self.state.lock().hangs && wire::is_frame(&record) {
            std::future::pending::<()>().await;
        }
        sleep(PUT).await;
        let mut state = self.state.lock();
        if !wire::is_frame(&record) {
            state.events += 1;
            return Ok(());
        }
        state.watermarks += 1;
        state.bytes_of_watermarks += record.len() as u64;
        for (city, at) in watermark::read(&record).unwrap().cities {
            let city: u32 = city.as_str().trim_start_matches("city-").parse().unwrap();
            let known = state.reached.entry((lane, city)).or_insert((at.watermark, at.first_tick));
            known.0 = known.0.max(at.watermark);
        }
        Ok(())
    }
}

/// The board with the latencies of a store, and what it would cost there.
#[derive(Clone, Default)]
pub struct MeteredBoard {
    board: MemoryWatermarkBoard,
    pub meter: Arc<Mutex<Meter>>,
}

#[derive(Default)]
pub struct Meter {
    pub read_units: u64,
    pub write_units: u64,
    pub is_down: bool,
}

impl MeteredBoard {
    async fn written<T>(
        &self,
        bytes: usize,
        save: impl Future<Output = Result<T, BoardError>>,
    ) -> Result<T, BoardError> {
        sleep(WRITE).await;
        self.check()?;
        // Keys, names and the version take some 50 bytes.
        self.meter.lock().write_units += (bytes as u64 + 50).div_ceil(1_024);
        save.await
    }

    fn check(&self) -> Result<(), Unavailable> {
        if self.meter.lock().is_down { Err(Unavailable) } else { Ok(()) }
    }
}

impl WatermarkBoard for MeteredBoard {
    async fn read(&self) -> Result<Board, Unavailable> {
        sleep(READ).await;
        self.check()?;
        let board = self.board.read().await?;
        let bytes: usize = board.parts.iter().map(|part| part.value.encode().len() + 50).sum();
        self.meter.lock().read_units += (bytes as u64 + 50).div_ceil(4_096);
        Ok(board)
    }

    async fn save_part(&self, number: u16, after: u64, part: &BoardPart) -> Result<(), BoardError> {
        self.written(part.encode().len(), self.board.save_part(number, after, part)).await
    }

    async fn save_turn(&self, after: u64, turn: Turn) -> Result<(), BoardError> {
        self.written(20, self.board.save_turn(after, turn)).await
    }
}

pub type Feeder = Ingester<CountingLog, MeteredBoard, SimulatedTimer>;

/// Producers, and what they share.
#[derive(Clone)]
pub struct Fleet {
    pub timer: SimulatedTimer,
    pub log: CountingLog,
    pub board: MeteredBoard,
    policies: Arc<PolicySet>,
}

impl Fleet {
    pub fn new(lanes: u32) -> Self {
        let lanes = LaneCount::new(lanes).unwrap();
        Self {
            timer: SimulatedTimer(Instant::now()),
            log: CountingLog { lanes, state: Arc::default() },
            board: MeteredBoard::default(),
            policies: Arc::new(PolicySet::open(ResourceLimits::default())),
        }
    }

    pub fn feeder(&self) -> Arc<Feeder> {
        let lanes = self.log.lanes;
        let (log, board, key) = (self.log.clone(), self.board.clone(), PseudonymKey::new([7; 16]));
        Arc::new(Ingester::new(log, lanes, key, board, self.timer, Pace::FLEET))
    }

    /// One call as the function makes it: events into the log, then the announcement if it is this feeder's turn.
    pub async fn call(&self, feeder: &Feeder, events: &[(u32, u64, i64)]) {
        let mut batch = feeder.begin(&self.policies, self.timer.now_ms()).await.unwrap();
        let mut line = String::new();
        for (city, driver, time_ms) in events {
            line.clear();
            let time = Timestamp::from_ms(*time_ms).unwrap();
            write!(
                line,
                r#"{{"type":"driver_location","id":"e","time":"{time}","city":"city-{city}","driver_id":"d{driver}","lat":40.75,"lng":-73.97,"status":"available"}}"#
            )
            .unwrap();
            batch.line(line.as_bytes()).unwrap();
        }
        feeder.commit(batch).await.unwrap();
        for (city, _, time_ms) in events {
            let mut state = self.log.state.lock();
            let greatest = state.greatest.entry(*city).or_insert(*time_ms);
            *greatest = (*time_ms).max(*greatest);
        }
        feeder.settle().await;
    }

    /// A feeder that makes three calls a second of 100 events each until `until_ms`.
    pub async fn feed(self, number: u64, cities: u32, is_mixed: bool, until_ms: i64) {
        let feeder = self.feeder();
        let mut rng = SplitMix64::new(number);
        sleep(Duration::from_micros(number * 3_333)).await;
        while self.timer.now_ms() < until_ms {
            let next = Instant::now() + Duration::from_micros(333_333);
            let now_ms = self.timer.now_ms();
            let mut any_city = || u32::try_from(rng.below(cities as usize)).unwrap();
            let of_call = any_city();
            let of_events: Vec<u32> = (0..100).map(|_| if is_mixed { any_city() } else { of_call }).collect();
            let events: Vec<(u32, u64, i64)> = of_events
                .into_iter()
                .map(|city| (city, rng.next_u64() % 120_000, now_ms - i64::try_from(rng.below(300)).unwrap()))
                .collect();
            self.call(&feeder, &events).await;
            sleep_until(next).await;
        }
    }

    /// The lanes and cities that lack a tick.
    pub fn missing(&self, cities: u32, tick: i64) -> usize {
        let state = self.log.state.lock();
        let all = self.log.lanes.iter().flat_map(|lane| (0..cities).map(move |city| (lane, city)));
        all.filter(|key| state.reached.get(key).is_none_or(|(watermark, _)| *watermark < tick)).count()
    }

    /// The lanes and cities that lack the newest tick that accepted events have reached.
    pub fn unannounced(&self) -> usize {
        let state = self.log.state.lock();
        let reached = state.greatest.iter().map(|(city, time_ms)| {
            let tick = (time_ms - LATENESS_MS).div_euclid(TICK_MS) * TICK_MS;
            let has =
                |lane| state.reached.get(&(lane, *city)).is_some_and(|(watermark, _)| *watermark >= tick);
            self.log.lanes.iter().filter(|lane| !has(*lane)).count()
        });
        reached.sum()
    }

    /// Waits until `after_ms` after the tick is due.
    pub async fn wait_after(&self, tick: i64, after_ms: i64) {
        self.timer.wait_until(tick + LATENESS_MS + after_ms).await;
    }

    /// The share of watermark records in all records.
    #[expect(clippy::cast_precision_loss)]
    pub fn share(&self) -> f64 {
        let state = self.log.state.lock();
        state.watermarks as f64 / (state.events + state.watermarks) as f64
    }
}
