//! Use cases of the market, the ports they need, and adapters of these in memory.

pub mod batch;
pub mod book;
pub mod cache_status;
pub mod config;
pub mod contract;
pub mod counting;
pub mod delivery;
pub mod http;
pub mod ingesting;
pub mod letters;
pub mod library;
pub mod maps;
pub mod memory;
pub mod metrics;
pub mod ports;
pub mod pricing;
