//! A consumer that reads a stream shard by shard, and a cursor for each shard.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::future::Future;

use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::operation::get_records::{GetRecordsError, GetRecordsOutput};
use aws_sdk_kinesis::operation::get_shard_iterator::GetShardIteratorError;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{self, ShardIteratorType};
use equilibrium_domain::event::sequence::Sequence;
use equilibrium_event_source::iterator_age::IteratorAge;
use equilibrium_event_source::poller::{Source, SourceError};
use equilibrium_event_source::record::{Listed, Page};
use equilibrium_lambda::kinesis::record::{Record, ShardId};
use tokio::time::timeout_at;

use super::Connection;
use crate::retry::log_unavailable;

/// Records of one read (Kinesis API, `GetRecords`).
const MAX_READ_RECORDS: usize = 10_000;

/// Sequence numbers are padded with zeros to at least this length. Those of Kinesis are longer (56 digits).
/// `ministack` pads its own to this length and compares them as texts; a [`Sequence`] has no leading zeros.
const MIN_SEQUENCE_DIGITS: usize = 30;

/// A stream, and the cursor of each of its shards.
///
/// A read that continues where the previous read of the shard ended uses the iterator which that read
/// returned: one request per page.
#[derive(Debug)]
pub struct KinesisConsumer {
    connection: Connection,
    name: String,
    /// Where a shard is read from that has no position, in milliseconds since the epoch; `None` for its oldest record.
    from_ms: Option<i64>,
    shards: Mutex<HashMap<ShardId, ShardCursor>>,
}

/// The end of the last read of a shard.
#[derive(Debug)]
struct ShardCursor {
    after: Option<Sequence>,
    iterator: Option<String>,
    iterator_age_ms: i64,
}

/// The oldest record that a shard retains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oldest {
    /// Its sequence number.
    pub sequence: Sequence,
    /// Its approximate arrival, in milliseconds since the Unix epoch.
    pub arrival_ms: i64,
}

/// Why a page could not be read.
enum ReadError {
    /// The iterator is older than five minutes.
    Expired,
    Source(SourceError),
}

impl From<SourceError> for ReadError {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl KinesisConsumer {
    /// The stream called `name`.
    #[must_use]
    pub fn new(connection: &Connection, name: &str) -> Self {
        Self { connection: connection.clone(), name: name.into(), from_ms: None, shards: Mutex::default() }
    }

    /// The same, which reads a shard without a position from this arrival on, in milliseconds since the epoch.
    #[must_use]
    pub fn starting_at(self, from_ms: i64) -> Self {
        Self { from_ms: Some(from_ms), ..self }
    }

    /// The stream's ARN (`DescribeStreamSummary`).
    ///
    /// # Errors
    /// [`SourceError::Unavailable`]: the stream does not exist, or Kinesis did not answer.
    pub async fn arn(&self) -> Result<String, SourceError> {
        self.within_deadline(async {
            let described = self.connection.client.describe_stream_summary().stream_name(&self.name).send();
            let described =
                described.await.map_err(|error| source_unavailable("DescribeStreamSummary", &error))?;
            let summary = described.stream_description_summary.ok_or(SourceError::Unavailable)?;
            Ok(summary.stream_arn)
        })
        .await
    }

