//! A client of the API, for commands that show a person what it answers.

pub mod explain;
pub mod http;
#[cfg(feature = "tls")]
mod https;
pub mod token;
