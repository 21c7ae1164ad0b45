//! The store of recoveries in memory.

use std::collections::BTreeMap;

use equilibrium_domain::recovery::{Component, KEPT_MS, Recovery, RecoveryId};

use super::shared::Shared;
use crate::recover::ports::{AcquireError, LEASE_MS, Lease, PageKey, RecoveryStore, SaveError};
use crate::unavailable::Unavailable;

/// Recoveries and leases as plain data.
#[derive(Debug, Default)]
pub struct RecoveryTable {
    by_id: BTreeMap<RecoveryId, Recovery>,
    leases: BTreeMap<Component, StoredLease>,
}

#[derive(Clone, Copy, Debug, Default)]
struct StoredLease {
    fence: u64,
    /// Until when it is held, in milliseconds since the epoch.
    until_ms: i64,
}

impl RecoveryTable {
    /// See [`RecoveryStore::acquire`].
    ///
    /// # Errors
    /// [`AcquireError::Held`].
    pub fn acquire(&mut self, component: Component, now_ms: i64) -> Result<Lease, AcquireError> {
        let stored = self.leases.entry(component).or_default();
        // One that ends later than any save could have made it is of before the clock was set back.
        if (now_ms..=now_ms + LEASE_MS).contains(&(stored.until_ms - 1)) {
            return Err(AcquireError::Held);
        }
        stored.fence += 1;
        stored.until_ms = now_ms + LEASE_MS;
        Ok(Lease { component, fence: stored.fence })
    }

    /// See [`RecoveryStore::release`].
    pub fn release(&mut self, lease: Lease) {
        if let Some(stored) = self.leases.get_mut(&lease.component).filter(|held| held.fence == lease.fence) {
            stored.until_ms = 0;
        }
    }

    /// Saves a recovery, and returns the names of those that are no longer kept.
    ///
    /// # Errors
    /// [`SaveError::Fenced`].
    pub fn save(
        &mut self,
        lease: Lease,
        recovery: &Recovery,
        now_ms: i64,
    ) -> Result<Vec<RecoveryId>, SaveError> {
        let held = self.leases.get_mut(&lease.component).filter(|held| held.fence == lease.fence);
        held.ok_or(SaveError::Fenced)?.until_ms = now_ms + LEASE_MS;
        let is_old = |one: &&Recovery| now_ms - one.started_at_ms > KEPT_MS;
        let old: Vec<RecoveryId> = self.by_id.values().filter(is_old).map(|one| one.id.clone()).collect();
        old.iter().for_each(|id| drop(self.by_id.remove(id)));
        self.restore(recovery.clone());
        Ok(old)
    }

    /// Takes a recovery that was stored.
    pub fn restore(&mut self, recovery: Recovery) {
        self.by_id.insert(recovery.id.clone(), recovery);
    }

    /// See [`RecoveryStore::unfinished`].
    #[must_use]
    pub fn unfinished(&self, component: Component) -> Option<RecoveryId> {
        let is_unfinished = |one: &&Recovery| one.component == component && !one.has_ended();
        self.by_id.values().find(is_unfinished).map(|one| one.id.clone())
    }

    /// See [`RecoveryStore::recovery`].
    #[must_use]
    pub fn recovery(&self, id: &RecoveryId) -> Option<Recovery> {
        self.by_id.get(id).cloned()
    }

    /// See [`RecoveryStore::page`].
    #[must_use]
    pub fn page(&self, before: Option<&PageKey>, limit: usize) -> Vec<Recovery> {
        let key = |one: &Recovery| (one.started_at_ms, one.id.clone());
        let is_before = |one: &&Recovery| before.is_none_or(|before| key(one) < *before);
        let mut page: Vec<&Recovery> = self.by_id.values().filter(is_before).collect();
        page.sort_by_key(|one| std::cmp::Reverse(key(one)));
        page.into_iter().take(limit).cloned().collect()
    }
}

/// Recoveries in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryRecoveries(Shared<RecoveryTable>);

impl RecoveryStore for MemoryRecoveries {
    async fn acquire(&self, component: Component, now_ms: i64) -> Result<Lease, AcquireError> {
        self.0.lock().acquire(component, now_ms)
    }

    async fn release(&self, lease: Lease) -> Result<(), Unavailable> {
        self.0.lock().release(lease);
        Ok(())
    }

    async fn save(&self, lease: Lease, recovery: &Recovery, now_ms: i64) -> Result<(), SaveError> {
        self.0.lock().save(lease, recovery, now_ms).map(drop)
    }

    async fn unfinished(&self, component: Component) -> Result<Option<RecoveryId>, Unavailable> {
        Ok(self.0.lock().unfinished(component))
    }

    async fn recovery(&self, id: &RecoveryId) -> Result<Option<Recovery>, Unavailable> {
        Ok(self.0.lock().recovery(id))
    }

    async fn page(&self, before: Option<&PageKey>, limit: usize) -> Result<Vec<Recovery>, Unavailable> {
        Ok(self.0.lock().page(before, limit))
    }
}
