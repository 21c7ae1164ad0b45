//! What tests and benchmarks of the adapters share: the servers that they start, Redis and emulators of AWS, and maps.

#[cfg(feature = "aws")]
pub mod emulator;
pub mod maps;
pub mod redis;
