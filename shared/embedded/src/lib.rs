//! The ports of Equilibrium in one process: everything in memory and, with a folder, written behind to disk.

pub mod database;
mod record_batch;
mod state;
pub mod store;
pub mod stream_log;
mod write_behind;
