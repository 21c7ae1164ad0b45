//! How a mapping reads, batches and retries, within Lambda's limits.

use thiserror::Error;

/// Maximum records of a batch (AWS Lambda developer guide, "Lambda parameters for Kinesis", `BatchSize`).
pub const MAX_BATCH_SIZE: usize = 10_000;

/// Maximum batching window: five minutes (same page, `MaximumBatchingWindowInSeconds`).
pub const MAX_BATCHING_WINDOW_MS: i64 = 300_000;

/// Maximum payload of a synchronous invocation: 6 MB ("Lambda quotas").
pub const MAX_PAYLOAD_BYTES: usize = 6 * 1024 * 1024;

/// Maximum number of retries where they are limited (`MaximumRetryAttempts`).
pub const MAX_RETRIES: u32 = 10_000;

/// Minimum age at which records may be discarded (`MaximumRecordAgeInSeconds`): a minute.
pub const MIN_RECORD_AGE_MS: i64 = 60_000;

/// Maximum age at which records may be discarded (same page): a week.
pub const MAX_RECORD_AGE_MS: i64 = 604_800_000;

/// How often Lambda polls a shard that had no new records ("Polling and batching streams"): once a second.
pub const POLL_MS: i64 = 1_000;

/// Maximum poll interval: a mapping that polls less often than its longest window is as good as disabled.
pub const MAX_POLL_MS: i64 = MAX_BATCHING_WINDOW_MS;

/// Backoff before the first retry. Lambda does not publish its own; this one is short enough for a transient error.
pub const MIN_RETRY_BACKOFF_MS: i64 = 100;

/// Maximum backoff between retries: a mapping resumes within a minute after its target has recovered.
pub const MAX_RETRY_BACKOFF_MS: i64 = 60_000;

/// How often the list of shards is refreshed; it is read at the end of a shard, too.
pub const LIST_INTERVAL_MS: i64 = 60_000;

/// One mapping's settings. The defaults are Lambda's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Maximum records of a batch, 1 to [`MAX_BATCH_SIZE`].
    pub batch_size: usize,
    /// How long records are gathered for a fuller batch, 0 to [`MAX_BATCHING_WINDOW_MS`].
    pub batching_window_ms: i64,
    /// Maximum bytes of a payload, up to [`MAX_PAYLOAD_BYTES`].
    pub max_payload_bytes: usize,
    /// How often a failed batch is retried, up to [`MAX_RETRIES`]; `None`: until it succeeds or is too old.
    pub retries: Option<u32>,
    /// Older records are discarded, [`MIN_RECORD_AGE_MS`] to [`MAX_RECORD_AGE_MS`]; `None`: never.
    pub max_record_age_ms: Option<i64>,
    /// Whether a failed batch is halved until the record at fault is alone (`BisectBatchOnFunctionError`).
    pub bisect_on_error: bool,
    /// Whether the function's `batchItemFailures` apply (`ReportBatchItemFailures`).
    pub report_batch_item_failures: bool,
    /// Concurrent batches of one shard; must be 1.
    pub parallelization_factor: u32,
    /// Pause after a read that returned nothing, 0 to [`MAX_POLL_MS`]; with 0 every poll reads.
    pub poll_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_size: 100,
            batching_window_ms: 0,
            max_payload_bytes: MAX_PAYLOAD_BYTES,
            retries: None,
            max_record_age_ms: None,
            bisect_on_error: false,
            report_batch_item_failures: false,
            parallelization_factor: 1,
            poll_ms: POLL_MS,
        }
    }
}

