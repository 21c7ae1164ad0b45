//! Lambda's rules for Kinesis event source mappings, claim by claim and over random histories.
#![allow(clippy::unwrap_used)]

mod fixture;
mod lineage;
mod poller;
mod properties;
mod shard;
mod stream_log;
