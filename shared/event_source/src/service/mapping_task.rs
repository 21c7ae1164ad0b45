//! The task of one mapping: polls while the mapping is enabled, saves positions, reports the iterator age.

use std::time::Duration;

use equilibrium_app::clock::system_now_ms;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use xxhash_rust::xxh3::xxh3_128;

use super::mapping_config::MappingConfig;
use super::position_file::PositionFile;
use crate::iterator_age::{IteratorAge, IteratorAgeSink};
use crate::poller::{EventSourcePoller, OnFailure, PollOutcome, Source, Target};

/// How often the iterator age is reported and changed positions are saved.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// A mapping's identity, configuration and state, shared by its task and the control API.
#[derive(Debug)]
pub struct MappingTask {
    /// The function's short name, as `count`.
    pub name: String,
    /// The mapping's UUID, derived from its ARNs: the same after every start.
    pub uuid: String,
    /// The function that the mapping invokes.
    pub function_arn: String,
    /// The stream that the mapping reads.
    pub stream_arn: String,
    /// The on-failure destination, a queue.
    pub on_failure_arn: String,
    /// How the mapping reads.
    pub config: MappingConfig,
    enabled: watch::Sender<bool>,
    counters: Mutex<Counters>,
}

/// Whether the task polls, and its totals since the start.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    is_polling: bool,
    read: usize,
    invoked: usize,
    discarded: usize,
    source_errors: usize,
}

impl Counters {
    fn add(&mut self, outcome: &PollOutcome) {
        self.read += outcome.read;
        self.invoked += outcome.invoked;
        self.discarded += outcome.discarded;
        self.source_errors += outcome.source_errors;
    }
}

impl MappingTask {
    /// An enabled mapping.
    #[must_use]
    pub fn new(
        name: String,
        function_arn: String,
        stream_arn: String,
        on_failure_arn: String,
        config: MappingConfig,
    ) -> Self {
        let digest = xxh3_128(format!("{stream_arn} {function_arn}").as_bytes());
        let hex = format!("{digest:032x}");
        let uuid = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        let (enabled, _) = watch::channel(true);
        let counters = Mutex::default();
        Self { name, uuid, function_arn, stream_arn, on_failure_arn, config, enabled, counters }
    }

    /// Enables the mapping, or disables it after the batch in progress.
    pub fn set_enabled(&self, enabled: bool) {
        self.enabled.send_replace(enabled);
    }

    /// The mapping as Lambda's API shows it (`EventSourceMappingConfiguration`).
    #[must_use]
    pub fn document(&self) -> Value {
        let counters = *self.counters.lock();
        let state = match (*self.enabled.borrow(), counters.is_polling) {
            (true, true) => "Enabled",
            (true, false) => "Enabling",
            (false, true) => "Disabling",
            (false, false) => "Disabled",
        };
        let response_types =
            if self.config.report_batch_item_failures { vec!["ReportBatchItemFailures"] } else { vec![] };
        json!({
            "UUID": self.uuid,
            "EventSourceArn": self.stream_arn,
            "FunctionArn": self.function_arn,
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": self.config.batch_size,
            "MaximumBatchingWindowInSeconds": self.config.batching_window_seconds,
            "BisectBatchOnFunctionError": self.config.bisect_on_error,
            "MaximumRecordAgeInSeconds": self.config.maximum_record_age_seconds,
            "MaximumRetryAttempts": -1,
            "ParallelizationFactor": 1,
            "FunctionResponseTypes": response_types,
            "DestinationConfig": {"OnFailure": {"Destination": self.on_failure_arn}},
            "State": state,
            "LastProcessingResult": format!(
                "{} records read, {} invocations, {} records discarded, {} source errors",
                counters.read, counters.invoked, counters.discarded, counters.source_errors
            ),
        })
    }

    /// Polls until `stop` is true.
    pub async fn run<S: Source + IteratorAge, T: Target, F: OnFailure>(
        &self,
        mut poller: EventSourcePoller<S, T, F>,
        mut positions: Option<PositionFile>,
        ages: impl IteratorAgeSink,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut enabled = self.enabled.subscribe();
        let mut reported_at = Instant::now();
        while !*stop.borrow() {
            let is_enabled = *enabled.borrow_and_update();
            self.counters.lock().is_polling = is_enabled;
            if !is_enabled {
                tokio::select! {
                    _ = enabled.changed() => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
                continue;
            }
            let outcome = tokio::select! {
                outcome = poller.poll(system_now_ms()) => outcome,
                // A poll that is dropped midway loses nothing.
                _ = stop.wait_for(|stop| *stop) => break,
            };
            self.counters.lock().add(&outcome);
            if reported_at.elapsed() >= REPORT_INTERVAL {
                reported_at = Instant::now();
                self.save(&poller, &mut positions);
                self.report_iterator_age(&poller, &ages).await;
            }
            let pause_ms = u64::try_from(outcome.due_ms.saturating_sub(system_now_ms())).unwrap_or(0);
            tokio::select! {
                () = sleep(Duration::from_millis(pause_ms)) => {}
                _ = enabled.changed() => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
        self.counters.lock().is_polling = false;
        self.save(&poller, &mut positions);
    }

    fn save<S: Source, T: Target, F: OnFailure>(
        &self,
        poller: &EventSourcePoller<S, T, F>,
        positions: &mut Option<PositionFile>,
    ) {
        let Some(positions) = positions else { return };
        if let Err(error) = positions.save(poller.positions()) {
            // After the next start the mapping reads these records again, and the function skips them.
            tracing::warn!(function = self.name, %error, "positions not saved");
        }
    }

    async fn report_iterator_age<S: Source + IteratorAge, T: Target, F: OnFailure>(
        &self,
        poller: &EventSourcePoller<S, T, F>,
        ages: &impl IteratorAgeSink,
    ) {
        let Some(iterator_age_ms) = poller.source().iterator_age_ms() else { return };
        // The sink logs a failure; the next report follows soon.
        let _ = ages.put_iterator_age(&self.name, system_now_ms(), iterator_age_ms).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> MappingTask {
        let config = crate::service::mapping_config::mappings()["count"].clone();
        let function = "arn:aws:lambda:us-east-1:000000000000:function:equilibrium-count";
        let stream = "arn:aws:kinesis:us-east-1:000000000000:stream/equilibrium-events";
        let queue = "arn:aws:sqs:us-east-1:000000000000:equilibrium-discarded";
        MappingTask::new("count".into(), function.into(), stream.into(), queue.into(), config)
    }

    #[test]
    fn a_mapping_has_the_same_uuid_after_every_start() {
        assert_eq!(task().uuid, task().uuid);
        let groups: Vec<usize> = task().uuid.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
    }

    #[test]
    fn a_mapping_is_disabled_once_no_batch_is_in_progress() {
        let task = task();
        let state = || task.document()["State"].clone();
        assert_eq!(state(), "Enabling");
        task.counters.lock().is_polling = true;
        assert_eq!(state(), "Enabled");
        task.set_enabled(false);
        assert_eq!(state(), "Disabling");
        task.counters.lock().is_polling = false;
        assert_eq!(state(), "Disabled");
    }
}
