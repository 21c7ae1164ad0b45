//! The log of market events.

use std::future::Future;

use equilibrium_domain::id::LaneId;

use crate::unavailable::Unavailable;

/// The log of market events, ordered within each lane.
pub trait EventLog: Send + Sync {
    /// Appends a record to `lane`, durably. The adapter may retry until its own deadline, so the log may
    /// contain the record more than once.
    ///
    /// # Errors
    /// [`Unavailable`]: the record may or may not be in the log.
    fn put(&self, lane: LaneId, record: Vec<u8>) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Appends records to `lane` in their order. An adapter that can append several durably at once does.
    ///
    /// # Errors
    /// [`Unavailable`]: some of the records may be in the log, but none without those before it.
    fn put_all(
        &self,
        lane: LaneId,
        records: Vec<Vec<u8>>,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send {
        async move {
            for record in records {
                self.put(lane, record).await?;
            }
            Ok(())
        }
    }
}
