//! The price function over stores in memory: what riders and their apps see.

#![allow(clippy::unwrap_used, reason = "what fails in a test's own helper fails the test")]

mod cities;
mod faults;
mod map;
mod payloads;
mod price;
mod world;
mod wrong;
