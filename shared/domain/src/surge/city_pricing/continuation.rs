//! A city whose map has outlived its log: the log expired, or was restarted without what could not be read.

use std::sync::Arc;

use super::{CityPricing, PricingConfig, op};
use crate::id::CityId;
use crate::surge::map::MapHead;
use crate::wire::{Corrupt, Reader, put_varint_i64, put_varint_u64};

impl CityPricing {
    /// A city whose log has no state any more, but whose map has: its ticks and versions continue after those of `map`.
    /// Multipliers begin again.
    #[must_use]
    pub fn continuing(city: CityId, config: Arc<PricingConfig>, map: &MapHead) -> Self {
        let mut city = Self::new(city, config);
        city.steps.push(op::CONTINUED);
        put_varint_u64(&mut city.steps, map.version);
        put_varint_i64(&mut city.steps, map.as_of);
        put_varint_i64(&mut city.steps, map.began_ms);
        city.continue_map(map.version, map.as_of, map.began_ms);
        city
    }

    fn continue_map(&mut self, version: u64, as_of: i64, began_ms: i64) {
        (self.version, self.version_before) = (version, version);
        (self.closed, self.began_ms) = (Some(as_of), Some(began_ms));
        self.next = self.find_next();
    }

    pub(super) fn replay_continuation(&mut self, entry: &mut Reader<'_>) -> Result<(), Corrupt> {
        let version = entry.varint_u64("a version")?;
        let as_of = entry.instant("a tick")?;
        self.continue_map(version, as_of, entry.instant("an arrival time")?);
        Ok(())
    }
}
