//! The streams of events, counts and changes in Kinesis.

mod batching_producer;
mod consumer;
mod producers;
mod round_trip;
mod streams;

use aws_config::SdkConfig;
use aws_sdk_kinesis::Client;

pub use self::consumer::{KinesisConsumer, Oldest};
pub use self::producers::{Changes, Counts, Events};
pub use self::round_trip::StreamRoundTrip;
pub use self::streams::Streams;
use crate::retry::RetryPolicy;

/// A client of Kinesis, cheap to clone, and its retry policy.
#[derive(Clone, Debug)]
pub struct Connection {
    client: Client,
    retry_policy: RetryPolicy,
}

impl Connection {
    /// Connects at the first call. `retry_policy` replaces the retries and timeouts of `config`.
    #[must_use]
    pub fn new(config: &SdkConfig, retry_policy: RetryPolicy) -> Self {
        Self { client: Client::new(&retry_policy.apply_to(config)), retry_policy }
    }
}
