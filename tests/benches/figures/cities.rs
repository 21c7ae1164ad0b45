//! The memory of a city without entities: in `count` for each of its lanes, and in `surge`.

use std::sync::Arc;

use equilibrium_domain::count::config::CountingConfig;
use equilibrium_domain::count::lane_range::LaneRange;
use equilibrium_domain::count::range_state::LaneRangeState;
use equilibrium_domain::count::tick_counts::{open, records};
use equilibrium_domain::event::sequence::Sequence;
use equilibrium_domain::event::watermark::CityWatermark;
use equilibrium_domain::event_sourced::EventSourced;
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::surge::city_pricing::{CityPricing, PricingConfig};
use equilibrium_simulator::city::policy;

use crate::{alloc, figure};

const CITIES: usize = 20_000;
const START_MS: i64 = 1_772_800_000_000;
const TICK_MS: i64 = 5_000;

pub fn figures() {
    let lanes = LaneCount::new(64).expect("a power of two");
    let range = LaneRange::new(lanes, 0).expect("the first range");
    let policy = policy::policy();
    let configs: Vec<Arc<CountingConfig>> =
        (0..CITIES).map(|_| Arc::new(CountingConfig::of(&policy, 1_000_000))).collect();
    let names: Vec<CityId> =
        (0..CITIES).map(|number| CityId::new(&format!("city-{number}")).expect("well-formed")).collect();

    let before = alloc::allocated_bytes();
    let mut state = LaneRangeState::new(range);
    let mut number = 0_u64;
    let mut tick = |state: &mut LaneRangeState| {
        number += 1;
        let at = START_MS + TICK_MS * number as i64;
        state.begin_batch(at);
        for lane in range.lanes() {
            let lane = state.lane_mut(lane).expect("a lane of the range");
            for (name, config) in names.iter().zip(&configs) {
                let city = lane.city_mut(name, config);
                lane.advance_watermark(city, &CityWatermark { watermark: at, first_tick: START_MS });
            }
        }
        drop(state.seal_entry(Sequence::from(number).borrowed()));
        state.take_output()
    };
    tick(&mut state);
    let output = tick(&mut state).expect("every city has a tick");
    let sections = records(LaneId(0), lanes, output.into_iter().next().expect("the first lane").1);
    let per_lane = CITIES * range.lanes().count();
    let held = (alloc::allocated_bytes() - before) as f64 / per_lane as f64;
    figure("bytes held in `count` per lane for a city without entities", &format!("{held:.0}"));
    drop(state);

    let section = open(&sections[0]).expect("a record that was just written");
    let config = Arc::new(PricingConfig { policy, max_hold_ms: 1_000 });
    let before = alloc::allocated_bytes();
    let mut cities = Vec::with_capacity(100);
    for name in names.iter().take(100) {
        let mut city = CityPricing::new(name.clone(), Arc::clone(&config));
        city.begin_batch(START_MS);
        for lane in lanes.iter() {
            city.absorb((lane, lanes), &section.cities[0], START_MS).expect("counts that were just written");
        }
        drop(city.seal_entry(Sequence::from(1).borrowed()));
        drop(city.take_output());
        cities.push(city);
    }
    let held = (alloc::allocated_bytes() - before) as f64 / cities.len() as f64;
    figure("bytes held in `surge` for a city of 64 lanes without entities", &format!("{held:.0}"));
}
