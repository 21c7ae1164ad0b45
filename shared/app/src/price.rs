//! Prices: the newest map of each city, in memory of every reader.

pub mod city_map;
pub mod map_reader;
pub mod metrics;
