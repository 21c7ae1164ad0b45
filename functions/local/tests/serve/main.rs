//! `equilibrium serve` as it is run: a process, its port, its folder, its signals and what it says.
#![allow(clippy::unwrap_used)]

mod arguments;
mod bodies;
mod client;
mod connections;
mod feeds;
mod full_disk;
mod kill;
mod market;
mod problems;
mod restart;
mod said;
mod stop;
mod welcome;
mod world;
