//! The workload that `equilibrium` posts to itself or to a deployment: a simulated city, or a file of events.

pub mod driver;
#[cfg(feature = "aws")]
pub mod http_client;
pub mod source;
mod source_thread;
