//! The limits in force for a price, and which of them binds (CONTRACT §9).

use h3o::LatLng;
use serde::Serialize;

use crate::geo::locate::Cell;
use crate::policy::{Limits, Multiplier, Policy};

/// A limit in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// Where it is from: `policy`, or `zone` and the zone's id.
    pub source: String,
    /// Its direction.
    pub kind: BoundKind,
    /// The multiplier.
    pub value: Multiplier,
    /// Whether it is the one that the reported multiplier was raised or lowered to.
    pub binds: bool,
}

/// The direction of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BoundKind {
    /// The lowest multiplier that is reported.
    Floor,
    /// The highest multiplier that is reported.
    Cap,
}

/// The limits of the policy and of the zone of the cell's centre.
#[must_use]
pub fn limits_of(policy: &Policy, cell: Cell) -> Limits {
    let Some(centre) = cell.h3().filter(|_| !policy.zones.is_empty()).map(LatLng::from) else {
        return policy.limits;
    };
    policy.limits_at(centre.lng(), centre.lat())
}

/// The limits of the policy and of the zone of the cell's centre, and the multiplier that they make of `published`
/// hundredths.
pub(super) fn of_policy(policy: &Policy, cell: Cell, published: f64) -> (Vec<Bound>, Multiplier) {
    let centre = cell.h3().map(LatLng::from);
    let zone = centre.and_then(|centre| {
        policy.zones.iter().find(|zone| zone.polygon.contains(centre.lng(), centre.lat()))
    });
    let (floor, cap) = zone.map_or((None, None), |zone| (zone.floor, zone.cap));
    let limits = policy.limits.tightened(floor, cap);
    let multiplier = limits.apply(published);
    let binds = |kind, value: Multiplier| {
        let in_force = match kind {
            BoundKind::Floor => limits.floor,
            BoundKind::Cap => limits.cap,
        };
        value == in_force && multiplier == in_force && f64::from(in_force.hundredths()) != published
    };
    let mut bounds: Vec<Bound> = Vec::new();
    let mut add = |source: String, kind, value| {
        let is_first = bounds.iter().all(|bound| !bound.binds);
        bounds.push(Bound { source, kind, value, binds: is_first && binds(kind, value) });
    };
    add("policy".into(), BoundKind::Floor, policy.limits.floor);
    add("policy".into(), BoundKind::Cap, policy.limits.cap);
    if let Some(zone) = zone {
        let limits = [(BoundKind::Floor, zone.floor), (BoundKind::Cap, zone.cap)];
        for (kind, value) in limits.into_iter().filter_map(|(kind, value)| Some((kind, value?))) {
            add(format!("zone {}", zone.id), kind, value);
        }
    }
    (bounds, multiplier)
}