/// A setting outside its range: change it and start again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// The batch size is out of range.
    #[error("batch size {0} is not in 1..={MAX_BATCH_SIZE}")]
    BatchSize(usize),
    /// The batching window is out of range.
    #[error("batching window of {0} ms is not in 0..={MAX_BATCHING_WINDOW_MS}")]
    BatchingWindow(i64),
    /// The payload limit is out of range.
    #[error("payload of {0} bytes is not in 1..={MAX_PAYLOAD_BYTES}")]
    Payload(usize),
    /// Too many retries.
    #[error("{0} retries exceed {MAX_RETRIES}; omit the limit to retry without end")]
    Retries(u32),
    /// The maximum record age is out of range.
    #[error("record age of {0} ms is not in {MIN_RECORD_AGE_MS}..={MAX_RECORD_AGE_MS}")]
    RecordAge(i64),
    /// The poll interval is out of range.
    #[error("poll interval of {0} ms is not in 0..={MAX_POLL_MS}")]
    Poll(i64),
    /// More than one concurrent batch of a shard.
    #[error(
        "parallelization factor {0} is not supported: batches of one shard would overtake each other, and \
         deduplication relies on the order within a lane; for more throughput add shards"
    )]
    ParallelizationFactor(u32),
}

impl Settings {
    /// Returns the settings if all are in range.
    ///
    /// # Errors
    /// The first setting that is out of range.
    pub fn checked(self) -> Result<Self, SettingsError> {
        if !(1..=MAX_BATCH_SIZE).contains(&self.batch_size) {
            return Err(SettingsError::BatchSize(self.batch_size));
        }
        if !(0..=MAX_BATCHING_WINDOW_MS).contains(&self.batching_window_ms) {
            return Err(SettingsError::BatchingWindow(self.batching_window_ms));
        }
        if !(1..=MAX_PAYLOAD_BYTES).contains(&self.max_payload_bytes) {
            return Err(SettingsError::Payload(self.max_payload_bytes));
        }
        if let Some(retries) = self.retries.filter(|&r| r > MAX_RETRIES) {
            return Err(SettingsError::Retries(retries));
        }
        let ages = MIN_RECORD_AGE_MS..=MAX_RECORD_AGE_MS;
        if let Some(age) = self.max_record_age_ms.filter(|age| !ages.contains(age)) {
            return Err(SettingsError::RecordAge(age));
        }
        if !(0..=MAX_POLL_MS).contains(&self.poll_ms) {
            return Err(SettingsError::Poll(self.poll_ms));
        }
        if self.parallelization_factor != 1 {
            return Err(SettingsError::ParallelizationFactor(self.parallelization_factor));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_concurrent_batch_of_a_shard_is_rejected_with_the_reason() {
        let error = Settings { parallelization_factor: 2, ..Settings::default() }.checked().unwrap_err();
        assert_eq!(error, SettingsError::ParallelizationFactor(2));
        assert!(error.to_string().contains("order within a lane"), "{error}");
    }

    #[test]
    fn every_range_includes_its_bounds() {
        let valid = Settings::default();
        let cases = [
            (Settings { batch_size: 1, ..valid }, Settings { batch_size: 0, ..valid }),
            (Settings { batch_size: 10_000, ..valid }, Settings { batch_size: 10_001, ..valid }),
            (Settings { batching_window_ms: 0, ..valid }, Settings { batching_window_ms: -1, ..valid }),
            (
                Settings { batching_window_ms: 300_000, ..valid },
                Settings { batching_window_ms: 300_001, ..valid },
            ),
            (Settings { max_payload_bytes: 1, ..valid }, Settings { max_payload_bytes: 0, ..valid }),
            (
                Settings { max_payload_bytes: 6_291_456, ..valid },
                Settings { max_payload_bytes: 6_291_457, ..valid },
            ),
            (Settings { retries: Some(10_000), ..valid }, Settings { retries: Some(10_001), ..valid }),
            (
                Settings { max_record_age_ms: Some(60_000), ..valid },
                Settings { max_record_age_ms: Some(59_999), ..valid },
            ),
            (
                Settings { max_record_age_ms: Some(604_800_000), ..valid },
                Settings { max_record_age_ms: Some(604_800_001), ..valid },
            ),
            (Settings { poll_ms: 0, ..valid }, Settings { poll_ms: -1, ..valid }),
            (Settings { poll_ms: 300_000, ..valid }, Settings { poll_ms: 300_001, ..valid }),
            (valid, Settings { parallelization_factor: 0, ..valid }),
        ];
        for (inside, outside) in cases {
            assert_eq!(inside.checked(), Ok(inside));
            assert!(outside.checked().is_err(), "{outside:?}");
        }
    }
}
