//! Adapters of Equilibrium's ports for one process: all data in memory and, given a folder, written behind to disk.

mod acknowledged;
mod confirmed_quotes;
pub mod data_folder;
pub mod database;
mod days;
mod key_file;
pub mod open_error;
mod override_rows;
mod overrides;
mod past;
pub mod past_tables;
mod policies;
pub mod policy_store;
pub mod pseudonym_key;
pub mod quotes;
pub mod record_batch;
mod recoveries;
mod state;
pub mod store;
pub mod stream_log;
pub mod token_key;
mod write_behind;
