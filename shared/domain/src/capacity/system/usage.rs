//! What a load uses of each part of a deployment, a second: the forms in which the code loads them.

use super::demands::{Demand, Limit};
use super::{Load, Settings};
use crate::capacity::cost::{Cause, Consumption, Item};
use crate::capacity::queueing;

/// The tick of a policy that states none (CONTRACT §3), in seconds.
const TICK_S: f64 = 5.0;
/// Lanes whose checkpoints are one log (ARCHITECTURE, "The checkpoint log").
const LANES_OF_RANGE: f64 = 4.0;
/// The share of a shard's ceiling that is used at most.
const HEADROOM: f64 = 0.7;
/// What a write unit and a read unit hold, in bytes (DynamoDB, "Read/write capacity mode").
const WRITE_UNIT_BYTES: f64 = 1_024.0;
const READ_UNIT_BYTES: f64 = 4_096.0;
/// Half the pause between two polls of a shard, in milliseconds: how long a record waits for the next on average.
const POLL_WAIT_MS: f64 = 500.0;
/// The mean of the squared coefficients of variation of batches: polled at even times, they differ in length alone.
const VARIATION: f64 = 0.5;
/// What is reported where the queue of a shard grows without end: an hour, in milliseconds.
const ENDLESS_MS: f64 = 3_600_000.0;
/// Seconds of a month by which AWS prices it.
const MONTH_S: f64 = 730.0 * 3_600.0;
const MONTH_HOURS: f64 = 730.0;
const GB: f64 = 1e9;
/// By which powers of a city's entities its reported cells, the units of its log and the bytes of its reports grow: many
/// entities share a cell.
const CELLS_EXPONENT: f64 = 0.096;
const CITY_WRITES_EXPONENT: f64 = 0.6;
const CITY_READS_EXPONENT: f64 = 0.45;
const REPORT_EXPONENT: f64 = 0.7;
/// How long entries of the checkpoint logs are kept, in seconds.
const ENTRY_LIFETIME_S: f64 = 48.0 * 3_600.0;
/// Metrics that a function of a deployment has: those of events, quotes and maps (docs/performance.md).
const METRICS: f64 = 45.0;
const SECRETS: f64 = 2.0;
/// Bytes of a line of metrics, once a minute and environment.
const METRIC_LINE_BYTES: f64 = 1_500.0;

/// How a load grows: into more cities, and into larger ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Times as many cities.
    pub cities: f64,
    /// Times as many drivers, riders and requests in each.
    pub size: f64,
}

/// What a load uses, a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    pub(super) settings: Settings,
    /// Market events.
    pub events: f64,
    /// Calls of `ingest`.
    pub calls: f64,
    /// Requests for prices and maps.
    pub prices: f64,
    /// Issued quotes.
    pub quotes: f64,
    /// Confirmed quotes.
    pub confirmations: f64,
    /// Cities.
    pub cities: f64,
    /// Drivers and riders.
    pub entities: f64,
    /// Shards of the stream of events.
    pub event_shards: f64,
    /// Shards of the stream of changes.
    pub change_shards: f64,
    /// Watermark records.
    pub watermark_records: f64,
    /// Records of the stream of events, those of watermarks among them.
    pub event_stream_records: f64,
    /// Their bytes.
    pub event_stream_bytes: f64,
    /// Reports of a lane and city.
    pub reports: f64,
    /// Records of the stream of counts.
    pub count_records: f64,
    /// Records of counts of the shard that has most.
    pub count_records_of_a_shard: f64,
    /// Bytes of counts of the shard that has most.
    pub count_bytes_of_a_shard: f64,
    /// Bytes of the stream of changes.
    pub change_bytes: f64,
    /// Write units of the lanes' and cities' logs.
    pub log_write_units: f64,
    /// Read units of the lanes' and cities' logs.
    pub log_read_units: f64,
    /// Write units of the log that takes most: of a range of lanes, or of a city.
    pub log_partition_write_units: f64,
    /// Write units of maps.
    pub map_write_units: f64,
    /// Write units of history and days.
    pub history_write_units: f64,
    /// Read units of the most read head while the cache is away.
    pub head_read_units: f64,
    /// Write units of the watermark board.
    pub board_write_units: f64,
    /// Read units of the watermark board.
    pub board_read_units: f64,
    /// Write units of confirmed quotes.
    pub quote_write_units: f64,
    /// Concurrent executions of all functions.
    pub concurrency: f64,
    /// The share of its time that the invocation of `count` for a shard is busy.
    pub count_utilisation: f64,
    /// From a record's arrival to the end of its batch in `count`, in milliseconds.
    pub count_response_ms: f64,
    /// Memory of an environment of `count` that has every lane, in MB.
    pub count_memory_mb: f64,
    /// Bytes of the maps in the cache.
    pub cache_bytes: f64,
    /// Bytes that readers take from the cache.
    pub cache_network_bytes: f64,
    /// Requests of the HTTP API.
    pub http_requests: f64,
}

