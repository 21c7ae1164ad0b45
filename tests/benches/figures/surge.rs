//! The `surge` handler: the counts of 64 lanes at a tick in; the map, its chunks and changes out.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use equilibrium_app::checkpoint::ports::CheckpointKey;
use equilibrium_app::history::explainer::{Question, observe};
use equilibrium_app::memory::{MemoryCheckpoints, MemoryMaps, NoOp};
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::surge::city_processor::{CityProcessor, SurgeSinks};
use equilibrium_app::surge::ports::TickLog;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::count::sightings::{Contact, Count, Place};
use equilibrium_domain::count::tick_counts::{self, CityCounts, TickCountsWriter};
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::{CityId, LaneCount, ProductId};
use equilibrium_domain::surge::map::{ClosedTick, MapHead};
use equilibrium_lambda::kinesis::encode::{Envelope, Stream};
use equilibrium_lambda::kinesis::record::{Record, ShardId};
use h3o::{CellIndex, LatLng, Resolution};

use equilibrium_simulator::rng::SplitMix64;

use crate::{figure, median, run};

const TICK_MS: i64 = 5000;

/// A tick log that counts the rows of the last tick.
#[derive(Default)]
struct RowCount(AtomicUsize);

impl TickLog for RowCount {
    async fn record(&self, _: &MapHead, ticks: &[ClosedTick]) -> Result<(), Unavailable> {
        self.0.store(ticks.last().map_or(0, |tick| tick.rows.len()), Ordering::Relaxed);
        Ok(())
    }
}

/// A driver or rider in a cell.
struct Entity {
    lane: usize,
    cell: CellIndex,
    rider: bool,
}

pub fn figures() {
    let lanes = LaneCount::new(64).expect("a power of two");
    let centre = LatLng::new(40.75, -73.98).expect("on Earth").to_cell(Resolution::Eight);
    // 55 rings: with the cells that smoothing adds at the border, a little over 10 000 cells are reported.
    let cells: Vec<CellIndex> = centre.grid_disk(55);
    let inside: HashSet<CellIndex> = cells.iter().copied().collect();
    let mut rng = SplitMix64::new(3);
    let mut entities: Vec<Entity> = (0..13_000)
        .map(|number| Entity {
            lane: number % 64,
            cell: cells[rng.below(cells.len())],
            rider: number % 13 > 9,
        })
        .collect();
    let policies = Arc::new(PolicySet::open(ResourceLimits::default()));
    let sinks = SurgeSinks {
        maps: MemoryMaps::default(),
        cache: MemoryMaps::default(),
        changes: NoOp,
        ticks: RowCount::default(),
    };
    let checkpoints = MemoryCheckpoints::keeping_past();
    let processor = CityProcessor::new(checkpoints.clone(), sinks);
    let mut sequence = 0;
    let mut times = Vec::new();
    let mut rows = 0;
    let mut kept = (0, 0);
    for tick in 1..=200 {
        for entity in &mut entities {
            // About half of the entities have moved since the last tick; then a twelfth, as vehicles of a city do.
            if rng.below(if tick <= 80 { 2 } else { 12 }) == 0 {
                let around: Vec<CellIndex> = entity.cell.grid_disk(1);
                let next = around[rng.below(around.len())];
                if inside.contains(&next) {
                    entity.cell = next;
                }
            }
        }
        let payload = payload(&entities, lanes, tick * TICK_MS, &mut sequence);
        let start = Instant::now();
        let handled = run(equilibrium_surge::handle_event(&processor, &payload, &policies, 0));
        if tick <= 80 {
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        if tick == 70 {
            past(&checkpoints, "every second entity moved", &mut kept);
        }
        assert_eq!(handled.expect("the payload is a Kinesis event").1.ticks, 1);
        rows = processor.ticks().0.load(Ordering::Relaxed);
    }
    past(&checkpoints, "every twelfth", &mut kept);
    explanations(&checkpoints, 200 * TICK_MS, centre);
    let steady = times.split_off(20);
    figure(
        &format!("`surge`, a tick of {rows} reported cells from 64 lanes, every second entity moved"),
        &format!("{:.2} ms", median(steady)),
    );
}

/// The bytes that the log keeps of a past tick, beyond those that were `kept` before, and the time of an explanation.
fn past(checkpoints: &MemoryCheckpoints, what: &str, kept: &mut (usize, u64)) {
    let key = CheckpointKey::City(CityId::new("nyc").expect("well-formed"));
    let (bytes, entries) = checkpoints.past_bytes(&key);
    let each = (bytes - kept.0) as u64 / (entries - kept.1).max(1);
    figure(&format!("kept of a past tick of the same city, {what}"), &format!("{each} bytes"));
    *kept = (bytes, entries);
}

/// The time of explanations of random ticks.
fn explanations(checkpoints: &MemoryCheckpoints, last: i64, cell: CellIndex) {
    let mut rng = SplitMix64::new(5);
    let city = CityId::new("nyc").expect("well-formed");
    for (when, ticks) in [("the newest tick", 1), ("a tick of a packed segment", 100)] {
        let mut times = Vec::new();
        for _ in 0..20 {
            let back = rng.below(ticks) + if ticks > 1 { 70 } else { 0 };
            let at = Some(last - i64::try_from(back).expect("few") * TICK_MS);
            let question = Question { city: city.clone(), cell: Cell(cell.into()), product: None, at };
            let start = Instant::now();
            let observed = run(observe(checkpoints, &question, last)).expect("a log in memory is available");
            times.push(start.elapsed().as_secs_f64() * 1e3);
            assert_eq!(observed.map(|observed| observed.at), at);
        }
        figure(&format!("an explanation of {when}, of the same city"), &format!("{:.1} ms", median(times)));
    }
}

fn payload(entities: &[Entity], lanes: LaneCount, at: i64, sequence: &mut u64) -> Vec<u8> {
    let mut counts = vec![[BTreeMap::<Place, u32>::new(), BTreeMap::new()]; 64];
    for entity in entities {
        let place = Place { cell: entity.cell.into(), products: 1 };
        *counts[entity.lane][usize::from(entity.rider)].entry(place).or_default() += 1;
    }
    let mut records = Vec::new();
    for (lane, [supply, demand]) in lanes.iter().zip(counts) {
        let mut ticks = TickCountsWriter::default();
        let count = |(place, entities)| Count { place, entities };
        ticks.add_tick(
            at,
            TICK_MS,
            Contact::default(),
            supply.into_iter().map(count),
            demand.into_iter().map(count),
        );
        let section = CityCounts {
            city: CityId::new("nyc").expect("well-formed"),
            products: vec![ProductId::new("standard").expect("well-formed")].into(),
            ticks,
        };
        for data in tick_counts::records(lane, lanes, vec![section]) {
            *sequence += 1;
            records.push(Record {
                sequence: (*sequence).into(),
                partition_key: "0".into(),
                data,
                arrival_ms: at,
            });
        }
    }
    let stream = Stream {
        arn: "arn:aws:kinesis:us-east-1:123456789012:stream/counts".into(),
        region: "us-east-1".into(),
        role_arn: "arn:aws:iam::123456789012:role/equilibrium-surge".into(),
    };
    let mut payload = Vec::new();
    Envelope::new(&stream, ShardId::numbered(0)).write(&records, &mut payload);
    payload
}