    /// The oldest record that `shard` retains, if any.
    ///
    /// # Errors
    /// [`SourceError`].
    pub async fn oldest_retained(&self, shard: &ShardId) -> Result<Option<Oldest>, SourceError> {
        self.within_deadline(async {
            let mut iterator = Some(self.oldest_iterator(shard).await?);
            while let Some(from) = iterator {
                let page = self.get_records(&from, 1).await.map_err(ReadError::into_source_error)?;
                if let Some(record) = page.records.first() {
                    let Record { sequence, arrival_ms, .. } = read_record(record)?;
                    return Ok(Some(Oldest { sequence, arrival_ms }));
                }
                // A page can be empty although records follow.
                iterator = page.next_shard_iterator.filter(|_| page.millis_behind_latest.unwrap_or(0) > 0);
            }
            Ok(None)
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ShardId, ShardCursor>> {
        self.shards.lock()
    }

    async fn within_deadline<T>(
        &self,
        call: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        timeout_at(self.connection.retry_policy.deadline(), call)
            .await
            .unwrap_or(Err(SourceError::Unavailable))
    }

    /// An iterator that starts after `after`, or at the oldest record.
    async fn iterator(&self, shard: &ShardId, after: Option<&Sequence>) -> Result<String, SourceError> {
        let request = self.connection.client.get_shard_iterator();
        let request = request.stream_name(&self.name).shard_id(shard.as_str());
        let oldest = request.clone().shard_iterator_type(ShardIteratorType::TrimHorizon);
        let answer = match after {
            None => match self.from_ms {
                None => oldest.send().await,
                Some(from_ms) => {
                    let at = DateTime::from_millis(from_ms);
                    request.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(at).send().await
                }
            },
            Some(after) => {
                let request = request.shard_iterator_type(ShardIteratorType::AfterSequenceNumber);
                let after = format!("{:0>MIN_SEQUENCE_DIGITS$}", after.as_str());
                match request.starting_sequence_number(after).send().await {
                    // The shard does not contain this record, or no longer.
                    Err(SdkError::ServiceError(error)) if error.err().is_invalid_argument_exception() => {
                        oldest.send().await
                    }
                    answer => answer,
                }
            }
        };
        match answer {
            Ok(answer) => answer.shard_iterator.ok_or(SourceError::Unavailable),
            Err(SdkError::ServiceError(error))
                if matches!(error.err(), GetShardIteratorError::ResourceNotFoundException(_)) =>
            {
                Err(SourceError::Gone)
            }
            Err(error) => Err(source_unavailable("GetShardIterator", &error)),
        }
    }

    async fn oldest_iterator(&self, shard: &ShardId) -> Result<String, SourceError> {
        let request = self.connection.client.get_shard_iterator().stream_name(&self.name);
        let request = request.shard_id(shard.as_str()).shard_iterator_type(ShardIteratorType::TrimHorizon);
        let answer = request.send().await.map_err(|error| source_unavailable("GetShardIterator", &error))?;
        answer.shard_iterator.ok_or(SourceError::Unavailable)
    }

    async fn get_records(&self, iterator: &str, limit: usize) -> Result<GetRecordsOutput, ReadError> {
        let limit = i32::try_from(limit.clamp(1, MAX_READ_RECORDS)).expect("at most 10 000");
        let request = self.connection.client.get_records().shard_iterator(iterator).limit(limit);
        match request.send().await {
            Ok(page) => Ok(page),
            Err(SdkError::ServiceError(error)) if error.err().is_expired_iterator_exception() => {
                Err(ReadError::Expired)
            }
            Err(SdkError::ServiceError(error))
                if matches!(error.err(), GetRecordsError::ResourceNotFoundException(_)) =>
            {
                Err(SourceError::Gone.into())
            }
            Err(error) => Err(source_unavailable("GetRecords", &error).into()),
        }
    }

    /// The iterator that the last read returned, if that read ended at `after`.
    fn kept_iterator(&self, shard: &ShardId, after: Option<&Sequence>) -> Option<String> {
        let shards = self.lock();
        let cursor = shards.get(shard).filter(|cursor| cursor.after.as_ref() == after)?;
        cursor.iterator.clone()
    }
}

impl ReadError {
    /// For an iterator that was requested just now: another one would not be newer.
    fn into_source_error(self) -> SourceError {
        match self {
            Self::Expired => SourceError::Unavailable,
            Self::Source(error) => error,
        }
    }
}

impl IteratorAge for KinesisConsumer {
    fn iterator_age_ms(&self) -> Option<i64> {
        self.lock().values().map(|cursor| cursor.iterator_age_ms).max()
    }
}

impl Source for KinesisConsumer {
    async fn shards(&self) -> Result<Vec<Listed>, SourceError> {
        self.within_deadline(async {
            let mut listed = Vec::new();
            let mut next_token: Option<String> = None;
            loop {
                let request = self.connection.client.list_shards();
                // A request with a token must not name the stream.
                let request = match next_token {
                    Some(token) => request.next_token(token),
                    None => request.stream_name(&self.name),
                };
                let page = request.send().await.map_err(|error| source_unavailable("ListShards", &error))?;
                for shard in page.shards() {
                    listed.push(read_shard(shard).ok_or(SourceError::Unavailable)?);
                }
                next_token = page.next_token;
                if next_token.is_none() {
                    return Ok(listed);
                }
            }
        })
        .await
    }

    async fn read(
        &self,
        shard: &ShardId,
        after: Option<&Sequence>,
        limit: usize,
    ) -> Result<Page, SourceError> {
        let page = self.within_deadline(async {
            if let Some(kept) = self.kept_iterator(shard, after) {
                match self.get_records(&kept, limit).await {
                    Err(ReadError::Expired) => {}
                    page => return page.map_err(ReadError::into_source_error),
                }
            }
            let iterator = self.iterator(shard, after).await?;
            self.get_records(&iterator, limit).await.map_err(ReadError::into_source_error)
        });
        let page = page.await?;
        let mut records = Vec::with_capacity(page.records.len());
        for record in &page.records {
            let record = read_record(record)?;
            // An iterator that falls back to the oldest record returns earlier records too.
            if after.is_none_or(|after| record.sequence > *after) {
                records.push(record);
            }
        }
        let ended = page.next_shard_iterator.is_none();
        let cursor = ShardCursor {
            after: records.last().map(|record| record.sequence.clone()).or_else(|| after.cloned()),
            iterator: page.next_shard_iterator,
            iterator_age_ms: page.millis_behind_latest.unwrap_or(0),
        };
        self.lock().insert(shard.clone(), cursor);
        Ok(Page { records, ended })
    }
}

fn read_shard(shard: &types::Shard) -> Option<Listed> {
    let parents = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()];
    let parents = parents.into_iter().flatten().map(ShardId::new).collect::<Option<_>>()?;
    Some(Listed { id: ShardId::new(shard.shard_id())?, parents })
}

fn read_record(record: &types::Record) -> Result<Record, SourceError> {
    let digits = record.sequence_number.trim_start_matches('0');
    Ok(Record {
        sequence: Sequence::new(digits).ok_or(SourceError::Unavailable)?,
        partition_key: record.partition_key.as_deref().unwrap_or_default().into(),
        data: record.data.as_ref().to_vec(),
        arrival_ms: record.approximate_arrival_timestamp.map(nearest_ms).ok_or(SourceError::Unavailable)?,
    })
}

/// Milliseconds since the epoch. The wire form is seconds with decimals, which binary fractions only approximate.
fn nearest_ms(at: DateTime) -> i64 {
    at.secs() * 1000 + i64::from((at.subsec_nanos() + 500_000) / 1_000_000)
}

fn source_unavailable(request: &'static str, error: &dyn std::error::Error) -> SourceError {
    log_unavailable(request, error);
    SourceError::Unavailable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrival_time_is_rounded_to_the_nearest_millisecond() {
        for ms in [1_545_084_650_987, 1_763_942_400_001, 1_763_942_400_999, 0] {
            #[expect(clippy::cast_precision_loss)]
            let seconds = ms as f64 / 1000.0;
            assert_eq!(nearest_ms(DateTime::from_secs_f64(seconds)), ms);
        }
    }

    #[test]
    fn leading_zeros_of_a_sequence_number_are_removed() {
        let record = |digits: &str| {
            let record = types::Record::builder().sequence_number(digits).partition_key("1");
            let record = record.data(Vec::new().into());
            read_record(&record.approximate_arrival_timestamp(DateTime::from_secs(1)).build().unwrap())
                .unwrap()
        };
        assert_eq!(record("000000017639424000010000000007").sequence.as_str(), "17639424000010000000007");
        let long = "49590338271490256608559692538361571095921575989136588898";
        assert_eq!(record(long).sequence.as_str(), long);
    }
}
