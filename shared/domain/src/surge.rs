//! Pricing (CONTRACT §3, §6): the counts of all lanes become a city's surge map.

pub mod city_pricing;
pub mod curve;
pub mod fallback;
pub mod grid;
pub mod map;
