//! Servers that tests and benchmarks start: Redis and emulators of AWS.

#[cfg(feature = "aws")]
pub mod emulator;
pub mod redis;
