//! Overrides of a city's multipliers (CONTRACT §9).

pub mod ports;
