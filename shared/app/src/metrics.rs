//! What an invocation came to, as one line for `CloudWatch` ("Embedded metric format specification",
//! `CloudWatch` user guide): metrics without a client or a call.
//!
//! The function is the only dimension. Each value of a dimension is a metric that is paid for and has to be
//! looked at: cities and lanes grow in number, and which of them is broken the line names beside its
//! metrics, where a query of the log finds it.

use equilibrium_domain::event::Refusal;
use serde_json::{Map, Value, json};

use crate::ports::CheckpointKey;
use crate::{counting, maps, pricing};

/// The namespace of all metrics.
pub const NAMESPACE: &str = "Equilibrium";

/// The dimension of all metrics: the function's short name, as `count`.
pub const FUNCTION: &str = "function";

/// Beside the metrics: Lambda's name of the invocation.
pub const REQUEST_ID: &str = "request_id";

/// Beside the metrics: the checkpoint logs that hold what nobody can read, as `lane/7` and `city/nyc`.
pub const CORRUPT_LOGS: &str = "corrupt_logs";

/// Most logs that a line names: one is enough to begin with, and a line of the log ends at 1 MB.
pub const MAX_NAMED_LOGS: usize = 20;

/// Something counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its unit, as `CloudWatch` calls it.
    pub unit: &'static str,
    /// Whether none is a value, too: it shows that the function works and has nothing to do. Faults are
    /// told of where there are any; without a value there were none.
    pub reports_zero: bool,
}

const fn flow(name: &'static str) -> Metric {
    Metric { name, unit: "Count", reports_zero: true }
}

const fn fault(name: &'static str) -> Metric {
    Metric { name, unit: "Count", reports_zero: false }
}

/// `ingest`: events put into the log.
pub const EVENTS_ACCEPTED: Metric = flow("events_accepted");
/// `count`: events taken in.
pub const EVENTS_ABSORBED: Metric = flow("events_absorbed");
/// `ingest`, `count`: refused events, whatever the code.
pub const EVENTS_REFUSED: Metric = flow("events_refused");
/// `ingest`, `count`: refused events by code, in the order of [`Refusal::CODES`].
pub const EVENTS_REFUSED_BY_CODE: [Metric; Refusal::CODES.len()] = [
    fault("events_refused_too_large"),
    fault("events_refused_malformed_json"),
    fault("events_refused_missing_field"),
    fault("events_refused_bad_field"),
    fault("events_refused_unknown_city"),
    fault("events_refused_unknown_product"),
    fault("events_refused_too_far_in_future"),
];
/// `count`: refused events of which no letter tells.
pub const DEAD_LETTERS_DROPPED: Metric = fault("events_undelivered");
/// `count`: events of an unknown type.
pub const EVENTS_UNKNOWN: Metric = fault("events_unknown");
/// `count`: events of another lane than their record's.
pub const EVENTS_MISROUTED: Metric = fault("events_strayed");
/// `count`: late events.
pub const EVENTS_LATE: Metric = flow("events_late");
/// `count`: records in which nothing has a lane.
pub const RECORDS_UNROUTABLE: Metric = fault("records_without_lane");
/// `count`, `surge`: records, or parts of them, that were held already.
pub const RECORDS_SKIPPED: Metric = fault("records_skipped");
/// `surge`: records, or parts of them, that hold no counts.
pub const RECORDS_MALFORMED: Metric = fault("records_malformed");
/// `surge`: parts of records that tell of a city nobody defines.
pub const RECORDS_OF_UNKNOWN_CITY: Metric = fault("records_of_unknown_city");
/// `count`, `surge`: races lost to another instance.
pub const APPEND_CONFLICTS: Metric = fault("append_conflicts");
/// `count`: entities that had to go because there were too many.
pub const ENTITIES_EVICTED: Metric = fault("entities_evicted");
/// `count`, `surge`: checkpoint logs that hold what nobody can read.
pub const LOGS_CORRUPTED: Metric = fault("logs_corrupted");
/// `surge`: ticks closed.
pub const TICKS_CLOSED: Metric = flow("ticks_closed");
/// `surge`: ticks closed before every lane had reported them.
pub const TICKS_CLOSED_INCOMPLETE: Metric = flow("ticks_closed_incomplete");
/// `surge`: multipliers that changed.
pub const MULTIPLIERS_CHANGED: Metric = flow("multipliers_changed");
/// `surge`: maps that were saved but not copied to the cache.
pub const MAP_CACHE_WRITE_FAILURES: Metric = fault("maps_uncached");
/// `price`: looks at a city's head.
pub const MAP_REFRESHES: Metric = flow("looks_begun");
/// `price`: requests that were answered before their look was done.
pub const MAP_REFRESH_TIMEOUTS: Metric = fault("looks_outwaited");
/// `price`: reads of the cache that failed or took too long.
pub const CACHE_READS_FAILED: Metric = fault("cache_reads_failed");
/// `price`: reads of the store that failed.
pub const STORE_READS_FAILED: Metric = fault("store_reads_failed");
/// `price`: chunks that nobody can read.
pub const CHUNKS_CORRUPTED: Metric = fault("chunks_corrupted");