/// The cities of a load, and one of them.
struct Cities {
    count: f64,
    /// Drivers and riders of one.
    entities: f64,
    /// Reported cells of one.
    cells: f64,
}

impl Usage {
    /// What a load that has grown uses.
    #[must_use]
    pub fn of(load: &Load, settings: &Settings, growth: Growth) -> Self {
        let factor = growth.cities * growth.size;
        let [events, prices, quotes, confirmations] =
            [load.events_per_s, load.price_requests_per_s, load.quotes_per_s, load.confirmations_per_s]
                .map(|rate| rate * factor);
        let calls = events / load.events_per_call;
        let entities_of_one = load.entities / load.cities * growth.size;
        let cities = Cities {
            count: load.cities * growth.cities,
            entities: entities_of_one,
            cells: Demand::CityCells.value() * libm::pow(entities_of_one, CELLS_EXPONENT),
        };
        let mut usage = Self::none(settings);
        usage.events = events;
        usage.calls = calls;
        usage.prices = prices;
        usage.quotes = quotes;
        usage.confirmations = confirmations;
        usage.cities = cities.count;
        usage.entities = load.entities * factor;
        usage.add_streams(load.events_per_call, &cities);
        usage.add_logs(&cities);
        usage.add_maps(&cities);
        usage.add_functions(&cities);
        usage.quote_write_units = confirmations;
        usage.http_requests = calls + prices + quotes + confirmations;
        usage
    }

    /// Shards that the stream of events needs.
    #[must_use]
    pub fn event_shards_needed(&self) -> f64 {
        let by_records = self.event_stream_records / (HEADROOM * Limit::ShardRecordsIn.value());
        let by_bytes = self.event_stream_bytes / (HEADROOM * Limit::ShardBytesIn.value());
        libm::ceil(by_records.max(by_bytes)).max(1.0)
    }

    fn lanes(&self) -> f64 {
        f64::from(self.settings.lanes)
    }

    fn ranges(&self) -> f64 {
        (self.lanes() / LANES_OF_RANGE).max(1.0)
    }

    /// A lane's events of a call share a record. One announcement a second goes to every lane at most, whatever the number of
    /// producers and cities, and about one a tick where all cities have the same ticks.
    fn add_streams(&mut self, events_per_call: f64, cities: &Cities) {
        let lanes = self.lanes();
        let lanes_of_call = lanes * (1.0 - libm::pow(1.0 - 1.0 / lanes, events_per_call));
        let announcements = (Demand::AnnouncementsPerTick.value() / TICK_S).min(1.0);
        let watermark_bytes = Demand::WatermarkCityBytes.value() * (2.0 + cities.count);
        self.watermark_records = lanes * announcements;
        self.event_stream_records = self.calls * lanes_of_call + self.watermark_records;
        self.event_stream_bytes =
            self.events * Demand::EventRecordBytes.value() + self.watermark_records * watermark_bytes;
        // Every lane reports every city each tick; the cities of a group share a record, and a group has one shard.
        let (groups, shards) = (f64::from(self.settings.groups), f64::from(self.settings.count_shards));
        let reports_per_tick = Demand::LaneReportsPerTick.value();
        self.reports = lanes * reports_per_tick * cities.count / TICK_S;
        self.count_records = lanes * reports_per_tick * cities.count.min(groups) / TICK_S;
        let groups_of_shard = libm::ceil(cities.count.min(groups) / shards);
        let cities_of_shard = groups_of_shard * (cities.count / groups).max(1.0);
        self.count_records_of_a_shard = lanes * reports_per_tick * groups_of_shard / TICK_S;
        let entity_bytes = Demand::ReportEntityBytes.value() * libm::pow(cities.entities, REPORT_EXPONENT);
        let bytes = lanes * reports_per_tick * Demand::ReportBytes.value() + entity_bytes;
        self.count_bytes_of_a_shard = cities_of_shard * bytes / TICK_S;
        self.change_bytes = cities.count * cities.cells * Demand::ChangeCellBytes.value() / TICK_S;
    }

