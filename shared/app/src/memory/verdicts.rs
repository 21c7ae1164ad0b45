//! The store of verdicts in memory.

use std::collections::BTreeMap;

use equilibrium_domain::health::component::Component;
use equilibrium_domain::health::verdict::Verdict;

use super::shared::Shared;
use crate::health::ports::{SaveError, VerdictStore};
use crate::unavailable::Unavailable;

/// Verdicts by component.
pub type VerdictTable = BTreeMap<Component, Verdict>;

/// Verdicts in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryVerdicts(Shared<VerdictTable>);

impl VerdictStore for MemoryVerdicts {
    async fn verdicts(&self) -> Result<Vec<Verdict>, Unavailable> {
        Ok(self.0.lock().values().cloned().collect())
    }

    async fn save_verdict(&self, verdict: &Verdict, after: Option<i64>) -> Result<(), SaveError> {
        save(&mut self.0.lock(), verdict, after)
    }
}

/// Puts a verdict into a table if the one there was checked at `after`, or if there is none.
///
/// # Errors
/// [`SaveError::Conflict`].
pub fn save(table: &mut VerdictTable, verdict: &Verdict, after: Option<i64>) -> Result<(), SaveError> {
    let stored = table.get(&verdict.component).and_then(|stored| stored.checked_at_ms);
    if stored.is_some() && stored != after {
        return Err(SaveError::Conflict);
    }
    table.insert(verdict.component, verdict.clone());
    Ok(())
}
