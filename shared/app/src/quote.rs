//! Quotes: fares that hold, in tokens that a client keeps (CONTRACT §8).

pub mod confirm;
pub mod issue;
pub mod keys;
pub mod metrics;
pub mod ports;
pub mod service;
pub mod token;
