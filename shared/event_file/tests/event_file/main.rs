//! Files of events as a workload: lines, and rebased timestamps.
#![allow(clippy::unwrap_used)]

mod line_reader;
mod rebased_file;
