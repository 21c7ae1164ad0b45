//! What bounds a city's multipliers at one moment: limits of the policy and its zones, overrides and laws (CONTRACT §9).
//!
//! Readers apply the bounds to the published multipliers of the map, so that a change of policy or overrides binds without a
//! tick. An override begins and ends by evaluation: bounds are valid up to the next time at which one does.

use std::sync::Arc;

use h3o::LatLng;

use crate::geo::locate::Cell;
use crate::geo::polygon::Polygon;
use crate::policy::overrides::{Override, OverrideKind, OverrideState};
use crate::policy::{Limits, Multiplier, Policy, Published};

/// The overrides of a city that are not ended, and how many there have been.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OverrideSet {
    /// The number of overrides that were ever created in the city.
    pub created: u64,
    /// Those that are in force or will be, and perhaps some that have ended, in any order.
    pub overrides: Vec<Arc<Override>>,
}

impl OverrideSet {
    /// The number of starts and ends up to `now_ms`, in milliseconds since the epoch: each override begins and ends once.
    #[must_use]
    pub fn changes(&self, now_ms: i64) -> u64 {
        let unknown = self.created.saturating_sub(self.overrides.len() as u64);
        let known = self.overrides.iter().map(|one| match one.state(now_ms) {
            OverrideState::Scheduled => 0,
            OverrideState::Active => 1,
            OverrideState::Ended => 2,
        });
        2 * unknown + known.sum::<u64>()
    }

    /// The next time after `now_ms` at which an override begins or ends, in milliseconds since the epoch.
    #[must_use]
    pub fn next_change(&self, now_ms: i64) -> Option<i64> {
        let times = self.overrides.iter().flat_map(|one| [one.starts_at, one.end()]);
        times.filter(|time| *time > now_ms).min()
    }
}

/// The bounds in force in a city at one moment.
#[derive(Clone, Debug)]
pub struct Bounds {
    limits: Limits,
    /// The first zone that contains a cell's centre applies.
    zones: Vec<(String, Area)>,
    /// In force, ordered by start and id.
    overrides: Vec<InForce>,
    laws: Vec<LawBound>,
}

/// The limits of a zone.
#[derive(Clone, Debug)]
struct Area {
    polygon: Polygon,
    floor: Option<Multiplier>,
    cap: Option<Multiplier>,
}

#[derive(Clone, Debug)]
struct InForce {
    of: Arc<Override>,
    /// The index of its product in the policy; `None` for all.
    product: Option<usize>,
}

/// A law in force, worked out for the moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LawBound {
    /// The law's id.
    pub id: String,
    /// Its product, by its index in the policy; `None` for all.
    pub product: Option<usize>,
    /// Its zone, by its index in the policy; `None` for the whole city.
    pub zone: Option<usize>,
    /// The lowest multiplier that it allows.
    pub floor: Option<Multiplier>,
    /// The highest multiplier that it allows.
    pub cap: Option<Multiplier>,
}

/// What bounds the multiplier of one cell and product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellBounds {
    /// The start of the freeze in force, in milliseconds since the epoch: the published multiplier of then counts.
    pub freeze: Option<i64>,
    /// The zone that the cell lies in, by its index in the policy.
    pub zone: Option<usize>,
    limits: Limits,
    /// Whether the floor, and the cap, is that of an override.
    of_override: [bool; 2],
    is_killed: bool,
    law: Limits,
}

/// What decided a reported multiplier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// The published multiplier.
    Published,
    /// A limit of the policy or a zone, or a law.
    Limit,
    /// An override.
    Override,
}

/// A bound in force at a cell, as an explanation lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedBound {
    /// `policy`, `zone ID`, `override ID` or `law ID`.
    pub source: String,
    /// `freeze`, `floor`, `cap` or `kill`.
    pub kind: &'static str,
    /// The multiplier that it allows; for a freeze the published one of its start.
    pub value: Published,
    /// Whether it changed the multiplier.
    pub binds: bool,
}

/// No limit.
const UNLIMITED: Limits = Limits { floor: Multiplier::MIN, cap: Multiplier::MAX };

