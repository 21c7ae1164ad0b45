//! Quotes: fares that hold, in tokens that a client keeps (CONTRACT §8).

pub mod confirm;
pub mod keys;
pub mod ports;
pub mod token;
