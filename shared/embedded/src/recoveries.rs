//! The recoveries of a process.

use std::str;

use equilibrium_app::recover::ports::{AcquireError, Lease, PageKey, RecoveryStore, SaveError};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::recovery::{Component, Recovery, RecoveryId};
use tokio::sync::oneshot;

use crate::database::Row;
use crate::store::Store;

/// A recovery in its row.
pub(crate) fn decode(row: &[u8]) -> Result<Recovery, &'static str> {
    let recovery = str::from_utf8(row).ok().and_then(Recovery::from_stored);
    recovery.ok_or("an invalid row of a recovery")
}

/// Recoveries are on disk when they are saved: a process that starts again goes on with them. Leases are in memory, because
/// no other process uses the folder.
impl RecoveryStore for Store {
    async fn acquire(&self, component: Component, now_ms: i64) -> Result<Lease, AcquireError> {
        self.0.state.lock().recoveries.acquire(component, now_ms)
    }

    async fn release(&self, lease: Lease) -> Result<(), Unavailable> {
        self.0.state.lock().recoveries.release(lease);
        Ok(())
    }

    async fn save(&self, lease: Lease, recovery: &Recovery, now_ms: i64) -> Result<(), SaveError> {
        let on_disk = {
            let mut state = self.writable()?;
            let removed = state.recoveries.save(lease, recovery, now_ms)?;
            state.pending.as_mut().map(|pending| {
                let (written, on_disk) = oneshot::channel();
                let rows = &mut pending.changes.rows;
                rows.extend(removed.into_iter().map(|id| (Row::Recovery(id), None)));
                rows.insert(Row::Recovery(recovery.id.clone()), Some(recovery.to_stored().into_bytes()));
                pending.written.push(written);
                self.0.changed.notify_one();
                on_disk
            })
        };
        match on_disk {
            Some(on_disk) => Ok(on_disk.await.map_err(|_| Unavailable)?),
            None => Ok(()),
        }
    }

    async fn unfinished(&self, component: Component) -> Result<Option<RecoveryId>, Unavailable> {
        Ok(self.0.state.lock().recoveries.unfinished(component))
    }

    async fn recovery(&self, id: &RecoveryId) -> Result<Option<Recovery>, Unavailable> {
        Ok(self.0.state.lock().recoveries.recovery(id))
    }

    async fn page(&self, before: Option<&PageKey>, limit: usize) -> Result<Vec<Recovery>, Unavailable> {
        Ok(self.0.state.lock().recoveries.page(before, limit))
    }
}