impl Bounds {
    /// The bounds by a policy, the overrides of its city in force at `now_ms`, in milliseconds since the epoch, and the laws
    /// in force.
    #[must_use]
    pub fn new(policy: &Policy, overrides: &OverrideSet, laws: Vec<LawBound>, now_ms: i64) -> Self {
        let zones = policy.zones.iter().map(|zone| {
            let area = Area { polygon: zone.polygon.clone(), floor: zone.floor, cap: zone.cap };
            (zone.id.clone(), area)
        });
        let product = |of: &Override| match &of.product {
            None => Some(None),
            // A product that the policy does not have any more has no multiplier.
            Some(id) => policy.products.iter().position(|product| product.id == *id).map(Some),
        };
        let in_force = overrides.overrides.iter().filter(|of| of.state(now_ms) == OverrideState::Active);
        let mut in_force: Vec<InForce> =
            in_force.filter_map(|of| Some(InForce { product: product(of)?, of: Arc::clone(of) })).collect();
        in_force.sort_by(|a, b| (a.of.starts_at, &a.of.id).cmp(&(b.of.starts_at, &b.of.id)));
        Self { limits: policy.limits, zones: zones.collect(), overrides: in_force, laws }
    }

    /// Whether every cell of a product has the same bounds.
    #[must_use]
    pub fn is_uniform(&self) -> bool {
        self.zones.is_empty() && self.overrides.iter().all(|one| one.of.polygon.is_none())
    }

    /// The laws in force, in the order of the policy.
    #[must_use]
    pub fn laws(&self) -> &[LawBound] {
        &self.laws
    }

    /// The freezes in force: their starts, in milliseconds since the epoch.
    pub fn freezes(&self) -> impl Iterator<Item = i64> {
        let is_freeze = |one: &&InForce| one.of.kind == OverrideKind::Freeze;
        self.overrides.iter().filter(is_freeze).map(|one| one.of.starts_at)
    }

    /// The zone that a cell lies in, by its index in the policy.
    #[must_use]
    pub fn zone(&self, cell: Cell) -> Option<usize> {
        self.place(cell).zone
    }

    /// What bounds the multiplier of a cell for the product with this index in the policy.
    #[must_use]
    pub fn at(&self, product: usize, cell: Cell) -> CellBounds {
        let place = self.place(cell);
        let mut bounds = CellBounds {
            freeze: None,
            zone: place.zone,
            limits: self.limits,
            of_override: [false; 2],
            is_killed: false,
            law: UNLIMITED,
        };
        if let Some((_, area)) = place.zone.map(|zone| &self.zones[zone]) {
            bounds.limits = bounds.limits.tightened(area.floor, area.cap);
        }
        for one in self.applicable(product, place) {
            match one.of.kind {
                OverrideKind::Freeze => {
                    bounds.freeze.get_or_insert(one.of.starts_at);
                }
                OverrideKind::Kill => bounds.is_killed = true,
                OverrideKind::Floor(floor) if floor > bounds.limits.floor => {
                    (bounds.limits.floor, bounds.of_override[0]) = (floor, true);
                }
                OverrideKind::Cap(cap) if cap < bounds.limits.cap => {
                    (bounds.limits.cap, bounds.of_override[1]) = (cap, true);
                }
                OverrideKind::Floor(_) | OverrideKind::Cap(_) => {}
            }
        }
        for law in self.laws_at(product, place) {
            bounds.law = bounds.law.tightened(law.floor, law.cap);
        }
        bounds
    }

