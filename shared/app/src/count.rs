//! Counting: records of the event stream become, lane by lane, per-cell counts of each city's ticks.

mod absorb;
mod batch_result;
pub mod dead_letters;
mod lane_doubling;
pub mod lane_processor;
pub mod metrics;
pub mod ports;
mod routing;