/// `count`, `surge`: how old what the function reads next is, told by whoever invokes it from the stream.
pub const ITERATOR_AGE: Metric = Metric { name: "iterator_age_ms", unit: "Milliseconds", reports_zero: true };

/// All metrics but those of [`EVENTS_REFUSED_BY_CODE`].
pub const METRICS: [Metric; 24] = [
    EVENTS_ACCEPTED,
    EVENTS_ABSORBED,
    EVENTS_REFUSED,
    DEAD_LETTERS_DROPPED,
    EVENTS_UNKNOWN,
    EVENTS_MISROUTED,
    EVENTS_LATE,
    RECORDS_UNROUTABLE,
    RECORDS_SKIPPED,
    RECORDS_MALFORMED,
    RECORDS_OF_UNKNOWN_CITY,
    APPEND_CONFLICTS,
    ENTITIES_EVICTED,
    LOGS_CORRUPTED,
    TICKS_CLOSED,
    TICKS_CLOSED_INCOMPLETE,
    MULTIPLIERS_CHANGED,
    MAP_CACHE_WRITE_FAILURES,
    MAP_REFRESHES,
    MAP_REFRESH_TIMEOUTS,
    CACHE_READS_FAILED,
    STORE_READS_FAILED,
    CHUNKS_CORRUPTED,
    ITERATOR_AGE,
];

/// What a line is about.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The function's short name, as `count`.
    pub function: &'a str,
    /// Lambda's name of the invocation.
    pub request_id: &'a str,
    /// When it was, in milliseconds since the epoch.
    pub now_ms: i64,
}

/// What an invocation measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measurements {
    values: Vec<(Metric, u64)>,
    corrupt_logs: Vec<String>,
}

impl Measurements {
    /// Takes in how many there were. Each metric comes once.
    pub fn put(&mut self, metric: Metric, count: u64) {
        if count > 0 || metric.reports_zero {
            self.values.push((metric, count));
        }
    }

    /// Takes in refused events, by [`Refusal::index`].
    pub fn put_refused(&mut self, refused: &[u64; Refusal::CODES.len()]) {
        self.put(EVENTS_REFUSED, refused.iter().sum());
        for (metric, count) in EVENTS_REFUSED_BY_CODE.into_iter().zip(refused) {
            self.put(metric, *count);
        }
    }

    /// Takes in the names of checkpoint logs that nobody can read.
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
            "Dimensions": [[FUNCTION]],
            "Metrics": metrics.collect::<Vec<Value>>(),
        });
        let mut root = Map::new();
        root.insert("_aws".into(), json!({"Timestamp": context.now_ms, "CloudWatchMetrics": [directive]}));
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

/// What a function's invocation came to.
pub trait ToMeasurements {
    /// The same as metrics.
    fn measures(&self) -> Measurements;
}

impl ToMeasurements for counting::CountMetrics {
    fn measures(&self) -> Measurements {
        let mut measures = Measurements::default();
        measures.put(EVENTS_ABSORBED, self.absorbed);
        measures.put_refused(&self.refused);
        measures.put(DEAD_LETTERS_DROPPED, self.dead_letters_dropped);
        measures.put(EVENTS_UNKNOWN, self.unknown);
        measures.put(EVENTS_MISROUTED, self.misrouted);
        measures.put(EVENTS_LATE, self.late);
        measures.put(RECORDS_UNROUTABLE, self.unroutable);
        measures.put(RECORDS_SKIPPED, self.skipped);
        measures.put(APPEND_CONFLICTS, self.append_conflicts);
        measures.put(ENTITIES_EVICTED, self.evicted);
        measures.put_corrupt(self.corrupt.iter().map(|(lane, _)| CheckpointKey::Lane(*lane).to_string()));
        measures
    }
}

impl ToMeasurements for pricing::SurgeMetrics {
    fn measures(&self) -> Measurements {
        let mut measures = Measurements::default();
        measures.put(TICKS_CLOSED, self.ticks);
        measures.put(TICKS_CLOSED_INCOMPLETE, self.incomplete_ticks);
        measures.put(MULTIPLIERS_CHANGED, self.changes);
        measures.put(RECORDS_MALFORMED, self.malformed);
        measures.put(RECORDS_OF_UNKNOWN_CITY, self.unknown_city);
        measures.put(RECORDS_SKIPPED, self.skipped);
        measures.put(APPEND_CONFLICTS, self.append_conflicts);
        measures.put(MAP_CACHE_WRITE_FAILURES, self.cache_write_failures);
        measures
            .put_corrupt(self.corrupt.iter().map(|(city, _)| CheckpointKey::City(city.clone()).to_string()));
        measures
    }
}

