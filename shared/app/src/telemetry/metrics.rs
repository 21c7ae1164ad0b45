//! The catalogue of metrics: the name and unit of each, listed once.

use equilibrium_domain::event::Refusal;

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its unit, as `CloudWatch` names it.
    pub unit: &'static str,
    /// Whether 0 is reported, too: it shows that the function works and has nothing to do. A fault is reported where there
    /// is one.
    pub reports_zero: bool,
}

const fn flow(name: &'static str) -> Metric {
    Metric { name, unit: "Count", reports_zero: true }
}

const fn fault(name: &'static str) -> Metric {
    Metric { name, unit: "Count", reports_zero: false }
}

/// `ingest`: accepted events, in the log unless their type is unknown.
pub const EVENTS_ACCEPTED: Metric = flow("events_accepted");
/// `count`: absorbed events.
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
/// `count`: refused events without a dead letter.
pub const DEAD_LETTERS_DROPPED: Metric = fault("dead_letters_dropped");
/// `ingest`, `count`: events of an unknown type. `ingest` puts none of them into the log.
pub const EVENTS_UNKNOWN: Metric = fault("events_unknown");
/// `count`: events of another lane than that of their record.
pub const EVENTS_MISROUTED: Metric = fault("events_misrouted");
/// `count`: late events.
pub const EVENTS_LATE: Metric = flow("events_late");
/// `count`: events whose place is outside their city's boundary.
pub const EVENTS_OUTSIDE: Metric = flow("events_outside");
/// `count`: records without a lane.
pub const RECORDS_UNROUTABLE: Metric = fault("records_unroutable");
/// `count`, `surge`: records, or a city's counts in them, that the state held already.
pub const RECORDS_SKIPPED: Metric = fault("records_skipped");
/// `surge`: records, or a city's counts in them, that cannot be read.
pub const RECORDS_MALFORMED: Metric = fault("records_malformed");
/// `surge`: a city's counts in a record where the city has no policy.
pub const RECORDS_OF_UNKNOWN_CITY: Metric = fault("records_of_unknown_city");
/// `count`, `surge`: records that the next stream never takes, because they are too large.
pub const RECORDS_TOO_LARGE: Metric = fault("records_too_large");
/// `count`, `surge`: appends that another instance's entry prevented.
pub const APPEND_CONFLICTS: Metric = fault("append_conflicts");
/// `count`: entities evicted because a city had too many.
pub const ENTITIES_EVICTED: Metric = fault("entities_evicted");
/// `count`, `surge`: checkpoint logs that cannot be read.
pub const LOGS_CORRUPTED: Metric = fault("logs_corrupted");
/// `count`, `surge`: records that wait for a checkpoint log that cannot go on.
pub const RECORDS_PARKED: Metric = fault("records_parked");
/// `count`, `surge`: batches of a checkpoint log that has a higher epoch than the instance.
pub const FENCED_LOADS: Metric = fault("fenced_loads");
/// `count`, `surge`: snapshots that could not be saved.
pub const SNAPSHOT_FAILURES: Metric = fault("snapshot_failures");
/// `surge`: closed ticks.
pub const TICKS_CLOSED: Metric = flow("ticks_closed");
/// `surge`: ticks closed before every lane had reported them.
pub const TICKS_CLOSED_INCOMPLETE: Metric = flow("ticks_closed_incomplete");
/// `surge`: changed multipliers.
pub const MULTIPLIERS_CHANGED: Metric = flow("multipliers_changed");
/// `surge`: maps that were saved but not copied to the cache.
pub const MAP_CACHE_WRITE_FAILURES: Metric = fault("map_cache_write_failures");
/// `price`: refreshes of a city's map.
pub const MAP_REFRESHES: Metric = flow("map_refreshes");
/// `price`: requests answered before their refresh ended.
pub const MAP_REFRESH_TIMEOUTS: Metric = fault("map_refresh_timeouts");
/// `price`: reads of the cache that failed or took too long.
pub const CACHE_READS_FAILED: Metric = fault("cache_reads_failed");
/// `price`: reads of the store that failed.
pub const STORE_READS_FAILED: Metric = fault("store_reads_failed");
/// `price`: chunks that cannot be read.
pub const CHUNKS_CORRUPTED: Metric = fault("chunks_corrupted");
/// `price`, `quote`: answers by where their map came from: memory, cache, store.
pub const MAP_HITS: [Metric; 3] = [flow("map_hits_memory"), flow("map_hits_cache"), flow("map_hits_store")];
/// `price`, `quote`: answers without a map that is recent enough: `static` or `degraded`.
pub const MAP_MISSES: Metric = flow("map_misses");
/// `price`, `quote`, `surge`: calls of the cache: how often its breaker opened, the calls that the open breaker refused, those
/// beyond the bulkhead, and those without an answer at their deadline.
pub const CACHE_CALLS: [Metric; 4] = [
    fault("cache_breaker_opened"),
    fault("cache_calls_refused"),
    fault("cache_calls_overflowed"),
    fault("cache_calls_timed_out"),
];
/// `price`, `quote`, `policy`, `ingest`: the same of the store.
pub const STORE_CALLS: [Metric; 4] = [
    fault("store_breaker_opened"),
    fault("store_calls_refused"),
    fault("store_calls_overflowed"),
    fault("store_calls_timed_out"),
];
/// `price`: answers that were compared with every rung of the ladder.
pub const RUNG_CHECKS: Metric = flow("rung_checks");
/// `price`: checks in which a rung had no price, or not the one that it must have: `fresh`, `cached`, `static`, `degraded`.
pub const RUNG_FAILURES: [Metric; 4] = [
    fault("rung_failures_fresh"),
    fault("rung_failures_cached"),
    fault("rung_failures_static"),
    fault("rung_failures_degraded"),
];
/// `price`: checks in which a price of the fallback differed from the one in force: `static`, `degraded`.
pub const RUNG_DIFFERENCES: [Metric; 2] =
    [flow("rung_differences_static"), flow("rung_differences_degraded")];
