//! An explanation in sentences.

use std::fmt::Write;

use super::{Bound, Explanation};

/// The numbers of the explanation for people, in the order in which they follow from each other.
pub(super) fn text(explanation: &Explanation) -> String {
    let Explanation { smooth_demand, smooth_supply, pressure, raw, m_before, m, .. } = explanation;
    let Explanation { published_before, published, guard, bounds, multiplier, .. } = explanation;
    let price = f64::from(*multiplier);
    if !explanation.is_reported() {
        return format!("No rider and no driver counts around this cell: the price is {price:.2}×.");
    }
    let mut out = String::with_capacity(512);
    let mut sentence = |sentence: std::fmt::Arguments<'_>| {
        out.write_fmt(sentence).expect("a string accepts every write");
    };
    let (demand, supply) = explanation.own_counts();
    sentence(format_args!(
        "{} and {} count in this cell; with the cells around it, weighted by distance, {smooth_demand:.2} riders and \
         {smooth_supply:.2} drivers.",
        counted(demand, "rider"),
        counted(supply, "driver"),
    ));
    let curve = explanation.curve.name();
    sentence(format_args!(
        " That is a pressure of {pressure:.2}, for which the {curve} curve gives {raw:.2}×. The smoothed multiplier went \
         from {m_before:.3} to {m:.3}",
    ));
    if guard.on {
        let silent = counted(u32::try_from(guard.lost).unwrap_or(u32::MAX), "driver");
        sentence(format_args!(
            ": the feed guard is on ({} in touch, {silent} lost), so it may fall but not rise",
            guard.reporting
        ));
    }
    let (before, now) = (published_before / 100.0, published / 100.0);
    if before.to_bits() == now.to_bits() {
        sentence(format_args!(", and the published multiplier stays at {now:.2}×."));
    } else {
        sentence(format_args!(", and the published multiplier went from {before:.2}× to {now:.2}×."));
    }
    for Bound { source, kind, value, .. } in bounds.iter().filter(|bound| bound.binds) {
        match *kind {
            "freeze" => sentence(format_args!(" The {source} freezes it at {value:.2}×.")),
            "kill" => sentence(format_args!(" The {source} switches surge off.")),
            "floor" => sentence(format_args!(" The floor of the {source} raises it to {value:.2}×.")),
            _ => sentence(format_args!(" The {kind} of the {source} lowers it to {value:.2}×.")),
        }
    }
    if bounds.iter().all(|bound| !bound.binds) {
        sentence(format_args!(" No limit changes it."));
    }
    sentence(format_args!(" The price is {price:.2}×."));
    out
}

fn counted(count: u32, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
