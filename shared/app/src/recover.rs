//! Recovery: six steps that bring a failed component back, recorded before and after, under a lease (CONTRACT §6).

pub mod looks;
pub mod metrics;
pub mod ports;
pub mod recoverer;
mod steps;
pub mod trigger;
pub mod verify;
