//! The layout of maps and rates in the cache: keys, values, and their lifetimes.
//!
//! | key | value |
//! |---|---|
//! | `equilibrium:{nyc}:head` | the head's version, 8 bytes, big-endian; then [`MapHead::encode`] |
//! | `equilibrium:{nyc}:chunk:882a1072b5fffff:417` | the chunk of this parent and version |
//! | `equilibrium:rate:0f3b…` | the theoretical arrival time of a client that is limited, in microseconds, decimal |
//!
//! The city in braces is the hash tag: all keys of a city are in one slot of a cluster, so that one script can
//! access them together.

use std::fmt::Write;
use std::sync::LazyLock;
use std::time::Duration;

use equilibrium_app::rate_limit::ports::RateKey;
use equilibrium_domain::id::CityId;
use equilibrium_domain::rate::Rate;
use equilibrium_domain::surge::map::{ChunkName, MapHead};
use redis::{Cmd, Script};

/// Lifetime of a head: a map gives prices for this long and no longer (CONTRACT §6). Readers of a city without new ticks read
/// the store from then on, once a second at most.
pub const HEAD_TTL: Duration = Duration::from_mins(5);

/// Lifetime of a chunk since it was saved or refreshed. Successive heads name a chunk that does not change, and
/// it must outlive each of them.
pub const CHUNK_TTL: Duration = Duration::from_hours(1);

/// Interval at which an instance refreshes the lifetime of all chunks that its heads name. Refreshing them with
/// every head would be too much: a large city has hundreds of chunks and a head every five seconds.
pub const TTL_REFRESH_INTERVAL: Duration = Duration::from_mins(20);

/// Lifetime of a chunk once another has replaced it: a reader of the previous head needs it until its refresh
/// ends, at most a second. Keeping an hour of chunks that are replaced every tick would take 720 times the map.
pub const REPLACED_CHUNK_TTL: Duration = Duration::from_mins(1);

/// Bytes of the version before a head.
const VERSION_BYTES: usize = 8;

/// Writes a head over a lower version or a malformed value; returns 1 if it did, else 0.
///
/// After the head's key, the first `ARGV[3]` keys are chunks that this head replaces. No later head names them
/// again, because versions of a parent only increase. The other keys are chunks to refresh.
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

/// Takes one call of a rate, as [`Rate::admit`]: `ARGV` is now, the interval and the burst in microseconds, and the lifetime.
/// Returns 0, or the time to wait. Numbers of Redis's Lua are exact up to 2⁵³, microseconds until the year 2255.
const TAKE_CALL: &str = r"local now, interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local arrival = tonumber(redis.call('GET', KEYS[1]) or now) or now
arrival = math.min(math.max(arrival, now), now + burst)
local wait = arrival + interval - (now + burst)
if wait > 0 then return wait end
redis.call('SET', KEYS[1], string.format('%.0f', arrival + interval), 'PX', ARGV[4])
return 0";

static TAKE_CALL_HASH: LazyLock<Script> = LazyLock::new(|| Script::new(TAKE_CALL));

/// By how much the lifetime of a client's state exceeds the burst of its rate: the clocks of instances differ.
const RATE_TTL_MARGIN: Duration = Duration::from_secs(5);

static SAVE_HEAD_HASH: LazyLock<Script> = LazyLock::new(|| Script::new(SAVE_HEAD));

/// Changes of chunk lifetimes with the write of a head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadWrite {
    /// Chunks that the previous head names and this one does not.
    pub replaced: Vec<ChunkName>,
    /// Chunks whose lifetime starts again.
    pub refreshed: Vec<ChunkName>,
}

/// Call of a script: by its hash, and in full for a server that does not have it.
#[derive(Clone, Debug)]
pub struct ScriptCall {
    /// `EVALSHA`.
    pub by_hash: Cmd,
    /// `EVAL`, which also caches the script.
    pub in_full: Cmd,
}

/// Checks that the server responds.
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

/// Saves a chunk. A chunk with this key has the same content, so the write is unconditional.
pub fn save_chunk(city: &CityId, name: ChunkName, chunk: &[u8]) -> Cmd {
    let mut set = redis::cmd("SET");
    set.arg(chunk_key(city, name)).arg(chunk).arg("PX").arg(ms(CHUNK_TTL));
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
        cmd.arg(head_value(head)).arg(ms(HEAD_TTL)).arg(write.replaced.len());
        cmd.arg(ms(REPLACED_CHUNK_TTL)).arg(ms(CHUNK_TTL));
        cmd
    };
    ScriptCall { by_hash: call("EVALSHA", SAVE_HEAD_HASH.get_hash()), in_full: call("EVAL", SAVE_HEAD) }
}

/// Takes one call of a rate.
pub fn take_call(key: RateKey, rate: Rate, now_us: i64) -> ScriptCall {
    let burst = Duration::from_micros(rate.burst_us().unsigned_abs());
    let call = |name: &str, script: &str| {
        let mut cmd = redis::cmd(name);
        cmd.arg(script).arg(1).arg(format!("equilibrium:rate:{:032x}", key.0));
        cmd.arg(now_us).arg(rate.interval_us()).arg(rate.burst_us()).arg(ms(burst + RATE_TTL_MARGIN));
        cmd
    };
    ScriptCall { by_hash: call("EVALSHA", TAKE_CALL_HASH.get_hash()), in_full: call("EVAL", TAKE_CALL) }
}

/// Parses the value of a city's head; `None` if it is malformed or of another city.
pub fn parse_head(city: &CityId, value: &[u8]) -> Option<MapHead> {
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
    write!(key, "{:x}:{}", name.parent.0, name.version).expect("writing to a string cannot fail");
    key
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
