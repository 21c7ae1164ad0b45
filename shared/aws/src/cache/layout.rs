//! How maps lie in the cache: keys, values, and how long each is kept.
//!
//! | key | value |
//! |---|---|
//! | `equilibrium:{nyc}:head` | the head's version, 8 bytes, the most significant first; then [`MapHead::encode`] |
//! | `equilibrium:{nyc}:chunk:882a1072b5fffff:417` | the chunk of this parent and version, as it was saved |
//!
//! The city in braces is what a cluster hashes: all keys of a city lie in one slot, so that one script may
//! touch them together.

use std::fmt::Write;
use std::sync::LazyLock;
use std::time::Duration;

use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::map::{ChunkName, MapHead};
use redis::{Cmd, Script};

/// How long a head is kept: long enough that readers of a city that stands still ask the store rarely, and
/// [`CHUNK_KEPT`] − [`REFRESH_EVERY`] − this is ten minutes, in which who read a head reads its chunks.
pub const HEAD_KEPT: Duration = Duration::from_mins(30);

/// How long a chunk is kept from when it was saved or refreshed: a chunk that does not change is named by
/// head after head and must outlive each of them.
pub const CHUNK_KEPT: Duration = Duration::from_hours(1);

/// How often an instance renews the time of all chunks that its heads name. Every head would do, too, but
/// a large city has hundreds of chunks and a head every five seconds.
pub const REFRESH_EVERY: Duration = Duration::from_mins(20);

/// How long a chunk is kept once another stands in its place: a reader of the head before needs it for as
/// long as its look takes, at most a second. An hour of replaced chunks, a new one each tick, would be
/// 720 times the map.
pub const REPLACED_KEPT: Duration = Duration::from_mins(1);

/// Bytes of the version in front of a head.
const VERSION_BYTES: usize = 8;

/// Writes a head over a lower version, or over what is no head; tells whether it did.
///
/// Of the chunks' keys behind the head's own the first `ARGV[3]` are replaced by this head, which no later
/// one undoes: versions of a parent only rise. The others are refreshed.
const SAVE_HEAD: &str = r"local replaced = tonumber(ARGV[3])
for at = 2, replaced + 1 do redis.call('PEXPIRE', KEYS[at], ARGV[4]) end
local stored = redis.call('GETRANGE', KEYS[1], 0, 7)
if #stored == 8 then
  local newer = false
  for at = 1, 8 do
    local old, new = string.byte(stored, at), string.byte(ARGV[1], at)
    if old ~= new then
      newer = new > old
      break
    end
  end
  if not newer then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
for at = replaced + 2, #KEYS do redis.call('PEXPIRE', KEYS[at], ARGV[5]) end
return 1";

static SAVE_HEAD_HASH: LazyLock<Script> = LazyLock::new(|| Script::new(SAVE_HEAD));

/// What writing a head does to chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadWrite {
    /// Chunks that the head before named and this one does not.
    pub replaced: Vec<ChunkName>,
    /// Chunks whose time begins anew.
    pub refreshed: Vec<ChunkName>,
}

/// A script's call: by its hash, and in full for a server that does not know it.
#[derive(Clone, Debug)]
pub struct ScriptCall {
    /// `EVALSHA`.
    pub by_hash: Cmd,
    /// `EVAL`, which makes it known.
    pub in_full: Cmd,
}

/// The server is to answer.
pub fn ping() -> Cmd {
    redis::cmd("PING")
}

/// Reads the head.
pub fn head(city: &CityId) -> Cmd {
    let mut get = redis::cmd("GET");
    get.arg(head_key(city));
    get
}

/// Reads a chunk.
pub fn chunk(city: &CityId, name: ChunkName) -> Cmd {
    let mut get = redis::cmd("GET");
    get.arg(chunk_key(city, name));
    get
}

/// Saves a chunk. One of this name is the same, so that there is nothing to compare.
pub fn save_chunk(city: &CityId, name: ChunkName, chunk: &[u8]) -> Cmd {
    let mut set = redis::cmd("SET");
    set.arg(chunk_key(city, name)).arg(chunk).arg("PX").arg(ms(CHUNK_KEPT));
    set
}

/// Saves a head over a lower version.
pub fn save_head(head: &MapHead, write: &HeadWrite) -> ScriptCall {
    let call = |name: &str, script: &str| {
        let mut cmd = redis::cmd(name);
        cmd.arg(script).arg(1 + write.replaced.len() + write.refreshed.len());
        cmd.arg(head_key(&head.city));
        for name in write.replaced.iter().chain(&write.refreshed) {
            cmd.arg(chunk_key(&head.city, *name));
        }
        cmd.arg(head_value(head)).arg(ms(HEAD_KEPT)).arg(write.replaced.len());
        cmd.arg(ms(REPLACED_KEPT)).arg(ms(CHUNK_KEPT));
        cmd
    };
    ScriptCall { by_hash: call("EVALSHA", SAVE_HEAD_HASH.get_hash()), in_full: call("EVAL", SAVE_HEAD) }
}

/// Reads the value of a city's head; `None` where it is none.
pub fn read_head(city: &CityId, value: &[u8]) -> Option<MapHead> {
    let (version, encoded) = value.split_first_chunk::<VERSION_BYTES>()?;
    let head = MapHead::decode(encoded).ok()?;
    (head.city == *city && head.version == u64::from_be_bytes(*version)).then_some(head)
}

fn head_value(head: &MapHead) -> Vec<u8> {
    let mut value = head.version.to_be_bytes().to_vec();
    value.extend(head.encode());
    value
}

fn head_key(city: &CityId) -> String {
    format!("equilibrium:{{{city}}}:head")
}

fn chunk_key(city: &CityId, name: ChunkName) -> String {
    let mut key = format!("equilibrium:{{{city}}}:chunk:");
    write!(key, "{:x}:{}", name.parent.0, name.version).expect("a string takes all");
    key
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
