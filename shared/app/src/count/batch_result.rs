//! The result of counting a batch, or a lane's part of it.

use equilibrium_domain::event::Refusal;
use equilibrium_domain::event::record_batch::RecordRef;

use super::dead_letters::DeadLetterBuffer;
use super::metrics::CountMetrics;

/// The metrics and dead letters of a batch, or of a lane's part of it.
#[derive(Default)]
pub(super) struct BatchResult {
    pub(super) metrics: CountMetrics,
    pub(super) dead_letters: DeadLetterBuffer,
    /// Whether an event or a watermark is of a city or product that the policies lack.
    pub(super) has_unknown: bool,
}

impl BatchResult {
    /// Adds the result of a lane.
    pub(super) fn add(&mut self, other: Self) {
        self.metrics.add(other.metrics);
        self.has_unknown |= other.has_unknown;
        self.metrics.dead_letters_dropped += self.dead_letters.append(other.dead_letters) as u64;
    }

    /// Counts a refused line, the record's line `index`, and buffers it as a dead letter.
    pub(super) fn refuse(&mut self, record: &RecordRef<'_>, index: usize, line: &[u8], refusal: &Refusal) {
        self.metrics.refused[refusal.index()] += 1;
        if !self.dead_letters.push(record, index, line, refusal) {
            self.metrics.dead_letters_dropped += 1;
        }
    }
}
