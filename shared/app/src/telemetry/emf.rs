//! The metrics of invocations as one line of the log ("Embedded metric format specification", Amazon `CloudWatch`
//! user guide): metrics without a client or a call.
//!
//! Deployment and function are the only dimensions: every value of a dimension is a metric that costs and has to be
//! watched. Cities and lanes grow in number, so the line names the broken ones beside its metrics, where a query of the
//! log finds them.
//!
//! A line for each request would cost more than the request. So an instance adds its measurements up
//! ([`MeasurementSums`]) and writes them once a minute, and at once where one is of a fault.

use std::mem;

use equilibrium_domain::event::Refusal;
use serde_json::{Map, Value, json};

use crate::timer::is_within;

use super::metrics::{EVENTS_REFUSED, EVENTS_REFUSED_BY_CODE, LOGS_CORRUPTED, Metric};

/// The namespace of all metrics.
pub const NAMESPACE: &str = "Equilibrium";

/// The first dimension of all metrics: the deployment's name, for an account may have several.
pub const DEPLOYMENT: &str = "deployment";

/// The second dimension of all metrics: the function's short name, as `count`.
pub const FUNCTION: &str = "function";

/// The field with Lambda's id of the last invocation that the line adds up, beside the metrics.
pub const REQUEST_ID: &str = "request_id";

/// The field with the checkpoint logs that cannot be read, as `lane/7` and `city/nyc`, beside the metrics.
pub const CORRUPT_LOGS: &str = "corrupt_logs";

/// Most logs that a line names: one is enough to start with, and CloudWatch cuts a line at 1 MB.
pub const MAX_NAMED_LOGS: usize = 20;

/// The longest time between two lines of an instance that has invocations, in milliseconds.
pub const LINE_INTERVAL_MS: i64 = 60_000;

/// The invocation that a line describes.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The deployment's name.
    pub deployment: &'a str,
    /// The function's short name, as `count`.
    pub function: &'a str,
    /// Lambda's id of the invocation.
    pub request_id: &'a str,
    /// The time of the invocation, in milliseconds since the epoch.
    pub now_ms: i64,
}

/// The measurements of an invocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measurements {
    values: Vec<(Metric, u64)>,
    corrupt_logs: Vec<String>,
}

impl Measurements {
    /// Adds a metric, which has no value yet.
    pub fn put(&mut self, metric: Metric, count: u64) {
        if count > 0 || metric.reports_zero {
            self.values.push((metric, count));
        }
    }

    /// Adds refused events, by [`Refusal::index`].
    pub fn put_refused(&mut self, refused: &[u64; Refusal::CODES.len()]) {
        self.put(EVENTS_REFUSED, refused.iter().sum());
        for (metric, count) in EVENTS_REFUSED_BY_CODE.into_iter().zip(refused) {
            self.put(metric, *count);
        }
    }

    /// Adds the names of checkpoint logs that cannot be read.
    pub fn put_corrupt(&mut self, logs: impl ExactSizeIterator<Item = String>) {
        self.put(LOGS_CORRUPTED, logs.len() as u64);
        self.corrupt_logs.extend(logs.take(MAX_NAMED_LOGS));
    }

    /// The line for the function's log, without its line end. `CloudWatch` takes the metrics from it.
    #[must_use]
    pub fn document(&self, context: &Context<'_>) -> String {
        let metrics = self.values.iter().map(|(metric, _)| json!({"Name": metric.name, "Unit": metric.unit}));
        let directive = json!({
            "Namespace": NAMESPACE,
            "Dimensions": [[DEPLOYMENT, FUNCTION]],
            "Metrics": metrics.collect::<Vec<Value>>(),
        });
        let mut root = Map::new();
        root.insert("_aws".into(), json!({"Timestamp": context.now_ms, "CloudWatchMetrics": [directive]}));
        root.insert(DEPLOYMENT.into(), context.deployment.into());
        root.insert(FUNCTION.into(), context.function.into());
        root.insert(REQUEST_ID.into(), context.request_id.into());
        for (metric, count) in &self.values {
            root.insert(metric.name.into(), (*count).into());
        }
        if !self.corrupt_logs.is_empty() {
            root.insert(CORRUPT_LOGS.into(), self.corrupt_logs.clone().into());
        }
        Value::Object(root).to_string()
    }
}

