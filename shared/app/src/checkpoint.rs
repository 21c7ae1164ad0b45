//! Exactly-once processing over an append-only log per lane or city.

pub mod ports;
pub mod process;
pub mod state_cache;
