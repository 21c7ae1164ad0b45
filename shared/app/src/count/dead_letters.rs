//! The refused lines of a batch, buffered as they arrived.

use equilibrium_domain::event::Refusal;

use crate::count::ports::DeadLetter;
use equilibrium_domain::event::record_batch::RecordRef;

/// Most dead letters of a batch; further refusals are counted only. A faulty producer spoils thousands of events in the
/// same way: a hundred show how, in ten calls of a queue that takes ten messages each.
pub const MAX_DEAD_LETTERS_PER_BATCH: usize = 100;

/// Most bytes of a line in a dead letter: sixteen times the longest valid event; ten dead letters in Base64 fit a call
/// of Amazon SQS, which takes one mebibyte.
pub const MAX_DEAD_LETTER_LINE_BYTES: usize = 64 * 1024;

/// The dead letters of a batch, or of a lane's part of it.
#[derive(Debug, Default)]
pub(crate) struct DeadLetterBuffer(Vec<DeadLetter>);

impl DeadLetterBuffer {
    /// Adds the line at `index` of the record; returns whether there was room.
    pub(crate) fn push(
        &mut self,
        record: &RecordRef<'_>,
        index: usize,
        line: &[u8],
        refusal: &Refusal,
    ) -> bool {
        if self.0.len() >= MAX_DEAD_LETTERS_PER_BATCH {
            return false;
        }
        self.0.push(DeadLetter {
            line: line[..line.len().min(MAX_DEAD_LETTER_LINE_BYTES)].to_vec(),
            length: line.len(),
            code: refusal.code(),
            message: refusal.to_string(),
            sequence: record.sequence.to_owned(),
            index,
            arrival_ms: record.arrival_ms,
        });
        true
    }

    /// Appends the dead letters of another part; returns the number that there was no room for.
    pub(crate) fn append(&mut self, other: Self) -> usize {
        let room = MAX_DEAD_LETTERS_PER_BATCH - self.0.len();
        let left = other.0.len().saturating_sub(room);
        self.0.extend(other.0.into_iter().take(room));
        left
    }

    /// The dead letters.
    pub(crate) fn into_inner(self) -> Vec<DeadLetter> {
        self.0
    }
}
