//! Rate limits: how often each client may call, over all instances of a deployment (CONTRACT §5).

pub mod limiter;
pub mod memory_rates;
pub mod ports;
pub mod settings;
