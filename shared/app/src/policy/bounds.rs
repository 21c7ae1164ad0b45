//! The bounds of a city's multipliers, worked out once for each change and once for each cell.

use std::sync::Arc;

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::policy::Policy;
use equilibrium_domain::policy::overrides::OverrideKind;
use equilibrium_domain::surge::bounds::{Bounds, CellBounds, OverrideSet};
use equilibrium_domain::surge::city_pricing::PricingConfig;
use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};

/// Cells of one product whose bounds are kept: those of the largest map, and of the places that are asked for beside it.
const MAX_KEPT_CELLS: usize = 1 << 16;

/// What bounds the multipliers of a city, now and later: its policy and its overrides.
#[derive(Debug)]
pub struct CityBounds {
    pricing: Arc<PricingConfig>,
    version: u64,
    overrides: OverrideSet,
    current: Mutex<Option<Arc<BoundsInForce>>>,
}

/// The bounds in force from one change to the next.
#[derive(Debug)]
pub struct BoundsInForce {
    /// The number of changes of policy and overrides up to now: `bounds` of CONTRACT §9.
    pub number: u64,
    bounds: Bounds,
    from_ms: i64,
    until_ms: i64,
    /// By product and cell; none where every cell has the same.
    kept: RwLock<HashMap<(usize, Cell), CellBounds>>,
}

impl CityBounds {
    /// The bounds by a policy of this version and the overrides of its city.
    #[must_use]
    pub fn new(pricing: Arc<PricingConfig>, version: u64, overrides: OverrideSet) -> Self {
        Self { pricing, version, overrides, current: Mutex::default() }
    }

    /// The overrides.
    #[must_use]
    pub fn overrides(&self) -> &OverrideSet {
        &self.overrides
    }

    /// The starts of the freezes that are in force or will be, in milliseconds since the epoch.
    #[must_use]
    pub fn freezes(&self) -> Vec<i64> {
        let freezes = self.overrides.overrides.iter().filter(|one| one.kind == OverrideKind::Freeze);
        freezes.map(|one| one.starts_at).collect()
    }

    /// The bounds in force at `now_ms`, in milliseconds since the epoch.
    #[must_use]
    pub fn in_force(&self, now_ms: i64) -> Arc<BoundsInForce> {
        let mut current = self.current.lock();
        if let Some(known) =
            current.as_ref().filter(|known| (known.from_ms..known.until_ms).contains(&now_ms))
        {
            return Arc::clone(known);
        }
        let policy = (&self.pricing.policy, self.version);
        let in_force = Arc::new(BoundsInForce::new(policy, &self.overrides, now_ms));
        *current = Some(Arc::clone(&in_force));
        in_force
    }
}

impl BoundsInForce {
    /// The bounds in force at `now_ms`, in milliseconds since the epoch, by a policy of this version and the overrides of
    /// its city.
    #[must_use]
    pub fn new((policy, version): (&Policy, u64), overrides: &OverrideSet, now_ms: i64) -> Self {
        Self {
            number: version + overrides.changes(now_ms),
            bounds: Bounds::new(policy, overrides, Vec::new(), now_ms),
            from_ms: now_ms,
            until_ms: overrides.next_change(now_ms).unwrap_or(i64::MAX),
            kept: RwLock::default(),
        }
    }

    /// The bounds.
    #[must_use]
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// What bounds the multiplier of a cell for the product with this index in the policy.
    #[must_use]
    pub fn at(&self, product: usize, cell: Cell) -> CellBounds {
        if self.bounds.is_uniform() {
            return self.bounds.at(product, cell);
        }
        let key = (product, cell);
        if let Some(known) = self.kept.read().get(&key) {
            return *known;
        }
        let bounds = self.bounds.at(product, cell);
        let mut kept = self.kept.write();
        if kept.len() == MAX_KEPT_CELLS {
            kept.clear();
        }
        kept.insert(key, bounds);
        bounds
    }
}
