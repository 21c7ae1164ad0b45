//! `equilibrium serve` as a process: its port, its folder, its signals and its output.
#![allow(clippy::unwrap_used)]

mod access;
mod arguments;
mod banner;
mod change_stream;
mod connections;
mod crash_recovery;
mod every_problem;
mod explanations;
mod file_feed;
mod full_disk;
mod harness;
mod http_messages;
mod overrides;
mod parked_logs;
mod policies;
mod problems;
mod recovery;
mod request_bodies;
mod restart;
mod shutdown;
mod slow_clients;
mod status_line;
