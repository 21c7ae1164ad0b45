//! Prices: the newest map of each city, in the memory of every instance that answers requests.

pub mod city_map;
pub mod city_view;
mod frozen;
mod look;
pub mod map_reader;
pub mod metrics;
pub mod patience;
pub mod ports;
pub mod preview;
pub mod report;
pub mod rungs;
mod schedule;
pub mod tier;

pub use self::look::MAX_READ_ITEMS;
pub use self::schedule::Pace;
