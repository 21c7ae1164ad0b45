//! The names of the streams, and their creation for tests and emulators.

use aws_sdk_kinesis::error::DisplayErrorContext;
use aws_sdk_kinesis::operation::create_stream::CreateStreamError;
use aws_sdk_kinesis::operation::delete_stream::DeleteStreamError;
use aws_sdk_kinesis::operation::describe_stream_summary::DescribeStreamSummaryError;
use aws_sdk_kinesis::types::StreamStatus;

use super::Connection;
use crate::provision::{ProvisionError, wait_until};

/// The names of the streams of one deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streams {
    /// Market events, by lane.
    pub events: String,
    /// Tick counts of lanes, by city group.
    pub counts: String,
    /// Changed multipliers, by city.
    pub changes: String,
}

impl Streams {
    /// The streams of the deployment called `prefix`: `{prefix}-events` and so on.
    #[must_use]
    pub fn named(prefix: &str) -> Self {
        let name = |stream: &str| format!("{prefix}-{stream}");
        Self { events: name("events"), counts: name("counts"), changes: name("changes") }
    }

    /// Creates the streams that do not exist, with this many shards each, and waits until all are active.
    ///
    /// # Errors
    /// [`ProvisionError`] for the first stream that is not active within a minute.
    pub async fn create(&self, connection: &Connection, shards: i32) -> Result<(), ProvisionError> {
        for stream in self.names() {
            wait_until(stream, async || create(connection, stream, shards).await).await?;
            let active = async || Ok(status(connection, stream).await? == Some(StreamStatus::Active));
            wait_until(stream, active).await?;
        }
        Ok(())
    }

    /// Deletes the streams that exist, with their records, and waits until they are deleted.
    ///
    /// # Errors
    /// [`ProvisionError`] for the first stream that is not deleted within a minute.
    pub async fn delete(&self, connection: &Connection) -> Result<(), ProvisionError> {
        for stream in self.names() {
            let request =
                connection.client.delete_stream().stream_name(stream).enforce_consumer_deletion(true);
            if let Err(error) = request.send().await
                && !error.as_service_error().is_some_and(DeleteStreamError::is_resource_not_found_exception)
            {
                return Err(ProvisionError::new(stream, DisplayErrorContext(&error)));
            }
        }
        for stream in self.names() {
            wait_until(stream, async || Ok(status(connection, stream).await?.is_none())).await?;
        }
        Ok(())
    }

    fn names(&self) -> [&str; 3] {
        [&self.events, &self.counts, &self.changes]
    }
}

/// Requests a stream; `false` if too many are being created.
async fn create(connection: &Connection, stream: &str, shards: i32) -> Result<bool, ProvisionError> {
    let request = connection.client.create_stream().stream_name(stream).shard_count(shards);
    let Err(error) = request.send().await else { return Ok(true) };
    match error.as_service_error() {
        Some(CreateStreamError::ResourceInUseException(_)) => Ok(true),
        Some(CreateStreamError::LimitExceededException(_)) => Ok(false),
        _ => Err(ProvisionError::new(stream, DisplayErrorContext(&error))),
    }
}

/// The status of a stream; `None` if it does not exist.
async fn status(connection: &Connection, stream: &str) -> Result<Option<StreamStatus>, ProvisionError> {
    match connection.client.describe_stream_summary().stream_name(stream).send().await {
        Ok(described) => Ok(described.stream_description_summary.map(|summary| summary.stream_status)),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(DescribeStreamSummaryError::is_resource_not_found_exception) =>
        {
            Ok(None)
        }
        Err(error) => Err(ProvisionError::new(stream, DisplayErrorContext(&error))),
    }
}
