//! Calls to a dependency, such as a cache or a store: a circuit breaker, a bulkhead and a deadline around each.
//!
//! A process has one [`guard::Dependency`] for its cache and one for its store, and every port of them is
//! [`guarded::Guarded`] by it. So a dependency that hangs costs its deadline, for as many calls as the bulkhead admits and
//! until the breaker opens, and nothing more. Calls are not repeated here: what is repeated is repeated by the client of the
//! service, within the deadline, or by the next look of a reader.

pub mod breaker;
pub mod guard;
pub mod guarded;
pub mod metrics;