impl Measurements {
    /// Whether a fault is among them.
    fn has_fault(&self) -> bool {
        self.values.iter().any(|(metric, count)| !metric.reports_zero && *count > 0)
    }

    /// Adds the values of others.
    pub fn add(&mut self, other: Self) {
        for (metric, count) in other.values {
            match self.values.iter_mut().find(|(known, _)| known.name == metric.name) {
                Some((_, sum)) => *sum += count,
                None => self.values.push((metric, count)),
            }
        }
        let room = MAX_NAMED_LOGS.saturating_sub(self.corrupt_logs.len());
        self.corrupt_logs.extend(other.corrupt_logs.into_iter().take(room));
    }
}

/// The measurements of an instance since its last line.
///
/// What has been added up since is lost if Lambda ends the instance: flows of less than a minute, and no fault.
#[derive(Debug, Default)]
pub struct MeasurementSums {
    sums: Measurements,
    /// When the last line was written.
    written_at_ms: Option<i64>,
}

impl MeasurementSums {
    /// Adds the measurements of an invocation at `now_ms`, in milliseconds since the epoch; returns what to write now.
    pub fn add(&mut self, measurements: Measurements, now_ms: i64) -> Option<Measurements> {
        let is_recent = is_within(self.written_at_ms, LINE_INTERVAL_MS, now_ms);
        let is_written = measurements.has_fault() || !is_recent;
        self.sums.add(measurements);
        is_written.then(|| {
            self.written_at_ms = Some(now_ms);
            mem::take(&mut self.sums)
        })
    }
}

/// The metrics of a use case, as measurements.
pub trait ToMeasurements {
    /// The measurements.
    fn measures(&self) -> Measurements;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use equilibrium_domain::count::lane_range::LaneRange;
    use equilibrium_domain::id::{CityId, LaneCount};
    use equilibrium_domain::wire;

    use super::super::metrics::*;
    use super::*;
    use crate::checkpoint::metrics::CheckpointMetrics;
    use crate::checkpoint::ports::CheckpointKey;
    use crate::count::metrics::CountMetrics;
    use crate::dependency::metrics::{DependencyKind, DependencyMetrics};
    use crate::price::metrics::MapReaderMetrics;
    use crate::price::rungs::RungMetrics;
    use crate::price::tier::TierHits;
    use crate::quote::metrics::QuoteMetrics;
    use crate::recover::metrics::RecoveryMetrics;
    use crate::surge::metrics::SurgeMetrics;

    const CONTEXT: Context<'_> =
        Context { deployment: "staging", function: "count", request_id: "8f5a-1", now_ms: 1_772_816_405_000 };

    fn keys(object: &Map<String, Value>) -> Vec<&str> {
        let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
        keys.sort_unstable();
        keys
    }

