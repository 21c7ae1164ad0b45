//! One shard of a stream as Lambda reads it: by polls that all consumers share, or pushed by enhanced fan-out.

use std::sync::Arc;
use std::time::Duration;

use equilibrium_domain::event::sequence::Sequence;
use equilibrium_embedded::stream_log::StreamLog;
use equilibrium_event_source::poller::{Source, SourceError};
use equilibrium_event_source::record::{Listed, Page};
use equilibrium_lambda::kinesis::record::ShardId;
use parking_lot::Mutex;
use tokio::time::sleep;

use super::SimulatedClock;

/// How records reach a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Iteration {
    /// Lambda reads each shard once a second.
    Polled,
    /// Kinesis pushes records some 70 ms after it has them.
    FanOut,
}

/// From one read of a shard to the next ("Polling and batching streams", AWS Lambda developer guide).
const POLL_MS: i64 = 1_000;
/// A read by `GetRecords`.
const READ: Duration = Duration::from_millis(15);
/// From a record's arrival to its push ("Develop enhanced fan-out consumers", Kinesis Data Streams).
const PUSH_MS: i64 = 70;

/// A shard.
#[derive(Debug)]
pub(super) struct ShardSource {
    log: Arc<StreamLog>,
    shard: ShardId,
    iteration: Iteration,
    clock: SimulatedClock,
    next_read_ms: Mutex<i64>,
}

impl ShardSource {
    /// The shard, which is read first at `first_read_ms`.
    pub(super) fn new(
        log: &Arc<StreamLog>,
        shard: ShardId,
        iteration: Iteration,
        (clock, first_read_ms): (SimulatedClock, i64),
    ) -> Self {
        Self { log: Arc::clone(log), shard, iteration, clock, next_read_ms: Mutex::new(first_read_ms) }
    }
}

impl Source for ShardSource {
    async fn shards(&self) -> Result<Vec<Listed>, SourceError> {
        Ok(vec![Listed { id: self.shard.clone(), parents: Vec::new() }])
    }

    async fn read(
        &self,
        shard: &ShardId,
        after: Option<&Sequence>,
        limit: usize,
    ) -> Result<Page, SourceError> {
        let now_ms = self.clock.now_ms();
        if self.iteration == Iteration::Polled {
            {
                let mut next_read_ms = self.next_read_ms.lock();
                if now_ms < *next_read_ms {
                    return Ok(Page::default());
                }
                *next_read_ms = now_ms + POLL_MS;
            }
            sleep(READ).await;
            return self.log.read(shard, after, limit).await;
        }
        let mut page = self.log.read(shard, after, limit).await?;
        page.records.retain(|record| record.arrival_ms + PUSH_MS <= now_ms);
        Ok(page)
    }
}
