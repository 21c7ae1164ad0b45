//! The README's figures of the served process: `make load`; `ONLY` names one of them, `MINUTES` how long
//! the memory is watched, `EQUILIBRIUM` another binary than the one just built.
#![allow(clippy::unwrap_used, missing_docs, dead_code)]

#[path = "../../tests/serve/client.rs"]
mod client;
mod events;
mod latency;
#[path = "../../tests/serve/market.rs"]
mod market;
mod memory;
mod price;
mod start;
#[path = "../../tests/serve/world.rs"]
mod world;

fn main() {
    let parts: [(&str, fn()); 5] = [
        ("start", start::measure),
        ("price", price::measure),
        ("events", events::measure),
        ("latency", latency::measure),
        ("memory", memory::measure),
    ];
    let only = std::env::var("ONLY").ok();
    for (name, measure) in parts {
        if only.as_deref().is_none_or(|only| only == name) {
            measure();
        }
    }
}

/// The value below which so many per thousand lie.
fn percentile<T: Copy + PartialOrd>(values: &mut [T], per_thousand: usize) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap());
    values[(values.len() * per_thousand / 1000).min(values.len() - 1)]
}
