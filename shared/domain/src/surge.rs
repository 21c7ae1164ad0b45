//! Pricing (CONTRACT §3, §6): the tick counts of all lanes become a city's surge map.

pub mod bounds;
pub mod city_pricing;
pub mod daily;
pub mod explain;
pub mod fallback;
pub mod feed_guard;
pub mod frozen_map;
pub mod grid;
pub mod history;
pub mod laws;
pub mod map;
pub mod multiplier;

pub use crate::policy::curve;