    /// One entry for a range of lanes and batch, and one for a city and batch of counts. An entry is one write unit at least.
    fn add_logs(&mut self, cities: &Cities) {
        let ranges = self.ranges();
        let interval_s = Demand::SnapshotIntervalS.value();
        let batches = Demand::ShardBatches.value();
        let entry = Demand::RangeEntryBytes.value()
            + self.events / ranges / batches * Demand::RangeEventBytes.value();
        let snapshot =
            Demand::SnapshotBytes.value() + self.entities / ranges * Demand::SnapshotEntityBytes.value();
        let range = batches * write_units(entry) + write_units(snapshot) / interval_s;
        let city_entities =
            Demand::CityEntityWrites.value() * libm::pow(cities.entities, CITY_WRITES_EXPONENT);
        let city = (Demand::CityTickWrites.value() + city_entities) / TICK_S;
        self.log_write_units = ranges * range + cities.count * city;
        let range_reads =
            ranges * batches * Demand::RangeEntryReads.value() * (entry / READ_UNIT_BYTES).max(1.0);
        let city_reads =
            Demand::CityEntityReads.value() * libm::pow(cities.entities, CITY_READS_EXPONENT) / TICK_S;
        self.log_read_units =
            range_reads + self.entities * Demand::EntityReads.value() + cities.count * city_reads;
        self.log_partition_write_units = range.max(city);
        self.board_write_units = cities.count * Demand::BoardCityTickWrites.value() / TICK_S;
        self.board_read_units = cities.count * Demand::BoardCityTickReads.value() / TICK_S;
    }

    /// A map is a head and chunks of its cells. Every environment of `price` refreshes the map of every city each tick.
    fn add_maps(&mut self, cities: &Cities) {
        self.map_write_units = cities.count * cities.cells * Demand::MapCellWrites.value() / TICK_S;
        self.history_write_units = cities.count * Demand::HistoryTickWrites.value() / TICK_S;
        let map_bytes = cities.count * cities.cells * Demand::MapCellBytes.value();
        let environments = libm::ceil(self.prices / Demand::RequestsOfEnvironment.value()).max(1.0);
        self.head_read_units = environments * Demand::HeadReadsOfEnvironment.value();
        self.cache_bytes = 2.0 * map_bytes;
        self.cache_network_bytes = environments * map_bytes / TICK_S;
    }

    /// Little's law for each function; the mapping of a stream has one invocation a shard at a time.
    fn add_functions(&mut self, cities: &Cities) {
        let seconds = |demand: Demand| demand.value() / 1_000.0;
        let (events, counts) = (self.event_shards, f64::from(self.settings.count_shards));
        let batches = Demand::ShardBatches.value();
        let batch_s = seconds(Demand::CountBatchMs)
            + self.events / events / batches * Demand::CountEventUs.value() / 1e6;
        self.count_utilisation = batches * batch_s;
        let response = queueing::response(batch_s * 1_000.0, self.count_utilisation, VARIATION);
        self.count_response_ms = response.map_or(ENDLESS_MS, |response| POLL_WAIT_MS + response);
        let surge_batches = batches.min(2.0 * cities.count / TICK_S);
        self.concurrency = queueing::in_progress(self.calls, seconds(Demand::IngestMs))
            + queueing::in_progress(self.prices, seconds(Demand::PriceMs))
            + queueing::in_progress(self.quotes + self.confirmations, seconds(Demand::QuoteMs))
            + events * self.count_utilisation.min(1.0)
            + counts * queueing::in_progress(surge_batches, seconds(Demand::SurgeBatchMs)).min(1.0);
        self.count_memory_mb =
            Demand::FunctionMemoryMb.value() + self.entities * Demand::CountEntityMemoryBytes.value() / 1e6;
    }

