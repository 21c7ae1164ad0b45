//! The checkpoint log: where state survives its function instance.

use std::fmt;
use std::future::Future;

use equilibrium_domain::count::lane_range::LaneRange;
use equilibrium_domain::event_sourced::Entry;
use equilibrium_domain::id::{CityId, LaneCount};
use thiserror::Error;

use crate::unavailable::Unavailable;

/// The key of a checkpoint log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckpointKey {
    /// The log of a range of lanes.
    Lanes(LaneRange),
    /// The log of a city.
    City(CityId),
    /// The records that wait for a log that cannot go on.
    ParkedRecords(Box<CheckpointKey>),
    /// The list of logs that cannot go on.
    ParkedLogs,
}

impl fmt::Display for CheckpointKey {
    /// `lanes-COUNT/INDEX`, `city/CITY`, `parked/` before either, or `parked`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lanes(range) => range.fmt(f),
            Self::City(city) => write!(f, "city/{city}"),
            Self::ParkedRecords(key) => write!(f, "parked/{key}"),
            Self::ParkedLogs => f.write_str("parked"),
        }
    }
}

impl CheckpointKey {
    /// The key that is displayed as `text`, if there is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(city) = text.strip_prefix("city/") {
            return CityId::new(city).map(Self::City);
        }
        if text == "parked" {
            return Some(Self::ParkedLogs);
        }
        if let Some(key) = text.strip_prefix("parked/").and_then(Self::parse) {
            return key.parked_records();
        }
        let (lanes, index) = text.strip_prefix("lanes-")?.split_once('/')?;
        let range = LaneRange::new(LaneCount::new(lanes.parse().ok()?)?, index.parse().ok()?)?;
        Some(Self::Lanes(range)).filter(|key| key.to_string() == text)
    }

    /// The log of the records that wait for this log, if it is one of a state.
    #[must_use]
    pub fn parked_records(&self) -> Option<Self> {
        match self {
            Self::Lanes(_) | Self::City(_) => Some(Self::ParkedRecords(Box::new(self.clone()))),
            Self::ParkedRecords(_) | Self::ParkedLogs => None,
        }
    }
}

/// Why an entry was not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AppendError {
    /// The log has an entry of this number: load it and begin again.
    #[error("append conflict: the entry already exists")]
    Conflict,
    /// It is unknown whether the entry was appended: load the log to find out.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What a log holds, from some entry on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The state before the first of the entries; `None` if that is the very first of the log, or the one asked for.
    pub snapshot: Option<Vec<u8>>,
    /// The number of the first of the entries; that of the next entry of the log, where there are none.
    pub first: u64,
    /// The entries, in order. One that the store cannot read back is empty.
    pub entries: Vec<Vec<u8>>,
}

impl Loaded {
    /// The number of the entry that follows.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }
}

/// Where state survives its function instance: a log per range of lanes and per city, appended to on condition.
///
/// Entries are kept at least as long as the stream keeps records, and never less than a day.
pub trait CheckpointLog: Send + Sync {
    /// The newest snapshot and the entries from its number on, or all entries where there is no snapshot; with `next`,
    /// the entries from that number on alone, if the log still holds them: the entries are one after the other.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn load(
        &self,
        key: &CheckpointKey,
        next: Option<u64>,
    ) -> impl Future<Output = Result<Loaded, Unavailable>> + Send;

    /// Appends `entry` if the log has no entry of its number. Its snapshot is not saved.
    ///
    /// # Errors
    /// [`AppendError`].
    fn append(
        &self,
        key: &CheckpointKey,
        entry: &Entry,
    ) -> impl Future<Output = Result<(), AppendError>> + Send;

    /// Saves the snapshot before entry `number`, which the log has, so that no entry before it is needed any more.
    ///
    /// # Errors
    /// [`Unavailable`]: loading begins at an older snapshot then, and reads more entries.
    fn save_snapshot(
        &self,
        key: &CheckpointKey,
        number: u64,
        snapshot: &[u8],
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// How long the past of a city's log can be read, by the time of its ticks (CONTRACT §10).
pub const PAST_MS: i64 = 24 * 3_600_000;

/// The past of cities' checkpoint logs, for a day.
pub trait PastLog: Send + Sync {
    /// A snapshot from before `tick` closed, as new as the store has one, and the entries from it on: through the one
    /// that closed the tick at least, if there is one. Without a snapshot they begin with the very first of the log.
    /// Where nothing so old is kept, the oldest part of the log that is; `None` if none is.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn load_past(
        &self,
        key: &CheckpointKey,
        tick: i64,
    ) -> impl Future<Output = Result<Option<Loaded>, Unavailable>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_from_its_text() {
        let lanes = LaneCount::new(64).expect("a power of two");
        let range = LaneRange::new(lanes, 15).expect("the last range");
        let city = CityId::new("nyc").expect("well-formed");
        for key in [CheckpointKey::Lanes(range), CheckpointKey::City(city)] {
            let parked = key.parked_records().expect("it is the log of a state");
            assert_eq!(CheckpointKey::parse(&key.to_string()), Some(key));
            assert_eq!(CheckpointKey::parse(&parked.to_string()), Some(parked));
        }
        assert_eq!(CheckpointKey::parse("parked"), Some(CheckpointKey::ParkedLogs));
        for text in [
            "",
            "nyc",
            "city/",
            "city/NYC",
            "lanes-64/16",
            "lanes-63/0",
            "lanes-64/+1",
            "lanes-64/01",
            "parked/",
            "parked/parked",
        ] {
            assert_eq!(CheckpointKey::parse(text), None, "{text}");
        }
    }
}
