//! One mapping at work: a stream, a function, and whether the one goes to the other.

use parking_lot::{Mutex, MutexGuard};
use std::time::Duration;

use equilibrium_app::clock::system_now_ms;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use xxhash_rust::xxh3::xxh3_128;

use super::mapping_config::MappingConfig;
use super::position_file::PositionFile;
use crate::iterator_age::{IteratorAge, IteratorAgeSink};
use crate::poller::{EventSourcePoller, OnFailure, PollOutcome, Source, Target};

/// How often the stream's age is put into `CloudWatch`, and positions that moved into their file.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// A mapping as others see it.
#[derive(Debug)]
pub struct MappingTask {
    /// The function's short name, as `count`.
    pub name: String,
    /// The mapping's own name, in the shape that Lambda gives it: the same at every start.
    pub uuid: String,
    /// The function it invokes.
    pub function_arn: String,
    /// The stream it reads.
    pub stream_arn: String,
    /// The queue that hears of records that were given up.
    pub discards_arn: String,
    /// How it reads.
    pub mapping: MappingConfig,
    enabled: watch::Sender<bool>,
    seen: Mutex<Seen>,
}

/// What has come of it.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    is_working: bool,
    read: usize,
    invoked: usize,
    discarded: usize,
    source_errors: usize,
}

impl MappingTask {
    /// An enabled mapping.
    #[must_use]
    pub fn new(
        name: String,
        function_arn: String,
        stream_arn: String,
        discards_arn: String,
        mapping: MappingConfig,
    ) -> Self {
        let digest = xxh3_128(format!("{stream_arn} {function_arn}").as_bytes());
        let hex = format!("{digest:032x}");
        let uuid = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        let (enabled, _) = watch::channel(true);
        Self { name, uuid, function_arn, stream_arn, discards_arn, mapping, enabled, seen: Mutex::default() }
    }

    /// Has it go on, or stop behind the batch that is under way.
    pub fn enable(&self, enabled: bool) {
        self.enabled.send_replace(enabled);
    }

    /// The mapping as Lambda's API shows it (`EventSourceMappingConfiguration`).
    #[must_use]
    pub fn document(&self) -> Value {
        let seen = *self.seen();
        let state = match (*self.enabled.borrow(), seen.is_working) {
            (true, true) => "Enabled",
            (true, false) => "Enabling",
            (false, true) => "Disabling",
            (false, false) => "Disabled",
        };
        json!({
            "UUID": self.uuid,
            "EventSourceArn": self.stream_arn,
            "FunctionArn": self.function_arn,
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": self.mapping.batch_size,
            "MaximumBatchingWindowInSeconds": self.mapping.batching_window_seconds,
            "BisectBatchOnFunctionError": self.mapping.bisect_on_error,
            "MaximumRecordAgeInSeconds": self.mapping.maximum_record_age_seconds,
            "MaximumRetryAttempts": -1,
            "ParallelizationFactor": 1,
            "FunctionResponseTypes": if self.mapping.report_batch_item_failures { vec!["ReportBatchItemFailures"] } else { vec![] },
            "DestinationConfig": {"OnFailure": {"Destination": self.discards_arn}},
            "State": state,
            "LastProcessingResult": format!(
                "{} records read, {} invocations, {} records given up, {} failed looks",
                seen.read, seen.invoked, seen.discarded, seen.source_errors
            ),
        })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock()
    }

    fn note(&self, turn: &PollOutcome) {
        let mut seen = self.seen();
        seen.read += turn.read;
        seen.invoked += turn.invoked;
        seen.discarded += turn.discarded;
        seen.source_errors += turn.source_errors;
    }

    /// Works until the process stops.
    pub async fn run<S: Source + IteratorAge, T: Target, F: OnFailure>(
        &self,
        mut poller: EventSourcePoller<S, T, F>,
        mut positions: Option<PositionFile>,
        ages: impl IteratorAgeSink,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut enabled = self.enabled.subscribe();
        let mut told = Instant::now();
        while !*stop.borrow() {
            let is_enabled = *enabled.borrow_and_update();
            self.seen().is_working = is_enabled;
            if !is_enabled {
                tokio::select! {
                    _ = enabled.changed() => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
                continue;
            }
            let turn = tokio::select! {
                turn = poller.poll(system_now_ms()) => turn,
                // A turn dropped midway loses nothing.
                _ = stop.wait_for(|stop| *stop) => break,
            };
            self.note(&turn);
            if told.elapsed() >= REPORT_INTERVAL {
                told = Instant::now();
                self.save(&poller, &mut positions);
                self.report_iterator_age(&poller, &ages).await;
            }
            let pause = u64::try_from(turn.due_ms.saturating_sub(system_now_ms())).unwrap_or(0);
            tokio::select! {
                () = sleep(Duration::from_millis(pause)) => {}
                _ = enabled.changed() => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
        self.seen().is_working = false;
        self.save(&poller, &mut positions);
    }

    fn save<S: Source, T: Target, F: OnFailure>(
        &self,
        poller: &EventSourcePoller<S, T, F>,
        positions: &mut Option<PositionFile>,
    ) {
        let Some(positions) = positions else { return };
        if let Err(error) = positions.save(poller.positions()) {
            // The next start reads again what the functions then skip.
            tracing::warn!(function = self.name, %error, "positions were not saved");
        }
    }

    async fn report_iterator_age<S: Source + IteratorAge, T: Target, F: OnFailure>(
        &self,
        poller: &EventSourcePoller<S, T, F>,
        ages: &impl IteratorAgeSink,
    ) {
        let Some(iterator_age_ms) = poller.source().iterator_age_ms() else { return };
        // A failure is in the log of the sink; the next report follows soon.
        let _ = ages.put_iterator_age(&self.name, system_now_ms(), iterator_age_ms).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped() -> MappingTask {
        let mapping = crate::service::mapping_config::mappings()["count"].clone();
        let function = "arn:aws:lambda:us-east-1:000000000000:function:equilibrium-count";
        let stream = "arn:aws:kinesis:us-east-1:000000000000:stream/equilibrium-events";
        let queue = "arn:aws:sqs:us-east-1:000000000000:equilibrium-discarded";
        MappingTask::new("count".into(), function.into(), stream.into(), queue.into(), mapping)
    }

    #[test]
    fn a_mapping_has_the_same_name_at_every_start() {
        assert_eq!(mapped().uuid, mapped().uuid);
        let groups: Vec<usize> = mapped().uuid.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
    }

    #[test]
    fn a_mapping_is_disabled_once_nothing_is_under_way() {
        let mapped = mapped();
        let state = |mapped: &MappingTask| mapped.document()["State"].clone();
        assert_eq!(state(&mapped), "Enabling");
        mapped.seen().is_working = true;
        assert_eq!(state(&mapped), "Enabled");
        mapped.enable(false);
        assert_eq!(state(&mapped), "Disabling");
        mapped.seen().is_working = false;
        assert_eq!(state(&mapped), "Disabled");
    }
}
