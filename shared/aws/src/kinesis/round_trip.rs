//! A round trip to a stream: a read of what is newest in one of its shards.

use aws_sdk_kinesis::types::ShardIteratorType;
use equilibrium_app::health::ports::RoundTrip;
use equilibrium_app::unavailable::Unavailable;
use tokio::time::timeout_at;

use super::Connection;
use crate::retry::log_unavailable;

/// Reads nothing from one shard of a stream. A shard serves five reads a second (Amazon Kinesis Data Streams developer guide,
/// "Quotas and limits"); this takes one of fifty.
#[derive(Clone, Debug)]
pub struct StreamRoundTrip {
    connection: Connection,
    name: String,
}

impl StreamRoundTrip {
    /// The stream called `name`.
    #[must_use]
    pub fn new(connection: &Connection, name: &str) -> Self {
        Self { connection: connection.clone(), name: name.to_owned() }
    }

    async fn read(&self) -> Result<(), Unavailable> {
        let client = &self.connection.client;
        let shards = client.list_shards().stream_name(&self.name).max_results(1).send();
        let shards = shards.await.map_err(|error| log_unavailable("ListShards", &error))?;
        let shard = shards.shards().first().ok_or(Unavailable)?.shard_id();
        let iterator = client.get_shard_iterator().stream_name(&self.name).shard_id(shard);
        let iterator = iterator.shard_iterator_type(ShardIteratorType::Latest).send();
        let iterator = iterator.await.map_err(|error| log_unavailable("GetShardIterator", &error))?;
        let iterator = iterator.shard_iterator.ok_or(Unavailable)?;
        let records = client.get_records().shard_iterator(iterator).limit(1).send();
        records.await.map(drop).map_err(|error| log_unavailable("GetRecords", &error))
    }
}

impl RoundTrip for StreamRoundTrip {
    async fn round_trip(&self) -> Result<(), Unavailable> {
        timeout_at(self.connection.retry_policy.deadline(), self.read()).await.unwrap_or(Err(Unavailable))
    }
}
