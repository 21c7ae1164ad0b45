//! The maps at the starts of freezes: saved by pricing before the first map that comes after them.

use std::collections::HashSet;

use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::city_pricing::Output;
use equilibrium_domain::surge::frozen_map::FrozenMap;
use equilibrium_domain::surge::map::{ClosedTick, decode_chunk};
use parking_lot::Mutex;

use crate::price::ports::{Consistency, MapStore};
use crate::unavailable::Unavailable;

/// The freezes whose maps this instance has saved or found.
#[derive(Debug, Default)]
pub(super) struct SavedFreezes(Mutex<HashSet<(CityId, i64)>>);

/// Freezes that are remembered; an instance that has forgotten some asks the store again.
const MAX_REMEMBERED: usize = 1_024;

impl SavedFreezes {
    /// Saves the map of each freeze, of those with these starts, that began before the newest tick of `output`: the rows of
    /// the last tick up to its start. The map of `output` must not have been saved before: the store's is that of the tick
    /// before.
    pub(super) async fn save(
        &self,
        maps: &impl MapStore,
        output: &Output,
        starts: &[i64],
    ) -> Result<(), Unavailable> {
        let city = &output.map.city;
        for start_ms in starts.iter().copied().filter(|start_ms| *start_ms < output.map.as_of) {
            let key = (city.clone(), start_ms);
            if self.0.lock().contains(&key) {
                continue;
            }
            if maps.frozen(city, start_ms).await?.is_none() {
                let frozen = frozen_map(maps, output, start_ms).await?;
                maps.save_frozen(city, start_ms, &frozen).await?;
            }
            let mut saved = self.0.lock();
            if saved.len() == MAX_REMEMBERED {
                saved.clear();
            }
            saved.insert(key);
        }
        Ok(())
    }
}

async fn frozen_map(maps: &impl MapStore, output: &Output, start_ms: i64) -> Result<FrozenMap, Unavailable> {
    let is_before = |tick: &&ClosedTick| tick.from <= start_ms;
    if let Some(tick) = output.ticks.iter().rev().find(is_before) {
        return Ok(FrozenMap::new(output.map.products.clone(), tick.rows.clone()));
    }
    let Some(head) = maps.head(&output.map.city).await? else { return Ok(FrozenMap::default()) };
    let names: Vec<_> = head.chunks.iter().map(|name| (head.city.clone(), *name)).collect();
    let mut rows = Vec::new();
    for chunk in maps.chunks(&names, Consistency::Strong).await? {
        // Without a chunk the map would freeze other multipliers than were published.
        let chunk = chunk.ok_or(Unavailable)?;
        rows.extend(decode_chunk(&chunk).map_err(|_| Unavailable)?);
    }
    Ok(FrozenMap::new(head.products, rows))
}
