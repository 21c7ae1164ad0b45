//! Checkpoints, maps and policies in DynamoDB tables.

mod checkpoints;
mod item;
mod maps;
mod policies;
mod tables;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;

pub use self::checkpoints::Checkpoints;
pub use self::maps::Maps;
pub use self::policies::Policies;
pub use self::tables::Tables;
use crate::retry::RetryPolicy;

/// A client of DynamoDB, cheap to clone, and how long it is waited for.
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
