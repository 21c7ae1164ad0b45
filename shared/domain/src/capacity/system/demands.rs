//! The ceilings of AWS, and what an event, a quote and a tick demand: data with its date and source.

use std::sync::LazyLock;

use serde::Deserialize;

/// The date of the ceilings.
pub const LIMITS_AS_OF: &str = "2026-11-26";
/// The date on which demands were measured.
pub const DEMANDS_AS_OF: &str = "2026-11-27";

#[derive(Deserialize)]
struct File<N> {
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

impl Limit {
    pub(super) fn value(self) -> f64 {
        static FILE: LazyLock<File<Limit>> = LazyLock::new(|| {
            let file: File<Limit> =
                serde_json::from_str(include_str!("limits.json")).expect("a test reads the ceilings");
            assert_eq!(file.as_of, LIMITS_AS_OF, "the date of the ceilings");
            file
        });
        let row = FILE.rows.iter().find(|row| row.name == self);
        row.expect("a test finds every ceiling").value
    }
}
