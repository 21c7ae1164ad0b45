//! Commands that show a person what the API answers, or what a file of figures means.

pub mod capacity;
pub mod explain;
pub mod http;
#[cfg(feature = "tls")]
mod https;
mod table;
pub mod token;
