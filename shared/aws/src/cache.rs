//! The copy of the cities' maps near the readers: `ElastiCache`, or anything else that speaks Redis.

mod connection;
mod layout;
mod settings;

use parking_lot::{Mutex, MutexGuard};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use equilibrium_app::surge::ports::MapStore;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::map::{ChunkName, MapHead};
use redis::Value;

pub use crate::cache::connection::{CONNECT_TIMEOUT, RECONNECT_BACKOFF};
pub use crate::cache::layout::{CHUNK_KEPT, HEAD_KEPT, REFRESH_EVERY, REPLACED_KEPT};
pub use crate::cache::settings::{CacheSettings, Credentials, Layout, UnusableSettings};

use crate::cache::connection::RedisConnection;
use crate::cache::layout::HeadWrite;

/// Maps in a cache that speaks Redis.
///
/// It connects when it is first asked something, and keeps the connection from one invocation to the
/// next; a call that meets a dead or silent server ends with [`Unavailable`] inside its deadline. Its
/// calls need a Tokio runtime: they are carried on when their caller has lost patience, for what becomes of
/// them tells whether the connection lives.
pub struct Cache {
    link: Arc<RedisConnection>,
    /// By city, what this instance knows of the chunks it keeps alive.
    kept: Mutex<HashMap<CityId, CopiedVersion>>,
}

/// The chunks of the newest head that this instance wrote.
#[derive(Debug)]
struct CopiedVersion {
    version: u64,
    chunks: Vec<ChunkName>,
    refreshed: Instant,
}

impl Cache {
    /// A cache to be reached as the settings say. Nothing is connected yet.
    ///
    /// # Errors
    /// [`UnusableSettings`].
    pub fn new(settings: &CacheSettings) -> Result<Self, UnusableSettings> {
        let link = Arc::new(RedisConnection::new(settings.client()?, settings.deadline));
        Ok(Self { link, kept: Mutex::default() })
    }

    /// Asks the server whether it is there, for health checks.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn ping(&self) -> Result<(), Unavailable> {
        match self.link.ask(layout::ping()).await? {
            Value::SimpleString(pong) if pong == "PONG" => Ok(()),
            _ => Err(Unavailable),
        }
    }

    /// How `head` is to be written, with what this instance knows of the city.
    fn write(&self, head: &MapHead) -> HeadWrite {
        let kept = self.kept();
        let Some(last) = kept.get(&head.city).filter(|last| last.version <= head.version) else {
            return HeadWrite { replaced: Vec::new(), refreshed: head.chunks.clone() };
        };
        let named: HashSet<&ChunkName> = head.chunks.iter().collect();
        let replaced = last.chunks.iter().filter(|chunk| !named.contains(chunk)).copied().collect();
        let is_due = last.refreshed.elapsed() >= REFRESH_EVERY;
        HeadWrite { replaced, refreshed: if is_due { head.chunks.clone() } else { Vec::new() } }
    }

    /// Notes that `head` was written at `since`, its chunks refreshed or not.
    fn note(&self, head: &MapHead, since: Instant, was_refreshed: bool) {
        let mut kept = self.kept();
        let last = kept.get(&head.city);
        if last.is_some_and(|last| last.version > head.version) {
            return;
        }
        let before = last.map(|last| last.refreshed).filter(|_| !was_refreshed);
        let refreshed = before.unwrap_or(since);
        let next = CopiedVersion { version: head.version, chunks: head.chunks.clone(), refreshed };
        kept.insert(head.city.clone(), next);
    }

    /// A panic of another does not spoil it, for nothing is left half done under the lock.
    fn kept(&self) -> MutexGuard<'_, HashMap<CityId, CopiedVersion>> {
        self.kept.lock()
    }
}

impl MapStore for Cache {
    async fn save_chunk(&self, city: &CityId, name: ChunkName, chunk: &[u8]) -> Result<(), Unavailable> {
        match self.link.ask(layout::save_chunk(city, name, chunk)).await? {
            Value::Okay => Ok(()),
            _ => Err(Unavailable),
        }
    }

    async fn save_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        let since = Instant::now();
        let write = self.write(head);
        match self.link.run(layout::save_head(head, &write)).await? {
            Value::Int(1) => {
                self.note(head, since, !write.refreshed.is_empty());
                Ok(())
            }
            // One of this or a higher version stays.
            Value::Int(0) => Ok(()),
            _ => Err(Unavailable),
        }
    }

    async fn head(&self, city: &CityId) -> Result<Option<MapHead>, Unavailable> {
        match self.link.ask(layout::head(city)).await? {
            Value::Nil => Ok(None),
            Value::BulkString(value) => layout::read_head(city, &value).map(Some).ok_or(Unavailable),
            _ => Err(Unavailable),
        }
    }

    async fn chunk(&self, city: &CityId, name: ChunkName) -> Result<Option<Vec<u8>>, Unavailable> {
        match self.link.ask(layout::chunk(city, name)).await? {
            Value::Nil => Ok(None),
            Value::BulkString(value) => Ok(Some(value)),
            _ => Err(Unavailable),
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("link", &self.link).finish_non_exhaustive()
    }
}
