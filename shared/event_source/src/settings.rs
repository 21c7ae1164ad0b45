//! How a mapping reads, batches and retries, within Lambda's limits.

use thiserror::Error;

/// Most records in a batch (AWS Lambda developer guide, "Lambda parameters for Kinesis", `BatchSize`).
pub const MAX_BATCH_SIZE: usize = 10_000;

/// Longest batching window: five minutes (the same, `MaximumBatchingWindowInSeconds`).
pub const MAX_BATCHING_WINDOW_MS: i64 = 300_000;

/// Largest payload of a synchronous invocation: 6 MB ("Lambda quotas").
pub const MAX_PAYLOAD_BYTES: usize = 6 * 1024 * 1024;

/// Most retries that can be asked for by number (`MaximumRetryAttempts`).
pub const MAX_RETRIES: u32 = 10_000;

/// Shortest age at which records may be given up (`MaximumRecordAgeInSeconds`): a minute.
pub const MIN_RECORD_AGE_MS: i64 = 60_000;

/// Longest age at which records may be given up (the same): a week.
pub const MAX_RECORD_AGE_MS: i64 = 604_800_000;

/// How often Lambda looks at a shard that had nothing new ("Polling and batching streams"): once a second.
pub const POLL_MS: i64 = 1_000;

/// Longest pause between two looks: a mapping that looks less often than its longest window is off.
pub const MAX_POLL_MS: i64 = MAX_BATCHING_WINDOW_MS;

/// Wait before the first retry. Lambda's own is not published; short enough for a passing hiccup.
pub const RETRY_FIRST_MS: i64 = 100;

/// Longest wait between retries: a target that was down for hours is found back within a minute.
pub const RETRY_LONGEST_MS: i64 = 60_000;

/// How the list of shards is kept fresh apart from the end of a shard, at which it is always read.
pub const LIST_MS: i64 = 60_000;

/// One mapping's settings. The default is what Lambda takes where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Most records of a batch, 1 to [`MAX_BATCH_SIZE`].
    pub batch_size: usize,
    /// How long records are gathered for a fuller batch, 0 to [`MAX_BATCHING_WINDOW_MS`].
    pub batching_window_ms: i64,
    /// Most bytes of a payload, up to [`MAX_PAYLOAD_BYTES`].
    pub max_payload_bytes: usize,
    /// How often a failed batch is tried again, up to [`MAX_RETRIES`]; none: until it succeeds or is too old.
    pub retries: Option<u32>,
    /// Older records are given up, [`MIN_RECORD_AGE_MS`] to [`MAX_RECORD_AGE_MS`]; none: never.
    pub max_record_age_ms: Option<i64>,
    /// Whether a failed batch is halved until the record at fault stands alone.
    pub bisect_on_error: bool,
    /// Whether the function's `batchItemFailures` are heard.
    pub report_batch_item_failures: bool,
    /// Batches of one shard at a time; 1 and nothing else.
    pub parallelization_factor: u32,
    /// Pause after a read that brought nothing, 0 to [`MAX_POLL_MS`]; 0 looks at every turn.
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

/// A setting that no mapping can have: change it and start again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// More or fewer records than a batch can have.
    #[error("batch size {0} is not in 1..={MAX_BATCH_SIZE}")]
    BatchSize(usize),
    /// A window that Lambda does not wait.
    #[error("batching window of {0} ms is not in 0..={MAX_BATCHING_WINDOW_MS}")]
    BatchingWindow(i64),
    /// A payload that Lambda does not carry.
    #[error("payload of {0} bytes is not in 1..={MAX_PAYLOAD_BYTES}")]
    Payload(usize),
    /// More retries than can be counted.
    #[error("{0} retries are more than {MAX_RETRIES}; leave them out to retry without end")]
    Retries(u32),
    /// An age that Lambda does not know.
    #[error("record age of {0} ms is not in {MIN_RECORD_AGE_MS}..={MAX_RECORD_AGE_MS}")]
    RecordAge(i64),
    /// A pause that is none, or as good as off.
    #[error("pause of {0} ms between polls is not in 0..={MAX_POLL_MS}")]
    Poll(i64),
    /// More than one batch of a shard at a time.
    #[error(
        "parallelization factor {0} is refused: batches of one shard would overtake each other, and \
         skipping what was already done rests on the order within a lane; for more speed add shards"
    )]
    ParallelizationFactor(u32),
}

impl Settings {
    /// Gives the settings back if a mapping can have them.
    ///
    /// # Errors
    /// The first setting out of its range.
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
    fn a_second_batch_of_one_shard_is_refused_with_the_reason() {
        let refused = Settings { parallelization_factor: 2, ..Settings::default() }.checked().unwrap_err();
        assert_eq!(refused, SettingsError::ParallelizationFactor(2));
        assert!(refused.to_string().contains("order within a lane"), "{refused}");
    }

    #[test]
    fn every_limit_holds_at_both_its_ends() {
        let fine = Settings::default();
        let cases = [
            (Settings { batch_size: 1, ..fine }, Settings { batch_size: 0, ..fine }),
            (Settings { batch_size: 10_000, ..fine }, Settings { batch_size: 10_001, ..fine }),
            (Settings { batching_window_ms: 0, ..fine }, Settings { batching_window_ms: -1, ..fine }),
            (
                Settings { batching_window_ms: 300_000, ..fine },
                Settings { batching_window_ms: 300_001, ..fine },
            ),
            (Settings { max_payload_bytes: 1, ..fine }, Settings { max_payload_bytes: 0, ..fine }),
            (
                Settings { max_payload_bytes: 6_291_456, ..fine },
                Settings { max_payload_bytes: 6_291_457, ..fine },
            ),
            (Settings { retries: Some(10_000), ..fine }, Settings { retries: Some(10_001), ..fine }),
            (
                Settings { max_record_age_ms: Some(60_000), ..fine },
                Settings { max_record_age_ms: Some(59_999), ..fine },
            ),
            (
                Settings { max_record_age_ms: Some(604_800_000), ..fine },
                Settings { max_record_age_ms: Some(604_800_001), ..fine },
            ),
            (Settings { poll_ms: 0, ..fine }, Settings { poll_ms: -1, ..fine }),
            (Settings { poll_ms: 300_000, ..fine }, Settings { poll_ms: 300_001, ..fine }),
            (fine, Settings { parallelization_factor: 0, ..fine }),
        ];
        for (inside, outside) in cases {
            assert_eq!(inside.checked(), Ok(inside));
            assert!(outside.checked().is_err(), "{outside:?}");
        }
    }
}
