//! The AWS adapters against an emulator: the contract of every port, the same with faults of the connection,
//! and the system from request to price.

#![expect(clippy::unwrap_used, reason = "a failed call fails the test")]
#![expect(clippy::large_futures, clippy::large_stack_arrays, reason = "a test has a stack of megabytes")]

mod checkpoints;
mod days;
mod end_to_end;
mod fault_proxy;
mod faults;
mod lambda_invoker;
mod maps;
mod overrides;
mod policies;
mod price_outage;
mod quotes;
mod reports;
mod resharding_source;
mod resharding_under_load;
mod secrets;
mod services;
mod streams;
mod watermark_board;
