//! Adapters that keep everything in memory: for tests, replays and the process that serves from memory.

mod checkpoints;
mod maps;
mod no_op;
mod policies;
mod recorder;
mod shared;

pub use self::checkpoints::{Logs, MemoryCheckpoints};
pub use self::maps::{Maps, MemoryMaps};
pub use self::no_op::NoOp;
pub use self::policies::MemoryPolicies;
pub use self::recorder::Recorder;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;

    #[tokio::test]
    async fn checkpoints_keep_the_contract() {
        contract::checkpoint_log(&MemoryCheckpoints::default()).await;
    }

    #[tokio::test]
    async fn maps_keep_the_contract() {
        contract::map_store(&MemoryMaps::default()).await;
    }

    #[tokio::test]
    async fn policies_keep_the_contract() {
        contract::policy_store(&MemoryPolicies::default()).await;
    }

    #[tokio::test]
    async fn events_keep_the_contract() {
        let log = Recorder::default();
        contract::event_log(&log, async |lane| sent(&log, &lane)).await;
    }

    #[tokio::test]
    async fn counts_keep_the_contract() {
        let counts = Recorder::default();
        contract::counts_stream(&counts, async |group| sent(&counts, &group)).await;
    }

    /// What was sent by this name, in order.
    fn sent<N: PartialEq>(outbox: &Recorder<(N, Vec<u8>)>, name: &N) -> Vec<Vec<u8>> {
        let sent = outbox.0.lock();
        sent.iter().filter(|(of, _)| of == name).map(|(_, record)| record.clone()).collect()
    }
}
