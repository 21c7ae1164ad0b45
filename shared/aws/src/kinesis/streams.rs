//! The names of the streams, and their creation where no infrastructure does it.

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
    /// What lanes counted, by group of cities.
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

    /// Creates those that do not exist, with so many shards each; done when all can be used.
    ///
    /// # Errors
    /// [`ProvisionError`] for the first that is not there within a minute.
    pub async fn create(&self, connection: &Connection, shards: i32) -> Result<(), ProvisionError> {
        for stream in self.names() {
            wait_until(stream, async || begin(connection, stream, shards).await).await?;
            let active = async || Ok(status(connection, stream).await? == Some(StreamStatus::Active));
            wait_until(stream, active).await?;
        }
        Ok(())
    }

    /// Deletes those that exist, with all they hold; done when they are gone.
    ///
    /// # Errors
    /// [`ProvisionError`] for the first that is not gone within a minute.
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

/// Has a stream created; false where too many are being created already.
async fn begin(connection: &Connection, stream: &str, shards: i32) -> Result<bool, ProvisionError> {
    let request = connection.client.create_stream().stream_name(stream).shard_count(shards);
    let Err(error) = request.send().await else { return Ok(true) };
    match error.as_service_error() {
        Some(CreateStreamError::ResourceInUseException(_)) => Ok(true),
        Some(CreateStreamError::LimitExceededException(_)) => Ok(false),
        _ => Err(ProvisionError::new(stream, DisplayErrorContext(&error))),
    }
}

/// How a stream is, if there is one.
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
