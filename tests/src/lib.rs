//! Test support that shares nothing with the product: a plain reading of the contract, and nasty markets.

pub mod market;
pub mod oracle;
