//! The metrics of counting.

use equilibrium_domain::event::Refusal;
use equilibrium_domain::id::LaneId;
use equilibrium_domain::wire;

use crate::checkpoint::ports::CheckpointKey;
use crate::telemetry::emf::{Measurements, ToMeasurements};
use crate::telemetry::metrics::{
    APPEND_CONFLICTS, DEAD_LETTERS_DROPPED, ENTITIES_EVICTED, EVENTS_ABSORBED, EVENTS_LATE, EVENTS_MISROUTED,
    EVENTS_OUTSIDE, EVENTS_UNKNOWN, RECORDS_SKIPPED, RECORDS_TOO_LARGE, RECORDS_UNROUTABLE,
};

/// The metrics of a batch. Refused and unknown events of an unroutable record count at every delivery; the rest is
/// exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CountMetrics {
    /// Absorbed events.
    pub absorbed: u64,
    /// Events of an unknown type.
    pub unknown: u64,
    /// Events of another lane than that of their record (CONTRACT §1 excludes them): not absorbed.
    pub misrouted: u64,
    /// Records without a lane: they hold neither an event of a known type nor a watermark.
    pub unroutable: u64,
    /// Refused events, by [`Refusal::index`].
    pub refused: [u64; Refusal::CODES.len()],
    /// Refused events without a dead letter: there were too many, or the queue was unavailable.
    pub dead_letters_dropped: u64,
    /// Late events.
    pub late: u64,
    /// Events whose place is outside their city's boundary.
    pub outside: u64,
    /// Records that the state held already.
    pub skipped: u64,
    /// Appends that another instance's entry prevented.
    pub append_conflicts: u64,
    /// Entities evicted because a city had too many.
    pub evicted: u64,
    /// Records of counts that the stream never takes.
    pub too_large: u64,
    /// Lanes whose log cannot be read, and why.
    pub corrupt: Vec<(LaneId, wire::Corrupt)>,
}

impl CountMetrics {
    /// Adds the metrics of another batch.
    pub fn add(&mut self, other: Self) {
        self.absorbed += other.absorbed;
        self.unknown += other.unknown;
        self.misrouted += other.misrouted;
        self.unroutable += other.unroutable;
        self.dead_letters_dropped += other.dead_letters_dropped;
        self.late += other.late;
        self.outside += other.outside;
        self.skipped += other.skipped;
        self.append_conflicts += other.append_conflicts;
        self.evicted += other.evicted;
        self.too_large += other.too_large;
        // A lane that stays corrupt is named once, however often its batch comes.
        for (lane, corrupt) in other.corrupt {
            if !self.corrupt.iter().any(|(known, _)| *known == lane) {
                self.corrupt.push((lane, corrupt));
            }
        }
        for (mine, theirs) in self.refused.iter_mut().zip(other.refused) {
            *mine += theirs;
        }
    }
}

impl ToMeasurements for CountMetrics {
    fn measures(&self) -> Measurements {
        let mut measures = Measurements::default();
        measures.put(EVENTS_ABSORBED, self.absorbed);
        measures.put_refused(&self.refused);
        measures.put(DEAD_LETTERS_DROPPED, self.dead_letters_dropped);
        measures.put(EVENTS_UNKNOWN, self.unknown);
        measures.put(EVENTS_MISROUTED, self.misrouted);
        measures.put(EVENTS_LATE, self.late);
        measures.put(EVENTS_OUTSIDE, self.outside);
        measures.put(RECORDS_UNROUTABLE, self.unroutable);
        measures.put(RECORDS_SKIPPED, self.skipped);
        measures.put(APPEND_CONFLICTS, self.append_conflicts);
        measures.put(ENTITIES_EVICTED, self.evicted);
        measures.put(RECORDS_TOO_LARGE, self.too_large);
        measures.put_corrupt(self.corrupt.iter().map(|(lane, _)| CheckpointKey::Lane(*lane).to_string()));
        measures
    }
}
