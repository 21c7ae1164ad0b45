//! The verdicts of a process on its components.

use equilibrium_app::health::ports::{RoundTrip, SaveError, VerdictStore};
use equilibrium_app::memory::save_verdict;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::health::verdict::Verdict;

use crate::database::Row;
use crate::store::Store;

/// A verdict is not waited for until it is on disk: another look follows.
impl VerdictStore for Store {
    async fn verdicts(&self) -> Result<Vec<Verdict>, Unavailable> {
        Ok(self.shared().state.lock().verdicts.values().cloned().collect())
    }

    async fn save_verdict(&self, verdict: &Verdict, after: Option<i64>) -> Result<(), SaveError> {
        let mut state = self.writable()?;
        save_verdict(&mut state.verdicts, verdict, after)?;
        if let Some(pending) = &mut state.pending {
            let row = serde_json::to_vec(verdict).map_err(|_| Unavailable)?;
            pending.changes.rows.insert(Row::Verdict(verdict.component), Some(row));
            self.shared().changed.notify_one();
        }
        Ok(())
    }
}

/// A store that takes writes.
impl RoundTrip for Store {
    async fn round_trip(&self) -> Result<(), Unavailable> {
        self.writable().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use equilibrium_app::clock::Clock;
    use equilibrium_app::contract;
    use equilibrium_domain::health::component::Component;
    use equilibrium_domain::health::look::Look;
    use equilibrium_domain::id::LaneCount;
    use tempfile::tempdir;

    use super::*;
    use crate::database::Database;

    #[tokio::test]
    async fn the_store_of_verdicts_keeps_the_contract() {
        contract::verdict_store(&Store::in_memory(LaneCount::ONE, Clock::Replay)).await;
    }

    #[tokio::test]
    async fn verdicts_survive_a_restart() {
        let folder = tempdir().unwrap();
        let open = || {
            let (database, contents) = Database::open(folder.path(), LaneCount::ONE).unwrap();
            Store::on_disk(LaneCount::ONE, Clock::Replay, database, contents)
        };
        let verdict = Verdict::unknown(Component::Pricing, 1, 10_000).after(&Look::good(3), 2, 10_000);
        let store = open();
        store.save_verdict(&verdict, None).await.unwrap();
        store.close();
        drop(store);
        assert_eq!(open().verdicts().await, Ok(vec![verdict]));
    }
}