    /// Checks a document against the specification and returns its metrics.
    fn read(document: &str) -> Map<String, Value> {
        assert!(!document.contains('\n'), "one line");
        assert!(document.len() < 1 << 20);
        let Value::Object(root) = serde_json::from_str(document).unwrap() else { panic!("no object") };
        let metadata = root["_aws"].as_object().unwrap();
        assert_eq!(keys(metadata), ["CloudWatchMetrics", "Timestamp"]);
        assert_eq!(metadata["Timestamp"], 1_772_816_405_000_i64);
        let [directive] = &metadata["CloudWatchMetrics"].as_array().unwrap()[..] else {
            panic!("{document}")
        };
        let directive = directive.as_object().unwrap();
        assert_eq!(keys(directive), ["Dimensions", "Metrics", "Namespace"]);
        assert_eq!(directive["Namespace"], "Equilibrium");
        assert_eq!(directive["Dimensions"], json!([["deployment", "function"]]));
        for set in directive["Dimensions"].as_array().unwrap() {
            let set = set.as_array().unwrap();
            assert!((1..=30).contains(&set.len()));
            for dimension in set {
                let value = root[dimension.as_str().unwrap()].as_str().unwrap();
                assert!((1..=1024).contains(&value.len()));
            }
        }
        let definitions = directive["Metrics"].as_array().unwrap();
        assert!(definitions.len() <= 100);
        let mut metrics = Map::new();
        for definition in definitions {
            let definition = definition.as_object().unwrap();
            assert_eq!(keys(definition), ["Name", "Unit"]);
            assert_eq!(definition["Unit"], "Count");
            let name = definition["Name"].as_str().unwrap();
            assert!(root[name].is_u64(), "{name}");
            assert_eq!(metrics.insert(name.to_owned(), root[name].clone()), None, "{name} comes twice");
        }
        metrics
    }

