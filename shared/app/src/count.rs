//! Counting: the lanes' records become per-cell counts of each city's ticks.

pub mod dead_letters;
pub mod lane_processor;
pub mod metrics;
pub mod ports;