    /// Every bound in force at a cell, in the order in which they apply. `published` is the published multiplier, `frozen`
    /// the one at the start of the freeze in force.
    #[must_use]
    pub fn list(
        &self,
        product: usize,
        cell: Cell,
        (published, frozen): (Published, Published),
    ) -> Vec<ListedBound> {
        let place = self.place(cell);
        let bounds = self.at(product, cell);
        let source = |kind: &str, id: &str| format!("{kind} {id}");
        let mut list = Vec::new();
        let mut first = true;
        for one in self.applicable(product, place).filter(|one| one.of.kind == OverrideKind::Freeze) {
            let binds = std::mem::take(&mut first) && frozen != published;
            list.push(ListedBound {
                source: source("override", &one.of.id),
                kind: "freeze",
                value: frozen,
                binds,
            });
        }
        let before = if bounds.freeze.is_some() { frozen } else { published };
        let mut limits = vec![("policy".to_owned(), Some(self.limits.floor), Some(self.limits.cap))];
        if let Some((id, area)) = place.zone.map(|zone| &self.zones[zone]) {
            limits.push((source("zone", id), area.floor, area.cap));
        }
        limits.extend(self.applicable(product, place).filter_map(|one| match one.of.kind {
            OverrideKind::Floor(floor) => Some((source("override", &one.of.id), Some(floor), None)),
            OverrideKind::Cap(cap) => Some((source("override", &one.of.id), None, Some(cap))),
            OverrideKind::Freeze | OverrideKind::Kill => None,
        }));
        list_limits(&mut list, &limits, bounds.limits, before);
        let mut value = bounds.limits.apply(before);
        for one in self.applicable(product, place).filter(|one| one.of.kind == OverrideKind::Kill) {
            let binds = value != Multiplier::ONE;
            list.push(ListedBound {
                source: source("override", &one.of.id),
                kind: "kill",
                value: Published::ONE,
                binds,
            });
            value = Multiplier::ONE;
        }
        let laws = self.laws_at(product, place).map(|law| (source("law", &law.id), law.floor, law.cap));
        list_limits(&mut list, &laws.collect::<Vec<_>>(), bounds.law, value.into());
        list
    }

    fn place(&self, cell: Cell) -> Place {
        if self.is_uniform() {
            return Place::default();
        }
        let centre = cell.h3().map(LatLng::from).map(|centre| [centre.lng(), centre.lat()]);
        let zone = centre
            .and_then(|[lng, lat]| self.zones.iter().position(|(_, area)| area.polygon.contains(lng, lat)));
        Place { centre, zone }
    }

    fn applicable(&self, product: usize, place: Place) -> impl Iterator<Item = &InForce> {
        self.overrides.iter().filter(move |one| {
            one.product.is_none_or(|of| of == product)
                && one
                    .of
                    .polygon
                    .as_ref()
                    .is_none_or(|polygon| place.centre.is_some_and(|[lng, lat]| polygon.contains(lng, lat)))
        })
    }

    fn laws_at(&self, product: usize, place: Place) -> impl Iterator<Item = &LawBound> {
        self.laws.iter().filter(move |law| {
            law.product.is_none_or(|of| of == product) && law.zone.is_none_or(|of| place.zone == Some(of))
        })
    }
}

/// A cell's centre, longitude before latitude, and the first zone that contains it.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    centre: Option<[f64; 2]>,
    zone: Option<usize>,
}

/// Lists floors, then caps. One binds that is the `combined` limit and changes the multiplier.
fn list_limits(
    list: &mut Vec<ListedBound>,
    limits: &[(String, Option<Multiplier>, Option<Multiplier>)],
    combined: Limits,
    before: Published,
) {
    let after = Published::from(combined.apply(before));
    for (kind, limit) in [("floor", combined.floor), ("cap", combined.cap)] {
        for (source, floor, cap) in limits {
            let Some(value) = (if kind == "floor" { *floor } else { *cap }) else { continue };
            let binds = after != before && value == limit && after == value.into();
            list.push(ListedBound { source: source.clone(), kind, value: value.into(), binds });
        }
    }
}

impl CellBounds {
    /// The multiplier that is reported, and what decided it. `published` is the one at the start of the freeze if one is in
    /// force.
    #[must_use]
    pub fn report(&self, published: Published) -> (Multiplier, Decided) {
        let limited = self.limits.apply(published);
        let [floor, cap] = self.of_override;
        let is_override = self.is_killed
            || self.freeze.is_some()
            || cap && limited == self.limits.cap && Published::from(limited) < published
            || floor && limited == self.limits.floor && Published::from(limited) > published;
        let before_law = if self.is_killed { Multiplier::ONE } else { limited };
        let reported = self.law.apply(before_law.into());
        let decided = if reported != before_law {
            Decided::Limit
        } else if is_override {
            Decided::Override
        } else if Published::from(reported) == published {
            Decided::Published
        } else {
            Decided::Limit
        };
        (reported, decided)
    }
}

#[cfg(test)]
mod tests;
