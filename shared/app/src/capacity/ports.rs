//! Where today's load is read.

use equilibrium_domain::capacity::system::Observed;

use crate::unavailable::Unavailable;

/// What the system measures of itself.
pub trait LoadSource: Send + Sync {
    /// The greatest load of the last day, in milliseconds since the epoch; what is not measured is absent.
    ///
    /// # Errors
    /// [`Unavailable`]: nothing could be read.
    fn observed(&self, now_ms: i64) -> impl Future<Output = Result<Observed, Unavailable>> + Send;
}
