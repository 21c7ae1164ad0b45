//! Lambda's metric `IteratorAge`, reported where Lambda does not report it.

use std::future::Future;

use equilibrium_app::unavailable::Unavailable;

/// A stream that measures the lag of its consumer.
pub trait IteratorAge: Send + Sync {
    /// How far reading is behind the newest record, in milliseconds, for the shard where it is farthest behind; `None`
    /// before the first read.
    fn iterator_age_ms(&self) -> Option<i64>;
}

/// A metrics store that receives iterator ages.
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
