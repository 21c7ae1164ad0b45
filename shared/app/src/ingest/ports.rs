//! The log of market events, and what its producers share.

use std::future::Future;

use equilibrium_domain::event::watermark_board::BoardPart;
use equilibrium_domain::id::LaneId;
use thiserror::Error;

use crate::unavailable::Unavailable;

/// The log of market events, ordered within each lane.
pub trait EventLog: Send + Sync {
    /// Appends a record to `lane`, durably. The adapter may retry until its own deadline, so the log may
    /// contain the record more than once.
    ///
    /// # Errors
    /// [`Unavailable`]: the record may or may not be in the log.
    fn put(&self, lane: LaneId, record: Vec<u8>) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Appends records to `lane` in their order. An adapter that can append several durably at once does.
    ///
    /// # Errors
    /// [`Unavailable`]: some of the records may be in the log, but none without those before it.
    fn put_all(
        &self,
        lane: LaneId,
        records: Vec<Vec<u8>>,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send {
        async move {
            for record in records {
                self.put(lane, record).await?;
            }
            Ok(())
        }
    }
}

/// A value of the board, and the number of times that it was saved; 0 if it never was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The version.
    pub version: u64,
    /// The value.
    pub value: T,
}

/// When the producers announce: at most one of them does at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// When the last announcement began, in milliseconds since the epoch.
    pub taken_ms: i64,
    /// When the next one is due, in milliseconds since the epoch, if a producer has undertaken to make it.
    pub due_ms: Option<i64>,
}

/// The whole board.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Board {
    /// The turn.
    pub turn: Versioned<Turn>,
    /// The [`BOARD_PARTS`](equilibrium_domain::event::watermark_board::BOARD_PARTS) parts, by number.
    pub parts: Vec<Versioned<BoardPart>>,
}

/// Why a value of the board was not saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BoardError {
    /// It has another version than the caller has read, or an earlier attempt of this call has saved it: read it again.
    #[error("board conflict: the version has changed")]
    Conflict,
    /// It is unknown whether it was saved: read it again.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The watermark board of one event stream, shared by all its producers. It holds nothing that events would not bring
/// again: a board that is lost costs a tick.
pub trait WatermarkBoard: Send + Sync {
    /// The whole board, with every value that was saved before the call.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn read(&self) -> impl Future<Output = Result<Board, Unavailable>> + Send;

    /// Saves a part if its version is still `after`.
    ///
    /// # Errors
    /// [`BoardError`].
    fn save_part(
        &self,
        number: u16,
        after: u64,
        part: &BoardPart,
    ) -> impl Future<Output = Result<(), BoardError>> + Send;

    /// Saves the turn if its version is still `after`.
    ///
    /// # Errors
    /// [`BoardError`].
    fn save_turn(&self, after: u64, turn: Turn) -> impl Future<Output = Result<(), BoardError>> + Send;
}

/// The time by which a producer announces.
pub trait Timer: Send + Sync {
    /// The time in milliseconds since the epoch.
    fn now_ms(&self) -> i64;

    /// Waits until the time is `at_ms`.
    fn wait_until(&self, at_ms: i64) -> impl Future<Output = ()> + Send;
}
