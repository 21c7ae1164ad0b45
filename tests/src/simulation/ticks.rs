//! The closed ticks of a simulation, and stored maps as rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use equilibrium_app::memory::MemoryMaps;
use equilibrium_app::policy::policy_set::{CityConfig, PolicySet};
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::surge::ports::TickLog;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::map::{ClosedTick, MapHead, Row, decode_chunk};
use equilibrium_domain::time::Timestamp;
use equilibrium_local::commands::replay::tick_writer;
use parking_lot::{Mutex, MutexGuard};

use super::ready;
use super::trace::Trace;

/// The rows of each city and tick.
type TickRows = BTreeMap<(CityId, i64), Vec<String>>;

/// A tick log that requires each tick to have the same rows whenever it is recorded.
#[derive(Clone)]
pub(super) struct Ticks {
    rows: Arc<Mutex<TickRows>>,
    policies: Arc<PolicySet>,
    trace: Trace,
}

impl Ticks {
    pub(super) fn new(policies: &Arc<PolicySet>, trace: &Trace) -> Self {
        Self { rows: Arc::default(), policies: Arc::clone(policies), trace: trace.clone() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, TickRows> {
        self.rows.lock()
    }
}

impl TickLog for Ticks {
    async fn record(&self, map: &MapHead, ticks: &[ClosedTick]) -> Result<(), Unavailable> {
        let config = self.policies.city(map.city.as_str()).expect("a city with a map has a policy");
        for tick in ticks {
            // Of a run of empty ticks, which may be one over years, the last is recorded.
            let from = if tick.rows.is_empty() { tick.at } else { tick.from };
            for at_ms in (from..=tick.at).step_by(usize::try_from(tick.tick_ms).expect("positive")) {
                let rows = rows((&config, map), at_ms, &tick.rows);
                let at = Timestamp::from_ms(at_ms).map(|at| at.to_string()).unwrap_or_default();
                let (city, count, reported) = (&map.city, rows.len(), tick.lanes_reported);
                self.trace.write("tick", format_args!("city={city} at={at} rows={count} lanes={reported}"));
                if let Some(before) = self.lock().insert((map.city.clone(), at_ms), rows.clone()) {
                    assert_eq!(
                        before, rows,
                        "the tick {at} of {city} was recorded twice, with different rows"
                    );
                }
            }
        }
        Ok(())
    }
}

fn rows(map: (&CityConfig, &MapHead), at_ms: i64, rows: &[Row]) -> Vec<String> {
    let mut lines = Vec::new();
    tick_writer::append(&mut lines, map, at_ms, rows);
    let text = String::from_utf8(lines).expect("rows are UTF-8");
    text.lines().map(str::to_owned).collect()
}

/// A city's stored map as the rows of its tick; none if the city has no map.
pub(super) fn map_rows(store: &MemoryMaps, policies: &PolicySet, city: &CityId) -> Vec<String> {
    let Some(head) = ready(store.head(city)).expect("memory is available") else { return Vec::new() };
    let mut map = Vec::new();
    for name in &head.chunks {
        let chunk = ready(store.chunk(city, *name)).expect("memory is available");
        let chunk = chunk.unwrap_or_else(|| panic!("{city}: {name:?} is missing"));
        map.extend(decode_chunk(&chunk).expect("a stored chunk can be decoded"));
    }
    map.sort_by_key(|row| (head.products[usize::from(row.product)].clone(), row.cell));
    let config = policies.city(city.as_str()).expect("a city with a map has a policy");
    rows((&config, &head), head.as_of, &map)
}

/// The version of a city's map; 0 if the city has no map.
pub(super) fn map_version(store: &MemoryMaps, city: &CityId) -> u64 {
    ready(store.head(city)).expect("memory is available").map_or(0, |head| head.version)
}
