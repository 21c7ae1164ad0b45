//! The bounds of a city's multipliers, worked out once for each change and once for each cell.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::policy::Policy;
use equilibrium_domain::policy::overrides::OverrideKind;
use equilibrium_domain::surge::bounds::{Bounds, CellBounds, OverrideSet};
use equilibrium_domain::surge::city_pricing::PricingConfig;
use equilibrium_domain::surge::daily::Days;
use equilibrium_domain::surge::laws::{law_bounds, next_law_change};
use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};

use crate::policy::city_days::CityDays;

/// Cells of one product whose bounds are kept: those of the largest map, and of the places that are asked for beside it.
const MAX_KEPT_CELLS: usize = 1 << 16;

/// What bounds the multipliers of a city, now and later: its policy with its laws, and its overrides.
#[derive(Debug)]
pub struct CityBounds {
    pricing: Arc<PricingConfig>,
    version: u64,
    overrides: OverrideSet,
    days: Arc<CityDays>,
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    in_force: Arc<BoundsInForce>,
    /// The revision of the days.
    revision: u64,
}

/// The bounds in force from one change to the next.
#[derive(Debug)]
pub struct BoundsInForce {
    /// The number of changes of policy and overrides up to now: `bounds` of CONTRACT §9.
    pub number: u64,
    /// A hash of the bounds by laws, which change with time and with the figures of past days; 0 without laws.
    pub laws: u64,
    bounds: Bounds,
    from_ms: i64,
    until_ms: i64,
    /// By product and cell; none where every cell has the same.
    kept: RwLock<HashMap<(usize, Cell), CellBounds>>,
}

impl CityBounds {
    /// The bounds by a policy of this version, the overrides of its city, and the days that its laws refer to.
    #[must_use]
    pub fn new(
        pricing: Arc<PricingConfig>,
        version: u64,
        overrides: OverrideSet,
        days: Arc<CityDays>,
    ) -> Self {
        Self { pricing, version, overrides, days, current: Mutex::default() }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.pricing.policy
    }

    /// What the city is priced by.
    #[must_use]
    pub fn pricing(&self) -> &Arc<PricingConfig> {
        &self.pricing
    }

    /// The overrides.
    #[must_use]
    pub fn overrides(&self) -> &OverrideSet {
        &self.overrides
    }

    /// The days that the laws refer to.
    #[must_use]
    pub fn days(&self) -> &Arc<CityDays> {
        &self.days
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
        let is_current =
            |known: &&Current| known.in_force.is_at(now_ms) && known.revision == self.days.revision();
        if let Some(known) = current.as_ref().filter(is_current) {
            return Arc::clone(&known.in_force);
        }
        let (days, revision) = self.days.get();
        let policy = (self.policy(), self.version);
        let in_force = BoundsInForce::new(policy, &self.overrides, &days, now_ms);
        // A figure that changes no bound leaves them as they are.
        let in_force = match current.take() {
            Some(known) if known.in_force.is_at(now_ms) && known.in_force.laws == in_force.laws => {
                known.in_force
            }
            _ => Arc::new(in_force),
        };
        *current = Some(Current { in_force: Arc::clone(&in_force), revision });
        in_force
    }
}

impl BoundsInForce {
    /// The bounds in force at `now_ms`, in milliseconds since the epoch, by a policy of this version, the overrides of
    /// its city, and the days that its laws refer to.
    #[must_use]
    pub fn new((policy, version): (&Policy, u64), overrides: &OverrideSet, days: &Days, now_ms: i64) -> Self {
        let laws = law_bounds(policy, days, now_ms);
        let changes = [overrides.next_change(now_ms), next_law_change(policy, now_ms)];
        Self {
            number: version + overrides.changes(now_ms),
            laws: if laws.is_empty() { 0 } else { hash(&laws) },
            bounds: Bounds::new(policy, overrides, laws, now_ms),
            from_ms: now_ms,
            until_ms: changes.into_iter().flatten().min().unwrap_or(i64::MAX),
            kept: RwLock::default(),
        }
    }

    /// The bounds.
    #[must_use]
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// The first time at which they may be others, in milliseconds since the epoch.
    #[must_use]
    pub fn until_ms(&self) -> i64 {
        self.until_ms
    }

    /// Whether they are known to be in force at `at_ms`, in milliseconds since the epoch.
    #[must_use]
    pub fn is_at(&self, at_ms: i64) -> bool {
        (self.from_ms..self.until_ms).contains(&at_ms)
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

fn hash(content: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}
