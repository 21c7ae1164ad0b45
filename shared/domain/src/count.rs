//! Counting (CONTRACT §3): the drivers and riders of each lane become per-cell counts of each city's ticks.

pub mod city_group;
pub mod config;
pub mod lane;
pub mod sightings;
pub mod tick_counts;
