//! `notify`: changes of the cities' maps, to those who follow them (CONTRACT §10).
//!
//! `GET /v1/stream` is answered with events (HTML standard, "Server-sent events") from the change log of the process.

mod message;
mod subscription;

pub use crate::subscription::{Subscription, subscribe};
