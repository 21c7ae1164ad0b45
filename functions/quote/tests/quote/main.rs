//! Quotes over HTTP: what is issued, read, confirmed and refused.
#![expect(clippy::unwrap_used, reason = "a failed call fails the test")]

mod confirm;
mod fixture;
mod issue;
mod outages;
mod payloads;
