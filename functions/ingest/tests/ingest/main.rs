//! `POST /v1/events` over a log in memory that is slow, and fails if a test demands it.
#![allow(clippy::unwrap_used)]

mod accept;
mod answer;
mod fixture;
mod limits;
mod log;
mod problem;
mod refuse;
mod watermarks;
