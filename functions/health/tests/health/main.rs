//! Health over HTTP, and the event of the schedule.

#![allow(clippy::unwrap_used, reason = "a failure in a test's helper fails the test")]

mod fixture;
mod payloads;
mod read;
