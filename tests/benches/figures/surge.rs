//! The `surge` handler: the counts of 64 lanes at a tick in; the map, its chunks and changes out.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use equilibrium_app::memory::{MemoryCheckpoints, MemoryMaps, NoOp};
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::surge::city_processor::{CityProcessor, SurgeSinks};
use equilibrium_app::surge::ports::TickLog;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::count::sightings::{Contact, Count, Place};
use equilibrium_domain::count::tick_counts::{self, CityCounts, TickCountsWriter};
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
    let processor = CityProcessor::new(MemoryCheckpoints::default(), sinks);
    let mut sequence = 0;
    let mut times = Vec::new();
    let mut rows = 0;
    for tick in 1..=80 {
        for entity in &mut entities {
            // About half of the entities have moved since the last tick.
            if rng.below(2) == 0 {
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
        times.push(start.elapsed().as_secs_f64() * 1e3);
        assert_eq!(handled.expect("the payload is a Kinesis event").1.ticks, 1);
        rows = processor.ticks().0.load(Ordering::Relaxed);
    }
    let steady = times.split_off(20);
    figure(
        &format!("`surge`, a tick of {rows} reported cells from 64 lanes, every second entity moved"),
        &format!("{:.2} ms", median(steady)),
    );
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
