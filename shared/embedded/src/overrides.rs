//! The overrides of a process.

use std::sync::Arc;

use equilibrium_app::overrides::ports::{CreateError, OverrideStore};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::overrides::Override;
use equilibrium_domain::surge::bounds::OverrideSet;
use parking_lot::MutexGuard;
use tokio::sync::oneshot::{self, Receiver};

use crate::database::Row;
use crate::state::State;
use crate::store::Store;

impl Store {
    /// The state, to change something in that is written at once; while the disk takes no writes, nothing is changed.
    pub(crate) fn writable(&self) -> Result<MutexGuard<'_, State>, Unavailable> {
        let state = self.0.state.lock();
        let pending = state.pending.as_ref();
        if pending.is_some_and(|pending| pending.write_error.is_some() || pending.closing) {
            return Err(Unavailable);
        }
        Ok(state)
    }

    /// Has rows of a city's overrides written, and the city's counts; the receiver completes once they are on disk. `None` if
    /// nothing is written.
    fn write_overrides(
        &self,
        state: &mut State,
        city: &CityId,
        rows: impl Iterator<Item = (Arc<str>, Option<Vec<u8>>)>,
    ) -> Option<Receiver<()>> {
        let counts = state.overrides.counts(city).map(u64::to_le_bytes).concat();
        let pending = state.pending.as_mut()?;
        let (written, on_disk) = oneshot::channel();
        let changed = &mut pending.changes.rows;
        changed.extend(rows.map(|(id, row)| (Row::Override(city.clone(), id), row)));
        changed.insert(Row::OverrideCounts(city.clone()), Some(counts));
        pending.written.push(written);
        self.0.changed.notify_one();
        Some(on_disk)
    }
}

fn encode(one: &Override) -> Vec<u8> {
    one.to_json().to_string().into_bytes()
}

/// Changes are on disk when the calls return.
impl OverrideStore for Store {
    async fn revisions(&self) -> Result<Vec<(CityId, u64)>, Unavailable> {
        Ok(self.0.state.lock().overrides.revisions())
    }

    async fn not_ended(&self, city: &CityId, now_ms: i64) -> Result<OverrideSet, Unavailable> {
        Ok(self.0.state.lock().overrides.not_ended(city, now_ms))
    }

    async fn create(&self, city: &CityId, new: &Override) -> Result<(), CreateError> {
        let on_disk = {
            let mut state = self.writable()?;
            let removed = state.overrides.create(city, new)?;
            let rows = removed.into_iter().map(|id| (id, None));
            let rows = rows.chain([(Arc::clone(&new.id), Some(encode(new)))]);
            self.write_overrides(&mut state, city, rows)
        };
        match on_disk {
            Some(on_disk) => Ok(on_disk.await.map_err(|_| Unavailable)?),
            None => Ok(()),
        }
    }

    async fn end(&self, city: &CityId, id: &str, at_ms: i64) -> Result<Option<Arc<Override>>, Unavailable> {
        let (ended, on_disk) = {
            let mut state = self.writable()?;
            let Some((ended, is_changed)) = state.overrides.end(city, id, at_ms) else { return Ok(None) };
            let row = [(Arc::clone(&ended.id), Some(encode(&ended)))].into_iter();
            let on_disk = is_changed.then(|| self.write_overrides(&mut state, city, row));
            (ended, on_disk.flatten())
        };
        if let Some(on_disk) = on_disk {
            on_disk.await.map_err(|_| Unavailable)?;
        }
        Ok(Some(ended))
    }

    async fn one(&self, city: &CityId, id: &str) -> Result<Option<Arc<Override>>, Unavailable> {
        Ok(self.0.state.lock().overrides.one(city, id))
    }

    async fn page(
        &self,
        city: &CityId,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Arc<Override>>, Unavailable> {
        Ok(self.0.state.lock().overrides.page(city, before, limit))
    }
}
