//! The binary `equilibrium`: its commands, the host that runs every function in one process, and the workload that
//! feeds it.

pub mod commands;
pub mod host;
pub mod workload;
