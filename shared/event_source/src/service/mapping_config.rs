//! How the functions read their streams: `infra/deployment.json`, which the infrastructure is made from, too.

use std::collections::BTreeMap;

use crate::settings::Settings;
use serde::Deserialize;

const JSON: &str = include_str!("../../../../infra/deployment.json");

#[derive(Deserialize)]
struct Names {
    mappings: BTreeMap<String, MappingConfig>,
}

/// How one function reads a stream.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MappingConfig {
    /// The stream's short name, as `events`.
    pub stream: String,
    /// Most records of a batch.
    pub batch_size: usize,
    /// How long records are gathered, in seconds.
    pub batching_window_seconds: i64,
    /// Whether a failed batch is halved.
    pub bisect_on_error: bool,
    /// Whether the function's `batchItemFailures` are heard.
    pub report_batch_item_failures: bool,
    /// Older records are given up, in seconds.
    pub maximum_record_age_seconds: i64,
    /// The short name of the queue that hears of them.
    pub on_failure: String,
}

impl MappingConfig {
    /// The same as settings of a mapping that looks every `poll_ms`.
    #[must_use]
    pub fn settings(&self, poll_ms: i64) -> Settings {
        Settings {
            batch_size: self.batch_size,
            batching_window_ms: self.batching_window_seconds * 1_000,
            bisect_on_error: self.bisect_on_error,
            report_batch_item_failures: self.report_batch_item_failures,
            max_record_age_ms: Some(self.maximum_record_age_seconds * 1_000),
            poll_ms,
            ..Settings::default()
        }
    }
}

/// The mappings, by the function's short name.
///
/// # Panics
/// Never: what it reads is part of the program, and a test has read it.
#[must_use]
pub fn mappings() -> BTreeMap<String, MappingConfig> {
    let names: Names = serde_json::from_str(JSON).expect("infra/deployment.json names the mappings");
    names.mappings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_reads_events_and_surge_reads_counts_as_lambda_can() {
        let mappings = mappings();
        let streams: Vec<_> =
            mappings.iter().map(|(name, mapping)| (&name[..], &mapping.stream[..])).collect();
        assert_eq!(streams, [("count", "events"), ("surge", "counts")]);
        for mapping in mappings.values() {
            let settings = mapping.settings(1_000);
            assert_eq!(settings.checked(), Ok(settings));
            assert!(settings.report_batch_item_failures, "a store that fails is told by record");
        }
    }
}