    /// What a month of this costs, with as many shards as the load needs.
    #[must_use]
    pub fn consumption(&self) -> Vec<Consumption> {
        let monthly = |rate: f64| rate * MONTH_S;
        let line = |component, item, cause, per_month| Consumption { component, item, cause, per_month };
        let shards = self.event_shards_needed().max(self.event_shards);
        let other_shards = f64::from(self.settings.count_shards + self.settings.change_shards);
        let gb_s = |ms: Demand| ms.value() / 1_000.0 * f64::from(self.settings.function_memory_mb) / 1_024.0;
        let batches = Demand::ShardBatches.value();
        let count_s = shards * self.count_utilisation.min(1.0);
        let memory_gb = f64::from(self.settings.function_memory_mb) / 1_024.0;
        let surge_batches = f64::from(self.settings.count_shards) * batches.min(2.0 * self.cities / TICK_S);
        let event_gb_s = self.calls * gb_s(Demand::IngestMs)
            + count_s * memory_gb
            + surge_batches * gb_s(Demand::SurgeBatchMs);
        let invocations = self.calls + shards * batches + surge_batches;
        let quote_calls = self.quotes + self.confirmations;
        let puts = self.event_stream_records + self.count_records + self.cities / TICK_S;
        let writes = self.log_write_units + self.board_write_units;
        let reads = self.log_read_units + self.board_read_units;
        let log_bytes = self.log_write_units * WRITE_UNIT_BYTES * ENTRY_LIFETIME_S;
        let environments = 8.0 + self.concurrency;
        let log_lines = environments * METRIC_LINE_BYTES / 60.0;
        let (events, prices, quotes, deployment) =
            (Cause::Events, Cause::Prices, Cause::Quotes, Cause::Deployment);
        vec![
            line("kinesis", Item::KinesisShardHour, events, (shards + other_shards) * MONTH_HOURS),
            line("kinesis", Item::KinesisPutUnit, events, monthly(puts)),
            line("dynamodb-logs", Item::DynamodbWriteUnit, events, monthly(writes)),
            line("dynamodb-logs", Item::DynamodbReadUnit, events, monthly(reads)),
            line("dynamodb-logs", Item::DynamodbGbMonth, events, log_bytes / GB),
            line(
                "dynamodb-maps",
                Item::DynamodbWriteUnit,
                events,
                monthly(self.map_write_units + self.history_write_units),
            ),
            line("dynamodb-quotes", Item::DynamodbWriteUnit, quotes, monthly(self.quote_write_units)),
            line("lambda-events", Item::LambdaRequest, events, monthly(invocations)),
            line("lambda-events", Item::LambdaGbSecond, events, monthly(event_gb_s)),
            line("lambda-prices", Item::LambdaRequest, prices, monthly(self.prices)),
            line("lambda-prices", Item::LambdaGbSecond, prices, monthly(self.prices * gb_s(Demand::PriceMs))),
            line("lambda-quotes", Item::LambdaRequest, quotes, monthly(quote_calls)),
            line("lambda-quotes", Item::LambdaGbSecond, quotes, monthly(quote_calls * gb_s(Demand::QuoteMs))),
            line("http-api", Item::HttpApiRequest, events, monthly(self.calls)),
            line("http-api", Item::HttpApiRequest, prices, monthly(self.prices)),
            line("http-api", Item::HttpApiRequest, quotes, monthly(quote_calls)),
            line("elasticache", Item::CacheNodeHour, deployment, MONTH_HOURS),
            line("cloudwatch", Item::LogGb, deployment, monthly(log_lines) / GB),
            line("cloudwatch", Item::MetricMonth, deployment, METRICS),
            line("secrets", Item::SecretMonth, deployment, SECRETS),
        ]
    }

    fn none(settings: &Settings) -> Self {
        Self {
            settings: *settings,
            events: 0.0,
            calls: 0.0,
            prices: 0.0,
            quotes: 0.0,
            confirmations: 0.0,
            cities: 0.0,
            entities: 0.0,
            event_shards: f64::from(settings.event_shards),
            change_shards: f64::from(settings.change_shards),
            watermark_records: 0.0,
            event_stream_records: 0.0,
            event_stream_bytes: 0.0,
            reports: 0.0,
            count_records: 0.0,
            count_records_of_a_shard: 0.0,
            count_bytes_of_a_shard: 0.0,
            change_bytes: 0.0,
            log_write_units: 0.0,
            log_read_units: 0.0,
            log_partition_write_units: 0.0,
            map_write_units: 0.0,
            history_write_units: 0.0,
            head_read_units: 0.0,
            board_write_units: 0.0,
            board_read_units: 0.0,
            quote_write_units: 0.0,
            concurrency: 0.0,
            count_utilisation: 0.0,
            count_response_ms: 0.0,
            count_memory_mb: 0.0,
            cache_bytes: 0.0,
            cache_network_bytes: 0.0,
            http_requests: 0.0,
        }
    }
}

/// The units of a write of so many bytes on average: those of an item whose last unit is half full, but one at least.
fn write_units(bytes: f64) -> f64 {
    (bytes / WRITE_UNIT_BYTES + 0.5).max(1.0)
}
