//! Checkpoints, histories, the figures of days, maps, policies, overrides, quotes, recoveries and the watermark board in DynamoDB tables.

mod checkpoints;
mod days;
mod history;
mod item;
mod maps;
mod overrides;
mod policies;
mod quotes;
mod recoveries;
mod table;
mod tables;
mod watermark_board;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;

pub use self::checkpoints::Checkpoints;
pub use self::days::{Days, bounds};
pub use self::history::History;
pub use self::maps::Maps;
pub use self::overrides::Overrides;
pub use self::policies::Policies;
pub use self::quotes::Quotes;
pub use self::recoveries::Recoveries;
pub use self::tables::Tables;
pub use self::watermark_board::WatermarkBoard;
use crate::retry::RetryPolicy;

/// A client of DynamoDB, cheap to clone, and its retry policy.
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
