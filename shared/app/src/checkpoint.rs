//! Exactly-once processing over an append-only log per range of lanes or city.

pub mod fence;
pub mod metrics;
pub mod parking;
pub mod ports;
pub mod process;
pub(crate) mod replay;
pub mod state_cache;
