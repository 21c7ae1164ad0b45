//! Counting (CONTRACT §3): the events of each lane become per-cell counts of drivers and riders at each city's ticks.

pub mod city_group;
pub mod config;
pub mod lane;
pub mod lane_range;
pub mod range_state;
pub mod sightings;
pub mod tick_counts;
