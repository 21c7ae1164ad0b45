//! One market under two policies: what is reported otherwise, tick by tick, and in all (CONTRACT §4, `compare`).
//!
//! Both sides are given the same events. A cell that a map does not list has the price 1.0 under the limits of its place, and
//! is compared by that.

mod report;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::{CityId, ProductId};
use equilibrium_domain::policy::Multiplier;
use equilibrium_domain::surge::bounds::Decided;
use equilibrium_domain::surge::map::{ClosedTick, MapHead};
use equilibrium_domain::time::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;

use crate::policy::policy_set::{CityConfig, PolicySet};
use crate::surge::ports::TickLog;
use crate::unavailable::Unavailable;

pub use self::report::Report;

/// A cell and product at a tick.
type Place = (ProductId, Cell);

/// A multiplier that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The city.
    pub city: String,
    /// The tick.
    pub at: Timestamp,
    /// The product.
    pub product: String,
    /// The cell.
    pub cell: Cell,
    /// The multiplier under the first policy; `None` if that does not have the product.
    pub a: Option<Multiplier>,
    /// The multiplier under the second policy; `None` if that does not have the product.
    pub b: Option<Multiplier>,
}

/// The figures of a comparison. Rows are the cells of a product at a tick that either side reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Rows compared.
    pub rows: u64,
    /// Rows that differ.
    pub rows_differing: u64,
    /// Pairs of city and tick with a row.
    pub ticks: u64,
    /// Pairs of city and tick with a row that differs.
    pub ticks_differing: u64,
    /// Cells of any city, product and tick.
    pub cells: u64,
    /// Those of them that differ at a tick.
    pub cells_differing: u64,
    /// The sum of the second side's multipliers minus those of the first, in hundredths, over the rows with both.
    pub sum_hundredths: i64,
    /// The rows with both.
    pub rows_of_both: u64,
    /// The greatest difference, whichever side is higher; the first of several.
    pub greatest: Option<Difference>,
    /// Of each side, the time of rows above 1.0, in milliseconds: an hour of two cells is two hours.
    pub surging_ms: [i64; 2],
    /// Of each side, the time of rows that a limit or a law decides.
    pub limited_ms: [i64; 2],
}

impl Figures {
    /// The mean difference over the rows with both.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a mean for people")]
    pub fn mean(&self) -> f64 {
        self.sum_hundredths as f64 / 100.0 / self.rows_of_both.max(1) as f64
    }
}

/// The multiplier of a row, and whether a limit or a law decided it.
type Reported = (Multiplier, bool);

/// The ticks of one city that one side has closed and the other has not.
#[derive(Debug, Default)]
struct CityTicks {
    /// Without the ticks that report nothing.
    waiting: [VecDeque<(i64, BTreeMap<Place, Reported>)>; 2],
    closed_ms: [Option<i64>; 2],
    cells: BTreeMap<Place, bool>,
}

#[derive(Debug, Default)]
struct State {
    cities: BTreeMap<CityId, CityTicks>,
    figures: Figures,
    differences: Vec<Difference>,
}

/// A comparison under way.
#[derive(Debug)]
pub struct Comparison {
    policies: [Arc<PolicySet>; 2],
    state: Mutex<State>,
}

/// One side's closed ticks: the tick log of its pipeline.
#[derive(Clone, Debug)]
pub struct ComparedSide {
    comparison: Arc<Comparison>,
    /// 0 or 1.
    side: usize,
}

impl Comparison {
    /// The tick logs of both sides, whose cities have these policies. A city that one of them lacks is not compared.
    #[must_use]
    pub fn new(policies: [Arc<PolicySet>; 2]) -> (Arc<Self>, [ComparedSide; 2]) {
        let comparison = Arc::new(Self { policies, state: Mutex::default() });
        let sides = [0, 1].map(|side| ComparedSide { comparison: Arc::clone(&comparison), side });
        (comparison, sides)
    }

    /// The differences of the ticks that both sides have closed since the last call: of a city in the order of tick, product
    /// and cell.
    #[must_use]
    pub fn take_differences(&self) -> Vec<Difference> {
        std::mem::take(&mut self.state.lock().differences)
    }

    /// Compares what one side alone has closed, and returns the figures. Both have seen all events.
    #[must_use]
    pub fn end(&self) -> Figures {
        let mut state = self.state.lock();
        let cities: Vec<CityId> = state.cities.keys().cloned().collect();
        for city in cities {
            self.compare(&mut state, &city, i64::MAX);
        }
        let cells = state.cities.values().flat_map(|city| city.cells.values());
        let (all, differing) =
            cells.fold((0, 0), |(all, differing), differs| (all + 1, differing + u64::from(*differs)));
        state.figures.cells = all;
        state.figures.cells_differing = differing;
        state.figures.clone()
    }

    fn record(&self, side: usize, map: &MapHead, ticks: &[ClosedTick]) {
        let (Some(config), Some(_)) =
            (self.policies[side].city(map.city.as_str()), self.policies[1 - side].city(map.city.as_str()))
        else {
            return;
        };
        let mut state = self.state.lock();
        let city = state.cities.entry(map.city.clone()).or_default();
        for tick in ticks {
            for at in tick.instants().take_while(|_| !tick.rows.is_empty()) {
                city.waiting[side].push_back((at, reported(&config, map, at, tick)));
            }
            city.closed_ms[side] = Some(tick.at);
        }
        if let [Some(one), Some(other)] = city.closed_ms {
            self.compare(&mut state, &map.city, one.min(other));
        }
    }

