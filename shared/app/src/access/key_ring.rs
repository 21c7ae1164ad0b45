//! The keys of an issuer in memory: read again now and then, and for a key that is not among them.

use std::sync::Arc;

use futures_util::lock::Mutex;
use parking_lot::RwLock;

use crate::access::key_set::KeySet;
use crate::access::ports::KeySetSource;
use crate::timer::is_within;
use crate::unavailable::Unavailable;

/// The keys are read again after this time, in milliseconds: beside the requests, by [`KeyRing::refresh`].
pub const REFRESH_MS: i64 = 300_000;

/// Keys older than this, in milliseconds, are read again before they verify, for a process that was frozen between requests.
pub const OVERDUE_MS: i64 = 900_000;

/// The least time between two reads, in milliseconds: any client can name an unknown key, and a source that is down is asked
/// no more often than one that answers.
pub const RETRY_MS: i64 = 5_000;

/// Keys that cannot be read again verify for this time, in milliseconds: a day. An issuer that rotates its keys publishes the
/// next ones before it signs with them, and a client whose token an absent issuer has signed is served.
pub const MAX_STALE_MS: i64 = 86_400_000;

/// The keys of a source.
#[derive(Debug)]
pub struct KeyRing<S> {
    source: S,
    held: RwLock<Held>,
    /// Held while the source is read: a second reader waits and takes what the first one found.
    reading: Mutex<()>,
}

#[derive(Debug, Default)]
struct Held {
    keys: Option<Arc<KeySet>>,
    read_at_ms: Option<i64>,
    asked_at_ms: Option<i64>,
}

impl<S: KeySetSource> KeyRing<S> {
    /// A ring that has read nothing yet.
    pub fn new(source: S) -> Self {
        Self { source, held: RwLock::default(), reading: Mutex::new(()) }
    }

    /// The keys at `now_ms`, if they need not be read before.
    pub fn current(&self, now_ms: i64) -> Option<Arc<KeySet>> {
        let held = self.held.read();
        let keys = held.keys.as_ref().filter(|_| is_within(held.read_at_ms, OVERDUE_MS, now_ms));
        keys.map(Arc::clone)
    }

    /// The keys at `now_ms`.
    ///
    /// # Errors
    /// [`Unavailable`] if none were read within [`MAX_STALE_MS`], and none can be now.
    pub async fn keys(&self, now_ms: i64) -> Result<Arc<KeySet>, Unavailable> {
        if let Some(keys) = self.current(now_ms) {
            return Ok(keys);
        }
        self.read(now_ms).await;
        let held = self.held.read();
        let keys = held.keys.as_ref().filter(|_| is_within(held.read_at_ms, MAX_STALE_MS, now_ms));
        keys.map(Arc::clone).ok_or(Unavailable)
    }

    /// The keys at `now_ms`, read again for one that `before` has not, unless they were just read.
    ///
    /// # Errors
    /// [`Unavailable`], as of [`KeyRing::keys`].
    pub async fn newer_than(&self, before: &Arc<KeySet>, now_ms: i64) -> Result<Arc<KeySet>, Unavailable> {
        let is_same = self.held.read().keys.as_ref().is_some_and(|keys| Arc::ptr_eq(keys, before));
        if is_same {
            self.read(now_ms).await;
        }
        self.keys(now_ms).await
    }

    /// Reads the keys again if they were read long ago; for the time after a response is sent.
    pub async fn refresh(&self, now_ms: i64) {
        let read_at_ms = self.held.read().read_at_ms;
        if !is_within(read_at_ms, REFRESH_MS, now_ms) {
            self.read(now_ms).await;
        }
    }

    /// Reads the source unless it was just asked. What cannot be read, or is no set of keys, leaves the keys as they are.
    async fn read(&self, now_ms: i64) {
        let _turn = self.reading.lock().await;
        if is_within(self.held.read().asked_at_ms, RETRY_MS, now_ms) {
            return;
        }
        self.held.write().asked_at_ms = Some(now_ms);
        let Ok(document) = self.source.read().await else { return };
        let is_known = |held: &Held| held.keys.as_ref().is_some_and(|keys| keys.is_of(&document));
        let mut held = self.held.write();
        if !is_known(&held) {
            let Some(keys) = KeySet::parse(&document) else { return };
            held.keys = Some(Arc::new(keys));
        }
        held.read_at_ms = Some(now_ms);
    }
}

#[cfg(test)]
pub(super) mod tests;
