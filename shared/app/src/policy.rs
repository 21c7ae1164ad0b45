//! The policies in force: their store, and how a function keeps up with it.

pub mod policy_cache;
pub mod policy_set;
pub mod ports;
