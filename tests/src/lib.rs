//! Test support: an oracle that implements the contract plainly, adversarial markets, and the fault simulation.

// The handlers over the adapters for AWS are deep futures.
#![cfg_attr(feature = "aws", recursion_limit = "256")]

pub mod harness;
pub mod markets;
pub mod oracle;
pub mod rows;
pub mod simulation;
