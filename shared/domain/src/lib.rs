//! The rules of the market: what is counted, how it is priced, what may be said in the log.
//!
//! Nothing here waits, looks at a clock or draws a number: values come in, values go out.

pub mod clock;
pub mod curve;
pub mod event;
pub mod grid;
pub mod hash;
pub mod id;
pub mod json;
pub mod lane;
pub mod locate;
pub mod map;
pub mod market;
pub mod mode;
pub mod money;
pub mod outline;
pub mod policy;
pub mod polygon;
pub mod report;
pub mod rules;
pub mod sequence;
pub mod sightings;
pub mod time;
pub mod wire;
