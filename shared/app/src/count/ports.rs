//! The outputs of counting: counts, and refused events.

use std::future::Future;

use equilibrium_domain::count::city_group::CityGroup;
use equilibrium_domain::event::sequence::Sequence;

use crate::unavailable::Unavailable;

/// Where lanes send what they counted.
pub trait CountsStream: Send + Sync {
    /// Sends a record to all that price the cities of `group`; of one lane, in the order of the calls.
    ///
    /// # Errors
    /// [`Unavailable`]: the record may or may not have been sent.
    fn send(&self, group: CityGroup, record: Vec<u8>)
    -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// A line of the log that was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The line as it was, without its line end; of one longer than [`crate::letters::MAX_DEAD_LETTER_LINE_BYTES`] the
    /// beginning.
    pub line: Vec<u8>,
    /// How many bytes the line has.
    pub length: usize,
    /// The refusal's code (CONTRACT §1).
    pub code: &'static str,
    /// The refusal in words.
    pub message: String,
    /// The record's place in its shard.
    pub sequence: Sequence,
    /// The line's place among the record's lines that are not blank, counted from 0.
    pub index: usize,
    /// When the log took the record, in milliseconds since the epoch.
    pub arrival: i64,
}

/// Where refused lines of the log wait for somebody to look into them.
pub trait DeadLetterQueue: Send + Sync {
    /// Sends letters, of which there is one at least. The same may come again, when their record does.
    /// Within its deadline, which is the adapter's own, it may try more than once.
    ///
    /// # Errors
    /// [`Unavailable`]: some of them may not have been sent.
    fn send(&self, letters: Vec<DeadLetter>) -> impl Future<Output = Result<(), Unavailable>> + Send;
}