impl ToMeasurements for maps::MapReaderMetrics {
    fn measures(&self) -> Measurements {
        let mut measures = Measurements::default();
        measures.put(MAP_REFRESHES, self.refreshes);
        measures.put(MAP_REFRESH_TIMEOUTS, self.refresh_timeouts);
        measures.put(CACHE_READS_FAILED, self.cache_faults);
        measures.put(STORE_READS_FAILED, self.store_faults);
        measures.put(CHUNKS_CORRUPTED, self.corrupt);
        measures
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use equilibrium_domain::id::{CityId, LaneId};
    use equilibrium_domain::wire;

    use super::*;

    const CONTEXT: Context<'_> =
        Context { function: "count", request_id: "8f5a-1", now_ms: 1_772_816_405_000 };

    fn keys(object: &Map<String, Value>) -> Vec<&str> {
        let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
        keys.sort_unstable();
        keys
    }

    /// Checks a document against the specification, and gives its metrics.
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
        let mut tally = counting::CountMetrics { absorbed: 8, late: 2, ..counting::CountMetrics::default() };
        tally.refused[1] = 3;
        tally.refused[4] = 1;
        let document = tally.measures().document(&CONTEXT);
        let metrics = Value::Object(read(&document));
        let expected = json!({
            "events_absorbed": 8,
            "events_late": 2,
            "events_refused": 4,
            "events_refused_malformed_json": 3,
            "events_refused_unknown_city": 1,
        });
        assert_eq!(metrics, expected);
    }

    #[test]
    fn nothing_to_do_is_a_line_too_and_faults_that_were_none_are_left_out() {
        for (measures, expected) in [
            (counting::CountMetrics::default().measures(), 3),
            (pricing::SurgeMetrics::default().measures(), 3),
            (maps::MapReaderMetrics::default().measures(), 1),
        ] {
            let metrics = read(&measures.document(&CONTEXT));
            assert_eq!(metrics.len(), expected);
            assert!(metrics.values().all(|count| *count == 0));
        }
    }

    #[test]
    fn what_is_corrupt_is_named_but_not_without_end() {
        let corrupt = wire::open(b"", wire::Kind::MapHead).err().unwrap();
        let lanes = (0..1000).map(|lane| (LaneId(lane), corrupt)).collect();
        let tally = counting::CountMetrics { corrupt: lanes, ..counting::CountMetrics::default() };
        let document = tally.measures().document(&CONTEXT);
        assert_eq!(read(&document)["logs_corrupted"], 1000);
        let root: Value = serde_json::from_str(&document).unwrap();
        let named = root[CORRUPT_LOGS].as_array().unwrap();
        assert_eq!((named.len(), named[7].as_str()), (MAX_NAMED_LOGS, Some("lane/7")));
        let cities = vec![(CityId::new("nyc").unwrap(), corrupt)];
        let tally = pricing::SurgeMetrics { corrupt: cities, ..pricing::SurgeMetrics::default() };
        assert_eq!(tally.measures().corrupt_logs, ["city/nyc"]);
    }

    #[test]
    fn every_metric_is_listed_and_named_once() {
        let corrupt = wire::open(b"", wire::Kind::MapHead).err().unwrap();
        let count = counting::CountMetrics {
            absorbed: 1,
            unknown: 1,
            misrouted: 1,
            unroutable: 1,
            refused: [1; Refusal::CODES.len()],
            dead_letters_dropped: 1,
            late: 1,
            skipped: 1,
            append_conflicts: 1,
            evicted: 1,
            corrupt: vec![(LaneId(1), corrupt)],
        };
        let surge = pricing::SurgeMetrics {
            ticks: 1,
            incomplete_ticks: 1,
            changes: 1,
            malformed: 1,
            unknown_city: 1,
            skipped: 1,
            append_conflicts: 1,
            cache_write_failures: 1,
            corrupt: vec![(CityId::new("nyc").unwrap(), corrupt)],
        };
        let price = maps::MapReaderMetrics {
            refreshes: 1,
            refresh_timeouts: 1,
            cache_faults: 1,
            store_faults: 1,
            corrupt: 1,
        };
        // These two are told of elsewhere.
        let mut told = BTreeSet::from([EVENTS_ACCEPTED.name, ITERATOR_AGE.name]);
        for measures in [count.measures(), surge.measures(), price.measures()] {
            read(&measures.document(&CONTEXT));
            told.extend(names(&measures));
        }
        let listed: Vec<_> =
            METRICS.iter().chain(&EVENTS_REFUSED_BY_CODE).map(|metric| metric.name).collect();
        assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), told);
        assert_eq!(listed.len(), told.len(), "a name comes twice");
    }

    #[test]
    fn a_refusal_is_counted_under_its_own_code() {
        for (metric, code) in EVENTS_REFUSED_BY_CODE.iter().zip(Refusal::CODES) {
            assert_eq!(metric.name, format!("events_refused_{code}"));
        }
    }
}
