//! The figures of this system: what each part is loaded by, its ceiling, and the setting that raises it.

use super::demands::Limit;
use super::{Observed, Settings, Usage};
use crate::capacity::growth::Law;

/// The share of a ceiling that is used at most: the rest takes peaks, and a shard or an environment that is lost.
const HEADROOM: f64 = 0.7;

/// A figure.
pub(super) struct Figure {
    pub component: &'static str,
    pub kind: &'static str,
    pub metric: &'static str,
    pub demand: fn(&Usage) -> f64,
    pub threshold: fn(&Settings) -> f64,
    pub growth: FigureGrowth,
    pub driver: Driver,
    pub impact: &'static str,
    pub remedies: &'static [&'static str],
}

/// How a figure grows far from today's load; near it [`Usage`] knows better.
#[derive(Clone, Copy)]
pub(super) enum FigureGrowth {
    Constant,
    Linear,
    Product(&'static str),
}

/// The load that a figure follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Driver {
    Events,
    Prices,
    Quotes,
    Requests,
    Cities,
    Entities,
}

impl Driver {
    /// Whether the load was measured.
    pub(super) fn is_measured(self, observed: &Observed) -> bool {
        match self {
            Self::Events => observed.events_per_s.is_some(),
            Self::Prices => observed.price_requests_per_s.is_some(),
            Self::Quotes => observed.confirmations_per_s.is_some(),
            Self::Requests => {
                let loads = [observed.events_per_s, observed.price_requests_per_s, observed.quotes_per_s];
                loads.iter().all(Option::is_some)
            }
            Self::Cities => observed.cities.is_some(),
            Self::Entities => observed.entities.is_some(),
        }
    }
}

impl Figure {
    pub(super) fn law(&self) -> Law {
        match self.growth {
            FigureGrowth::Constant => Law::Constant,
            FigureGrowth::Linear => Law::Linear,
            FigureGrowth::Product(with) => Law::Product { with: Some(with.to_owned()) },
        }
    }
}

const ADD_EVENT_SHARDS: &str =
    "deploy with more shards: `-c shards=N` (`UpdateShardCount` doubles at most, ten times a day)";
const LARGER_CALLS: &str = "have producers send more events a call: a call's events of a lane share a record";