/// `quote`: quotes issued.
pub const QUOTES_ISSUED: Metric = flow("quotes_issued");
/// `quote`: quotes confirmed, each once.
pub const QUOTES_CONFIRMED: Metric = flow("quotes_confirmed");
/// `quote`: confirmations refused because the quote had expired.
pub const QUOTES_EXPIRED: Metric = flow("quotes_expired");
/// `quote`: confirmations refused for another reason.
pub const QUOTES_REFUSED: Metric = flow("quotes_refused");
/// `quote`: events of confirmations that did not reach the log yet.
pub const QUOTES_UNLOGGED: Metric = fault("quotes_unlogged");

/// `recover`: recoveries that ended with six good steps.
pub const RECOVERIES_SUCCEEDED: Metric = fault("recoveries_succeeded");
/// `recover`: recoveries in which a step failed.
pub const RECOVERIES_FAILED: Metric = fault("recoveries_failed");
/// `recover`: confirmed failures of a component that was recovered three times within an hour.
pub const RECOVERY_BUDGET_EXHAUSTED: Metric = fault("recovery_budget_exhausted");

/// `count`, `surge`: the age of the next record of the stream, reported by the event source.
pub const ITERATOR_AGE: Metric = Metric { name: "iterator_age_ms", unit: "Milliseconds", reports_zero: true };

/// All metrics but those of the arrays.
pub const METRICS: [Metric; 39] = [
    EVENTS_ACCEPTED,
    EVENTS_ABSORBED,
    EVENTS_REFUSED,
    DEAD_LETTERS_DROPPED,
    EVENTS_UNKNOWN,
    EVENTS_MISROUTED,
    EVENTS_LATE,
    EVENTS_OUTSIDE,
    RECORDS_UNROUTABLE,
    RECORDS_SKIPPED,
    RECORDS_MALFORMED,
    RECORDS_OF_UNKNOWN_CITY,
    RECORDS_TOO_LARGE,
    APPEND_CONFLICTS,
    ENTITIES_EVICTED,
    LOGS_CORRUPTED,
    RECORDS_PARKED,
    FENCED_LOADS,
    SNAPSHOT_FAILURES,
    TICKS_CLOSED,
    TICKS_CLOSED_INCOMPLETE,
    MULTIPLIERS_CHANGED,
    MAP_CACHE_WRITE_FAILURES,
    MAP_REFRESHES,
    MAP_REFRESH_TIMEOUTS,
    CACHE_READS_FAILED,
    STORE_READS_FAILED,
    CHUNKS_CORRUPTED,
    MAP_MISSES,
    RUNG_CHECKS,
    QUOTES_ISSUED,
    QUOTES_CONFIRMED,
    QUOTES_EXPIRED,
    QUOTES_REFUSED,
    QUOTES_UNLOGGED,
    RECOVERIES_SUCCEEDED,
    RECOVERIES_FAILED,
    RECOVERY_BUDGET_EXHAUSTED,
    ITERATOR_AGE,
];
