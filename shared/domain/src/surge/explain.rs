//! The explanation of a price (CONTRACT §10): the numbers of one cell, product and tick, from the counts around the cell to
//! the multiplier that was reported, as the formula computes them.

mod text;

use serde::Serialize;

use crate::geo::locate::Cell;
use crate::id::ProductId;
use crate::policy::curve::{Curve, Formula, Point};
use crate::policy::{Multiplier, Policy, Published};
use crate::surge::bounds::{Bounds, ListedBound};
use crate::surge::city_pricing::CellAtTick;
use crate::surge::feed_guard::Feed;
use crate::surge::grid::Around;
use crate::surge::multiplier::{BASE_HUNDREDTHS, MultiplierState, SurgeFormula, alpha, pressure};
use crate::time::Timestamp;

/// The explanation of a price. Its form in JSON has every number that the formula reads: the multiplier can be computed
/// again from it alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The city.
    pub city: String,
    /// The cell.
    pub cell: Cell,
    /// The product.
    pub product: String,
    /// The tick.
    pub at: Timestamp,
    /// The map's version at this tick.
    pub version: u64,
    /// The version of the policy in force.
    pub policy_version: u64,
    /// The cells around it in which an entity counts, itself included, ring by ring.
    pub cells: Vec<Around>,
    /// The weights of the rings.
    pub weights: Vec<f64>,
    /// `D`: the demand around the cell.
    #[serde(rename = "D")]
    pub smooth_demand: f64,
    /// `S`: the supply around the cell.
    #[serde(rename = "S")]
    pub smooth_supply: f64,
    /// The prior `a`.
    pub prior: f64,
    /// The balanced ratio ρ.
    pub balanced_ratio: f64,
    /// The pressure `r`.
    pub pressure: f64,
    /// The curve in force.
    pub curve: CurveInForce,
    /// The raw multiplier.
    pub raw: f64,
    /// The share α of the way to the raw multiplier that `m` went.
    pub alpha: f64,
    /// `m` before the tick.
    pub m_before: f64,
    /// `m` at the tick.
    pub m: f64,
    /// The step of published multipliers, in the unit of the policy: 0.1 is ten hundredths.
    pub step: f64,
    /// The published multiplier before the tick, in hundredths.
    pub published_before: f64,
    /// The published multiplier at the tick, in hundredths.
    pub published: f64,
    /// The feed guard at the end of the tick.
    pub guard: GuardInForce,
    /// The limits in force.
    pub bounds: Vec<Bound>,
    /// The multiplier that was reported.
    pub multiplier: Multiplier,
    /// The same, for people.
    pub text: String,
}

/// The curve in force, with the parameters that it reads.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "curve", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the parameters are those of `Curve`")]
pub enum CurveInForce {
    /// [`Formula::Equilibrium`].
    Equilibrium { demand_elasticity: f64, supply_elasticity: f64 },
    /// [`Formula::Linear`].
    Linear { slope: f64 },
    /// [`Formula::Exponential`].
    Exponential { k: f64 },
    /// [`Formula::Table`].
    Table { table: Vec<Point> },
}

/// The feed guard at the end of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct GuardInForce {
    /// Whether it is on: `m` and the published multiplier may fall, but not rise.
    pub on: bool,
    /// The drivers in touch.
    pub reporting: u64,
    /// The drivers lost at the ticks that count.
    pub lost: u64,
}

/// A bound in force.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bound {
    /// Where it is from: `policy`, or `zone`, `override` or `law` with an id.
    pub source: String,
    /// `freeze`, `floor`, `cap` or `kill`.
    pub kind: &'static str,
    /// The multiplier that it allows; for a freeze the published one of its start.
    pub value: f64,
    /// Whether it changed the multiplier.
    pub binds: bool,
}

impl Bound {
    fn of(ListedBound { source, kind, value, binds }: ListedBound) -> Self {
        Self { source, kind, value: f64::from(value.hundredths()) / 100.0, binds }
    }
}

impl CellAtTick {
    /// The start of the freeze in force at the cell, in milliseconds since the epoch.
    #[must_use]
    pub fn freeze(&self, bounds: &Bounds) -> Option<i64> {
        bounds.at(self.product, self.cell).freeze
    }

