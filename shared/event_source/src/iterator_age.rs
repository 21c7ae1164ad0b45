//! How far the reader of a stream is behind: Lambda's metric `IteratorAge`, reported where Lambda is not.

use std::future::Future;

use equilibrium_app::unavailable::Unavailable;

/// A stream that knows the age of what its reader reads next.
pub trait IteratorAge: Send + Sync {
    /// How far the reader is behind the newest record, in milliseconds, of the shard where it is farthest behind;
    /// `None` before the first read.
    fn iterator_age_ms(&self) -> Option<i64>;
}

/// Where iterator ages are reported.
pub trait IteratorAgeSink: Send + Sync {
    /// Reports the iterator age of `function`'s stream at `at_ms`, in milliseconds since the epoch.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn put_iterator_age(
        &self,
        function: &str,
        at_ms: i64,
        iterator_age_ms: i64,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;
}
