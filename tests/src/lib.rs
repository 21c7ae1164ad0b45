//! Test support: an oracle that implements the contract plainly, adversarial markets, and the fault simulation.

pub mod harness;
pub mod markets;
pub mod oracle;
pub mod rows;
pub mod simulation;
