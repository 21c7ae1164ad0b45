//! Verification of checkpoints and maps: every log is read from its newest snapshot on, and each city's published map is
//! recomputed from its log.

use equilibrium_domain::count::range_state::LaneRangeState;
use equilibrium_domain::event_sourced::EventSourced;
use equilibrium_domain::id::CityId;
use equilibrium_domain::parking::LogMark;
use equilibrium_domain::surge::city_pricing::CityPricing;
use equilibrium_domain::surge::map::{ChunkName, MapHead};
use equilibrium_domain::wire::Corrupt;

use crate::checkpoint::parking;
use crate::checkpoint::ports::{CheckpointKey, CheckpointLog, Loaded};
use crate::checkpoint::replay::{Replayed, replay};
use crate::price::ports::{Consistency, MapStore};
use crate::unavailable::Unavailable;

/// How often a map is read again that another instance replaced meanwhile.
const MAX_READS: u32 = 5;

/// What a log is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogState {
    /// It has no state.
    Empty,
    /// It can be read, and holds records up to one that arrived at this time, in milliseconds since the epoch.
    Readable {
        /// The latest arrival of a record that it holds.
        reached_ms: Option<i64>,
    },
    /// It is parked, and can be read.
    ParkedReadable,
    /// It is parked.
    Parked(Corrupt),
    /// It cannot be read, and is not parked.
    Corrupt(Corrupt),
}

/// Reads and verifies a log.
///
/// # Errors
/// [`Unavailable`].
pub async fn verify_log(log: &impl CheckpointLog, key: &CheckpointKey) -> Result<LogState, Unavailable> {
    let loaded = log.load(key, None).await?;
    Ok(match key {
        CheckpointKey::Lanes(range) => state_of::<LaneRangeState>(range, loaded),
        CheckpointKey::City(city) => state_of::<CityPricing>(city, loaded),
        CheckpointKey::ParkedRecords(_) | CheckpointKey::ParkedLogs => LogState::Empty,
    })
}

fn state_of<S: EventSourced>(identity: &S::Identity, mut loaded: Loaded) -> LogState {
    if loaded.next() == 0 {
        return LogState::Empty;
    }
    let is_parked = parking::is_parked(&loaded.entries);
    if is_parked {
        loaded.entries.push(LogMark::Resumed.encode());
    }
    match (replay::<S>(identity, &loaded), is_parked) {
        (Replayed::Corrupt(corrupt), true) => LogState::Parked(corrupt),
        (Replayed::Corrupt(corrupt), false) => LogState::Corrupt(corrupt),
        (_, true) => LogState::ParkedReadable,
        (Replayed::Ready { state, .. }, false) => {
            state.map_or(LogState::Empty, |state| LogState::Readable { reached_ms: state.reached_ms() })
        }
        (Replayed::Parked, false) => LogState::Empty,
    }
}

/// How a city's published map compares with the one that its log gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapState {
    /// There is no map, or the log holds no tick of it: there is nothing to compare.
    NotComparable,
    /// Head and chunks are the same bytes.
    Equal {
        /// The version of both.
        version: u64,
    },
    /// They differ.
    Different {
        /// The version of the published map.
        version: u64,
    },
}

/// Recomputes the published map of a city from its log, and compares both bit for bit.
///
/// # Errors
/// [`Unavailable`].
pub async fn verify_map(
    log: &impl CheckpointLog,
    maps: &impl MapStore,
    city: &CityId,
) -> Result<MapState, Unavailable> {
    let key = CheckpointKey::City(city.clone());
    let mut version = None;
    for _ in 0..MAX_READS {
        let Some(published) = maps.head(city).await? else { return Ok(MapState::NotComparable) };
        let loaded = log.load(&key, None).await?;
        let (head, chunks) = match map_of(city, &loaded, published.version) {
            Recomputed::Map(map) => map,
            // A log is appended to before its map is published.
            Recomputed::Older => return Ok(MapState::Different { version: published.version }),
            // The log goes on: its newest snapshot may be later than the map that was read.
            Recomputed::Nothing if version != Some(published.version) => {
                version = Some(published.version);
                continue;
            }
            Recomputed::Nothing => return Ok(MapState::NotComparable),
        };
        let names: Vec<_> = chunks.iter().map(|(name, _)| (city.clone(), *name)).collect();
        let stored = maps.chunks(&names, Consistency::Strong).await?;
        let same_chunks =
            chunks.iter().zip(&stored).all(|((_, bytes), stored)| stored.as_ref() == Some(bytes));
        if head.encode() == published.encode() && same_chunks {
            return Ok(MapState::Equal { version: head.version });
        }
        // Chunks that a newer map does not name may be gone.
        if maps.head(city).await?.is_some_and(|newest| newest.version == published.version) {
            return Ok(MapState::Different { version: published.version });
        }
    }
    Err(Unavailable)
}

/// A map with all its chunks.
type WholeMap = (MapHead, Vec<(ChunkName, Vec<u8>)>);

/// What a log gives of a version.
enum Recomputed {
    Map(WholeMap),
    /// The log ends with an older version.
    Older,
    /// Its entries do not hold the version, or it cannot be read.
    Nothing,
}

/// The map of this version, as the log gives it.
fn map_of(city: &CityId, loaded: &Loaded, version: u64) -> Recomputed {
    let mut state = loaded.snapshot.as_ref().and_then(|snapshot| CityPricing::restore(city, snapshot).ok());
    for (number, entry) in (loaded.first..).zip(&loaded.entries) {
        if LogMark::decode(entry).is_some() {
            state.iter_mut().for_each(|state| state.skip_to(number + 1));
            continue;
        }
        let Ok(replayed) = CityPricing::replay(state, city, number, entry) else {
            return Recomputed::Nothing;
        };
        if let Some(map) = replayed.pending_map().filter(|(head, _)| head.version == version) {
            return Recomputed::Map(map);
        }
        state = Some(replayed);
    }
    match state {
        Some(state) if state.map_version() < version => Recomputed::Older,
        _ => Recomputed::Nothing,
    }
}
