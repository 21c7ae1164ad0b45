//! The maps at the starts of freezes, in memory; each is read once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::frozen_map::FrozenMap;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::price::look::Sources;
use crate::price::patience::{LOOK_ABANDONED_MS, patience};
use crate::price::ports::MapStore;
use crate::timer::{Timer, is_within, with_timeout};
use crate::unavailable::Unavailable;

/// The least time between two reads of a map that was not found, in milliseconds.
const RETRY_MS: i64 = 1_000;

/// Maps that are kept.
const MAX_KEPT: usize = 64;

/// City and start, in milliseconds since the epoch.
pub(super) type Freeze = (CityId, i64);

/// The maps at the starts of freezes.
#[derive(Debug, Default)]
pub(super) struct FrozenReader {
    entries: Mutex<HashMap<Freeze, Entry>>,
    /// Whether the last read failed: then requests wait less.
    has_failed: AtomicBool,
}

#[derive(Clone, Debug)]
enum Entry {
    Read(Arc<FrozenMap>),
    /// It was not in the store, or could not be read.
    Missing {
        at_ms: i64,
    },
    Reading(Reading),
}

/// A read that requests share.
#[derive(Clone, Debug)]
struct Reading {
    began_at_ms: i64,
    result: Shared<BoxFuture<'static, Result<Option<Arc<FrozenMap>>, Unavailable>>>,
}

impl FrozenReader {
    /// The map, if it is in memory or read while a request waits. `is_needed` is false if the newest map has it still.
    pub(super) async fn map<M, K, T>(
        &self,
        freeze: Freeze,
        is_needed: bool,
        sources: &Arc<Sources<M, K, T>>,
        now_ms: i64,
    ) -> Option<Arc<FrozenMap>>
    where
        M: MapStore + 'static,
        K: MapStore + 'static,
        T: Timer + 'static,
    {
        let reading = {
            let mut entries = self.entries.lock();
            match entries.get(&freeze) {
                Some(Entry::Read(map)) => return Some(Arc::clone(map)),
                _ if !is_needed => return None,
                Some(Entry::Missing { at_ms }) if is_within(Some(*at_ms), RETRY_MS, now_ms) => return None,
                Some(Entry::Reading(reading)) if !reading.is_late(now_ms) => reading.clone(),
                _ => {
                    if entries.len() == MAX_KEPT {
                        entries.clear();
                    }
                    let reading = Reading::begin(Arc::clone(sources), freeze.clone(), now_ms);
                    entries.insert(freeze.clone(), Entry::Reading(reading.clone()));
                    reading
                }
            }
        };
        let waits = patience(self.has_failed.load(Relaxed));
        let result = with_timeout(&sources.timer, waits, reading.result.clone()).await;
        let result = result.or_else(|| reading.is_late(now_ms).then_some(Err(Unavailable)));
        let Some(result) = result else {
            self.has_failed.store(true, Relaxed);
            return None;
        };
        self.has_failed.store(result.is_err(), Relaxed);
        let map = result.ok().flatten();
        let entry = map.clone().map_or(Entry::Missing { at_ms: now_ms }, Entry::Read);
        self.entries.lock().insert(freeze, entry);
        map
    }
}

impl Reading {
    fn begin<M, K, T>(sources: Arc<Sources<M, K, T>>, (city, start_ms): Freeze, now_ms: i64) -> Self
    where
        M: MapStore + 'static,
        K: MapStore + 'static,
        T: Timer + 'static,
    {
        let read = async move { Ok(sources.store.frozen(&city, start_ms).await?.map(Arc::new)) };
        Self { began_at_ms: now_ms, result: read.boxed().shared() }
    }

    fn is_late(&self, now_ms: i64) -> bool {
        !is_within(Some(self.began_at_ms), LOOK_ABANDONED_MS + 1, now_ms)
    }
}
