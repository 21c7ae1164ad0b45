//! The use cases of the market, each in a folder with the ports it needs; adapters in memory, and the contract
//! suites that every adapter of a port passes.

pub mod access;
pub mod checkpoint;
pub mod clock;
pub mod comparison;
pub mod config;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod count;
pub mod dependency;
pub mod health;
pub mod history;
pub mod ingest;
pub mod laws;
pub mod memory;
pub mod notify;
pub mod overrides;
pub mod policy;
pub mod price;
pub mod quote;
pub mod rate_limit;
pub mod recover;
pub mod surge;
pub mod telemetry;
pub mod timer;
pub mod unavailable;
