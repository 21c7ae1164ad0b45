//! The health of the system: probes look at its components on a schedule, and what follows from the looks is stored
//! (CONTRACT §6).
//!
//! A run is constant work: every look probes the same targets, whatever their state, and nothing else probes. Reading the
//! verdicts probes nothing, so that many readers are no load on what is failing.

pub mod cache_status;
pub mod metrics;
pub mod ports;
pub mod prober;
pub mod probes;
pub mod reader;
pub mod run;
