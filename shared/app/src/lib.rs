//! Use cases of the market, the ports they need, and adapters of these in memory.

pub mod cache_status;
pub mod clock;
pub mod config;
pub mod contract;
pub mod counting;
pub mod dead_letters;
pub mod ingesting;
pub mod maps;
pub mod memory;
pub mod metrics;
pub mod policy_cache;
pub mod policy_set;
pub mod ports;
pub mod pricing;
pub mod state_cache;
