//! In-memory adapters, for tests, replays and the process that serves from memory.

mod checkpoints;
mod days;
mod histories;
mod maps;
mod no_op;
mod overrides;
mod past;
mod policies;
mod quotes;
mod recorder;
mod recoveries;
mod shared;
mod watermark_board;

pub use self::checkpoints::{Logs, MemoryCheckpoints};
pub use self::days::{DayTable, MemoryDays};
pub use self::histories::{Histories, MemoryHistory};
pub use self::maps::{Maps, MemoryMaps};
pub use self::no_op::NoOp;
pub use self::overrides::{MemoryOverrides, OverrideTable};
pub use self::past::{FoundPast, PackedSegment};
pub use self::policies::{MemoryPolicies, PolicyVersions};
pub use self::quotes::MemoryQuotes;
pub use self::recorder::Recorder;
pub use self::recoveries::{MemoryRecoveries, RecoveryTable};
pub use self::watermark_board::MemoryWatermarkBoard;

#[cfg(test)]
mod tests {
    use equilibrium_domain::id::CityId;
    use equilibrium_domain::surge::map::{ClosedTick, MapHead};

    use super::*;
    use crate::contract::{self, RecordedRow};

    #[tokio::test]
    async fn the_checkpoint_log_keeps_the_contract() {
        contract::checkpoint_log(&MemoryCheckpoints::default()).await;
    }

    #[tokio::test]
    async fn the_checkpoint_log_keeps_the_contract_of_fencing() {
        contract::fencing(&MemoryCheckpoints::default()).await;
    }

    #[tokio::test]
    async fn the_store_of_recoveries_keeps_the_contract() {
        contract::recovery_store(&MemoryRecoveries::default(), 1_772_000_000_000).await;
    }

    #[tokio::test]
    async fn the_past_of_the_checkpoint_log_keeps_the_contract() {
        contract::past_log(&MemoryCheckpoints::keeping_past()).await;
    }

    #[tokio::test]
    async fn the_day_store_keeps_the_contract() {
        contract::day_store(&MemoryDays::default()).await;
        contract::day_store(&MemoryMaps::default()).await;
    }

    #[tokio::test]
    async fn the_history_store_keeps_the_contract() {
        contract::history_store(&MemoryHistory::default()).await;
        contract::history_store(&MemoryMaps::default()).await;
    }

    #[tokio::test]
    async fn the_map_store_keeps_the_contract() {
        contract::map_store(&MemoryMaps::default()).await;
        contract::frozen_maps(&MemoryMaps::default()).await;
    }

    #[tokio::test]
    async fn the_override_store_keeps_the_contract() {
        contract::override_store(&MemoryOverrides::default(), 1_000).await;
    }

    #[tokio::test]
    async fn the_quote_store_keeps_the_contract() {
        contract::quote_store(&MemoryQuotes::default(), 1_000).await;
    }

    #[tokio::test]
    async fn the_policy_store_keeps_the_contract() {
        let policies = MemoryPolicies::default();
        contract::policy_store(&policies).await;
        contract::policy_versions(&policies, 1_772_427_600_000).await;
    }

    #[tokio::test]
    async fn the_recorder_keeps_the_contract_of_the_event_log() {
        let log = Recorder::default();
        contract::event_log(&log, async |lane| recorded(&log, &lane)).await;
    }

    #[tokio::test]
    async fn the_recorder_keeps_the_contract_of_the_counts_stream() {
        let counts = Recorder::default();
        contract::counts_stream(&counts, async |_, group| recorded(&counts, &group)).await;
    }

    #[tokio::test]
    async fn the_recorder_keeps_the_contract_of_the_changes_stream() {
        let changes = Recorder::default();
        contract::change_stream(&changes, async |city| recorded(&changes, city)).await;
    }

    #[tokio::test]
    async fn the_recorder_keeps_the_contract_of_the_dead_letter_queue() {
        let queue = Recorder::default();
        contract::dead_letter_queue(&queue, async || queue.0.lock().clone()).await;
    }

    #[tokio::test]
    async fn the_recorder_keeps_the_contract_of_the_tick_log() {
        let log = Recorder::default();
        contract::tick_log(&log, async |city| rows(&log, city)).await;
    }

    #[tokio::test]
    async fn the_watermark_board_keeps_the_contract() {
        contract::watermark_board(&MemoryWatermarkBoard::default()).await;
    }

    /// The records of this key, in order.
    fn recorded<K: PartialEq>(recorder: &Recorder<(K, Vec<u8>)>, key: &K) -> Vec<Vec<u8>> {
        let recorded = recorder.0.lock();
        recorded.iter().filter(|(of, _)| of == key).map(|(_, record)| record.clone()).collect()
    }

    /// The rows of the city's ticks, in order.
    fn rows(recorder: &Recorder<(MapHead, Vec<ClosedTick>)>, city: &CityId) -> Vec<RecordedRow> {
        let recorded = recorder.0.lock();
        let of_city = recorded.iter().filter(|(map, _)| map.city == *city);
        of_city.flat_map(|(map, ticks)| contract::recorded_rows(map, ticks)).collect()
    }
}
