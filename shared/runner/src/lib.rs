//! What Lambda does between a Kinesis stream and a function: read, batch, retry, split, in order.
//!
//! [`shard`] and [`mapping`] decide and never wait; [`driver`] reads and invokes over three ports;
//! [`payload`] is what the function gets to see; [`memory`] is a log of shards without a network.

pub mod mapping;
pub mod payload;
pub mod poller;
pub mod record;
pub mod settings;
pub mod shard;
pub mod stream_log;
