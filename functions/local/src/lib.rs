//! The binary `equilibrium`: its commands, the host that runs all functions in one process, and the workload that
//! posts events to it.

pub mod commands;
pub mod host;
pub mod workload;
