//! What the adapters of AWS keep when a real wire lies between: every port's contract against an emulator,
//! and the same among faults of the wire.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::large_futures, clippy::large_stack_arrays, reason = "a test has a stack of megabytes")]

mod checkpoints;
mod emulator;
mod faults;
mod invoke;
mod maps;
mod policies;
#[path = "../cache/server.rs"]
#[expect(dead_code, reason = "what the cache's own tests do to it")]
mod redis;
mod reshard;
mod resharded;
mod services;
mod streams;
mod walk;
mod wire;
