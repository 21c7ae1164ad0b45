//! The policies of cities over HTTP: read, tried and saved.

mod dry_run;
mod fixture;
mod overrides;
mod payloads;
mod put;
mod read;
