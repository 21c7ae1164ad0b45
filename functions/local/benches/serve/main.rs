//! Measures `equilibrium serve` (`make load`): `ONLY` selects one figure, `MINUTES` sets how long memory is observed.
#![allow(clippy::unwrap_used, missing_docs, dead_code)]

mod events;
#[path = "../../tests/serve/harness/mod.rs"]
mod harness;
mod latency;
mod memory;
mod price;
mod quote;
mod start;
mod stream;
mod wrk;

fn main() {
    let figures: [(&str, fn()); 7] = [
        ("start", start::measure),
        ("price", price::measure),
        ("quote", quote::measure),
        ("events", events::measure),
        ("latency", latency::measure),
        ("memory", memory::measure),
        ("stream", stream::measure),
    ];
    let only = std::env::var("ONLY").ok();
    for (name, measure) in figures {
        if only.as_deref().is_none_or(|only| only == name) {
            measure();
        }
    }
}

/// The value at a quantile, in thousandths.
fn percentile<T: Copy + PartialOrd>(values: &mut [T], per_thousand: usize) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap());
    values[(values.len() * per_thousand / 1000).min(values.len() - 1)]
}
