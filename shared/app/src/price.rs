//! Prices: the newest map of each city, in the memory of every instance that answers requests.

pub mod city_map;
pub mod map_reader;
pub mod metrics;
