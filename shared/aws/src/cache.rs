//! The cache of the cities' maps and of what clients have used of their rates: `ElastiCache`, or any other server that speaks
//! the Redis protocol.

mod connection;
mod layout;
mod settings;

use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use equilibrium_app::price::ports::MapStore;
use equilibrium_app::rate_limit::ports::{Admission, RateKey, RateStore};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::CityId;
use equilibrium_domain::rate::{Rate, Wait};
use equilibrium_domain::surge::map::{ChunkName, MapHead};
use redis::Value;

pub use crate::cache::connection::{CONNECT_TIMEOUT, RECONNECT_BACKOFF};
pub use crate::cache::layout::{CHUNK_TTL, HEAD_TTL, REPLACED_CHUNK_TTL, TTL_REFRESH_INTERVAL};
pub use crate::cache::settings::{CacheSettings, Credentials, Layout, UnusableSettings};

use crate::cache::connection::RedisConnection;
use crate::cache::layout::HeadWrite;

/// Maps in a cache that speaks the Redis protocol.
///
/// The first call connects, and the connection is kept from one invocation to the next. A call to a dead or
/// silent server ends with [`Unavailable`] within its deadline. Calls need a Tokio runtime: they continue after
/// their caller stopped waiting, because their outcome shows whether the connection is alive.
pub struct Cache {
    connection: Arc<RedisConnection>,
    /// By city, the newest head that this instance wrote.
    written: Mutex<HashMap<CityId, WrittenHead>>,
}

/// What clients have used of their rates: one script call for each of their calls.
#[derive(Debug)]
pub struct Rates {
    connection: Arc<RedisConnection>,
}

/// The chunks of a head that this instance wrote.
#[derive(Debug)]
struct WrittenHead {
    version: u64,
    chunks: Vec<ChunkName>,
    refreshed: Instant,
}

impl Cache {
    /// A cache with these settings, not connected yet.
    ///
    /// # Errors
    /// [`UnusableSettings`].
    pub fn new(settings: &CacheSettings) -> Result<Self, UnusableSettings> {
        let connection = Arc::new(RedisConnection::new(settings.route()?, settings.deadline));
        Ok(Self { connection, written: Mutex::default() })
    }

    /// The cache of a deployment that may have none.
    ///
    /// # Errors
    /// [`UnusableSettings`].
    pub fn optional(settings: Option<&CacheSettings>) -> Result<Option<Self>, UnusableSettings> {
        settings.map(Self::new).transpose()
    }

    /// What clients have used of their rates, over the same connection.
    #[must_use]
    pub fn rates(&self) -> Rates {
        Rates { connection: Arc::clone(&self.connection) }
    }

    /// Checks that the server responds (`PING`). Built ahead: health checks will be its first caller.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn ping(&self) -> Result<(), Unavailable> {
        match self.connection.send(layout::ping()).await? {
            Value::SimpleString(pong) if pong == "PONG" => Ok(()),
            _ => Err(Unavailable),
        }
    }

    /// The write of `head`, given the last head of the city that this instance wrote.
    fn plan_write(&self, head: &MapHead) -> HeadWrite {
        let written = self.written.lock();
        let Some(last) = written.get(&head.city).filter(|last| last.version <= head.version) else {
            return HeadWrite { replaced: Vec::new(), refreshed: head.chunks.clone() };
        };
        let referenced: HashSet<&ChunkName> = head.chunks.iter().collect();
        let replaced = last.chunks.iter().filter(|chunk| !referenced.contains(chunk)).copied().collect();
        let is_due = last.refreshed.elapsed() >= TTL_REFRESH_INTERVAL;
        HeadWrite { replaced, refreshed: if is_due { head.chunks.clone() } else { Vec::new() } }
    }

    /// Records that `head` was written at `written_at`, and whether its chunks were refreshed.
    fn record_write(&self, head: &MapHead, written_at: Instant, was_refreshed: bool) {
        let mut written = self.written.lock();
        let last = written.get(&head.city);
        if last.is_some_and(|last| last.version > head.version) {
            return;
        }
        let before = last.map(|last| last.refreshed).filter(|_| !was_refreshed);
        let refreshed = before.unwrap_or(written_at);
        let next = WrittenHead { version: head.version, chunks: head.chunks.clone(), refreshed };
        written.insert(head.city.clone(), next);
    }
}

impl MapStore for Cache {
    async fn save_chunk(&self, city: &CityId, name: ChunkName, chunk: &[u8]) -> Result<(), Unavailable> {
        match self.connection.send(layout::save_chunk(city, name, chunk)).await? {
            Value::Okay => Ok(()),
            _ => Err(Unavailable),
        }
    }

    async fn save_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        let written_at = Instant::now();
        let write = self.plan_write(head);
        match self.connection.run_script(layout::save_head(head, &write)).await? {
            Value::Int(1) => {
                self.record_write(head, written_at, !write.refreshed.is_empty());
                Ok(())
            }
            // The cache has a head of this or a higher version.
            Value::Int(0) => Ok(()),
            _ => Err(Unavailable),
        }
    }

    async fn head(&self, city: &CityId) -> Result<Option<MapHead>, Unavailable> {
        match self.connection.send(layout::head(city)).await? {
            Value::Nil => Ok(None),
            Value::BulkString(value) => layout::parse_head(city, &value).map(Some).ok_or(Unavailable),
            _ => Err(Unavailable),
        }
    }

    async fn chunk(&self, city: &CityId, name: ChunkName) -> Result<Option<Vec<u8>>, Unavailable> {
        match self.connection.send(layout::chunk(city, name)).await? {
            Value::Nil => Ok(None),
            Value::BulkString(value) => Ok(Some(value)),
            _ => Err(Unavailable),
        }
    }
}

impl RateStore for Rates {
    async fn take(&self, key: RateKey, rate: Rate, now_us: i64) -> Result<Admission, Unavailable> {
        match self.connection.run_script(layout::take_call(key, rate, now_us)).await? {
            Value::Int(0) => Ok(Ok(())),
            Value::Int(us) => Ok(Err(Wait { us })),
            _ => Err(Unavailable),
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("connection", &self.connection).finish_non_exhaustive()
    }
}
