//! The streams of events, counts and changes in Kinesis.

mod batching_producer;
mod consumer;
mod producers;
mod streams;

use aws_config::SdkConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::Builder;

pub use self::consumer::{KinesisConsumer, Oldest};
pub use self::producers::{Changes, Counts, Events};
pub use self::streams::Streams;
use crate::retry::RetryPolicy;

/// A client of Kinesis, cheap to clone, and how long it is waited for.
#[derive(Clone, Debug)]
pub struct Connection {
    client: Client,
    patience: RetryPolicy,
}

impl Connection {
    /// Connects at the first call; retries and timeouts of `config` give way to `patience`.
    #[must_use]
    pub fn new(config: &SdkConfig, patience: RetryPolicy) -> Self {
        let config = Builder::from(config)
            .retry_config(patience.retries())
            .timeout_config(patience.timeouts())
            .build();
        Self { client: Client::from_conf(config), patience }
    }
}
