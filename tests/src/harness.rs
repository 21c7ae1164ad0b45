//! Servers that tests and benchmarks start: Redis and emulators of AWS.

pub mod emulator;
pub mod redis;
