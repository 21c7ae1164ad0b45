//! The store of the figures of days in memory.

use std::collections::BTreeMap;

use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::daily::{DayFigures, KEPT_DAYS, LocalDay};

use super::shared::Shared;
use crate::laws::ports::DayStore;
use crate::unavailable::Unavailable;

/// The figures of days as plain data.
#[derive(Debug, Default)]
pub struct DayTable(BTreeMap<CityId, BTreeMap<LocalDay, DayFigures>>);

impl DayTable {
    /// See [`DayStore::save_day`]. Returns the days that have expired, or `None` if nothing was saved.
    pub fn save(&mut self, city: &CityId, day: LocalDay, figures: &DayFigures) -> Option<Vec<LocalDay>> {
        let days = self.0.entry(city.clone()).or_default();
        if days.get(&day).is_some_and(|stored| stored.includes(figures.began_ms, figures.version)) {
            return None;
        }
        days.insert(day, figures.clone());
        let kept = days.split_off(&day.plus(-KEPT_DAYS));
        Some(std::mem::replace(days, kept).into_keys().collect())
    }

    /// See [`DayStore::days`].
    #[must_use]
    pub fn days(&self, city: &CityId, from: LocalDay, to: LocalDay) -> Vec<(LocalDay, DayFigures)> {
        let days = self.0.get(city).filter(|_| from <= to).into_iter().flat_map(|days| days.range(from..=to));
        days.map(|(day, figures)| (*day, figures.clone())).collect()
    }
}

/// The figures of days in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryDays(Shared<DayTable>);

impl DayStore for MemoryDays {
    async fn save_day(&self, city: &CityId, day: LocalDay, figures: &DayFigures) -> Result<(), Unavailable> {
        self.0.lock().save(city, day, figures);
        Ok(())
    }

    async fn days(
        &self,
        city: &CityId,
        from: LocalDay,
        to: LocalDay,
    ) -> Result<Vec<(LocalDay, DayFigures)>, Unavailable> {
        Ok(self.0.lock().days(city, from, to))
    }
}
