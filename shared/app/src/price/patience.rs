//! How long requests wait for reads.

use std::time::Duration;

use crate::dependency::FAILING_TIMEOUT;

/// How long a request waits that has no fresh map.
pub const LOOK_TIMEOUT: Duration = Duration::from_secs(1);

/// A look that takes longer is abandoned, in milliseconds: its connection is likely dead.
pub const LOOK_ABANDONED_MS: i64 = 1_000;

/// How long a request waits for a read, by whether the last one failed.
#[must_use]
pub fn patience(is_failing: bool) -> Duration {
    if is_failing { FAILING_TIMEOUT } else { LOOK_TIMEOUT }
}
