//! The outputs of counting: counts, and refused events.

use std::future::Future;

use equilibrium_domain::count::city_group::CityGroup;
use equilibrium_domain::event::sequence::Sequence;
use equilibrium_domain::id::LaneId;

use crate::unavailable::{SendError, Unavailable};

/// The stream of tick counts, from lanes to cities.
pub trait CountsStream: Send + Sync {
    /// Sends a record of `lane` to the processors of the cities of `group`. Records of one lane keep the order of the
    /// calls; those of several lanes may be sent together.
    ///
    /// # Errors
    /// [`SendError`].
    fn send(
        &self,
        lane: LaneId,
        group: CityGroup,
        record: Vec<u8>,
    ) -> impl Future<Output = Result<(), SendError>> + Send;
}

/// A refused line of the event log, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The line without its line end, cut to [`MAX_DEAD_LETTER_LINE_BYTES`](super::dead_letters::MAX_DEAD_LETTER_LINE_BYTES)
    /// bytes.
    pub line: Vec<u8>,
    /// The length of the whole line, in bytes.
    pub length: usize,
    /// The refusal's code (CONTRACT §1).
    pub code: &'static str,
    /// The refusal as a message.
    pub message: String,
    /// The record's sequence number in its shard.
    pub sequence: Sequence,
    /// The index of the line among the record's lines that are not blank, counted from 0.
    pub index: usize,
    /// When the record arrived in the log, in milliseconds since the epoch.
    pub arrival_ms: i64,
}

/// The queue of refused lines, for an operator to inspect.
pub trait DeadLetterQueue: Send + Sync {
    /// Sends dead letters, of which there is at least one. They are sent again when their record is delivered again. An
    /// adapter may try more than once within its own deadline.
    ///
    /// # Errors
    /// [`Unavailable`]: some of them may not have been sent.
    fn send(&self, dead_letters: Vec<DeadLetter>) -> impl Future<Output = Result<(), Unavailable>> + Send;
}
