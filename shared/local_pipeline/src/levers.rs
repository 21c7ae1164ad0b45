//! The levers of a recovery in one process: its instance, its logs and its streams are at hand.

use equilibrium_app::checkpoint::ports::CheckpointKey;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::recover::ports::{Details, Levers, StreamState};
use equilibrium_app::surge::ports::TickLog;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::recovery::RecoveryId;
use equilibrium_embedded::store::Store;
use equilibrium_embedded::stream_log::StreamLog;
use serde_json::json;

use crate::instances::Instances;

/// The levers over the instances of a pipeline and the store that they share.
#[derive(Debug)]
pub struct LocalLevers<P, T> {
    pub(crate) store: Store,
    pub(crate) instances: Instances<P, T>,
}

impl<P, T> Levers for LocalLevers<P, T>
where
    P: PolicySource + Clone + 'static,
    T: TickLog + Clone + 'static,
{
    async fn dead_instances(&self) -> Result<Vec<String>, Unavailable> {
        let dead = (!self.instances.is_running()).then(|| "the thread of the pipeline has ended".to_owned());
        Ok(dead.into_iter().collect())
    }

    async fn streams(&self, now_ms: i64) -> Result<Vec<StreamState>, Unavailable> {
        let state = |name: &str, log: &StreamLog| {
            let oldest = log.oldest();
            StreamState {
                name: name.to_owned(),
                waiting_ms: oldest.map(|(_, arrival_ms)| (now_ms - arrival_ms).max(0)),
                // A record is removed once it is processed; retention takes none.
                progress: oldest.map_or(0, |(number, _)| number),
                retained_from_ms: None,
                discarded: 0,
            }
        };
        Ok(vec![state("events", self.store.events()), state("counts", self.store.counts())])
    }

    async fn logs(&self) -> Result<Vec<CheckpointKey>, Unavailable> {
        Ok(self.store.state_logs())
    }

    async fn isolate(&self) -> Result<Details, Unavailable> {
        self.instances.end_current();
        Ok(Details::new())
    }

    async fn replace(&self, id: &RecoveryId) -> Result<Details, Unavailable> {
        self.instances.replace(id).await.map_err(|_| Unavailable)?;
        Ok(Details::from_iter([("instance".to_owned(), json!("a thread that has polled its logs"))]))
    }

    /// The logs keep every record until it is processed, and a new instance reads them from their oldest record on.
    async fn read_from(&self, _: Option<i64>) -> Result<Details, Unavailable> {
        Ok(Details::new())
    }

    async fn bridge(&self) -> Result<bool, Unavailable> {
        Ok(false)
    }

    async fn resume(&self) -> Result<Details, Unavailable> {
        Ok(Details::new())
    }
}
