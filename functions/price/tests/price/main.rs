//! The price function over stores in memory that a test can slow down or fail.

#![allow(clippy::unwrap_used, reason = "a failure in a test's helper fails the test")]

mod cities;
mod fixture;
mod map;
mod outages;
mod overrides;
mod payloads;
mod price;
mod problems;
mod refresh;
mod rungs;
