//! Test support: a plain reading of the contract and nasty markets, which share nothing with the
//! product, and a simulation that runs the product among faults.

pub mod faults;
pub mod harness;
pub mod markets;
pub mod oracle;
pub mod simulation;
