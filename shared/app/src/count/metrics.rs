//! The metrics of counting.

use equilibrium_domain::event::Refusal;
use equilibrium_domain::id::LaneId;
use equilibrium_domain::wire;

use crate::checkpoint::ports::CheckpointKey;
use crate::telemetry::emf::{Measurements, ToMeasurements};
use crate::telemetry::metrics::{
    APPEND_CONFLICTS, DEAD_LETTERS_DROPPED, ENTITIES_EVICTED, EVENTS_ABSORBED, EVENTS_LATE, EVENTS_MISROUTED,
    EVENTS_UNKNOWN, RECORDS_SKIPPED, RECORDS_UNROUTABLE,
};

/// What a batch came to, for metrics. Refused and unknown events of a record without a lane are counted as
/// often as it is delivered; the rest is exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CountMetrics {
    /// Events taken in.
    pub absorbed: u64,
    /// Events of an unknown type.
    pub unknown: u64,
    /// Events of another lane than their record's, which CONTRACT §1 rules out: not taken in.
    pub misrouted: u64,
    /// Records in which nothing has a lane: they hold no event of a known type, and no clock.
    pub unroutable: u64,
    /// Refused events, by [`Refusal::index`].
    pub refused: [u64; Refusal::CODES.len()],
    /// Refused events that no letter tells of: there were too many, or nobody took the letters.
    pub dead_letters_dropped: u64,
    /// Late events.
    pub late: u64,
    /// Records held already.
    pub skipped: u64,
    /// Races lost to another instance.
    pub append_conflicts: u64,
    /// Entities that had to go because there were too many.
    pub evicted: u64,
    /// Entries that a lane's log held and nobody can read, by the lane.
    pub corrupt: Vec<(LaneId, wire::Corrupt)>,
}

impl CountMetrics {
    /// Adds what another batch came to.
    pub fn add(&mut self, other: Self) {
        self.absorbed += other.absorbed;
        self.unknown += other.unknown;
        self.misrouted += other.misrouted;
        self.unroutable += other.unroutable;
        self.dead_letters_dropped += other.dead_letters_dropped;
        self.late += other.late;
        self.skipped += other.skipped;
        self.append_conflicts += other.append_conflicts;
        self.evicted += other.evicted;
        self.corrupt.extend(other.corrupt);
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
        measures.put(RECORDS_UNROUTABLE, self.unroutable);
        measures.put(RECORDS_SKIPPED, self.skipped);
        measures.put(APPEND_CONFLICTS, self.append_conflicts);
        measures.put(ENTITIES_EVICTED, self.evicted);
        measures.put_corrupt(self.corrupt.iter().map(|(lane, _)| CheckpointKey::Lane(*lane).to_string()));
        measures
    }
}
