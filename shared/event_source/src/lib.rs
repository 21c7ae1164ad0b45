//! Lambda's Kinesis event source mappings: read, batch, retry, bisect, in order.
//!
//! [`shard`] and [`mapping`] decide and never wait; [`poller`] reads and invokes over three ports. With the feature
//! `service`, `service` runs mappings as tasks and functions as processes.

pub mod iterator_age;
pub mod mapping;
#[cfg(feature = "mappings")]
pub mod mapping_config;
pub mod poller;
pub mod record;
#[cfg(feature = "service")]
pub mod service;
pub mod settings;
pub mod shard;
