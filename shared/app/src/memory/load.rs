//! A load that is known beforehand, or cannot be read.

use equilibrium_domain::capacity::system::Observed;

use crate::capacity::ports::LoadSource;
use crate::unavailable::Unavailable;

/// A load.
#[derive(Clone, Debug)]
pub struct MemoryLoad(Result<Observed, Unavailable>);

impl MemoryLoad {
    /// This load, at all times.
    #[must_use]
    pub fn of(observed: Observed) -> Self {
        Self(Ok(observed))
    }

    /// No load can be read.
    #[must_use]
    pub fn unavailable() -> Self {
        Self(Err(Unavailable))
    }
}

impl Default for MemoryLoad {
    /// Nothing was measured.
    fn default() -> Self {
        Self::of(Observed::default())
    }
}

impl LoadSource for MemoryLoad {
    async fn observed(&self, _: i64) -> Result<Observed, Unavailable> {
        self.0.clone()
    }
}