    fn names(measures: &Measurements) -> BTreeSet<&'static str> {
        measures.values.iter().map(|(metric, _)| metric.name).collect()
    }

    #[test]
    fn a_batch_becomes_a_document_of_the_specified_shape() {
        let mut metrics = CountMetrics { absorbed: 8, late: 2, ..CountMetrics::default() };
        metrics.refused[1] = 3;
        metrics.refused[4] = 1;
        let document = metrics.measures().document(&CONTEXT);
        let reported = Value::Object(read(&document));
        let expected = json!({
            "events_absorbed": 8,
            "events_late": 2,
            "events_outside": 0,
            "events_refused": 4,
            "events_refused_malformed_json": 3,
            "events_refused_unknown_city": 1,
        });
        assert_eq!(reported, expected);
    }

    #[test]
    fn an_idle_invocation_reports_zeros_and_no_faults() {
        for (measures, expected) in [
            (CountMetrics::default().measures(), 4),
            (SurgeMetrics::default().measures(), 3),
            (MapReaderMetrics::default().measures(), 5),
        ] {
            let metrics = read(&measures.document(&CONTEXT));
            assert_eq!(metrics.len(), expected);
            assert!(metrics.values().all(|count| *count == 0));
        }
    }

    #[test]
    fn measurements_are_added_up_for_a_minute_and_a_fault_is_written_at_once() {
        let of = |absorbed, dead_letters_dropped| {
            CountMetrics { absorbed, dead_letters_dropped, ..CountMetrics::default() }.measures()
        };
        let written = |line: Option<Measurements>| line.map(|line| read(&line.document(&CONTEXT)));
        let mut sums = MeasurementSums::default();
        assert_eq!(
            written(sums.add(of(1, 0), 0)).unwrap()["events_absorbed"],
            1,
            "the first shows that it works"
        );
        for now_ms in 1..1_000 {
            assert_eq!(sums.add(of(2, 0), now_ms), None);
        }
        let fault = written(sums.add(of(3, 7), 1_000)).unwrap();
        assert_eq!((&fault["events_absorbed"], &fault["dead_letters_dropped"]), (&json!(2_001), &json!(7)));
        assert_eq!(sums.add(of(0, 0), 60_999), None);
        let idle = written(sums.add(of(0, 0), 61_000)).unwrap();
        assert_eq!((&idle["events_absorbed"], idle.get("dead_letters_dropped")), (&json!(0), None));
        assert!(sums.add(of(0, 0), 5_000).is_some(), "the clock was set back");
    }

    #[test]
    fn corrupt_logs_are_named_up_to_a_limit() {
        let corrupt = wire::open(b"", wire::Kind::MapHead).err().unwrap();
        let lanes = LaneCount::new(4096).unwrap();
        let ranges = LaneRange::all(lanes).take(1000).map(|range| (CheckpointKey::Lanes(range), corrupt));
        let checkpoint = CheckpointMetrics { corrupt: ranges.collect(), ..CheckpointMetrics::default() };
        let metrics = CountMetrics { checkpoint, ..CountMetrics::default() };
        let document = metrics.measures().document(&CONTEXT);
        assert_eq!(read(&document)["logs_corrupted"], 1000);
        let root: Value = serde_json::from_str(&document).unwrap();
        let named = root[CORRUPT_LOGS].as_array().unwrap();
        assert_eq!((named.len(), named[7].as_str()), (MAX_NAMED_LOGS, Some("lanes-4096/7")));
        let cities = vec![(CheckpointKey::City(CityId::new("nyc").unwrap()), corrupt)];
        let checkpoint = CheckpointMetrics { corrupt: cities, ..CheckpointMetrics::default() };
        let metrics = SurgeMetrics { checkpoint, ..SurgeMetrics::default() };
        assert_eq!(metrics.measures().corrupt_logs, ["city/nyc"]);
    }

    #[test]
    fn every_metric_is_listed_and_named_once() {
        let corrupt = wire::open(b"", wire::Kind::MapHead).err().unwrap();
        let checkpoint = CheckpointMetrics {
            skipped: 1,
            append_conflicts: 1,
            snapshot_failures: 1,
            parked: 1,
            fenced: 1,
            corrupt: vec![(CheckpointKey::City(CityId::new("nyc").unwrap()), corrupt)],
        };
        let count = CountMetrics {
            absorbed: 1,
            unknown: 1,
            misrouted: 1,
            unroutable: 1,
            refused: [1; Refusal::CODES.len()],
            dead_letters_dropped: 1,
            late: 1,
            outside: 1,
            evicted: 1,
            too_large: 1,
            checkpoint: checkpoint.clone(),
        };
        let surge = SurgeMetrics {
            ticks: 1,
            incomplete_ticks: 1,
            changes: 1,
            malformed: 1,
            unknown_city: 1,
            cache_write_failures: 1,
            too_large: 1,
            checkpoint,
        };
        let price = MapReaderMetrics {
            refreshes: 1,
            refresh_timeouts: 1,
            cache_faults: 1,
            store_faults: 1,
            corrupt: 1,
            hits: TierHits { hits: [1; 3], misses: 1 },
            rungs: RungMetrics { checks: 1, failures: [1; 4], differences: [1; 2] },
        };
        let calls = [DependencyKind::Cache, DependencyKind::Store].map(|kind| DependencyMetrics {
            kind,
            opened: 1,
            refused: 1,
            overflowed: 1,
            timed_out: 1,
        });
        let quote = QuoteMetrics { issued: 1, confirmed: 1, expired: 1, refused: 1, unlogged: 1 };
        // These two are reported elsewhere.
        let mut reported = BTreeSet::from([EVENTS_ACCEPTED.name, ITERATOR_AGE.name]);
        let calls = calls.each_ref().map(ToMeasurements::measures);
        let recovery = RecoveryMetrics { succeeded: 1, failed: 1, budget_exhausted: 1 }.measures();
        let measures = [count.measures(), surge.measures(), price.measures(), quote.measures(), recovery];
        for measures in measures.into_iter().chain(calls) {
            read(&measures.document(&CONTEXT));
            reported.extend(names(&measures));
        }
        let arrays: [&[Metric]; 6] = [
            &EVENTS_REFUSED_BY_CODE,
            &MAP_HITS,
            &CACHE_CALLS,
            &STORE_CALLS,
            &RUNG_FAILURES,
            &RUNG_DIFFERENCES,
        ];
        let listed: Vec<_> =
            METRICS.iter().chain(arrays.into_iter().flatten()).map(|metric| metric.name).collect();
        assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), reported);
        assert_eq!(listed.len(), reported.len(), "a name is listed twice");
    }

    #[test]
    fn a_refusal_is_counted_under_its_own_code() {
        for (metric, code) in EVENTS_REFUSED_BY_CODE.iter().zip(Refusal::CODES) {
            assert_eq!(metric.name, format!("events_refused_{code}"));
        }
    }
}
