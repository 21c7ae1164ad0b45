//! The figures of the days of a process.

use equilibrium_app::laws::ports::DayStore;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::daily::{DayFigures, LocalDay};

use crate::database::Row;
use crate::store::Store;

/// They are written behind, with the log that they are taken from.
impl DayStore for Store {
    async fn save_day(&self, city: &CityId, day: LocalDay, figures: &DayFigures) -> Result<(), Unavailable> {
        let mut state = self.shared().state.lock();
        let Some(expired) = state.days.save(city, day, figures) else { return Ok(()) };
        if let Some(pending) = &mut state.pending {
            let rows = &mut pending.changes.rows;
            rows.insert(Row::Day(city.clone(), day), Some(figures.encode()));
            rows.extend(expired.into_iter().map(|day| (Row::Day(city.clone(), day), None)));
            self.shared().changed.notify_one();
        }
        Ok(())
    }

    async fn days(
        &self,
        city: &CityId,
        from: LocalDay,
        to: LocalDay,
    ) -> Result<Vec<(LocalDay, DayFigures)>, Unavailable> {
        Ok(self.shared().state.lock().days.days(city, from, to))
    }
}
