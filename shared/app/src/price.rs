//! Prices: the newest map of each city, in the memory of every instance that answers requests.

pub mod city_map;
pub mod city_view;
mod look;
pub mod map_reader;
pub mod metrics;
pub mod ports;
pub mod preview;
pub mod report;
mod schedule;

pub use self::look::{CACHE_CHUNKS_TIMEOUT, CACHE_READ_TIMEOUT, MAX_READ_ITEMS};
pub use self::schedule::Pace;
