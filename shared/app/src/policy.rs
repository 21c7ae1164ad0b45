//! The policies in force: their store, and the cache through which a function follows its changes.

pub mod bounds;
pub mod city_days;
pub mod policy_cache;
pub mod policy_set;
pub mod ports;
