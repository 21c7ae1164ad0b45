//! Starts `equilibrium serve` and talks to it; shared with the benches.

pub mod event_stream;
pub mod fixture;
pub mod http_client;
pub mod market;
pub mod process;
