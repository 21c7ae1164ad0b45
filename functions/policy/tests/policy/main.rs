//! The policies of cities over HTTP: read, tried and saved.

#![allow(clippy::unwrap_used, reason = "a failure in a test's helper fails the test")]

mod dry_run;
mod fixture;
mod overrides;
mod payloads;
mod put;
mod read;
