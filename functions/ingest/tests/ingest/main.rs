//! What `POST /v1/events` promises, over a log in memory that fails and is slow on request.
#![allow(clippy::unwrap_used)]

mod accept;
mod answer;
mod clocks;
mod limits;
mod log;
mod problem;
mod refuse;
mod world;
