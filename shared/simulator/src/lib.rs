//! A simulated marketplace: the same seed gives the same events.

pub mod city;
pub mod rng;
mod rounding;
