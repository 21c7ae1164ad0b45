//! The laws of a policy, worked out for one moment (CONTRACT §9).
//!
//! A rule that refers to past prices reads the figures of whole local days before the day of the moment: a law binds the
//! same way all day, and each tick as it did when it closed.

use crate::id::ProductId;
use crate::policy::law::{Law, LawRule, LawTime};
use crate::policy::{Multiplier, Policy};
use crate::surge::bounds::LawBound;
use crate::surge::daily::{Days, Figure, LocalDay};

/// The bounds by the laws in force at `at_ms`, in milliseconds since the epoch, by the figures of the days that are known.
#[must_use]
pub fn law_bounds(policy: &Policy, days: &Days, at_ms: i64) -> Vec<LawBound> {
    let in_force = policy.laws.iter().filter(|law| is_in_force(law, at_ms));
    in_force.flat_map(|law| bounds_of(law, policy, days, at_ms)).collect()
}

/// The next time after `at_ms` at which the bounds of [`law_bounds`] may be others though no figure changes, both in
/// milliseconds since the epoch.
#[must_use]
pub fn next_law_change(policy: &Policy, at_ms: i64) -> Option<i64> {
    let times = policy.laws.iter().flat_map(|law| [Some(law.from.ms()), law.until.map(LawTime::ms)]);
    let times = times.flatten().filter(|time| *time > at_ms);
    let next_day = || LocalDay::of(at_ms, &policy.timezone).plus(1).start_ms(&policy.timezone);
    let refers_to_days = policy.laws.iter().any(|law| needs_days(law) && is_in_force(law, at_ms));
    times.chain(refers_to_days.then(next_day)).min()
}

/// The first day to whose figures laws refer that are in force at `at_ms`, in milliseconds since the epoch, or come into force
/// within a day; `None` if they refer to none.
#[must_use]
pub fn first_day_needed(policy: &Policy, at_ms: i64) -> Option<LocalDay> {
    let today = LocalDay::of(at_ms, &policy.timezone);
    let soon = at_ms.saturating_add(DAY_MS);
    let concerned = policy.laws.iter().filter(|law| is_in_force(law, at_ms) || is_in_force(law, soon));
    let first = concerned.filter_map(|law| match law.rule {
        LawRule::MaxMultiplier(_) | LawRule::Range { .. } => None,
        LawRule::MaxOverBaseline { from, .. } => Some(LocalDay::of(from.ms(), &policy.timezone)),
        LawRule::MaxOfPriorDays { days, .. } => Some(today.plus(-i32::from(days))),
    });
    first.min()
}

const DAY_MS: i64 = 86_400_000;

fn is_in_force(law: &Law, at_ms: i64) -> bool {
    law.from.ms() <= at_ms && law.until.is_none_or(|until| at_ms < until.ms())
}

fn needs_days(law: &Law) -> bool {
    matches!(law.rule, LawRule::MaxOverBaseline { .. } | LawRule::MaxOfPriorDays { .. })
}

/// The bounds by a law: one, or one for each product whose past it refers to.
fn bounds_of(law: &Law, policy: &Policy, days: &Days, at_ms: i64) -> Vec<LawBound> {
    let index = |id: &ProductId| policy.products.iter().position(|product| product.id == *id);
    let product = law.product.as_ref().map(index);
    let zone = law.zone.as_ref().map(|id| policy.zones.iter().position(|zone| zone.id == *id));
    // A policy is refused whose law names a product or a zone that it does not have.
    let (Some(zone), false) = (zone.map_or(Some(None), |zone| zone.map(Some)), product == Some(None)) else {
        return Vec::new();
    };
    let product = product.flatten();
    let bound = |product, floor, cap| LawBound { id: law.id.clone(), product, zone, floor, cap };
    let worked_out = |cap: &dyn Fn(&ProductId) -> Option<Multiplier>| {
        let products = policy.products.iter().enumerate();
        let concerned = products.filter(|(at, _)| product.is_none_or(|product| product == *at));
        let bounds = concerned.filter_map(|(at, of)| Some(bound(Some(at), None, Some(cap(&of.id)?))));
        bounds.collect()
    };
    let zone_id = law.zone.as_deref();
    let today = LocalDay::of(at_ms, &policy.timezone);
    match law.rule {
        LawRule::MaxMultiplier(max) => vec![bound(product, None, Some(max))],
        LawRule::Range { min, max } => vec![bound(product, Some(min), Some(max))],
        LawRule::MaxOfPriorDays { days: number, leaving_out } => {
            let first = today.plus(-i32::from(number));
            worked_out(&|product| {
                let figures = days.range(first..today).filter_map(|(_, day)| day.of(product, zone_id));
                let mut maxima: Vec<Multiplier> = figures.map(|figure| figure.max).collect();
                maxima.sort_unstable_by(|a, b| b.cmp(a));
                maxima.get(usize::from(leaving_out)).copied()
            })
        }
        LawRule::MaxOverBaseline { percent, from, until } => {
            // Only whole days of the time have figures.
            let starts = |day: &LocalDay| day.start_ms(&policy.timezone);
            let [first, end] = [from, until].map(|time| LocalDay::of(time.ms(), &policy.timezone));
            let first = if starts(&first) < from.ms() { first.plus(1) } else { first };
            let end = end.min(today);
            if first >= end {
                return Vec::new();
            }
            worked_out(&|product| {
                let figures = days.range(first..end).filter_map(|(_, day)| day.of(product, zone_id));
                figures.reduce(Figure::and).and_then(|baseline| cap_over(baseline, percent))
            })
        }
    }
}

/// The mean of a figure and `percent` more, cut down to hundredths; `None` without any demand.
fn cap_over(baseline: Figure, percent: u16) -> Option<Multiplier> {
    let Figure { demand, weighted, .. } = baseline;
    let weighted = weighted.saturating_mul(100 + u128::from(percent));
    let cap = weighted.checked_div(u128::from(demand) * 100)?;
    let [min, max] = [Multiplier::MIN, Multiplier::MAX].map(|limit| u128::from(limit.hundredths()));
    u16::try_from(cap.clamp(min, max)).ok().and_then(Multiplier::new)
}

#[cfg(test)]
mod tests;
