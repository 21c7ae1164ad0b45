//! Pricing: the counts of all lanes become each city's surge map.

pub mod city_processor;
mod freezes;
pub mod metrics;
pub mod ports;
