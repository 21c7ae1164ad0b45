//! The refused events of a batch, kept as they were for whoever looks into them.

use equilibrium_domain::event::Refusal;

use crate::count::ports::DeadLetter;
use equilibrium_domain::event::record_batch::RecordRef;

/// Most letters of a batch; further refusals are counted alone. A producer gone wrong spoils every event
/// of thousands: a hundred show how, in ten calls of a queue that takes ten letters each.
pub const MAX_DEAD_LETTERS_PER_BATCH: usize = 100;

/// Most bytes of a line that a letter holds: sixteen of the longest events there may be, and ten letters
/// in Base64 stay within one mebibyte, the most that a call of Amazon SQS takes.
pub const MAX_DEAD_LETTER_LINE_BYTES: usize = 64 * 1024;

/// Letters of one batch, or of a part of it.
#[derive(Debug, Default)]
pub(crate) struct DeadLetterBuffer(Vec<DeadLetter>);

impl DeadLetterBuffer {
    /// Keeps the line at `index` of the record; says whether there was room.
    pub(crate) fn keep(
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
            arrival: record.arrival_ms,
        });
        true
    }

    /// Takes another part's letters, too; how many of them there was no room for.
    pub(crate) fn append(&mut self, other: Self) -> usize {
        let room = MAX_DEAD_LETTERS_PER_BATCH - self.0.len();
        let left = other.0.len().saturating_sub(room);
        self.0.extend(other.0.into_iter().take(room));
        left
    }

    /// The letters.
    pub(crate) fn into_inner(self) -> Vec<DeadLetter> {
        self.0
    }
}