    /// Compares the ticks of a city up to `until_ms`, which both sides have closed.
    fn compare(&self, state: &mut State, city: &CityId, until_ms: i64) {
        let State { cities, figures, differences } = state;
        let configs = self.policies.each_ref().map(|policies| policies.city(city.as_str()));
        let ([Some(one), Some(other)], Some(ticks)) = (configs, cities.get_mut(city)) else { return };
        let configs = [one, other];
        let tick_ms = configs.each_ref().map(|config| config.pricing.policy.clock.tick_ms);
        loop {
            let next = |side: usize| ticks.waiting[side].front().map(|(at, _)| *at);
            let Some(at) = [0, 1].into_iter().filter_map(next).min().filter(|at| *at <= until_ms) else {
                return;
            };
            let rows = ticks.waiting.each_mut().map(|waiting| {
                waiting.pop_front_if(|(of, _)| *of == at).map(|(_, rows)| rows).unwrap_or_default()
            });
            // With other ticks on each side, only those of both are compared.
            if tick_ms.iter().any(|tick_ms| at % tick_ms != 0) {
                continue;
            }
            let of_tick = Tick { city, at, configs: &configs, step_ms: tick_ms[0].max(tick_ms[1]) };
            of_tick.compare(&rows, &mut ticks.cells, figures, differences);
        }
    }
}

impl TickLog for ComparedSide {
    async fn record(&self, map: &MapHead, ticks: &[ClosedTick]) -> Result<(), Unavailable> {
        self.comparison.record(self.side, map, ticks);
        Ok(())
    }
}

/// What a side reports at a tick.
fn reported(config: &CityConfig, map: &MapHead, at: i64, tick: &ClosedTick) -> BTreeMap<Place, Reported> {
    let bounds = config.bounds.in_force(at);
    let rows = tick.rows.iter().filter_map(|row| {
        let id = &map.products[usize::from(row.product)];
        let product = product_of(config, id)?;
        let (multiplier, decided) = bounds.at(product, row.cell).report(row.published);
        Some(((id.clone(), row.cell), (multiplier, decided == Decided::Limit)))
    });
    rows.collect()
}

/// The price of a cell that is not in the map; `None` if the policy does not have the product.
fn unreported(config: &CityConfig, at: i64, (product, cell): &Place) -> Option<Reported> {
    let product = product_of(config, product)?;
    let (multiplier, decided) = config.bounds.in_force(at).at(product, *cell).report(Multiplier::ONE.into());
    Some((multiplier, decided == Decided::Limit))
}

fn product_of(config: &CityConfig, id: &ProductId) -> Option<usize> {
    config.pricing.policy.products.iter().position(|product| product.id == *id)
}

/// A tick that both sides have closed.
struct Tick<'a> {
    city: &'a CityId,
    at: i64,
    configs: &'a [CityConfig; 2],
    /// The time from one compared tick to the next.
    step_ms: i64,
}

impl Tick<'_> {
    fn compare(
        &self,
        rows: &[BTreeMap<Place, Reported>; 2],
        cells: &mut BTreeMap<Place, bool>,
        figures: &mut Figures,
        differences: &mut Vec<Difference>,
    ) {
        let places: BTreeSet<&Place> = rows.iter().flat_map(BTreeMap::keys).collect();
        let known = differences.len();
        for place in &places {
            let values = [0, 1].map(|side| {
                let row = rows[side].get(*place).copied();
                row.or_else(|| unreported(&self.configs[side], self.at, place))
            });
            for (side, (multiplier, is_limited)) in
                values.iter().enumerate().filter_map(|(side, value)| Some((side, (*value)?)))
            {
                figures.surging_ms[side] += if multiplier > Multiplier::ONE { self.step_ms } else { 0 };
                figures.limited_ms[side] += if is_limited { self.step_ms } else { 0 };
            }
            let [a, b] = values.map(|value| value.map(|(multiplier, _)| multiplier));
            let differs = a != b;
            *cells.entry((*place).clone()).or_default() |= differs;
            figures.rows += 1;
            if let (Some(a), Some(b)) = (a, b) {
                figures.rows_of_both += 1;
                figures.sum_hundredths += i64::from(b.hundredths()) - i64::from(a.hundredths());
            }
            if differs {
                differences.push(self.difference(place, a, b));
            }
        }
        figures.ticks += u64::from(!places.is_empty());
        figures.ticks_differing += u64::from(differences.len() > known);
        figures.rows_differing += (differences.len() - known) as u64;
        for difference in &differences[known..] {
            if difference.hundredths() > figures.greatest.as_ref().map_or(0, Difference::hundredths) {
                figures.greatest = Some(difference.clone());
            }
        }
    }

    fn difference(
        &self,
        (product, cell): &Place,
        a: Option<Multiplier>,
        b: Option<Multiplier>,
    ) -> Difference {
        let at = Timestamp::from_ms(self.at).unwrap_or(Timestamp::END_OF_TIME);
        Difference { city: self.city.to_string(), at, product: product.to_string(), cell: *cell, a, b }
    }
}

impl Difference {
    /// How far the sides are apart, in hundredths; 0 if one of them has no value.
    #[must_use]
    pub fn hundredths(&self) -> u16 {
        self.a.zip(self.b).map_or(0, |(a, b)| a.hundredths().abs_diff(b.hundredths()))
    }
}
