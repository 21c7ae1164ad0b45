//! One cell and product, observed while a log is replayed: what its price at a tick was computed from.

use std::sync::Arc;

use super::{CityPricing, PricingConfig};
use crate::geo::locate::Cell;
use crate::id::ProductId;
use crate::surge::feed_guard::{Feed, FeedGuard};
use crate::surge::grid::Around;
use crate::surge::multiplier::MultiplierState;

/// A cell and product to observe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The cell, of the resolution of the city.
    pub cell: Cell,
    /// The product; `None` is the policy's first.
    pub product: Option<ProductId>,
    /// The newest tick at or before this is observed, in milliseconds since the epoch.
    pub until: i64,
}

/// What the price of a cell and product at a tick was computed from.
#[derive(Clone, Debug)]
pub struct CellAtTick {
    /// The configuration in force.
    pub config: Arc<PricingConfig>,
    /// The index of the product in the policy.
    pub product: usize,
    /// The cell.
    pub cell: Cell,
    /// The tick, in milliseconds since the epoch.
    pub at: i64,
    /// The map's version at this tick.
    pub version: u64,
    /// The cells around it in which an entity counts, itself included, ring by ring.
    pub around: Vec<Around>,
    /// The multiplier before the tick; its raw value has no meaning.
    pub before: MultiplierState,
    /// The guard at the end of the tick.
    pub guard: GuardAtTick,
}

/// The feed guard at the end of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardAtTick {
    /// Whether it is on.
    pub feed: Feed,
    /// The drivers in touch.
    pub reporting: u64,
    /// The drivers lost at the ticks that count.
    pub lost: u64,
}

/// The watch, and what has been observed so far.
#[derive(Debug)]
pub(super) struct Observer {
    watch: Watch,
    observed: Option<CellAtTick>,
    /// The guard before a run of ticks.
    guard: FeedGuard,
}

impl CityPricing {
    /// The newest closed tick, in milliseconds since the epoch.
    #[must_use]
    pub fn as_of(&self) -> Option<i64> {
        self.closed
    }

    /// Observes the ticks that close from here on.
    pub(super) fn observe_ticks(&mut self, watch: &Watch) {
        if self.observer.as_ref().is_none_or(|observer| observer.watch != *watch) {
            let watch = watch.clone();
            self.observer = Some(Box::new(Observer { watch, observed: None, guard: FeedGuard::default() }));
        }
    }

    /// The newest tick that was observed.
    #[must_use]
    pub fn observed(&self) -> Option<&CellAtTick> {
        self.observer.as_ref()?.observed.as_ref()
    }

    /// Keeps the guard as it is before a run of ticks.
    pub(super) fn observe_guard(&mut self) {
        if let Some(observer) = &mut self.observer {
            observer.guard.clone_from(&self.guard);
        }
    }

    /// The multiplier that is observed before the ticks from `from` on are priced; `None` if they are not observed.
    pub(super) fn observe_before(&self, from: i64) -> Option<(usize, MultiplierState)> {
        let watch = &self.observer.as_ref()?.watch;
        if from > watch.until {
            return None;
        }
        let products = &self.config.policy.products;
        let product = match &watch.product {
            Some(id) => products.iter().position(|product| product.id == *id)?,
            None => 0,
        };
        Some((product, self.grid.multiplier(watch.cell, product)))
    }

    /// Observes the newest of the ticks `from..=at` that the watch includes; the multiplier moves at none but the first.
    pub(super) fn observe(&mut self, from: i64, at: i64, (product, before): (usize, MultiplierState)) {
        let tick_ms = self.config.policy.clock.tick_ms;
        let guard_config = self.guard_config();
        let Some(observer) = &mut self.observer else { return };
        let tick = from + (at.min(observer.watch.until) - from).div_euclid(tick_ms) * tick_ms;
        let cell = observer.watch.cell;
        let reporting = self.lanes.iter().map(|lane| u64::from(lane.in_touch)).sum();
        let guard = if tick == at {
            GuardAtTick { feed: self.guard.feed(), reporting, lost: self.guard.lost() }
        } else {
            let feed = observer.guard.skip(from, tick, &guard_config);
            GuardAtTick { feed, reporting, lost: observer.guard.lost() }
        };
        let skipped = ((at - tick) / tick_ms).unsigned_abs();
        observer.observed = Some(CellAtTick {
            config: Arc::clone(&self.config),
            product,
            cell,
            at: tick,
            version: self.version - skipped,
            around: self.grid.around(cell, product),
            before,
            guard,
        });
    }
}
