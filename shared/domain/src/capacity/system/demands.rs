//! The ceilings of AWS, and what an event, a quote and a tick demand: data with its date and source.

use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The date of the ceilings.
pub const LIMITS_AS_OF: &str = "2026-11-26";
/// The date on which demands were measured.
pub const DEMANDS_AS_OF: &str = "2026-11-27";

/// A list of numbers with its date.
#[derive(Deserialize)]
struct Numbers<N> {
    as_of: String,
    rows: Vec<Row<N>>,
}

#[derive(Deserialize)]
struct Row<N> {
    name: N,
    value: f64,
    /// A number without a source is not read.
    #[expect(dead_code, reason = "it is for those who read the list")]
    source: String,
}

/// A ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Limit {
    ShardBytesIn,
    ShardRecordsIn,
    ShardBytesOut,
    PartitionWriteUnits,
    PartitionReadUnits,
    TableWriteUnits,
    TableReadUnits,
    LambdaConcurrency,
    CacheMemory,
    CacheNetwork,
    HttpApiRequests,
}

/// What a unit of load demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Demand {
    EventRecordBytes,
    AnnouncementsPerTick,
    WatermarkCityBytes,
    ShardBatches,
    RangeEntryBytes,
    RangeEventBytes,
    RangeEntryReads,
    EntityReads,
    SnapshotBytes,
    SnapshotEntityBytes,
    SnapshotIntervalS,
    CityTickWrites,
    CityEntityWrites,
    CityEntityReads,
    CityCells,
    MapCellWrites,
    HistoryTickWrites,
    BoardCityTickWrites,
    BoardCityTickReads,
    LaneReportsPerTick,
    ReportBytes,
    ReportEntityBytes,
    ChangeCellBytes,
    MapCellBytes,
    IngestMs,
    PriceMs,
    QuoteMs,
    CountBatchMs,
    CountEventUs,
    SurgeBatchMs,
    CountEntityMemoryBytes,
    FunctionMemoryMb,
    HeadReadsOfEnvironment,
    RequestsOfEnvironment,
}

impl Limit {
    pub(super) fn value(self) -> f64 {
        static LIST: LazyLock<Numbers<Limit>> =
            LazyLock::new(|| read(include_str!("limits.json"), LIMITS_AS_OF));
        LIST.of(&self)
    }
}

impl Demand {
    pub(super) fn value(self) -> f64 {
        static LIST: LazyLock<Numbers<Demand>> =
            LazyLock::new(|| read(include_str!("demands.json"), DEMANDS_AS_OF));
        LIST.of(&self)
    }
}

fn read<N: DeserializeOwned>(text: &str, as_of: &str) -> Numbers<N> {
    let list: Numbers<N> = serde_json::from_str(text).expect("a test reads the list");
    assert_eq!(list.as_of, as_of, "the date of the list");
    list
}

impl<N: PartialEq> Numbers<N> {
    fn of(&self, name: &N) -> f64 {
        let row = self.rows.iter().find(|row| row.name == *name);
        row.expect("a test finds every number").value
    }
}
