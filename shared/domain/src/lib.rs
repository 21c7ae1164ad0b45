//! The rules of the market: what is counted, how it is priced, what may be said in the log.
//!
//! Nothing here waits, looks at a clock or draws a number: values come in, values go out.

pub mod city_pricing;
pub mod counting_config;
pub mod curve;
pub mod event;
pub mod fallback;
pub mod grid;
pub mod hash;
pub mod id;
pub mod json;
pub mod lane;
pub mod locate;
pub mod map;
pub mod money;
pub mod outline;
pub mod policy;
pub mod polygon;
pub mod sequence;
pub mod sightings;
pub mod tick_counts;
pub mod time;
pub mod watermark;
pub mod wire;
