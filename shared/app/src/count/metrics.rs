//! The metrics of counting.

use equilibrium_domain::event::Refusal;

use crate::checkpoint::metrics::CheckpointMetrics;
use crate::telemetry::emf::{Measurements, ToMeasurements};
use crate::telemetry::metrics::{
    DEAD_LETTERS_DROPPED, ENTITIES_EVICTED, EVENTS_ABSORBED, EVENTS_LATE, EVENTS_MISROUTED, EVENTS_OUTSIDE,
    EVENTS_UNKNOWN, RECORDS_TOO_LARGE, RECORDS_UNROUTABLE,
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
    /// Entities evicted because a city had too many.
    pub evicted: u64,
    /// Records of counts that the stream never takes.
    pub too_large: u64,
    /// What became of the records in the checkpoint logs.
    pub checkpoint: CheckpointMetrics,
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
        self.evicted += other.evicted;
        self.too_large += other.too_large;
        self.checkpoint.add(other.checkpoint);
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
        measures.put(ENTITIES_EVICTED, self.evicted);
        measures.put(RECORDS_TOO_LARGE, self.too_large);
        self.checkpoint.put(&mut measures);
        measures
    }
}