pub(super) const FIGURES: &[Figure] = &[
    Figure {
        component: "kinesis-events",
        kind: "stream",
        metric: "records_per_s_of_a_shard",
        demand: |usage| usage.event_stream_records / usage.event_shards,
        threshold: |_| HEADROOM * Limit::ShardRecordsIn.value(),
        growth: FigureGrowth::Linear,
        driver: Driver::Events,
        impact: "the shard refuses records: `ingest` repeats them, then answers 503, and producers have to repeat calls",
        remedies: &[LARGER_CALLS, ADD_EVENT_SHARDS],
    },
    Figure {
        component: "kinesis-events",
        kind: "stream",
        metric: "bytes_in_per_s_of_a_shard",
        demand: |usage| usage.event_stream_bytes / usage.event_shards,
        threshold: |_| HEADROOM * Limit::ShardBytesIn.value(),
        growth: FigureGrowth::Linear,
        driver: Driver::Events,
        impact: "the shard refuses records: `ingest` repeats them, then answers 503, and producers have to repeat calls",
        remedies: &[ADD_EVENT_SHARDS],
    },
    Figure {
        component: "kinesis-events",
        kind: "stream",
        metric: "bytes_out_per_s_of_a_shard",
        demand: |usage| usage.event_stream_bytes / usage.event_shards,
        threshold: |_| HEADROOM * Limit::ShardBytesOut.value(),
        growth: FigureGrowth::Linear,
        driver: Driver::Events,
        impact: "`count` falls behind, and prices age",
        remedies: &[ADD_EVENT_SHARDS, "give `count` its own throughput: `-c fanOut=count`"],
    },
    Figure {
        component: "lanes",
        kind: "partitioning",
        metric: "lanes_needed",
        demand: |usage| 4.0 * usage.event_shards_needed(),
        threshold: |settings| f64::from(settings.lanes),
        growth: FigureGrowth::Linear,
        driver: Driver::Events,
        impact: "a shard would have fewer than four lanes, and resharding would not spread the load evenly",
        remedies: &[
            "double the lanes: `-c lanes=N`, `count` first, then the feeders (ARCHITECTURE, \"Lanes that double\")",
        ],
    },
    Figure {
        component: "lanes",
        kind: "partitioning",
        metric: "watermark_record_percent",
        demand: |usage| 100.0 * usage.watermark_records / usage.event_stream_records.max(1.0),
        threshold: |_| 5.0,
        growth: FigureGrowth::Constant,
        driver: Driver::Events,
        impact: "watermark records take the shards' records away from events",
        remedies: &["fewer lanes for this load", LARGER_CALLS],
    },
    Figure {
        component: "lanes",
        kind: "partitioning",
        metric: "reports_per_s",
        demand: |usage| usage.reports,
        threshold: |settings| {
            HEADROOM * Limit::ShardRecordsIn.value() * f64::from(settings.count_shards * settings.groups)
        },
        growth: FigureGrowth::Product("lanes_needed"),
        driver: Driver::Cities,
        impact: "every lane reports every city each tick: with both in number, reports outgrow the events",
        remedies: &[
            "longer ticks: `clock.tick_ms` of small cities' policies",
            "fewer, larger lanes until the shards need more",
        ],
    },
    Figure {
        component: "kinesis-counts",
        kind: "stream",
        metric: "records_per_s_of_a_shard",
        demand: |usage| usage.count_records_of_a_shard,
        threshold: |_| HEADROOM * Limit::ShardRecordsIn.value(),
        growth: FigureGrowth::Linear,
        driver: Driver::Cities,
        impact: "`count` cannot send counts: its batches repeat, and maps come late",
        remedies: &[
            "more shards of counts and groups of cities: `-c shards=N`, `EQUILIBRIUM_GROUPS`",
            "longer ticks: `clock.tick_ms` of the policies",
        ],
    },
    Figure {
        component: "kinesis-counts",
        kind: "stream",
        metric: "bytes_in_per_s_of_a_shard",
        demand: |usage| usage.count_bytes_of_a_shard,
        threshold: |_| HEADROOM * Limit::ShardBytesIn.value(),
        growth: FigureGrowth::Linear,
        driver: Driver::Events,
        impact: "`count` cannot send counts: its batches repeat, and maps come late",
        remedies: &[
            "longer ticks: `clock.tick_ms` of the largest cities' policies",
            "a coarser grid: `resolution` of the largest cities' policies",
        ],
    },
    Figure {
        component: "kinesis-changes",
        kind: "stream",
        metric: "bytes_in_per_s_of_a_shard",
        demand: |usage| usage.change_bytes / usage.change_shards,
        threshold: |_| HEADROOM * Limit::ShardBytesIn.value(),
        growth: FigureGrowth::Linear,
        driver: Driver::Cities,
        impact: "`surge` cannot send changes: its batches repeat, and subscribers get changes late",
        remedies: &["more shards of changes: `streams.changes.shards` in infra/deployment.json"],
    },
    Figure {
        component: "dynamodb-checkpoints",
        kind: "table",
        metric: "write_units_per_s",
        demand: |usage| usage.log_write_units,
        threshold: |_| HEADROOM * Limit::TableWriteUnits.value(),
        growth: FigureGrowth::Linear,
        driver: Driver::Events,
        impact: "appends are throttled: `count` and `surge` fall behind, and prices age",
        remedies: &[
            "warm the table's throughput before the load comes (`WarmThroughput`); a table on demand doubles within 30 minutes",
            "raise the account's quota of write units for a table",
        ],
    },
    Figure {
        component: "dynamodb-checkpoints",
        kind: "table",
        metric: "read_units_per_s",
        demand: |usage| usage.log_read_units,
        threshold: |_| HEADROOM * Limit::TableReadUnits.value(),
        growth: FigureGrowth::Linear,
        driver: Driver::Events,
        impact: "environments that are behind load their logs slowly, and prices age",
        remedies: &["warm the table's throughput before the load comes (`WarmThroughput`)"],
    },
    Figure {
        component: "dynamodb-checkpoints",
        kind: "table",
        metric: "write_units_per_s_of_a_partition",
        demand: |usage| usage.log_partition_write_units,
        threshold: |_| HEADROOM * Limit::PartitionWriteUnits.value(),
        growth: FigureGrowth::Linear,
        driver: Driver::Events,
        impact: "the log of a range of lanes is throttled, and its shard falls behind",
        remedies: &["double the lanes: the entities of a range become those of two"],
    },
    Figure {
        component: "dynamodb-maps",
        kind: "table",
        metric: "write_units_per_s",
        demand: |usage| usage.map_write_units,
        threshold: |_| HEADROOM * Limit::TableWriteUnits.value(),
        growth: FigureGrowth::Linear,
        driver: Driver::Cities,
        impact: "maps are saved late, and prices age",
        remedies: &[
            "warm the table's throughput before the load comes (`WarmThroughput`)",
            "longer ticks: `clock.tick_ms` of the policies",
        ],
    },
    Figure {
        component: "dynamodb-maps",
        kind: "table",
        metric: "head_read_units_per_s_without_cache",
        demand: |usage| usage.head_read_units,
        threshold: |_| HEADROOM * Limit::PartitionReadUnits.value(),
        growth: FigureGrowth::Linear,
        driver: Driver::Prices,
        impact: "while the cache is away, reads of heads are throttled: prices become `cached`",
        remedies: &["have fewer environments of `price` answer more requests each", "a cache with a replica"],
    },
    Figure {
        component: "dynamodb-watermarks",
        kind: "table",
        metric: "write_units_per_s",
        demand: |usage| usage.board_write_units,
        threshold: |_| HEADROOM * Limit::TableWriteUnits.value(),
        growth: FigureGrowth::Linear,
        driver: Driver::Events,
        impact: "`ingest` announces at random instead: ticks close some seconds later where there is little traffic",
        remedies: &["warm the table's throughput before the load comes (`WarmThroughput`)"],
    },
    Figure {
        component: "dynamodb-quotes",
        kind: "table",
        metric: "write_units_per_s",
        demand: |usage| usage.quote_write_units,
        threshold: |_| HEADROOM * Limit::TableWriteUnits.value(),
        growth: FigureGrowth::Linear,
        driver: Driver::Quotes,
        impact: "confirmations are throttled and answered with 503; quotes are issued all the same",
        remedies: &["warm the table's throughput before the load comes (`WarmThroughput`)"],
    },
    Figure {
        component: "lambda",
        kind: "functions",
        metric: "concurrent_executions",
        demand: |usage| usage.concurrency,
        threshold: |_| HEADROOM * Limit::LambdaConcurrency.value(),
        growth: FigureGrowth::Linear,
        driver: Driver::Requests,
        impact: "invocations are throttled: requests get 429 from Lambda and mappings wait",
        remedies: &["raise the account's quota of concurrent executions", LARGER_CALLS],
    },
    Figure {
        component: "lambda",
        kind: "functions",
        metric: "count_utilisation_percent",
        demand: |usage| 100.0 * usage.count_utilisation,
        threshold: |_| 100.0 * HEADROOM,
        growth: FigureGrowth::Linear,
        driver: Driver::Events,
        impact: "a shard has one invocation at a time: near 100 % batches wait for the one before",
        remedies: &[
            ADD_EVENT_SHARDS,
            "more memory, and CPU with it: `memoryMb` of `count` in infra/deployment.json",
        ],
    },
    Figure {
        component: "lambda",
        kind: "functions",
        metric: "count_response_ms",
        demand: |usage| usage.count_response_ms,
        threshold: |_| 5_000.0,
        growth: FigureGrowth::Linear,
        driver: Driver::Events,
        impact: "maps come a tick late",
        remedies: &[
            ADD_EVENT_SHARDS,
            "more memory, and CPU with it: `memoryMb` of `count` in infra/deployment.json",
        ],
    },
    Figure {
        component: "lambda",
        kind: "functions",
        metric: "count_memory_mb",
        demand: |usage| usage.count_memory_mb,
        threshold: |settings| HEADROOM * f64::from(settings.function_memory_mb),
        growth: FigureGrowth::Linear,
        driver: Driver::Entities,
        impact: "an environment of `count` may have to hold every lane: it is ended when its memory is used up",
        remedies: &[
            "more memory: `memoryMb` of `count` in infra/deployment.json",
            "fewer entities in a state: `driver_ttl_ms` of the policies",
        ],
    },
    Figure {
        component: "elasticache",
        kind: "cache",
        metric: "memory_bytes",
        demand: |usage| usage.cache_bytes,
        threshold: |_| HEADROOM * Limit::CacheMemory.value(),
        growth: FigureGrowth::Linear,
        driver: Driver::Cities,
        impact: "maps are evicted, and `price` reads them from the table",
        remedies: &["a larger node: `cacheNodeType` in infra/lib/storage/cache.ts"],
    },
    Figure {
        component: "elasticache",
        kind: "cache",
        metric: "network_bytes_per_s",
        demand: |usage| usage.cache_network_bytes,
        threshold: |_| HEADROOM * Limit::CacheNetwork.value(),
        growth: FigureGrowth::Product("memory_bytes"),
        driver: Driver::Prices,
        impact: "reads of the cache time out, and `price` reads the table",
        remedies: &[
            "a larger node: `cacheNodeType` in infra/lib/storage/cache.ts",
            "replicas, of which `price` reads",
        ],
    },
    Figure {
        component: "http-api",
        kind: "gateway",
        metric: "requests_per_s",
        demand: |usage| usage.http_requests,
        threshold: |_| HEADROOM * Limit::HttpApiRequests.value(),
        growth: FigureGrowth::Linear,
        driver: Driver::Requests,
        impact: "API Gateway refuses requests with 429",
        remedies: &["raise the account's quota of requests", LARGER_CALLS],
    },
];