    /// The id of the product.
    #[must_use]
    pub fn product_id(&self) -> &ProductId {
        &self.config.policy.products[self.product].id
    }
}

impl Explanation {
    /// The explanation of what was observed within the bounds in force. `frozen` is the published multiplier at the start
    /// of the freeze in force, where that is not the one of the tick.
    #[must_use]
    pub fn of(observed: &CellAtTick, bounds: &Bounds, frozen: Option<Published>) -> Self {
        let CellAtTick { config, product, cell, at, version, around, before, guard } = observed;
        let policy = &config.policy;
        let formula = SurgeFormula::new(policy);
        let sums = |count: fn(&Around) -> u32| {
            let mut rings = vec![0; formula.rings()];
            around.iter().for_each(|around| rings[usize::from(around.ring)] += count(around));
            formula.smooth_over_space(&rings)
        };
        let (demand, supply) = (sums(|around| around.demand), sums(|around| around.supply));
        let raw = formula.raw(demand, supply);
        let before = MultiplierState { raw, ..*before };
        let mut after = before;
        formula.advance(&mut after, guard.feed);
        let surge = &policy.surge;
        let half_life_ms =
            if raw > before.smoothed { surge.half_life_up_ms } else { surge.half_life_down_ms };
        let published = after.published();
        let frozen = frozen.unwrap_or(published);
        let in_force = bounds.at(*product, *cell);
        let counted = if in_force.freeze.is_some() { frozen } else { published };
        let (multiplier, _) = in_force.report(counted);
        let bounds = bounds.list(*product, *cell, (published, frozen)).into_iter().map(Bound::of);
        let mut explanation = Self {
            city: policy.city.as_str().to_owned(),
            cell: *cell,
            product: observed.product_id().as_str().to_owned(),
            at: Timestamp::from_ms(*at).expect("a tick that closed is a time"),
            version: *version,
            policy_version: config.policy_version,
            cells: around.clone(),
            weights: surge.ring_weights.clone(),
            smooth_demand: demand,
            smooth_supply: supply,
            prior: surge.prior,
            balanced_ratio: surge.curve.balanced_ratio,
            pressure: pressure(demand, supply, surge.prior, surge.curve.balanced_ratio),
            curve: CurveInForce::of(&surge.curve),
            raw,
            alpha: alpha(policy.clock.tick_ms, half_life_ms),
            m_before: before.smoothed,
            m: after.smoothed,
            step: f64::from(surge.step_hundredths) / 100.0,
            published_before: before.published,
            published: after.published,
            guard: GuardInForce {
                on: guard.feed == Feed::Suspect,
                reporting: guard.reporting,
                lost: guard.lost,
            },
            bounds: bounds.collect(),
            multiplier,
            text: String::new(),
        };
        explanation.text = text::text(&explanation);
        explanation
    }

    /// Whether the map listed the cell at the tick (CONTRACT §3).
    #[must_use]
    pub fn is_reported(&self) -> bool {
        self.smooth_demand != 0.0 || self.smooth_supply != 0.0 || self.published != BASE_HUNDREDTHS
    }

    /// The riders and drivers in the cell itself.
    #[must_use]
    pub fn own_counts(&self) -> (u32, u32) {
        let own = self.cells.iter().find(|around| around.ring == 0);
        own.map_or((0, 0), |own| (own.demand, own.supply))
    }
}

impl CurveInForce {
    fn of(curve: &Curve) -> Self {
        let Curve { demand_elasticity, supply_elasticity, slope, k, .. } = *curve;
        match curve.formula {
            Formula::Equilibrium => Self::Equilibrium { demand_elasticity, supply_elasticity },
            Formula::Linear => Self::Linear { slope },
            Formula::Exponential => Self::Exponential { k },
            Formula::Table => Self::Table { table: curve.table.points().to_vec() },
        }
    }

    /// Its name in a policy.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Equilibrium { .. } => "equilibrium",
            Self::Linear { .. } => "linear",
            Self::Exponential { .. } => "exponential",
            Self::Table { .. } => "table",
        }
    }
}

/// Whether `cell` is one of the policy's resolution.
#[must_use]
pub fn is_cell_of(policy: &Policy, cell: Cell) -> bool {
    cell.h3().is_some_and(|cell| u8::from(cell.resolution()) == policy.resolution)
}
