//! The log of market events.

use std::future::Future;

use equilibrium_domain::id::LaneId;

use crate::unavailable::Unavailable;

/// The log of market events, in which each lane keeps its order.
pub trait EventLog: Send + Sync {
    /// Puts a record behind all others of `lane`, and keeps it. Within its deadline, which is the
    /// adapter's own, it may try more than once: the same record may then come twice.
    ///
    /// # Errors
    /// [`Unavailable`]: the record may or may not be in the log.
    fn put(&self, lane: LaneId, record: Vec<u8>) -> impl Future<Output = Result<(), Unavailable>> + Send;
}
