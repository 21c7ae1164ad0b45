//! Adds what is reported at each tick to the figures of its local day.
//!
//! A tick is added once: an instance that has added the tick before has the figures in memory, any other one reads them
//! with the version up to which they were added. What is delivered again is in them already.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::city_pricing::Output;
use equilibrium_domain::surge::daily::{DayFigures, KEPT_DAYS, LocalDay, Sample};
use equilibrium_domain::surge::laws::first_day_needed;
use equilibrium_domain::surge::map::ClosedTick;
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::laws::ports::DayStore;
use crate::policy::bounds::CityBounds;
use crate::price::ports::MapStore;
use crate::price::report::{FrozenMaps, ReportedTick};
use crate::unavailable::Unavailable;

const DAY_MS: i64 = 86_400_000;

/// The newest day of each city that this instance has added ticks to.
#[derive(Debug, Default)]
pub struct DayKeeper(Mutex<HashMap<CityId, Newest>>);

type Newest = (LocalDay, Arc<DayFigures>);

/// Ticks of a run with the same rows, the same bounds and the same day.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    day: LocalDay,
    ticks: u64,
    /// The version of the last one.
    version: u64,
}

impl DayKeeper {
    /// Adds the ticks of an output of a city with these bounds. The figures of a day that has ended are in force in `bounds`
    /// when this returns.
    ///
    /// # Errors
    /// [`Unavailable`]: the same output may be added again.
    pub async fn keep<S: MapStore + DayStore>(
        &self,
        store: &S,
        output: &Output,
        bounds: &CityBounds,
    ) -> Result<(), Unavailable> {
        let city = &output.map.city;
        let newest = self.0.lock().get(city).cloned();
        let mut adding = Adding { store, output, bounds, newest, changed: BTreeMap::new() };
        for tick in &output.ticks {
            adding.tick(tick).await?;
        }
        let Adding { newest, changed, .. } = adding;
        // A later day shows that the earlier ones are complete.
        for (day, figures) in changed {
            store.save_day(city, day, &figures).await?;
        }
        if let Some(newest) = newest {
            self.0.lock().insert(city.clone(), newest);
        }
        Ok(())
    }
}

struct Adding<'a, S> {
    store: &'a S,
    output: &'a Output,
    bounds: &'a CityBounds,
    newest: Option<Newest>,
    changed: BTreeMap<LocalDay, Arc<DayFigures>>,
}

impl<S: MapStore + DayStore> Adding<'_, S> {
    async fn tick(&mut self, tick: &ClosedTick) -> Result<(), Unavailable> {
        let (began_ms, step) = (self.output.map.began_ms, tick.tick_ms);
        let zone = &self.bounds.policy().timezone;
        let is_empty = tick.rows.is_empty() && self.bounds.freezes().is_empty();
        // Days that are not kept are not added up, and ticks without a row add nothing.
        let kept_ms = if is_empty { 0 } else { i64::from(KEPT_DAYS) * DAY_MS };
        let mut at = tick.from.max(tick.at - kept_ms / step * step);
        let version_at = |at: i64| tick.version - ((tick.at - at) / step).unsigned_abs();
        self.pass_over(version_at(tick.from)..version_at(at));
        while at <= tick.at {
            let day = LocalDay::of(at, zone);
            let version = version_at(at);
            let figures = self.figures(day, version).await?;
            if figures.includes(began_ms, version) {
                let included = figures.version - version + 1;
                at = at.saturating_add(i64::try_from(included).unwrap_or(i64::MAX).saturating_mul(step));
                continue;
            }
            let in_force = self.bounds.in_force(at);
            let end = in_force.until_ms().min(day.plus(1).start_ms(zone)).max(at + 1);
            let more = (end - 1).min(tick.at).saturating_sub(at) / step;
            let ticks = more.unsigned_abs() + 1;
            let frozen = FrozenMaps::read(self.store, &self.output.map.city, in_force.bounds(), at).await?;
            let reported = ReportedTick { at, bounds: &in_force, frozen: &frozen };
            self.add(
                figures,
                &reported,
                tick,
                Stretch { day, ticks, version: version + more.unsigned_abs() },
            );
            at += (more + 1) * step;
        }
        Ok(())
    }

    /// Takes ticks that add nothing as added, if those before them are.
    fn pass_over(&mut self, versions: Range<u64>) {
        if let Some((_, figures)) = &mut self.newest
            && figures.began_ms == self.output.map.began_ms
            && figures.version + 1 >= versions.start
            && figures.version + 1 < versions.end
        {
            Arc::make_mut(figures).version = versions.end - 1;
        }
    }

    /// The figures of a day before the tick of this version.
    async fn figures(&mut self, day: LocalDay, version: u64) -> Result<Arc<DayFigures>, Unavailable> {
        let began_ms = self.output.map.began_ms;
        if let Some((newest, figures)) = &self.newest
            && figures.began_ms == began_ms
            && (figures.version + 1 == version || *newest == day && figures.version >= version)
        {
            if *newest == day {
                return Ok(Arc::clone(figures));
            }
            if first_day_needed(self.bounds.policy(), day.start_ms(&self.bounds.policy().timezone)).is_some()
            {
                self.bounds.days().learn(*newest, figures);
            }
            return Ok(Arc::default());
        }
        let stored = self.store.days(&self.output.map.city, day, day).await?.pop();
        Ok(stored.map(|(_, figures)| Arc::new(figures)).unwrap_or_default())
    }

    fn add(
        &mut self,
        mut figures: Arc<DayFigures>,
        reported: &ReportedTick<'_>,
        tick: &ClosedTick,
        stretch: Stretch,
    ) {
        let (policy, map) = (self.bounds.policy(), &self.output.map);
        let cells = reported.cells(policy, &map.products, &tick.rows);
        let of_policy = |index: usize| {
            let id = &map.products[index];
            policy.products.iter().position(|product| product.id == *id)
        };
        let samples = cells.iter().enumerate().filter_map(|(index, cells)| Some((of_policy(index)?, cells)));
        let samples = samples.flat_map(|(product, cells)| {
            cells.iter().map(move |cell| Sample {
                product,
                zone: cell.zone,
                multiplier: cell.multiplier,
                demand: cell.demand,
            })
        });
        let added = Arc::make_mut(&mut figures);
        added.add(policy, samples, stretch.ticks, (map.began_ms, stretch.version));
        self.changed.insert(stretch.day, Arc::clone(&figures));
        self.newest = Some((stretch.day, figures));
    }
}
