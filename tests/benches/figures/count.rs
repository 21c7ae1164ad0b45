//! The `count` handler: payload bytes in, state, checkpoint bytes and counts out.

use equilibrium_domain::count::city_group::{CityGroup, GroupCount};
use equilibrium_domain::event_sourced::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use equilibrium_app::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog, Loaded};
use equilibrium_app::count::lane_processor::{CountSettings, LaneProcessor};
use equilibrium_app::count::ports::CountsStream;
use equilibrium_app::memory::NoOp;
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::unavailable::{SendError, Unavailable};
use equilibrium_domain::event::watermark::{self, CityWatermark, WatermarkConfig, Watermarks};
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::time::Timestamp;
use equilibrium_lambda::kinesis::encode::{Envelope, Stream};
use equilibrium_lambda::kinesis::record::{Record, ShardId};

use equilibrium_simulator::rng::SplitMix64;

use crate::{alloc, figure, median, run};

/// A checkpoint log that only measures the size of its entries.
#[derive(Clone, Default)]
struct EntryBytes(Arc<AtomicU64>);

impl CheckpointLog for EntryBytes {
    async fn load(&self, _: &CheckpointKey, _: Option<u64>) -> Result<Loaded, Unavailable> {
        Ok(Loaded::default())
    }

    async fn save_snapshot(&self, _: &CheckpointKey, _: u64, _: &[u8]) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn append(&self, _: &CheckpointKey, entry: &Entry) -> Result<(), AppendError> {
        self.0.fetch_add(entry.bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// A counts stream that discards its records.
struct NoCounts;

impl CountsStream for NoCounts {
    async fn send(&self, _: LaneId, _: CityGroup, record: Vec<u8>) -> Result<(), SendError> {
        std::hint::black_box(record);
        Ok(())
    }
}

const CONFIG: WatermarkConfig = WatermarkConfig { tick_ms: 5_000, lateness_ms: 5_000 };
const START_MS: i64 = 1_772_800_000_000;
/// The interval between two pings of a driver.
const PING_MS: i64 = 4_000;
/// One shard's share of a stream of 64 lanes.
const SHARD_LANES: u16 = 4;

/// Drivers of one city on one shard, which ping in turn.
struct Fleet {
    rng: SplitMix64,
    drivers: Vec<Driver>,
    next: usize,
    time: f64,
    watermarks: Watermarks,
    city: CityId,
    lanes: LaneCount,
    sequence: u64,
    /// Lines that are not in a record yet, by lane.
    packs: Vec<(Vec<u8>, usize)>,
}

struct Driver {
    id: String,
    lane: LaneId,
    lat: f64,
    lng: f64,
}

impl Fleet {
    fn new(drivers: usize) -> Self {
        let lanes = LaneCount::new(64).expect("a power of two");
        let mut rng = SplitMix64::new(7);
        let mut fleet = Vec::with_capacity(drivers);
        let mut number = 0_u32;
        while fleet.len() < drivers {
            number += 1;
            let id = format!("d{number:07}");
            let lane = lanes.lane_of(id.as_bytes());
            if lane.0 < SHARD_LANES {
                let (lat, lng) = (40.5 + 0.45 * rng.fraction(), -74.2 + 0.5 * rng.fraction());
                fleet.push(Driver { id, lane, lat, lng });
            }
        }
        Self {
            rng,
            drivers: fleet,
            next: 0,
            time: 0.0,
            watermarks: Watermarks::default(),
            city: CityId::new("nyc").expect("well-formed"),
            lanes,
            sequence: 0,
            packs: vec![(Vec::new(), 0); usize::from(SHARD_LANES)],
        }
    }

    /// A payload of `events` events, `pack` per record, with the watermark records between them.
    fn payload(&mut self, events: usize, pack: usize) -> Vec<u8> {
        let mut records = Vec::new();
        for _ in 0..events {
            self.time += PING_MS as f64 / self.drivers.len() as f64;
            let time = START_MS + self.time as i64 - self.rng.below(800) as i64;
            self.next = (self.next + 1) % self.drivers.len();
            let driver = &mut self.drivers[self.next];
            driver.lat += (self.rng.fraction() - 0.5) * 0.0008;
            driver.lng += (self.rng.fraction() - 0.5) * 0.0008;
            let status = if self.rng.below(10) < 6 { "available" } else { "on_trip" };
            let line = format!(
                "{{\"type\":\"driver_location\",\"id\":\"n{:x}-{}\",\"time\":\"{}\",\"city\":\"nyc\",\"driver_id\":\"{}\",\"lat\":{:.6},\"lng\":{:.6},\"status\":\"{status}\"}}\n",
                self.sequence,
                self.next,
                Timestamp::from_ms(time).expect("this century"),
                driver.id,
                driver.lat,
                driver.lng,
            );
            let lane = driver.lane;
            let (bytes, packed) = &mut self.packs[usize::from(lane.0)];
            bytes.extend_from_slice(line.as_bytes());
            *packed += 1;
            if *packed == pack {
                let bytes = std::mem::take(bytes);
                *packed = 0;
                self.push(&mut records, lane, bytes);
            }
            if let Some(watermark) = self.watermarks.observe(&self.city, time, CONFIG) {
                self.broadcast(&mut records, watermark);
            }
        }
        self.flush(&mut records);
        write(&records)
    }

    /// A payload that closes every pending tick.
    fn last_tick(&mut self) -> Vec<u8> {
        let mut records = Vec::new();
        let last = self.watermarks.at_end().next().map(|(_, watermark)| watermark);
        if let Some(CityWatermark { watermark, first_tick }) = last {
            self.broadcast(&mut records, CityWatermark { watermark: watermark + 5000, first_tick });
        }
        write(&records)
    }

    fn broadcast(&mut self, records: &mut Vec<Record>, watermark: CityWatermark) {
        self.flush(records);
        for lane in (0..SHARD_LANES).map(LaneId) {
            let record = watermark::write(lane, self.lanes, [(&self.city, watermark)]);
            self.push(records, lane, record);
        }
    }

    fn flush(&mut self, records: &mut Vec<Record>) {
        for lane in (0..SHARD_LANES).map(LaneId) {
            let (bytes, packed) = &mut self.packs[usize::from(lane.0)];
            *packed = 0;
            let bytes = std::mem::take(bytes);
            if !bytes.is_empty() {
                self.push(records, lane, bytes);
            }
        }
    }

    fn push(&mut self, records: &mut Vec<Record>, lane: LaneId, data: Vec<u8>) {
        self.sequence += 1;
        let sequence = self.sequence.into();
        records.push(Record {
            sequence,
            partition_key: lane.to_string().into(),
            data,
            arrival_ms: START_MS * 2,
        });
    }
}

fn write(records: &[Record]) -> Vec<u8> {
    let stream = Stream {
        arn: "arn:aws:kinesis:us-east-1:123456789012:stream/events".into(),
        region: "us-east-1".into(),
        role_arn: "arn:aws:iam::123456789012:role/equilibrium-count".into(),
    };
    let mut payload = Vec::new();
    Envelope::new(&stream, ShardId::numbered(0)).write(records, &mut payload);
    payload
}

/// The cost of counting a fleet.
struct Cost {
    /// Nanoseconds per event, in the median batch.
    event_ns: f64,
    /// Bytes appended per event of a known entity.
    known_bytes: f64,
    /// Bytes appended per event of a new entity.
    new_bytes: f64,
    /// Bytes of memory per entity while it pings, with the sightings that wait for their tick.
    busy_bytes: f64,
    /// Bytes of memory per entity at rest, after every sighting has met its tick.
    rest_bytes: f64,
}

fn measure(drivers: usize, pack: usize, batches: usize) -> Cost {
    let mut fleet = Fleet::new(drivers);
    let settings = CountSettings { lanes: fleet.lanes, groups: GroupCount::new(16).expect("at least one") };
    let policies =
        Arc::new(PolicySet::open(ResourceLimits { max_entities: 1 << 24, ..ResourceLimits::default() }));
    let entry_bytes = EntryBytes::default();
    let processor = LaneProcessor::new(settings, entry_bytes.clone(), NoCounts, NoOp);
    // A payload of at most 6 MB, as Lambda delivers them.
    let events = if pack == 1 { 9_000 } else { 24_000 };
    let handle = |payload: &[u8]| {
        let handled = run(equilibrium_count::handle_event(&processor, payload, &policies, 0));
        handled.expect("the payload is a Kinesis event").1
    };
    let before = alloc::allocated_bytes();
    let mut sent = 0;
    while sent < drivers {
        let payload = fleet.payload(events.min(drivers - sent), pack);
        sent += events.min(drivers - sent);
        handle(&payload);
    }
    let new_bytes = entry_bytes.0.swap(0, Ordering::Relaxed) as f64 / drivers as f64;
    // One more round, so that every sighting has met its tick and memory is stable.
    for _ in 0..(2 * drivers).div_ceil(events) {
        handle(&fleet.payload(events, pack));
    }
    let bytes_per_entity = || (alloc::allocated_bytes() - before) as f64 / processor.entities() as f64;
    let busy_bytes = bytes_per_entity();
    entry_bytes.0.store(0, Ordering::Relaxed);
    let mut counted = 0;
    let times = (0..batches).map(|_| {
        let payload = fleet.payload(events, pack);
        let start = Instant::now();
        let metrics = handle(&payload);
        let time = start.elapsed().as_secs_f64();
        assert_eq!(metrics.absorbed, events as u64, "an event was lost");
        counted += events;
        time * 1e9 / events as f64
    });
    let event_ns = median(times.collect());
    let known_bytes = entry_bytes.0.load(Ordering::Relaxed) as f64 / counted as f64;
    handle(&fleet.last_tick());
    Cost { event_ns, known_bytes, new_bytes, busy_bytes, rest_bytes: bytes_per_entity() }
}

pub fn figures() {
    let small = measure(10_000, 100, 60);
    figure("`count`, 100 events a record", &format!("{:.2} M events/s", 1e3 / small.event_ns));
    let single = measure(10_000, 1, 100);
    figure("`count`, one event a record", &format!("{:.2} M events/s", 1e3 / single.event_ns));
    let large = measure(1_000_000, 100, 120);
    figure(
        "cost per event, 1,000,000 drivers against 10,000",
        &format!(
            "{:.2}× ({:.0} ns, {:.0} ns)",
            large.event_ns / small.event_ns,
            large.event_ns,
            small.event_ns
        ),
    );
    figure(
        "bytes appended per known entity (per new entity), 10,000 drivers",
        &format!("{:.1} ({:.1})", small.known_bytes, small.new_bytes),
    );
    figure("the same, 1,000,000 drivers", &format!("{:.1} ({:.1})", large.known_bytes, large.new_bytes));
    figure(
        "bytes held per entity at rest (with its pending tick), 1,000,000 drivers",
        &format!("{:.1} ({:.1})", large.rest_bytes, large.busy_bytes),
    );
}
