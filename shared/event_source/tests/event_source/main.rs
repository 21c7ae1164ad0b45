//! Lambda's rules between a Kinesis stream and a function, claim by claim and over random histories.
#![allow(clippy::unwrap_used)]

mod lineage;
mod log;
mod properties;
mod shard;
mod turns;
mod world;
